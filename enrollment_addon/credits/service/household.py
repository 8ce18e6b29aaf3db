"""Spending credits that others of the household share.

Only where a client's own lots do not suffice is anything of this asked, so that the usual booking costs what
it did. The balances of all who share are locked in key order before their lots are read. A client whose own
balance is locked already waits for nobody with a lower key: that one may be waiting for this one.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from ...people.models import Client
from ..calc import SpendableLot
from ..models import balances, entries, lots, something_left
from .lots import as_lot, spendable_columns, usable
from .take import Wish

clients_table: Any = Client.__table__


def lock_sharers(session: Session, wish: Wish, *, own_is_locked: bool) -> Sequence[int]:
    """Lock the balances of the client and of those who share lots of this event type with them; the latter.

    Sharing is the owner's word to the household: whoever may book for one of its members may spend these.
    """
    household = select(clients_table.c.household_id).where(clients_table.c.id == wish.client_id).scalar_subquery()
    sharers = list(
        session.execute(
            select(lots.c.client_id)
            .join_from(lots, clients_table)
            .where(
                clients_table.c.household_id == household,
                clients_table.c.id != wish.client_id,
                lots.c.event_type_id == wish.event_type_id,
                lots.c.shared.is_(True),
                something_left,
            )
            .distinct()
        ).scalars()
    )
    if sharers:
        before = [key for key in sharers if key < wish.client_id] if own_is_locked else []
        _lock(session, wish, before, nowait=True)
        _lock(session, wish, [*({*sharers, wish.client_id} - {*before})], nowait=False)
    return sharers


def _lock(session: Session, wish: Wish, client_ids: Sequence[int], *, nowait: bool) -> None:
    if client_ids:
        session.execute(
            select(balances.c.client_id)
            .where(balances.c.client_id.in_(client_ids), balances.c.event_type_id == wish.event_type_id)
            .order_by(balances.c.client_id)
            .with_for_update(nowait=nowait)
        ).all()


def spendable_together(
    session: Session, wish: Wish, sharers: Sequence[int]
) -> tuple[dict[int, int], list[SpendableLot]]:
    """The owner of each lot that may pay, and the lots, a capped one with what its cap leaves this client."""
    spent = (
        select(-func.sum(entries.c.available_change))
        .where(entries.c.lot_id == lots.c.id, entries.c.member_id == wish.client_id)
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            *spendable_columns, lots.c.client_id, lots.c.enrollment_id, lots.c.member_cap,
            func.coalesce(spent, 0).label("spent"),
        ).where(
            _may_spend(wish, sharers),
            lots.c.event_type_id == wish.event_type_id,
            something_left,
            usable,
        ),
        {"enrollment": wish.enrollment_id, "participant": wish.participant_id},
    ).all()
    found = []
    for row in rows:
        if not wish.admits(row.id, row.enrollment_id):
            continue
        own = row.client_id == wish.client_id
        left = row.available
        if not own and row.member_cap is not None:
            left = min(left, row.member_cap - int(row.spent))
        found.append(as_lot(row, available=left, own=own))
    return {row.id: row.client_id for row in rows}, found


def _may_spend(wish: Wish, sharers: Sequence[int]) -> ColumnElement[bool]:
    return or_(
        lots.c.client_id == wish.client_id,
        and_(lots.c.client_id.in_(sharers), lots.c.shared.is_(True)),
    )

"""How credits came about: the ledger, told lot by lot."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import case, select, union_all
from sqlalchemy.orm import Session

from ...catalog.models import EventType
from ...core import clock
from ...core.db import User
from ...core.errors import NotFound
from ...core.scope import actor_of, reach_of
from ..models import EntryKind, entries, lots
from .lots import LotRow, clients_table, end_of, full_name, lots_of, timezone_of

users_table: Any = User.__table__


class OtherSide(NamedTuple):
    """The lot at the other end of a transfer or conversion; `client` is empty out of reach."""

    lot_id: int
    client_id: int
    client: str | None
    event_type_id: int
    event_type: str


@dataclass(frozen=True)
class EntryRow:
    """A line of the ledger. `running_…` is what the lot had after it; `who` is empty for the system.

    `reversed` says that a later entry of the lot took this one back; `old_expires_on` and `new_expires_on` are
    the lot's last day before and after an entry that moved it; `member` is who of the household spent it.
    `others` are the lots that its credits went to or came from.
    """

    id: int
    lot_id: int
    kind: EntryKind
    available_change: int
    reserved_change: int
    running_available: int
    running_reserved: int
    at: dt.datetime
    actor_id: int | None
    who: str | None
    reason: str | None
    old_expires_on: dt.date | None
    new_expires_on: dt.date | None
    booking_id: int | None
    reversal_of_id: int | None
    reversed: bool
    member_id: int | None
    member: str | None
    batch_id: int | None
    others: Sequence[OtherSide]

    @property
    def others_in_reach(self) -> Sequence[OtherSide]:
        return [side for side in self.others if side.client is not None]


@dataclass(frozen=True)
class ExplainedLot:
    """A lot with its entries in order."""

    lot: LotRow
    entries: list[EntryRow]


class Explanation(NamedTuple):
    """How a client's credits came about, oldest lot first; `next_after` continues behind this page."""

    client_id: int
    as_of: dt.date | None
    lots: list[ExplainedLot]
    next_after: int | None


def lot_entries(session: Session, lot_id: int, as_of: dt.date | None = None) -> list[EntryRow]:
    """The ledger of one lot in order, up to now or to the end of a day. Raises: NotFound."""
    client_id = session.execute(
        select(lots.c.client_id)
        .join_from(lots, clients_table)
        .where(lots.c.id == lot_id, reach_of(actor_of(session)))
    ).scalar()
    if client_id is None:
        raise NotFound
    until = end_of(as_of, timezone_of(session, client_id)) if as_of else None
    return _entries(session, [lot_id], until=until)[lot_id]


def explain(
    session: Session,
    client_id: int,
    *,
    event_type_id: int | None = None,
    as_of: dt.date | None = None,
    after: int = 0,
    size: int = 50,
) -> Explanation:
    """How a client's credits came about: each lot with its entries, now or as of the end of a past day.

    At most seven queries per page of `size` lots. Raises: NotFound.
    """
    timezone = timezone_of(session, client_id)
    until = end_of(as_of, timezone) if as_of else None
    where = [lots.c.client_id == client_id, lots.c.id > after]
    if event_type_id is not None:
        where.append(lots.c.event_type_id == event_type_id)
    page = lots_of(session, where, day=as_of or clock.today(timezone), until=until, limit=size + 1)
    shown = page[:size]
    told = _entries(session, [lot.id for lot in shown], until=until)
    return Explanation(
        client_id,
        as_of,
        [ExplainedLot(lot, told[lot.id]) for lot in shown],
        shown[-1].id if len(page) > size else None,
    )


def _entries(
    session: Session, lot_ids: Sequence[int], *, until: dt.datetime | None
) -> dict[int, list[EntryRow]]:
    """The entries of lots with running sums, in one query and those of `_others`."""
    if not lot_ids:
        return {}
    query = (
        select(
            entries, full_name(users_table).label("who"),
            case((reach_of(actor_of(session)), full_name(clients_table))).label("member"),
        )
        .outerjoin(users_table, users_table.c.id == entries.c.actor_id)
        .outerjoin(clients_table, clients_table.c.id == entries.c.member_id)
        .where(entries.c.lot_id.in_(lot_ids))
        .order_by(entries.c.lot_id, entries.c.id)
    )
    if until is not None:
        query = query.where(entries.c.at < until)
    rows = session.execute(query).all()
    reversed_ids = {(row.lot_id, row.reversal_of_id) for row in rows}
    others = _others(session, rows)
    told: dict[int, list[EntryRow]] = {lot_id: [] for lot_id in lot_ids}
    for row in rows:
        before = told[row.lot_id][-1] if told[row.lot_id] else None
        told[row.lot_id].append(
            EntryRow(
                id=row.id,
                lot_id=row.lot_id,
                kind=EntryKind(row.kind),
                available_change=row.available_change,
                reserved_change=row.reserved_change,
                running_available=row.available_change + (before.running_available if before else 0),
                running_reserved=row.reserved_change + (before.running_reserved if before else 0),
                at=row.at,
                actor_id=row.actor_id,
                who=row.who,
                reason=row.reason,
                old_expires_on=row.old_expires_on,
                new_expires_on=row.new_expires_on,
                booking_id=row.booking_id,
                reversal_of_id=row.reversal_of_id,
                reversed=(row.lot_id, row.id) in reversed_ids,
                member_id=row.member_id,
                member=row.member,
                batch_id=row.batch_id,
                others=others.get(row.id, ()),
            )
        )
    return told


def _others(session: Session, rows: Sequence[Any]) -> dict[int, list[OtherSide]]:
    """Where moved credits came from or went to, by entry; two queries where any were moved.

    An arrival names the entry by which its credits left. No index leads the other way: arrivals are looked for in
    the batch of the move, or where none did it, with whom the client was merged into.
    """
    came = {row.reversal_of_id: row.id for row in rows if row.kind == EntryKind.transfer_in and row.reversal_of_id}
    exits = [row for row in rows if row.kind == EntryKind.transfer_out]
    arrived = entries.c.reversal_of_id.in_([row.id for row in exits]) & (entries.c.kind == EntryKind.transfer_in)
    parts = []
    if came:
        parts.append(_there.where(entries.c.id.in_(came)))
    if moved := {row.batch_id for row in exits if row.batch_id is not None}:
        parts.append(_there.where(entries.c.batch_id.in_(moved), arrived))
    if alone := {row.client_id for row in exits if row.batch_id is None}:
        merged = select(clients_table.c.merged_into_id).where(clients_table.c.id.in_(alone))
        parts.append(_there.where(entries.c.client_id.in_(merged), arrived))
    if not parts:
        return {}
    there = union_all(*parts).subquery()
    found = session.execute(
        select(there, case((reach_of(actor_of(session)), full_name(clients_table))).label("client"))
        .join(clients_table, clients_table.c.id == there.c.client_id)
        .order_by(there.c.id)
    ).all()
    types = select(EventType).where(EventType.id.in_({row.event_type_id for row in found}))
    labels = {item.id: item.label for item in session.execute(types).scalars()}
    sides: dict[int, list[OtherSide]] = {}
    for row in found:
        side = OtherSide(row.lot_id, row.client_id, row.client, row.event_type_id, labels[row.event_type_id])
        sides.setdefault(came.get(row.id) or row.reversal_of_id, []).append(side)
    return sides


_there = select(
    entries.c.id, entries.c.lot_id, entries.c.client_id, entries.c.event_type_id, entries.c.reversal_of_id
)

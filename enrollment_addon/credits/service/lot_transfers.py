"""Chosen lots that go to another client: what of them would, and the part of a batch that lets them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, not_, or_, select
from sqlalchemy.orm import Session

from ...core.db import key_list
from ...core.scope import Actor
from ..calc import Take
from ..models import lots, something_left
from ..queries import is_over
from .ledger import lock_balances, open_balances
from .lot_choice import Lots, choose_lots, clients_table
from .moves import free, hand_over, require_open

GIVERS_NAMED = 5
"""So many of those who would give are named in a preview."""

_reason = case((not_(something_left), "empty"), (not_(free), "bound"), else_="lapsed")
"""Why nothing can leave a lot."""


class TransferPlan(NamedTuple):
    """What a transfer of lots would do: so many lots of so many clients with so many credits change hands.

    `givers`: names of the first of them. `left_out` by reason: bound (of an enrollment or on hold), lapsed (past
    their last day), own (they are the receiver's already), empty; `missing` were named and are not there.
    """

    lots: int
    clients: int
    credits: int
    givers: Sequence[str]
    left_out: dict[str, int]
    missing: int


def plan_transfer(
    session: Session, *, lot_ids: Lots, to_client_id: int | None = None, actor: Actor
) -> TransferPlan:
    """Say what `transfer_lots` would do now. Raises: NotFound, NothingSelected, InvalidInput."""
    choice = choose_lots(session, lot_ids, actor)
    theirs = lots.c.client_id == to_client_id  # none as long as nobody was chosen: every lot has a client
    moving = and_(_gives(session), not_(theirs))
    why = case((theirs, "own"), (moving, ""), else_=_reason).label("why")
    each = select(why, lots.c.available).join_from(lots, clients_table).where(lots.c.id.in_(choice.keys)).subquery()
    counted = select(each.c.why, func.count(), func.sum(each.c.available)).group_by(each.c.why)
    found = {reason: (count, int(credits)) for reason, count, credits in session.execute(counted)}
    client = clients_table.c
    givers = (
        select(client.id, client.first_name, client.last_name)
        .join_from(lots, clients_table)
        .where(lots.c.id.in_(choice.keys), moving)
    )
    named = session.execute(givers.distinct().order_by(client.id).limit(GIVERS_NAMED)).all()
    clients = session.execute(givers.with_only_columns(func.count(client.id.distinct()))).scalar_one()
    count, credits = found.pop("", (0, 0))
    return TransferPlan(
        lots=count, clients=clients, credits=credits,
        givers=[f"{giver.first_name} {giver.last_name}".strip() for giver in named],
        left_out={reason: others for reason, (others, _) in found.items()}, missing=choice.missing,
    )


def lock_both_sides(session: Session, lot_ids: Sequence[int], to_client_id: int) -> None:
    """Lock the balances above these lots and those that get their credits, in key order."""
    rows = session.execute(
        select(lots.c.id, lots.c.client_id, lots.c.event_type_id).where(lots.c.id.in_(key_list(session, lot_ids)))
    ).all()
    lock_balances(session, [row.id for row in rows if row.client_id < to_client_id])
    open_balances(session, {(to_client_id, row.event_type_id) for row in rows})
    lock_balances(session, [row.id for row in rows if row.client_id > to_client_id])


def give_lots(session: Session, batch: Any, lot_ids: Sequence[int], actor: Actor) -> tuple[int, int, Counter[str]]:
    """Let what is left in these lots, whose balances are locked, go to the client of the batch.

    How many lots, how many credits, and how many lots were left out why.
    Raises: NotFound, InvalidInput for a client who may not get credits any more.
    """
    to_client_id = batch.input["to_client_id"]
    require_open(session, to_client_id, actor)
    chosen = select(lots).join_from(lots, clients_table).where(lots.c.id.in_(key_list(session, lot_ids)))
    rows = {row.id: row for row in session.execute(chosen.where(_gives(session)).order_by(lots.c.id))}
    others = chosen.where(not_(_gives(session))).with_only_columns(_reason)
    left_out = Counter(session.execute(others).scalars())
    takes = [Take(row.id, row.available) for row in rows.values()]
    if takes:
        hand_over(session, rows, takes, to_client_id=to_client_id, batch_id=batch.id, reason=batch.note, actor=actor)
    return len(takes), sum(take.quantity for take in takes), left_out


def _gives(session: Session) -> ColumnElement[bool]:
    """The clause over lots and their clients that something can leave them; never unknown."""
    lasts = or_(lots.c.expires_on.is_(None), not_(is_over(session, lots.c.expires_on)))
    return and_(something_left, free, lasts)

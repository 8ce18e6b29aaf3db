"""Undoing a transfer, a conversion, new last days or a void, as far as nothing later depends on it.

Credits go back to the very lots they left, by entries that name those they take back: an entry is never taken
out of the ledger. Of a conversion only whole steps go back.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, and_, case, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from ...core import clock
from ...core.batches import BatchState, batches
from ...core.db import UtcDateTime, key_list
from ...core.scope import SYSTEM, Actor
from ...people.models import Client
from ..calc import Arrival, Take, give_back
from ..errors import NotUndoable
from ..hooks import credits_given_back, is_closed
from ..models import EntryKind, balances, entries, lots
from ..queries import is_over
from .ledger import (
    Move,
    add_to_balances,
    change_balance,
    lock_balances,
    locked_lots,
    move_expiry,
    open_balances,
    post,
    reached_lots,
)
from .lot_batches import EXTEND, VOID
from .moves import CONVERT, TRANSFER

clients_table: Any = Client.__table__

_left = and_(entries.c.kind == EntryKind.transfer_out, entries.c.reversal_of_id.is_(None))
"""The entries by which credits left their lots; an undo's name what they take back."""
_void = and_(entries.c.kind == EntryKind.void, entries.c.reversal_of_id.is_(None))

is_gone = or_(clients_table.c.erased_at.is_not(None), clients_table.c.merged_into_id.is_not(None))
"""Clients to whom nothing can be given back."""

_came, _giving = entries.alias(), batches.alias()
_is_withdrawn = (
    select(_giving.c.id)
    .join_from(_came, _giving, _giving.c.id == func.coalesce(_came.c.batch_id, lots.c.batch_id))
    .where(
        _came.c.lot_id == lots.c.id, _came.c.kind.in_((EntryKind.grant, EntryKind.transfer_in)),
        _giving.c.state.in_((BatchState.undoing, BatchState.undone)),
    )
    .correlate(lots)
    .exists()
)
"""Lots whose own grant, transfer or conversion was undone: what that found voided must not come back after it."""


@dataclass(frozen=True)
class UndoPlan:
    """What an undo would do, in credits; `clients` got some, `clients_spent` of them used or booked some.

    `taken_back` is what the undo moves: of a void it is given back. `kept_spent` includes the `reserved` ones of
    bookings. What expired or was voided is in neither number. `lapsed` of those moved are past their last day
    then and expire with the next sweep. `closed` stay voided: their client was merged or erased, their enrollment
    has ended early, or what gave them was undone itself.
    """

    clients: int
    credits: int
    taken_back: int
    kept_spent: int
    clients_spent: int
    reserved: int
    lapsed: int = 0
    closed: int = 0


@dataclass(frozen=True)
class Undone:
    """What one chunk took back; `cursor` is the last lot it looked at, of `lots` lots."""

    lots: int
    clients: int
    taken_back: int
    kept_spent: int
    cursor: int | None


@dataclass(frozen=True)
class UndoMoves:
    """How a kind of batch is undone: its preview, a chunk behind a cursor, and its lots unless all is one item."""

    plan: Callable[[Session, Any], UndoPlan]
    undo: Callable[[Session, Any, int, int, Actor], Undone]
    lots: Callable[[Any], Select[Any]] | None = None


@dataclass(frozen=True)
class _Return:
    """A lot that credits came into by the entry `came_by`, and what goes back where: by the entries they left by."""

    lot: Any
    came_by: int
    back: int
    origins: Mapping[int, int]


def _returns(session: Session, batch: Any) -> tuple[list[_Return], dict[int, Any]]:
    """What can go back of a transfer or conversion, and the entries by which credits had left, by key.

    Raises: NotUndoable when the two sides do not match (a repaired batch) or the giver was merged or erased.
    """
    give, get = (batch.input["give"], batch.input["get"]) if batch.kind == CONVERT else (1, 1)
    rows = session.execute(
        select(entries.c.id, entries.c.lot_id, entries.c.kind, entries.c.available_change)
        .where(entries.c.batch_id == batch.id, or_(entries.c.kind == EntryKind.transfer_in, _left))
        .order_by(entries.c.id)
    ).all()
    known = {lot.id: lot for lot in reached_lots(session, {row.lot_id for row in rows}, SYSTEM)}
    came = [row for row in rows if row.kind == EntryKind.transfer_in]
    left = {row.lot_id: row for row in rows if row.kind == EntryKind.transfer_out}
    steps = sum(row.available_change // get * give for row in came)
    if steps != -sum(row.available_change for row in left.values()):
        raise NotUndoable
    givers = {known[key].client_id for key in left}
    if session.execute(select(clients_table.c.id).where(clients_table.c.id.in_(givers), is_gone)).first():
        raise NotUndoable(_l("The client these credits came from was merged or erased."))
    backs = give_back(
        [Take(row.lot_id, -row.available_change) for row in left.values()],
        [Arrival(row.available_change, known[row.lot_id].available) for row in came], give, get,
    )
    found = [
        _Return(
            known[row.lot_id], row.id, sum(take.quantity for take in takes) // give * get,
            {left[take.lot_id].id: take.quantity for take in takes},
        )
        for row, takes in zip(came, backs, strict=True)
    ]
    return found, {row.id: known[row.lot_id] for row in left.values()}


def _plan_move(session: Session, batch: Any) -> UndoPlan:
    found, origins = _returns(session, batch)
    kept = [item.lot.used + item.lot.reserved for item in found]
    over = set(session.execute(
        select(lots.c.id)
        .join_from(lots, clients_table)
        .where(lots.c.id.in_({lot.id for lot in origins.values()}), _lapses(session, lots.c.expires_on))
    ).scalars())
    return UndoPlan(
        clients=len({item.lot.client_id for item in found}),
        credits=sum(item.lot.quantity for item in found),
        taken_back=sum(item.back for item in found),
        kept_spent=sum(kept),
        clients_spent=len({item.lot.client_id for item in found if item.lot.used + item.lot.reserved}),
        reserved=sum(item.lot.reserved for item in found),
        lapsed=sum(
            count for item in found for key, count in item.origins.items() if origins[key].id in over
        ),
    )


def _lapses(session: Session, day: ColumnElement[Any]) -> ColumnElement[bool]:
    """The clause over lots and their clients that with this last day the nightly sweep takes them."""
    return and_(lots.c.held.is_(False), is_over(session, day))


def _undo_move(session: Session, batch: Any, after: int, size: int, actor: Actor) -> Undone:
    """All of it at once: a transfer or conversion is one client's."""
    found, origins = _returns(session, batch)
    touched = [*(item.lot for item in found), *origins.values()]
    open_balances(session, {(lot.client_id, lot.event_type_id) for lot in touched})
    found, origins = _returns(session, batch)
    moves = []
    for item in found:
        if item.back:
            moves.append(_out(item.lot, item.back, batch, reversal_of_id=item.came_by))
            # The very lots they left take them back, with all their terms: an exit that is less than nothing.
            moves += [_out(origins[key], -count, batch, reversal_of_id=key) for key, count in item.origins.items()]
    if moves:
        post(session, moves, actor=actor)
    changes: Counter[tuple[int, int]] = Counter()
    for move in moves:
        changes[move.client_id, move.event_type_id] -= move.quantity
    for (client_id, event_type_id), change in sorted(changes.items()):
        change_balance(session, client_id, event_type_id, available=change)
    return Undone(
        lots=0,
        clients=len({item.lot.client_id for item in found}),
        taken_back=sum(item.back for item in found),
        kept_spent=sum(item.lot.used + item.lot.reserved for item in found),
        cursor=None,
    )


def _out(lot: Any, quantity: int, batch: Any, *, reversal_of_id: int) -> Move:
    return Move(
        lot.id, lot.client_id, lot.event_type_id, EntryKind.transfer_out, quantity, reason=batch.undo_reason,
        reversal_of_id=reversal_of_id, batch_id=batch.id,
    )


def _extended(batch: Any) -> Select[Any]:
    """The lots that the batch gave another last day, with the days before and after."""
    return (
        select(lots.c.id, entries.c.old_expires_on, entries.c.new_expires_on)
        .join_from(entries, lots, lots.c.id == entries.c.lot_id)
        .join(clients_table, clients_table.c.id == lots.c.client_id)
        .where(entries.c.batch_id == batch.id, entries.c.kind == EntryKind.extend)
    )


def _plan_extension(session: Session, batch: Any) -> UndoPlan:
    spent = lots.c.used + lots.c.reserved
    unchanged = lots.c.expires_on.is_not_distinct_from(entries.c.new_expires_on)
    lapses = and_(unchanged, _lapses(session, entries.c.old_expires_on))
    spenders = case((spent > 0, lots.c.client_id))
    row = session.execute(
        _extended(batch).with_only_columns(
            func.count(lots.c.client_id.distinct()),
            *(
                func.coalesce(func.sum(column), 0)
                for column in (lots.c.available + spent, case((unchanged, lots.c.available), else_=0), spent)
            ),
            func.count(spenders.distinct()),
            func.coalesce(func.sum(lots.c.reserved), 0),
            func.coalesce(func.sum(case((lapses, lots.c.available), else_=0)), 0),
            maintain_column_froms=True,
        )
    ).one()
    return UndoPlan(*(int(value) for value in row))


def _undo_extension(session: Session, batch: Any, after: int, size: int, actor: Actor) -> Undone:
    page = session.execute(
        _extended(batch).where(lots.c.id > after).order_by(lots.c.id).limit(size)
    ).all()
    before: dict[int, dt.date | None] = {row.id: row.old_expires_on for row in page}
    given = {row.id: row.new_expires_on for row in page}
    rows = locked_lots(session, before, SYSTEM)
    back = [row for row in rows if row.expires_on == given[row.id] and row.available + row.reserved]
    move_expiry(session, back, lambda row: before[row.id], actor=actor, reason=batch.undo_reason)
    return Undone(
        lots=len(page),
        clients=len({row.client_id for row in rows}),
        taken_back=sum(row.available for row in back),
        kept_spent=sum(row.used + row.reserved for row in rows),
        cursor=page[-1].id if page else None,
    )


def _voided(batch: Any) -> Select[Any]:
    """The lots of which the batch voided the rest."""
    return (
        select(
            lots.c.id, lots.c.client_id, lots.c.event_type_id, lots.c.enrollment_id,
            (-entries.c.available_change).label("credits"),
        )
        .join_from(entries, lots, lots.c.id == entries.c.lot_id)
        .join(clients_table, clients_table.c.id == lots.c.client_id)
        .where(entries.c.batch_id == batch.id, _void)
    )


def _plan_void(session: Session, batch: Any) -> UndoPlan:
    opens = ~or_(is_gone, _is_withdrawn, is_closed())
    credits = -entries.c.available_change
    row = session.execute(
        _voided(batch).with_only_columns(
            func.count(lots.c.client_id.distinct()),
            *(
                func.coalesce(func.sum(column), 0)
                for column in (
                    credits, case((opens, credits), else_=0), literal(0), literal(0), literal(0),
                    case((and_(opens, _lapses(session, lots.c.expires_on)), credits), else_=0),
                    case((opens, 0), else_=credits),
                )
            ),
            maintain_column_froms=True,
        )
    ).one()
    return UndoPlan(*(int(value) for value in row))


def _undo_void(session: Session, batch: Any, after: int, size: int, actor: Actor) -> Undone:
    page = session.execute(_voided(batch).where(lots.c.id > after).order_by(lots.c.id).limit(size)).all()
    lock_balances(session, [row.id for row in page])
    opens = session.execute(
        _voided(batch).where(
            lots.c.id.in_(key_list(session, (row.id for row in page))), ~or_(is_gone, _is_withdrawn, is_closed())
        )
    ).all()
    credits = _give_back(session, batch, opens, actor) if opens else 0
    given: Counter[int] = Counter()
    for row in opens:
        if row.enrollment_id is not None:
            given[row.enrollment_id] += row.credits
    credits_given_back(session, given, actor, batch.undo_reason)
    return Undone(
        lots=len(page), clients=len({row.client_id for row in page}), taken_back=credits, kept_spent=0,
        cursor=page[-1].id if page else None,
    )


def _give_back(session: Session, batch: Any, rows: Sequence[Any], actor: Actor) -> int:
    """Give what the batch voided of these lots, whose balances are locked, back to them; how many credits.

    Set-based; each entry names the one it takes back.
    """
    of_batch = and_(entries.c.batch_id == batch.id, _void)
    chosen = entries.c.lot_id.in_(key_list(session, (row.id for row in rows)))
    told = {
        "lot_id": entries.c.lot_id,
        "client_id": entries.c.client_id,
        "event_type_id": entries.c.event_type_id,
        "kind": literal(EntryKind.void.value),
        "available_change": -entries.c.available_change,
        "reserved_change": literal(0),
        "at": literal(clock.now(), UtcDateTime()),
        "actor_id": literal(actor.user_id, entries.c.actor_id.type),
        "reason": literal(batch.undo_reason, entries.c.reason.type),
        "turn": literal(0),
        "reversal_of_id": entries.c.id,
        "batch_id": literal(batch.id, entries.c.batch_id.type),
    }
    given = select(*told.values()).where(of_batch, chosen).order_by(entries.c.id)
    session.execute(insert(entries).from_select([*told], given, include_defaults=False))
    of_lot = select(-func.sum(entries.c.available_change)).where(of_batch, entries.c.lot_id == lots.c.id)
    of_balance = select(-func.sum(entries.c.available_change)).where(
        of_batch, chosen, entries.c.client_id == balances.c.client_id,
        entries.c.event_type_id == balances.c.event_type_id,
    )
    add_to_balances(
        session, {(row.client_id, row.event_type_id) for row in rows}, func.coalesce(of_balance.scalar_subquery(), 0)
    )
    back = of_lot.scalar_subquery()
    session.execute(
        update(lots)
        .where(lots.c.id.in_(key_list(session, (row.id for row in rows))))
        .values(available=lots.c.available + back, voided=lots.c.voided - back)
    )
    total = select(func.sum(-entries.c.available_change)).where(of_batch, chosen)
    return int(session.execute(total).scalar_one())


UNDO_MOVES: Mapping[str, UndoMoves] = {
    TRANSFER: UndoMoves(_plan_move, _undo_move),
    CONVERT: UndoMoves(_plan_move, _undo_move),
    EXTEND: UndoMoves(_plan_extension, _undo_extension, _extended),
    VOID: UndoMoves(_plan_void, _undo_void, _voided),
}
"""By kind of batch. Whether the person reaches all of it is asked once, before the first chunk."""

"""Undoing a transfer, a conversion or new last days, as far as nobody has spent them.

Credits go back to the very lots they left, by entries that name those they take back: an entry is never taken
out of the ledger. Of a conversion only whole steps go back.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, case, func, or_, select
from sqlalchemy.orm import Session

from ...core.scope import Actor, reach_of
from ...people.models import Client
from ..calc import Arrival, Take, give_back
from ..errors import NotUndoable
from ..models import EntryKind, entries, lots
from .ledger import Move, change_balance, locked_lots, move_expiry, open_balances, post, reached_lots
from .lot_batches import EXTEND
from .moves import CONVERT, TRANSFER

clients_table: Any = Client.__table__

_left = and_(entries.c.kind == EntryKind.transfer_out, entries.c.reversal_of_id.is_(None))
"""The entries by which credits left their lots; an undo's name what they take back."""


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
    """How a kind of batch is undone: the six numbers of the preview, and a chunk behind a cursor."""

    plan: Callable[[Session, Any, Actor], Sequence[int]]
    undo: Callable[[Session, Any, int, int, Actor], Undone]


@dataclass(frozen=True)
class _Return:
    """A lot that credits came into by the entry `came_by`, and what goes back where: by the entries they left by."""

    lot: Any
    came_by: int
    back: int
    origins: Mapping[int, int]


def _returns(session: Session, batch: Any, actor: Actor) -> tuple[list[_Return], dict[int, Any]]:
    """What can go back of a transfer or conversion, and the entries by which credits had left, by key.

    Raises: NotFound when a lot is out of reach, NotUndoable when the two sides do not match (a repaired batch).
    """
    give, get = (batch.input["give"], batch.input["get"]) if batch.kind == CONVERT else (1, 1)
    rows = session.execute(
        select(entries.c.id, entries.c.lot_id, entries.c.kind, entries.c.available_change)
        .where(entries.c.batch_id == batch.id, or_(entries.c.kind == EntryKind.transfer_in, _left))
        .order_by(entries.c.id)
    ).all()
    known = {lot.id: lot for lot in reached_lots(session, {row.lot_id for row in rows}, actor)}
    came = [row for row in rows if row.kind == EntryKind.transfer_in]
    left = {row.lot_id: row for row in rows if row.kind == EntryKind.transfer_out}
    steps = sum(row.available_change // get * give for row in came)
    if steps != -sum(row.available_change for row in left.values()):
        raise NotUndoable
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


def _plan_move(session: Session, batch: Any, actor: Actor) -> Sequence[int]:
    found, _ = _returns(session, batch, actor)
    kept = [item.lot.used + item.lot.reserved for item in found]
    return (
        len({item.lot.client_id for item in found}),
        sum(item.lot.quantity for item in found),
        sum(item.back for item in found),
        sum(kept),
        len({item.lot.client_id for item in found if item.lot.used + item.lot.reserved}),
        sum(item.lot.reserved for item in found),
    )


def _undo_move(session: Session, batch: Any, after: int, size: int, actor: Actor) -> Undone:
    """All of it at once: a transfer or conversion is one client's."""
    found, origins = _returns(session, batch, actor)
    touched = [*(item.lot for item in found), *origins.values()]
    open_balances(session, {(lot.client_id, lot.event_type_id) for lot in touched})
    found, origins = _returns(session, batch, actor)
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


def extended_lots(batch: Any, actor: Actor) -> Select[Any]:
    """The lots in reach that the batch gave another last day, with the days before and after."""
    return (
        select(lots.c.id, entries.c.old_expires_on, entries.c.new_expires_on)
        .join_from(entries, lots, lots.c.id == entries.c.lot_id)
        .join(clients_table, clients_table.c.id == lots.c.client_id)
        .where(entries.c.batch_id == batch.id, entries.c.kind == EntryKind.extend, reach_of(actor))
    )


def _plan_extension(session: Session, batch: Any, actor: Actor) -> Sequence[int]:
    spent = lots.c.used + lots.c.reserved
    unchanged = lots.c.expires_on.is_not_distinct_from(entries.c.new_expires_on)
    spenders = case((spent > 0, lots.c.client_id))
    row = session.execute(
        extended_lots(batch, actor).with_only_columns(
            func.count(lots.c.client_id.distinct()),
            *(
                func.coalesce(func.sum(column), 0)
                for column in (lots.c.available + spent, case((unchanged, lots.c.available), else_=0), spent)
            ),
            func.count(spenders.distinct()),
            func.coalesce(func.sum(lots.c.reserved), 0),
            maintain_column_froms=True,
        )
    ).one()
    return [int(value) for value in row]


def _undo_extension(session: Session, batch: Any, after: int, size: int, actor: Actor) -> Undone:
    page = session.execute(
        extended_lots(batch, actor).where(lots.c.id > after).order_by(lots.c.id).limit(size)
    ).all()
    before: dict[int, dt.date | None] = {row.id: row.old_expires_on for row in page}
    given = {row.id: row.new_expires_on for row in page}
    rows = locked_lots(session, before, actor)
    back = [row for row in rows if row.expires_on == given[row.id] and row.available + row.reserved]
    move_expiry(session, back, lambda row: before[row.id], actor=actor, reason=batch.undo_reason)
    return Undone(
        lots=len(page),
        clients=len({row.client_id for row in rows}),
        taken_back=sum(row.available for row in back),
        kept_spent=sum(row.used + row.reserved for row in rows),
        cursor=page[-1].id if page else None,
    )


UNDO_MOVES: Mapping[str, UndoMoves] = {
    TRANSFER: UndoMoves(_plan_move, _undo_move),
    CONVERT: UndoMoves(_plan_move, _undo_move),
    EXTEND: UndoMoves(_plan_extension, _undo_extension),
}
"""By kind of batch. What was voided is not given again."""

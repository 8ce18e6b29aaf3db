"""Undoing a transfer, a conversion or new last days, as far as nobody has spent them.

Credits go back the way they came, into a new lot on the terms of the one they left: an entry is never taken
out of the ledger. Of a conversion only whole steps go back.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from ...core.scope import Actor, reach_of
from ...people.models import Client
from ..models import EntryKind, entries, lots
from .ledger import locked_lots, move_expiry, open_balances, reached_lots
from .lot_batches import EXTEND
from .moves import CONVERT, TRANSFER, arrive, leave

clients_table: Any = Client.__table__


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
class _Arrival:
    """A lot that credits came into, the lot they had left, and how many can go back whole steps at a time."""

    lot: Any
    origin: Any
    back: int
    given: int


def _arrivals(session: Session, batch: Any, actor: Actor) -> list[_Arrival]:
    """What a transfer or conversion brought, by lot. Raises: NotFound when one is out of reach."""
    give, get = (batch.input["give"], batch.input["get"]) if batch.kind == CONVERT else (1, 1)
    left = entries.alias()
    rows = session.execute(
        select(entries.c.lot_id, left.c.lot_id.label("origin_id"))
        .join_from(entries, left, left.c.id == entries.c.reversal_of_id)
        .where(entries.c.batch_id == batch.id, entries.c.kind == EntryKind.transfer_in)
        .order_by(entries.c.lot_id)
    ).all()
    keys = {key for row in rows for key in row}
    known = {lot.id: lot for lot in reached_lots(session, keys, actor)}
    found = []
    for row in rows:
        lot = known[row.lot_id]
        steps = lot.available // get
        found.append(_Arrival(lot, known[row.origin_id], steps * get, steps * give))
    return found


def _plan_move(session: Session, batch: Any, actor: Actor) -> Sequence[int]:
    found = _arrivals(session, batch, actor)
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
    keys = {
        (lot.client_id, lot.event_type_id)
        for item in _arrivals(session, batch, actor)
        for lot in (item.lot, item.origin)
    }
    open_balances(session, keys)
    found = _arrivals(session, batch, actor)
    reason = batch.undo_reason
    for item in found:
        if item.back:
            left_by = leave(session, item.lot, item.back, batch_id=batch.id, reason=reason, actor=actor)
            arrive(
                session, item.origin, item.given, client_id=item.origin.client_id,
                event_type_id=item.origin.event_type_id, left_by=left_by, batch_id=batch.id, reason=reason,
                actor=actor,
            )
    return Undone(
        lots=0,
        clients=len({item.lot.client_id for item in found}),
        taken_back=sum(item.back for item in found),
        kept_spent=sum(item.lot.used + item.lot.reserved for item in found),
        cursor=None,
    )


def _extended(batch: Any, actor: Actor) -> Select[Any]:
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
        _extended(batch, actor).with_only_columns(
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
        _extended(batch, actor).where(lots.c.id > after).order_by(lots.c.id).limit(size)
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

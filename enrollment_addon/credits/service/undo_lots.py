"""Undoing a grant, new last days or a void, as far as nothing later depends on it."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from ...core import clock
from ...core.batches import BatchState, batches
from ...core.db import UtcDateTime, key_list
from ...core.scope import SYSTEM, Actor
from ..hooks import credits_given_back, is_closed
from ..models import EntryKind, balances, entries, lots
from .ledger import add_to_balances, lock_balances, locked_lots, move_expiry, retire
from .undo_parts import Undone, UndoPlan, UndoWay, clients_table, is_gone, lapses

_void = and_(entries.c.kind == EntryKind.void, entries.c.reversal_of_id.is_(None))
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


def _granted(batch: Any) -> Select[Any]:
    """The lots of a grant, one of each client."""
    return select(lots.c.id, lots.c.client_id).where(lots.c.batch_id == batch.id)


def _plan_grant(session: Session, batch: Any) -> UndoPlan:
    spent = lots.c.used + lots.c.reserved
    row = session.execute(
        _granted(batch).with_only_columns(
            func.count(),
            *(_total(column) for column in (lots.c.quantity, lots.c.available, spent)),
            _total(case((spent > 0, 1), else_=0)),
            _total(lots.c.reserved),
        )
    ).one()
    return UndoPlan(*(int(value) for value in row))


def _undo_grant(session: Session, batch: Any, after: int, size: int, actor: Actor) -> Undone:
    page = session.execute(
        _granted(batch).where(lots.c.client_id > after).order_by(lots.c.client_id).limit(size)
    ).all()
    if not page:
        return Undone(lots=0, clients=0, taken_back=0, kept_spent=0, cursor=None)
    keys = [row.id for row in page]
    lock_balances(session, keys)
    kept = session.execute(select(_total(lots.c.used + lots.c.reserved)).where(lots.c.id.in_(keys))).scalar_one()
    taken = retire(session, keys, kind=EntryKind.void, reason=batch.undo_reason, actor=actor)
    return Undone(
        lots=len(page), clients=len(page), taken_back=taken.credits, kept_spent=int(kept), cursor=page[-1].client_id
    )


def _total(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(column), 0)


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
    lapsing = and_(unchanged, lapses(session, entries.c.old_expires_on))
    spenders = case((spent > 0, lots.c.client_id))
    row = session.execute(
        _extended(batch).with_only_columns(
            func.count(lots.c.client_id.distinct()),
            *(
                _total(column)
                for column in (lots.c.available + spent, case((unchanged, lots.c.available), else_=0), spent)
            ),
            func.count(spenders.distinct()),
            _total(lots.c.reserved),
            _total(case((lapsing, lots.c.available), else_=0)),
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
        clients=_new_clients(session, _extended(batch), {row.client_id for row in rows}, after),
        taken_back=sum(row.available for row in back),
        kept_spent=sum(row.used + row.reserved for row in rows),
        cursor=page[-1].id if page else None,
    )


def _new_clients(session: Session, concerned: Select[Any], client_ids: set[int], after: int) -> int:
    """How many of these clients come with their first lot behind the cursor: one of several lots counts once."""
    before = concerned.where(lots.c.client_id.in_(key_list(session, client_ids)), lots.c.id <= after)
    known = before.with_only_columns(func.count(lots.c.client_id.distinct()))
    return len(client_ids) - int(session.execute(known).scalar_one())


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
                _total(column)
                for column in (
                    credits, case((opens, credits), else_=0), literal(0), literal(0), literal(0),
                    case((and_(opens, lapses(session, lots.c.expires_on)), credits), else_=0),
                    case((opens, 0), else_=credits),
                )
            ),
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
        lots=len(page), clients=_new_clients(session, _voided(batch), {row.client_id for row in page}, after),
        taken_back=credits, kept_spent=0, cursor=page[-1].id if page else None,
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


GRANTING = UndoWay(_plan_grant, _undo_grant, _granted, key=lots.c.client_id)
EXTENSION = UndoWay(_plan_extension, _undo_extension, _extended)
VOIDING = UndoWay(_plan_void, _undo_void, _voided)

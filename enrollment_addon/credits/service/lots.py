"""Single lots for other domains: opened, taken back, held, moved in time and between enrollments."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session

from ...core import audit, clock
from ...core.db import Key, key_list
from ...core.errors import InvalidInput
from ...core.fields import reason_of
from ...core.scope import Actor, reach_of
from ...people.models import Client, Participant
from ..calc import SpendableLot, take_last
from ..errors import NotEnoughCredits
from ..models import EntryKind, Origin, entries, lot_participants, lots
from .ledger import (
    Move,
    change_balance,
    lock_balances,
    locked_lots,
    move_expiry,
    open_balances,
    post_available,
    require_reached,
)

clients_table: Any = Client.__table__
participants_table: Any = Participant.__table__

spendable_columns = tuple(
    lots.c[name] for name in ("id", "available", "priority", "expires_on", "unit_value", "granted_at")
)
"""What `as_lot` needs of a row."""

_restricted = select(lot_participants.c.lot_id).where(lot_participants.c.lot_id == lots.c.id)
usable: ColumnElement[bool] = (
    lots.c.held.is_(False)
    & or_(
        bindparam("enrollment", type_=Key).is_(None),
        lots.c.enrollment_id == bindparam("enrollment", type_=Key),
    )
    & or_(
        ~_restricted.exists(),
        _restricted.where(lot_participants.c.participant_id == bindparam("participant", type_=Key)).exists(),
    )
)
"""Lots that may pay for a `participant` (and, unless it is empty, only of an `enrollment`); `take` says the same."""


def as_lot(row: Any, *, available: int | None = None, own: bool = True) -> SpendableLot:
    """A row of `spendable_columns` for the calculation."""
    left = row.available if available is None else available
    return SpendableLot(row.id, left, row.priority, row.expires_on, row.unit_value, row.granted_at, own)


def open_lot(
    session: Session,
    *,
    client_id: int,
    event_type_id: int,
    quantity: int,
    expires_on: dt.date | None,
    origin: Origin,
    unit_value: int,
    currency: str,
    enrollment_id: int | None = None,
    participant_ids: Sequence[int] = (),
    note: str | None = None,
    reason: str | None = None,
    actor: Actor,
) -> int:
    """Give one client one lot, as part of another verb: the caller has checked the terms. The lot's key.

    `unit_value` in minor units. Raises: NotFound for a client out of reach, InvalidInput for a participant who
    is not theirs.
    """
    require_reached(session, client_id, actor)
    check_participants(session, participant_ids, client_id=client_id, shared=False)
    open_balances(session, [(client_id, event_type_id)])
    lot_id = insert_lot(
        session,
        kind=EntryKind.grant,
        actor=actor,
        reason=reason,
        client_id=client_id,
        event_type_id=event_type_id,
        quantity=quantity,
        expires_on=expires_on,
        origin=origin,
        unit_value=unit_value,
        currency=currency,
        enrollment_id=enrollment_id,
        note=note,
    )
    restrict(session, [lot_id], participant_ids)
    audit.record_event(
        session, actor=actor, verb="open_lot", record="credit_lot", record_id=lot_id, client_id=client_id,
        reason=reason, quantity=quantity, event_type_id=event_type_id, enrollment_id=enrollment_id,
    )
    return lot_id


def insert_lot(
    session: Session,
    *,
    kind: EntryKind,
    actor: Actor,
    reason: str | None,
    quantity: int,
    batch_id: int | None = None,
    reversal_of_id: int | None = None,
    **values: Any,
) -> int:
    """A lot, the entry it begins with and its share of the balance, whose lock the caller holds. The lot's key."""
    now = clock.now()
    made = session.connection().execute(
        insert(lots).values(**{"granted_at": now, **values}, quantity=quantity, available=quantity)
    )
    assert made.inserted_primary_key is not None, "the database names the new key"
    lot_id = int(made.inserted_primary_key[0])
    client_id, event_type_id = values["client_id"], values["event_type_id"]
    session.connection().execute(
        insert(entries).values(
            lot_id=lot_id, client_id=client_id, event_type_id=event_type_id, kind=kind, available_change=quantity,
            reserved_change=0, at=now, actor_id=actor.user_id, reason=reason, turn=0, batch_id=batch_id,
            reversal_of_id=reversal_of_id,
        )
    )
    change_balance(session, client_id, event_type_id, available=quantity)
    return lot_id


def check_participants(session: Session, participant_ids: Sequence[int], *, client_id: int, shared: bool) -> None:
    """Raises: InvalidInput unless all are the client's own, or of the household of a client who shares."""
    wanted = set(participant_ids)
    if not wanted:
        return
    holder = clients_table.c.id == client_id
    if shared:
        household = select(clients_table.c.household_id).where(clients_table.c.id == client_id).scalar_subquery()
        holder |= clients_table.c.household_id == household
    found = session.execute(
        select(func.count())
        .select_from(participants_table.join(clients_table))
        .where(participants_table.c.id.in_(key_list(session, wanted)), holder)
    ).scalar_one()
    if found != len(wanted):
        raise InvalidInput(fields={"participant_ids": _l("Please choose participants of this client.")})


def restrict(session: Session, lot_ids: Iterable[int], participant_ids: Iterable[int]) -> None:
    """Let these lots pay for these participants only; nobody named: for anyone."""
    rows = [{"lot_id": lot, "participant_id": key} for lot in lot_ids for key in sorted(set(participant_ids))]
    if rows:
        session.connection().execute(insert(lot_participants), rows)


def take_back(session: Session, *, lot_ids: Sequence[int], quantity: int, reason: str, actor: Actor) -> int:
    """Void exactly `quantity` available credits of these lots, those that would be spent last first.

    Raises: NotEnoughCredits when they hold fewer (then none changes), NotFound, InvalidInput without a reason.
    """
    reason = reason_of(reason)
    if quantity <= 0:
        return 0
    rows = {row.id: row for row in locked_lots(session, lot_ids, actor)}
    takes = take_last((as_lot(row) for row in rows.values()), quantity)
    if not takes:
        raise NotEnoughCredits
    taken = [(rows[take.lot_id], take.quantity) for take in takes]
    moves = [
        Move(lot.id, lot.client_id, lot.event_type_id, EntryKind.void, number, reason=reason) for lot, number in taken
    ]
    post_available(session, moves, actor=actor)
    _note(session, actor, "take_back_credits", rows.values(), reason=reason, credits=quantity)
    return quantity


def shift_expiry(session: Session, *, lot_ids: Sequence[int], days: int, reason: str, actor: Actor) -> None:
    """Move the last day of these lots by so many days; a lot that never expires stays so.

    Raises: NotFound, InvalidInput without a reason.
    """
    reason = reason_of(reason)
    rows = [row for row in locked_lots(session, lot_ids, actor) if row.expires_on is not None]
    moved = move_expiry(
        session, rows, lambda row: row.expires_on + dt.timedelta(days=days), actor=actor, reason=reason
    )
    if moved:
        _note(session, actor, "shift_expiry", rows, reason=reason, days=days)


def hold_lots(session: Session, *, lot_ids: Sequence[int], held: bool, actor: Actor) -> None:
    """Stop lots from being reserved from and from expiring, or let them again. Raises: NotFound."""
    rows = locked_lots(session, lot_ids, actor)
    keys = [row.id for row in rows if row.held != held]
    if keys:
        session.execute(update(lots).where(lots.c.id.in_(key_list(session, keys))).values(held=held))
        _note(session, actor, "hold_lots" if held else "free_lots", rows)


def move_restriction(session: Session, *, from_enrollment_id: int, to_enrollment_id: int, actor: Actor) -> int:
    """Let the lots of one enrollment belong to another; how many. What was spent of them goes along."""
    found = session.execute(
        select(lots.c.id)
        .join_from(lots, clients_table)
        .where(lots.c.enrollment_id == from_enrollment_id, reach_of(actor))
    )
    keys = list(found.scalars())
    if keys:
        lock_balances(session, keys)
        session.execute(
            update(lots).where(lots.c.id.in_(key_list(session, keys))).values(enrollment_id=to_enrollment_id)
        )
        audit.record_event(
            session, actor=actor, verb="move_restriction", record="credit_lot", lots=len(keys),
            from_enrollment_id=from_enrollment_id, to_enrollment_id=to_enrollment_id,
        )
    return len(keys)


def _note(session: Session, actor: Actor, verb: str, rows: Iterable[Any], **details: Any) -> None:
    found = list(rows)
    holders = {row.client_id for row in found}
    audit.record_event(
        session, actor=actor, verb=verb, record="credit_lot", record_id=found[0].id if len(found) == 1 else None,
        client_id=holders.pop() if len(holders) == 1 else None, lots=len(found), **details,
    )

"""The two ways credits move: one lot at a time (`post`), and the rest of many lots at once (`retire`).

Both expect the balance rows to be locked by the caller: whoever holds a client's balance of an event type is
the only one who changes the lots under it, so no lot needs a lock of its own.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    Update,
    and_,
    bindparam,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from ...core import clock
from ...core.db import UtcDateTime, insert_new, key_list
from ...core.errors import NotFound
from ...core.scope import Actor, reach_of
from ...people.models import Client
from ..calc import CHANGES, Change
from ..hooks import credits_voided, expiry_moved
from ..models import EntryKind, balances, entries, lots, something_left

REASON_LENGTH = 500

clients_table: Any = Client.__table__


class Move(NamedTuple):
    """One entry to be: so many credits of one lot, and what it belongs to."""

    lot_id: int
    client_id: int
    event_type_id: int
    kind: EntryKind
    quantity: int
    reason: str | None = None
    booking_id: int | None = None
    turn: int = 0
    reversal_of_id: int | None = None
    member_id: int | None = None
    batch_id: int | None = None
    old_expires_on: dt.date | None = None
    new_expires_on: dt.date | None = None


class Retired(NamedTuple):
    """How many lots lost their rest, and how many credits that was."""

    lots: int
    credits: int


def update_balances() -> Update:
    """The beginning of an UPDATE of balances that finds its rows by the primary key.

    By its other index, which holds `available`, MariaDB would lock what the transaction before is about to
    change, and two bookings of one client would wait for each other.
    """
    key = "FORCE INDEX (PRIMARY)"
    return update(balances).with_hint(key, dialect_name="mysql").with_hint(key, dialect_name="mariadb")


def _lot_update(change: Change) -> Update:
    """How `count` credits of one kind change the lot `key`."""
    count = bindparam("count", type_=Integer)
    values = {}
    for name, sign in (("available", change.available), ("reserved", change.reserved)):
        if sign:
            values[name] = lots.c[name] + sign * count
    if change.counter:
        values[change.counter] = lots.c[change.counter] + change.counted * count
    return update(lots).where(lots.c.id == bindparam("key")).values(values)


# Built once: a booking waits for these while it holds the client's balance.
_lot_updates = {kind: _lot_update(change) for kind, change in CHANGES.items() if kind != EntryKind.extend}
_insert_entry = insert(entries)


def post(session: Session, moves: Sequence[Move], *, actor: Actor) -> None:
    """Write entries and change their lots' counters; the balance is the caller's to change."""
    connection = session.connection()
    for move in moves:
        connection.execute(_lot_updates[move.kind], {"key": move.lot_id, "count": move.quantity})
    connection.execute(_insert_entry, [_entry(move, actor) for move in moves])


def post_available(session: Session, moves: Sequence[Move], *, actor: Actor) -> None:
    """`post` moves that change only what is available, and add them to their balances in key order."""
    post(session, moves, actor=actor)
    changes: Counter[tuple[int, int]] = Counter()
    for move in moves:
        changes[move.client_id, move.event_type_id] += CHANGES[move.kind].available * move.quantity
    for (client_id, event_type_id), change in sorted(changes.items()):
        change_balance(session, client_id, event_type_id, available=change)


def require_reached(session: Session, client_id: int, actor: Actor) -> None:
    """Raises: NotFound for a client out of reach."""
    reached = session.execute(select(clients_table.c.id).where(clients_table.c.id == client_id, reach_of(actor)))
    if reached.first() is None:
        raise NotFound


def move_expiry(
    session: Session,
    rows: Sequence[Any],
    day_of: Callable[[Any], dt.date | None],
    *,
    actor: Actor,
    reason: str | None,
    batch_id: int | None = None,
) -> int:
    """Give lots (rows with their keys and `expires_on`) a new last day each and note it in the ledger.

    Returns how many changed: a lot that has this day already is left alone.
    """
    moves = [
        Move(
            row.id, row.client_id, row.event_type_id, EntryKind.extend, 0, reason=reason, batch_id=batch_id,
            old_expires_on=row.expires_on, new_expires_on=day_of(row),
        )
        for row in rows
        if day_of(row) != row.expires_on
    ]
    by_day: dict[dt.date | None, list[int]] = {}
    for move in moves:
        by_day.setdefault(move.new_expires_on, []).append(move.lot_id)
    for day, keys in by_day.items():
        session.execute(update(lots).where(lots.c.id.in_(key_list(session, keys))).values(expires_on=day))
    if moves:
        session.connection().execute(_insert_entry, [_entry(move, actor) for move in moves])
        expiry_moved(session, [move.lot_id for move in moves])
    return len(moves)


def _entry(move: Move, actor: Actor) -> dict[str, object]:
    change = CHANGES[move.kind]
    return {
        "lot_id": move.lot_id,
        "client_id": move.client_id,
        "event_type_id": move.event_type_id,
        "kind": move.kind,
        "available_change": change.available * move.quantity,
        "reserved_change": change.reserved * move.quantity,
        "at": clock.now(),
        "actor_id": actor.user_id,
        "reason": move.reason,
        "booking_id": move.booking_id,
        "turn": move.turn,
        "reversal_of_id": move.reversal_of_id,
        "member_id": move.member_id,
        "batch_id": move.batch_id,
        "old_expires_on": move.old_expires_on,
        "new_expires_on": move.new_expires_on,
    }


def reached_lots(session: Session, lot_ids: Iterable[int], actor: Actor) -> Sequence[Any]:
    """These lots in the order of their locks. Raises: NotFound when any is unknown or out of reach."""
    wanted = set(lot_ids)
    found = session.execute(
        select(lots)
        .join_from(lots, clients_table)
        .where(lots.c.id.in_(key_list(session, wanted)), reach_of(actor))
        .order_by(lots.c.client_id, lots.c.event_type_id, lots.c.id)
    ).all()
    if len(found) != len(wanted):
        raise NotFound
    return found


def locked_lots(session: Session, lot_ids: Iterable[int], actor: Actor) -> Sequence[Any]:
    """These lots as they are once their balances are locked. Raises: NotFound."""
    keys = [row.id for row in reached_lots(session, lot_ids, actor)]
    lock_balances(session, keys)
    return reached_lots(session, keys, actor)


def open_balances(session: Session, keys: Iterable[tuple[int, int]]) -> None:
    """Lock the balances (client, event type) in key order; one that does not exist yet is made."""
    for client_id, event_type_id in sorted(set(keys)):
        key = {"client_id": client_id, "event_type_id": event_type_id}
        insert_new(session, balances, {**key, "available": 0, "reserved": 0, "used": 0}, list(key))
        session.execute(
            select(balances.c.client_id)
            .where(balances.c.client_id == client_id, balances.c.event_type_id == event_type_id)
            .with_for_update()
        ).all()


def change_balance(session: Session, client_id: int, event_type_id: int, **changes: int) -> None:
    """Add to a balance whose lock the caller holds."""
    session.connection().execute(
        update_balances()
        .where(balances.c.client_id == client_id, balances.c.event_type_id == event_type_id)
        .values({name: balances.c[name] + change for name, change in changes.items() if change})
    )


def add_to_balances(session: Session, keys: Iterable[tuple[int, int]], change: ColumnElement[Any]) -> None:
    """Add to what is available in exactly these balances (client, event type), whose locks the caller holds.

    A pair of lists instead of the pairs would also touch, and lock, balances of other event types of the clients.
    """
    by_type: dict[int, list[int]] = {}
    for client_id, event_type_id in keys:
        by_type.setdefault(event_type_id, []).append(client_id)
    exactly = (
        and_(balances.c.event_type_id == event_type_id, balances.c.client_id.in_(client_ids))
        for event_type_id, client_ids in by_type.items()
    )
    session.execute(
        update_balances().where(or_(false(), *exactly)).values(available=balances.c.available + change)
    )


def lock_balances(session: Session, lot_ids: Sequence[int]) -> None:
    """Lock the balances above these lots, in key order, until the transaction ends."""
    chosen = lots.c.id.in_(key_list(session, lot_ids))
    keys = select(lots.c.client_id, lots.c.event_type_id).where(chosen).distinct().subquery()
    session.execute(
        select(balances.c.client_id)
        .join(
            keys,
            (keys.c.client_id == balances.c.client_id) & (keys.c.event_type_id == balances.c.event_type_id),
        )
        .order_by(balances.c.client_id, balances.c.event_type_id)
        .with_for_update(of=balances)
    ).all()


def retire(
    session: Session,
    lot_ids: Sequence[int],
    *,
    kind: EntryKind,
    reason: str | None,
    actor: Actor,
    batch_id: int | None = None,
) -> Retired:
    """Take what is still available in these lots out of them; reserved and used credits stay.

    Set-based, four statements; the caller holds the locks of `lock_balances` and bounds the number of lots.
    """
    counter = CHANGES[kind].counter
    assert counter is not None, "only kinds that take credits away"
    live = lots.c.id.in_(lot_ids) & something_left
    found = session.execute(
        select(func.count(), func.sum(lots.c.available)).select_from(lots).where(live)
    ).one()
    if not found[0]:
        return Retired(0, 0)
    if kind == EntryKind.void:
        credits_voided(session, live, actor, reason)
    told = {
        "lot_id": lots.c.id,
        "client_id": lots.c.client_id,
        "event_type_id": lots.c.event_type_id,
        "kind": literal(kind.value),
        "available_change": -lots.c.available,
        "reserved_change": literal(0),
        "at": literal(clock.now(), UtcDateTime()),
        "actor_id": literal(actor.user_id, entries.c.actor_id.type),
        "reason": literal(reason, entries.c.reason.type),
        "turn": literal(0),
        "batch_id": literal(batch_id, entries.c.batch_id.type),
    }
    taken = select(*told.values()).where(live).order_by(lots.c.id)
    session.execute(insert(entries).from_select([*told], taken, include_defaults=False))
    rest = (
        select(func.sum(lots.c.available))
        .where(live, lots.c.client_id == balances.c.client_id, lots.c.event_type_id == balances.c.event_type_id)
        .scalar_subquery()
    )
    concerned = session.execute(select(lots.c.client_id, lots.c.event_type_id).where(live).distinct()).all()
    add_to_balances(session, [(row.client_id, row.event_type_id) for row in concerned], -func.coalesce(rest, 0))
    # MariaDB assigns from left to right: the counter must read `available` before it becomes zero.
    session.execute(
        update(lots)
        .where(live)
        .ordered_values((lots.c[counter], lots.c[counter] + lots.c.available), (lots.c.available, 0))
    )
    return Retired(int(found[0]), int(found[1]))

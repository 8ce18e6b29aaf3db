"""The two ways credits move: one lot at a time (`post`), and the rest of many lots at once (`retire`).

Both expect the balance rows to be locked by the caller: whoever holds a client's balance of an event type is
the only one who changes the lots under it, so no lot needs a lock of its own.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from flask_babel import lazy_gettext as _l
from sqlalchemy import Integer, Update, bindparam, func, insert, literal, select, update
from sqlalchemy.orm import Session

from ...core import clock
from ...core.db import UtcDateTime
from ...core.errors import InvalidInput
from ...core.scope import Actor
from ..calc import CHANGES, Change
from ..models import EntryKind, balances, entries, lots, something_left

REASON_LENGTH = 500


@dataclass(frozen=True)
class Move:
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


@dataclass(frozen=True)
class Retired:
    """How many lots lost their rest, and how many credits that was."""

    lots: int
    credits: int


def require_reason(reason: str | None) -> str:
    """The reason without surrounding space. Raises: InvalidInput when it is empty or too long."""
    text = (reason or "").strip()
    if not text:
        raise InvalidInput(fields={"reason": _l("Please give a reason.")})
    if len(text) > REASON_LENGTH:
        raise InvalidInput(fields={"reason": _l("Please use at most 500 characters.")})
    return text


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
_lot_updates = {kind: _lot_update(change) for kind, change in CHANGES.items()}
_insert_entry = insert(entries)


def post(session: Session, moves: Sequence[Move], *, actor: Actor) -> None:
    """Write entries and change their lots' counters; the balance is the caller's to change."""
    connection = session.connection()
    for move in moves:
        connection.execute(_lot_updates[move.kind], {"key": move.lot_id, "count": move.quantity})
    connection.execute(_insert_entry, [_entry(move, actor) for move in moves])


def extend(session: Session, lot_id: int, expires_on: dt.date) -> None:
    """Give one lot a new last day."""
    session.execute(update(lots).where(lots.c.id == lot_id).values(expires_on=expires_on))


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
    }


def lock_balances(session: Session, lot_ids: Sequence[int]) -> None:
    """Lock the balances above these lots, in key order, until the transaction ends."""
    keys = select(lots.c.client_id, lots.c.event_type_id).where(lots.c.id.in_(lot_ids)).distinct().subquery()
    session.execute(
        select(balances.c.client_id)
        .join(
            keys,
            (keys.c.client_id == balances.c.client_id) & (keys.c.event_type_id == balances.c.event_type_id),
        )
        .order_by(balances.c.client_id, balances.c.event_type_id)
        .with_for_update(of=balances)
    ).all()


def retire(session: Session, lot_ids: Sequence[int], *, kind: EntryKind, reason: str | None, actor: Actor) -> Retired:
    """Take what is still available in these lots out of them; reserved and used credits stay.

    Set-based, four statements; the caller holds the locks of `lock_balances` and bounds the number of lots.
    """
    counter = CHANGES[kind].counter
    assert counter is not None, "only kinds that take credits away"
    live = lots.c.id.in_(lot_ids) & something_left
    found = session.execute(
        select(func.count(), func.coalesce(func.sum(lots.c.available), 0)).select_from(lots).where(live)
    ).one()
    if not found[0]:
        return Retired(0, 0)
    session.execute(
        insert(entries).from_select(
            [
                "lot_id",
                "client_id",
                "event_type_id",
                "kind",
                "available_change",
                "reserved_change",
                "at",
                "actor_id",
                "reason",
                "turn",
            ],
            select(
                lots.c.id,
                lots.c.client_id,
                lots.c.event_type_id,
                literal(kind.value),
                -lots.c.available,
                literal(0),
                literal(clock.now(), UtcDateTime()),
                literal(actor.user_id, entries.c.actor_id.type),
                literal(reason, entries.c.reason.type),
                literal(0),
            )
            .where(live)
            .order_by(lots.c.id),
            include_defaults=False,
        )
    )
    rest = (
        select(func.sum(lots.c.available))
        .where(live, lots.c.client_id == balances.c.client_id, lots.c.event_type_id == balances.c.event_type_id)
        .scalar_subquery()
    )
    concerned = session.execute(select(lots.c.client_id, lots.c.event_type_id).where(live).distinct()).all()
    session.execute(
        update_balances()
        .where(
            balances.c.client_id.in_({row.client_id for row in concerned}),
            balances.c.event_type_id.in_({row.event_type_id for row in concerned}),
        )
        .values(available=balances.c.available - func.coalesce(rest, 0))
    )
    # MariaDB assigns from left to right: the counter must read `available` before it becomes zero.
    session.execute(
        update(lots)
        .where(live)
        .ordered_values((lots.c[counter], lots.c[counter] + lots.c.available), (lots.c.available, 0))
    )
    return Retired(int(found[0]), int(found[1]))

"""Moving unspent credits: to another client, or to another event type at a ratio.

Credits leave their lots and arrive in new ones. Both sides are entries of one batch, in the order of the steps
that were made; each arrival names the entry by which its (first) credits left.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from ...catalog.models import EventType
from ...core import audit, clock
from ...core.batches import Batch, BatchState, open_batch
from ...core.db import idempotent, key_list
from ...core.errors import InvalidInput, NotFound
from ...core.fields import is_whole, not_whole, reason_of
from ...core.scope import Actor, reach_of
from ...people.models import Client, Club
from ..calc import MOST_CREDITS, MOST_IN_RATIO, Portion, SpendableLot, Take, burn, burn_steps, convert
from ..errors import MixedLots, NotEnoughCredits
from ..models import EntryKind, entries, lot_participants, lots, something_left
from .ledger import Move, open_balances, post_available
from .lots import as_lot, insert_lot, restrict

TRANSFER = "credits.transfer"
CONVERT = "credits.convert"
CONVERT_MANY = "credits.convert_many"
MOVED_AT_ONCE = 100
"""Lots or clients in one transaction of a job: each takes a dozen statements, and bookings wait meanwhile."""

clients_table: Any = Client.__table__
clubs_table: Any = Club.__table__

TERMS = ("expires_on", "origin", "priority", "shared", "member_cap", "unit_value", "currency", "note", "granted_at")
"""What credits keep when they move. A restriction to participants ends where the client changes."""


def transfer_credits(
    session: Session,
    *,
    from_client_id: int,
    to_client_id: int,
    event_type_id: int,
    quantity: int,
    reason: str,
    actor: Actor,
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """Give unspent credits of one client to another, in burn order; each keeps its origin and last day.

    Credits of an enrollment or on hold stay. Answers `{batch_id, transferred}`.
    Raises: NotEnoughCredits, NotFound for a client out of reach, InvalidInput, IdempotencyMismatch.
    """
    reason = reason_of(reason)
    asked = {
        "from_client_id": from_client_id,
        "to_client_id": to_client_id,
        "event_type_id": event_type_id,
        "quantity": quantity,
    }

    def do() -> dict[str, Any]:
        _check_quantity(quantity)
        if from_client_id == to_client_id:
            raise InvalidInput(fields={"to_client_id": _l("Please choose another client.")})
        require_open(session, to_client_id, actor)
        _event_type(session, event_type_id, "event_type_id")
        today = _today_of(session, from_client_id, actor)
        open_balances(session, [(client, event_type_id) for client in (from_client_id, to_client_id)])
        rows = unspent(session, [from_client_id], event_type_id)
        takes = _enough((as_lot(row) for row in rows.values()), quantity, today)
        batch = _open(session, TRANSFER, asked, takes, reason, actor)
        hand_over(session, rows, takes, to_client_id=to_client_id, batch_id=batch.id, reason=reason, actor=actor)
        _note(session, "transfer_credits", from_client_id, batch.id, reason, actor, to_client_id=to_client_id,
              event_type_id=event_type_id, credits=quantity)
        return {"batch_id": batch.id, "transferred": quantity}

    told = {**asked, "actor": actor.user_id, "reason": reason}
    return idempotent(session, key=idempotency_key, verb="transfer_credits", asked=told, do=do)


def convert_credits(
    session: Session,
    *,
    client_id: int,
    from_event_type_id: int,
    to_event_type_id: int,
    quantity: int,
    give: int,
    get: int,
    reason: str,
    actor: Actor,
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """Make of every `give` unspent credits of one event type `get` of another; a rest below a step is left.

    Answers `{batch_id, converted, received, left}`; `left` of the quantity asked for stays as it was. The new
    credits have the earliest last day and the value of those they are made of, and are for the same participants.
    Raises: NotEnoughCredits, MixedLots when the steps would put unlike credits together, NotFound, InvalidInput
    (also when nothing whole comes out), IdempotencyMismatch.
    """
    reason = reason_of(reason)
    asked = {
        "client_id": client_id,
        "from_event_type_id": from_event_type_id,
        "to_event_type_id": to_event_type_id,
        "quantity": quantity,
        "give": give,
        "get": get,
    }

    def do() -> dict[str, Any]:
        require_open(session, client_id, actor, "client_id")
        used = whole_steps(quantity, give, get)
        check_event_types(session, from_event_type_id, to_event_type_id)
        today = _today_of(session, client_id, actor)
        open_balances(session, [(client_id, key) for key in (from_event_type_id, to_event_type_id)])
        rows = unspent(session, [client_id], from_event_type_id)
        persons = participants_of(session, rows)
        takes = _steps(rows, persons, used, give, today)
        batch = _open(session, CONVERT, asked, takes, reason, actor)
        received = make_of(session, rows, persons, takes, batch_id=batch.id, asked=asked, reason=reason, actor=actor)
        _note(session, "convert_credits", client_id, batch.id, reason, actor, converted=used, received=received,
              event_type_id=from_event_type_id, to_event_type_id=to_event_type_id)
        return {"batch_id": batch.id, "converted": used, "received": received, "left": quantity - used}

    told = {**asked, "actor": actor.user_id, "reason": reason}
    return idempotent(session, key=idempotency_key, verb="convert_credits", asked=told, do=do)


def hand_over(
    session: Session,
    rows: Mapping[int, Any],
    takes: Sequence[Take],
    *,
    to_client_id: int,
    batch_id: int,
    reason: str,
    actor: Actor,
) -> None:
    """Let credits leave lots (rows by key) and arrive with another client; the caller holds all their balances."""
    left_by = _leave(session, rows, takes, batch_id, reason, actor)
    for take in takes:
        lot = rows[take.lot_id]
        _arrive(
            session, lot, take.quantity, client_id=to_client_id, event_type_id=lot.event_type_id,
            left_by=left_by[take.lot_id], batch_id=batch_id, reason=reason, actor=actor,
        )


def make_of(
    session: Session,
    rows: Mapping[int, Any],
    persons: Mapping[int, Sequence[int]],
    takes: Sequence[Take],
    *,
    batch_id: int,
    asked: Mapping[str, Any],
    reason: str,
    actor: Actor,
) -> int:
    """Make credits of another event type of what leaves lots of one client, whose balances the caller holds.

    `persons`: whom each lot is restricted to. How many credits came out.
    """
    made = convert([_portion(rows[take.lot_id], take) for take in takes], asked["give"], asked["get"])
    left_by = _leave(session, rows, takes, batch_id, reason, actor)
    for portion in made:
        lot = rows[portion.lot_id]
        arrived = _arrive(
            session, lot, portion.quantity, client_id=lot.client_id, event_type_id=asked["to_event_type_id"],
            left_by=left_by[portion.lot_id], batch_id=batch_id, reason=reason, actor=actor,
            expires_on=portion.expires_on, unit_value=portion.unit_value,
        )
        restrict(session, [arrived], persons[portion.lot_id])
    return sum(portion.quantity for portion in made)


def _arrive(
    session: Session,
    lot: Any,
    quantity: int,
    *,
    client_id: int,
    event_type_id: int,
    left_by: int,
    batch_id: int,
    reason: str,
    actor: Actor,
    **over: Any,
) -> int:
    """The new lot for credits that left `lot` by the entry `left_by`, on its terms unless said otherwise."""
    terms = {**{name: getattr(lot, name) for name in TERMS}, **over}
    return insert_lot(
        session, kind=EntryKind.transfer_in, actor=actor, reason=reason, batch_id=batch_id, reversal_of_id=left_by,
        quantity=quantity, client_id=client_id, event_type_id=event_type_id, **terms,
    )


def _leave(
    session: Session, rows: Mapping[int, Any], takes: Sequence[Take], batch_id: int, reason: str, actor: Actor
) -> dict[int, int]:
    """Take credits out of lots; by lot, the key of the entry they left by."""
    moves = [
        Move(
            take.lot_id, rows[take.lot_id].client_id, rows[take.lot_id].event_type_id, EntryKind.transfer_out,
            take.quantity, reason=reason, batch_id=batch_id,
        )
        for take in takes
    ]
    post_available(session, moves, actor=actor)
    return _exits(session, batch_id, [take.lot_id for take in takes])


def _exits(session: Session, batch_id: int, lot_ids: Sequence[int]) -> dict[int, int]:
    found = session.execute(
        select(entries.c.lot_id, func.max(entries.c.id))
        .where(
            entries.c.batch_id == batch_id,
            entries.c.kind == EntryKind.transfer_out,
            entries.c.lot_id.in_(key_list(session, lot_ids)),
        )
        .group_by(entries.c.lot_id)
    )
    return {row[0]: row[1] for row in found}


free = and_(lots.c.held.is_(False), lots.c.enrollment_id.is_(None))
"""Lots that credits can leave: neither on hold nor of an enrollment."""


def unspent(session: Session, client_ids: Sequence[int], event_type_id: int) -> dict[int, Any]:
    """The lots of these clients that credits can leave, by key."""
    found = session.execute(
        select(lots)
        .where(lots.c.client_id.in_(client_ids), lots.c.event_type_id == event_type_id, something_left, free)
        .order_by(lots.c.id)
    )
    return {row.id: row for row in found}


def _enough(found: Iterable[SpendableLot], quantity: int, today: dt.date) -> list[Take]:
    """What leaves which lots. Raises: NotEnoughCredits."""
    takes = burn(found, quantity, today)
    if not takes:
        raise NotEnoughCredits
    return takes


def participants_of(session: Session, lot_ids: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """Whom each lot is restricted to, in the order of their keys."""
    result: dict[int, tuple[int, ...]] = dict.fromkeys(lot_ids, ())
    found = session.execute(
        select(lot_participants)
        .where(lot_participants.c.lot_id.in_(key_list(session, result)))
        .order_by(lot_participants.c.participant_id)
    )
    for row in found:
        result[row.lot_id] += (row.participant_id,)
    return result


def _steps(
    rows: Mapping[int, Any], persons: Mapping[int, Any], quantity: int, give: int, today: dt.date
) -> list[Take]:
    """What leaves which lots in whole steps, each of one currency and for the same participants.

    Raises: NotEnoughCredits, MixedLots.
    """
    found = [as_lot(row) for row in rows.values()]
    _enough(found, quantity, today)
    takes = burn_steps(found, quantity, today, give=give, alike=alike_in(rows, persons))
    whole = sum(take.quantity for take in takes)
    if whole < quantity:
        raise MixedLots(count=whole)
    return takes


def alike_in(rows: Mapping[int, Any], persons: Mapping[int, Any]) -> dict[int, Any]:
    """By lot, what its credits have in common with those that may be put together with them."""
    return {key: (row.currency, persons[key]) for key, row in rows.items()}


def _portion(lot: Any, take: Take) -> Portion:
    return Portion(take.lot_id, take.quantity, lot.expires_on, lot.unit_value)


def _open(
    session: Session, kind: str, asked: Mapping[str, Any], takes: Sequence[Take], reason: str, actor: Actor
) -> Batch:
    keys = select(lots.c.id).where(lots.c.id.in_(key_list(session, (take.lot_id for take in takes))))
    batch = open_batch(session, kind=kind, actor=actor, asked={**asked, "left_out": {}}, keys=keys, note=reason)
    batch.done = batch.total
    batch.state = BatchState.done
    session.flush()
    return batch


def _check_quantity(quantity: Any) -> None:
    if not is_whole(quantity, 1, MOST_CREDITS):
        raise InvalidInput(fields={"quantity": not_whole(1, MOST_CREDITS)})


def whole_steps(quantity: int, give: int, get: int) -> int:
    """How many of the quantity whole steps use. Raises: InvalidInput."""
    _check_quantity(quantity)
    check_ratio(give, get)
    used = quantity // give * give
    if not used:
        raise InvalidInput(fields={"quantity": _l("This is too little for one whole credit.")})
    return used


def check_ratio(give: int, get: int) -> None:
    """Raises: InvalidInput."""
    wrong = {
        name: not_whole(1, MOST_IN_RATIO)
        for name, number in (("give", give), ("get", get))
        if not is_whole(number, 1, MOST_IN_RATIO)
    }
    if wrong:
        raise InvalidInput(fields=wrong)


def _event_type(session: Session, key: int, name: str) -> EventType:
    found = session.execute(select(EventType).where(EventType.id == key)).scalar_one_or_none()
    if found is None:
        raise InvalidInput(fields={name: _l("Please choose an event type.")})
    return found


def check_event_types(session: Session, from_event_type_id: int, to_event_type_id: int) -> None:
    """Raises: InvalidInput unless they are two, and the second can be used."""
    if from_event_type_id == to_event_type_id:
        raise InvalidInput(fields={"to_event_type_id": _l("Please choose another event type.")})
    _event_type(session, from_event_type_id, "from_event_type_id")
    if not _event_type(session, to_event_type_id, "to_event_type_id").active:
        raise InvalidInput(fields={"to_event_type_id": _l("Please choose an active event type.")})


def require_open(session: Session, client_id: int, actor: Actor, name: str = "to_client_id") -> None:
    """Raises: NotFound out of reach, InvalidInput (of the field `name`) for a client who may not get credits."""
    client = clients_table.c
    row = session.execute(
        select(client.archived, client.erased_at).where(client.id == client_id, reach_of(actor))
    ).one_or_none()
    if row is None:
        raise NotFound
    if row.archived or row.erased_at is not None:
        raise InvalidInput(fields={name: _l("This client is archived.")})


def _today_of(session: Session, client_id: int, actor: Actor) -> dt.date:
    timezone = session.execute(
        select(clubs_table.c.timezone)
        .join_from(clients_table, clubs_table)
        .where(clients_table.c.id == client_id, reach_of(actor))
    ).scalar()
    if timezone is None:
        raise NotFound
    return clock.today(timezone)


def _note(
    session: Session, verb: str, client_id: int, batch_id: int, reason: str, actor: Actor, **details: Any
) -> None:
    audit.record_event(
        session, actor=actor, verb=verb, record="batch", record_id=batch_id, client_id=client_id, reason=reason,
        **details,
    )

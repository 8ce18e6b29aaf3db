"""Booking a place, or a place in the queue."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session, make_transient_to_detached

from ...core import clock
from ...core.audit import record_event
from ...core.compiled import run_compiled
from ...core.db import idempotent, require
from ...core.scope import Actor
from ..calc import AUTO, BY_CREDIT, BookingState, PayWith, SessionStatus
from ..errors import AlreadyBooked, CapacityExceeded, Overlap, SessionCancelled, SessionNotBegun, SessionOver
from ..hooks import after_attendance
from ..models import Booking
from .opening import Opening, opened
from .overlaps import shown
from .pay import guard_chosen, pay, reserve, set_state, use_up
from .places import locked_session

_insert = text(
    """
    INSERT INTO enrollment_booking (
        id, client_id, participant_id, session_id, state, live, pays, enrollment_id, lot_id, amount, created_by_id,
        created_at, updated_at
    )
    SELECT :id, :client_id, :participant_id, :session_id, :state, :live,
        CASE WHEN enrollment_id IS NULL THEN 'lot' ELSE 'enrollment' END, enrollment_id, id, :amount, :created_by_id,
        :created_at, :updated_at
    FROM enrollment_credit_lot
    WHERE id = :lot_id
    RETURNING pays, enrollment_id
    """
)


def book(
    session: Session,
    *,
    client_id: int,
    session_id: int,
    actor: Actor,
    participant_id: int | None = None,
    pay_with: PayWith = AUTO,
    confirm_overlap: bool = False,
    idempotency_key: str | None = None,
) -> Booking:
    """Book a participant (the client themself unless named) into a session; a full one queues them.

    What pays is reserved or charged now; whoever queues pays when their turn comes. `confirm_overlap`: a
    double booking of the participant is meant.
    Raises: NotFound, SessionCancelled, SessionOver, AlreadyBooked, Overlap, ClientClosed, ClientArchived, what
    paying says, IdempotencyMismatch.
    """

    def do(opening: Opening) -> Booking:
        if opening.starts_at <= clock.now():
            raise SessionOver
        return (_queue if opening.is_full else _place)(session, opening, pay_with, actor)

    return _once(
        session, "book", do, client_id=client_id, participant_id=participant_id, session_id=session_id,
        pay_with=pay_with, confirm_overlap=confirm_overlap, actor=actor, idempotency_key=idempotency_key,
    )


def walk_in(
    session: Session,
    *,
    client_id: int,
    session_id: int,
    actor: Actor,
    participant_id: int | None = None,
    pay_with: PayWith = AUTO,
    idempotency_key: str | None = None,
) -> Booking:
    """Note somebody who came without a booking: booked, paid for and attended at once, also while it runs.

    Raises: like `book`, but CapacityExceeded instead of a queue, and SessionNotBegun before its day.
    """

    def do(opening: Opening) -> Booking:
        if opening.day > clock.today(opening.timezone):
            raise SessionNotBegun
        if opening.is_full:
            raise CapacityExceeded
        booking = _place(session, opening, pay_with, actor)
        use_up(session, booking, actor=actor)
        set_state(session, booking, BookingState.attended)
        record_event(
            session, actor=actor, verb="record_attendance", record="booking", record_id=booking.id,
            client_id=client_id, session_id=session_id, state=BookingState.attended,
        )
        if booking.enrollment_id is not None:
            after_attendance(session, [booking.enrollment_id], actor)
        return booking

    return _once(
        session, "walk_in", do, client_id=client_id, participant_id=participant_id, session_id=session_id,
        pay_with=pay_with, confirm_overlap=True, actor=actor, idempotency_key=idempotency_key,
    )


def _once(
    session: Session,
    verb: str,
    do: Callable[[Opening], Booking],
    *,
    client_id: int,
    participant_id: int | None,
    session_id: int,
    pay_with: PayWith,
    confirm_overlap: bool,
    actor: Actor,
    idempotency_key: str | None,
) -> Booking:
    """What both ways of booking check, under the session's lock, and once per key."""
    made: list[Booking] = []

    def carry_out() -> dict[str, int]:
        opening = opened(session, client_id, participant_id, session_id)
        if opening.status == SessionStatus.cancelled:
            raise SessionCancelled
        if opening.has_booking:
            raise AlreadyBooked(name=opening.name)
        if opening.overlaps_at and not confirm_overlap:
            raise Overlap(who=opening.name, at=shown(opening.overlaps_at, opening.timezone))
        booking = do(opening)
        made.append(booking)
        return {"booking_id": booking.id}

    asked = {
        "actor": actor.user_id, "client_id": client_id, "participant_id": participant_id, "session_id": session_id,
        "pay_with": asdict(pay_with), "confirm_overlap": confirm_overlap,
    }
    result = idempotent(session, key=idempotency_key, verb=verb, asked=asked, do=carry_out)
    return made[0] if made else require(session, Booking, result["booking_id"])


def _place(session: Session, opening: Opening, wish: PayWith, actor: Actor) -> Booking:
    """Write a booking that takes a place, and let it pay."""
    values = _values(opening, BookingState.booked, wish, actor)
    if opening.booking_id is not None and (wish.pays is None or wish.pays in BY_CREDIT):
        booking = _paid_before(session, opening, wish, actor, {"id": opening.booking_id, **values})
    else:
        booking = Booking(**values)
        session.add(booking)
        session.flush()
        pay(session, booking, locked_session(session, opening.session_id), wish, actor=actor)
    _record(session, booking, actor)
    return booking


def _paid_before(
    session: Session, opening: Opening, wish: PayWith, actor: Actor, values: dict[str, Any]
) -> Booking:
    """Reserve the credit first, so that the row is written once; the way that nearly every booking goes."""
    values["lot_id"] = reserve(
        session, booking_id=values["id"], client_id=opening.client_id, participant_id=opening.participant_id,
        event_type_id=opening.event_type_id, day=opening.day, wish=wish, actor=actor,
    )
    paid = run_compiled(session.connection(), _insert, values).one()
    booking = Booking(**values, pays=paid.pays, enrollment_id=paid.enrollment_id)
    make_transient_to_detached(booking)
    session.add(booking)
    guard_chosen(session, booking, opening.day, wish)
    return booking


def _queue(session: Session, opening: Opening, wish: PayWith, actor: Actor) -> Booking:
    """Write a booking that waits for a place, with what shall pay for it then."""
    booking = Booking(
        **_values(opening, BookingState.waitlisted, wish, actor), queued_at=clock.now(), pays=wish.pays,
        enrollment_id=wish.enrollment_id, lot_id=wish.lot_id,
    )
    session.add(booking)
    session.flush()
    _record(session, booking, actor)
    return booking


def _values(opening: Opening, state: BookingState, wish: PayWith, actor: Actor) -> dict[str, Any]:
    now = clock.now()
    return {
        "client_id": opening.client_id, "participant_id": opening.participant_id, "session_id": opening.session_id,
        "state": state, "live": True, "amount": wish.amount, "created_by_id": actor.user_id, "created_at": now,
        "updated_at": now,
    }


def _record(session: Session, booking: Booking, actor: Actor) -> None:
    record_event(
        session, actor=actor, verb="book", record="booking", record_id=booking.id, client_id=booking.client_id,
        session_id=booking.session_id, state=booking.state,
    )

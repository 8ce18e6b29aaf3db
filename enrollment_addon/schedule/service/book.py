"""Booking a place, or a place in the queue."""

from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.db import idempotent, require
from ...core.scope import Actor
from ..calc import AUTO, BookingState, PayWith
from ..errors import AlreadyBooked, CapacityExceeded, SessionNotBegun, SessionOver
from ..hooks import after_attendance
from ..models import Booking, ScheduledSession
from .overlaps import refuse_participant_overlap
from .pay import pay, set_state, use_up
from .places import day_of, locked_session, person, places, require_open, zone_of


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

    def do(item: ScheduledSession, booking: Booking) -> None:
        if item.starts_at <= clock.now():
            raise SessionOver
        full = places(session, item.id).taken >= item.capacity
        _insert(session, booking, item, BookingState.waitlisted if full else BookingState.booked, pay_with, actor)

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

    def do(item: ScheduledSession, booking: Booking) -> None:
        if day_of(session, item) > clock.today(zone_of(session, item.club_id)):
            raise SessionNotBegun
        if places(session, item.id).taken >= item.capacity:
            raise CapacityExceeded
        _insert(session, booking, item, BookingState.booked, pay_with, actor)
        use_up(session, booking, actor=actor)
        set_state(session, booking, BookingState.attended)
        record_event(
            session, actor=actor, verb="record_attendance", record="booking", record_id=booking.id,
            client_id=client_id, session_id=session_id, state=BookingState.attended,
        )
        if booking.enrollment_id is not None:
            after_attendance(session, [booking.enrollment_id], actor)

    return _once(
        session, "walk_in", do, client_id=client_id, participant_id=participant_id, session_id=session_id,
        pay_with=pay_with, confirm_overlap=True, actor=actor, idempotency_key=idempotency_key,
    )


def _once(
    session: Session,
    verb: str,
    do: Any,
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
        client, participant = person(session, client_id, participant_id)
        item = locked_session(session, session_id)
        require_open(item)
        if places(session, item.id, participant.id).has_booking:
            raise AlreadyBooked(name=participant.name)
        if not confirm_overlap:
            refuse_participant_overlap(session, item, participant.id, participant.name)
        booking = Booking(
            client_id=client.id, participant_id=participant.id, session_id=item.id, created_by_id=actor.user_id
        )
        do(item, booking)
        made.append(booking)
        return {"booking_id": booking.id}

    asked = {
        "actor": actor.user_id, "client_id": client_id, "participant_id": participant_id, "session_id": session_id,
        "pay_with": asdict(pay_with), "confirm_overlap": confirm_overlap,
    }
    result = idempotent(session, key=idempotency_key, verb=verb, asked=asked, do=carry_out)
    return made[0] if made else require(session, Booking, result["booking_id"])


def _insert(
    session: Session, booking: Booking, item: ScheduledSession, state: BookingState, wish: PayWith, actor: Actor
) -> None:
    """Write the booking, and let it pay unless it waits."""
    waits = state == BookingState.waitlisted
    booking.state, booking.live, booking.amount = state, True, wish.amount
    if waits:
        booking.queued_at = clock.now()
        booking.pays, booking.enrollment_id, booking.lot_id = wish.pays, wish.enrollment_id, wish.lot_id
    session.add(booking)
    session.flush()
    if not waits:
        pay(session, booking, item, wish, actor=actor)
    record_event(
        session, actor=actor, verb="book", record="booking", record_id=booking.id, client_id=booking.client_id,
        session_id=item.id, state=state,
    )

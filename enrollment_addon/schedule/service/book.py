"""Booking a place, or a place in the queue."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.db import idempotent, require
from ...core.scope import Actor
from ...credits.models import lots
from ..calc import AUTO, BookingState, PayWith, SessionStatus
from ..errors import (
    AlreadyBooked,
    CapacityExceeded,
    Overlap,
    PlaceTaken,
    SessionCancelled,
    SessionNotBegun,
    SessionOver,
)
from ..hooks import after_attendance, enrollment_guard
from ..models import Booking
from .appointments import settle_appointment
from .at_once import Asked, book_at_once
from .opening import Opening, opened
from .overlaps import refuse_place_overlap, shown
from .pay import pay, set_state, use_up
from .places import lock_accounts, locked_session
from .waitlist import serve


def book(
    session: Session,
    *,
    client_id: int,
    session_id: int,
    actor: Actor,
    participant_id: int | None = None,
    pay_with: PayWith = AUTO,
    confirm_overlap: bool = False,
    queue: bool = True,
    idempotency_key: str | None = None,
) -> Booking:
    """Book a participant (the client themself unless named) into a session; a full one queues them.

    What pays is reserved or charged now; whoever queues pays when their turn comes. `confirm_overlap`: a
    double booking of the participant is meant. Without `queue` only a place will do: whoever asks believes that
    one is free. An appointment that went with its booking comes back.
    Raises: NotFound, SessionCancelled, SessionOver, AlreadyBooked, Overlap, PlaceTaken, ClientClosed,
    ClientArchived, what paying says, IdempotencyMismatch.
    """

    asked = Asked(client_id, participant_id, session_id, pay_with, confirm_overlap)

    def do() -> Booking:
        return book_at_once(session, asked, actor) or the_long_way()

    def the_long_way() -> Booking:
        opening = _checked(session, asked, actor)
        if opening.starts_at <= clock.now():
            raise SessionOver
        if opening.is_full and not queue:
            raise PlaceTaken(name=opening.name)
        return (_queue if opening.is_full else _place)(session, opening, pay_with, actor)

    return _once(session, "book", asked, do, actor, idempotency_key)


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

    asked = Asked(client_id, participant_id, session_id, pay_with, confirm_overlap=True)

    def do() -> Booking:
        opening = _checked(session, asked, actor)
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

    return _once(session, "walk_in", asked, do, actor, idempotency_key)


def _once(
    session: Session, verb: str, asked: Asked, do: Callable[[], Booking], actor: Actor, idempotency_key: str | None
) -> Booking:
    """Book once per key."""
    made: list[Booking] = []

    def carry_out() -> dict[str, int]:
        made.append(do())
        return {"booking_id": made[0].id}

    told = {"actor": actor.user_id, **vars(asked), "pay_with": vars(asked.pay_with)}
    result = idempotent(session, key=idempotency_key, verb=verb, asked=told, do=carry_out)
    return made[0] if made else require(session, Booking, result["booking_id"])


def _checked(session: Session, asked: Asked, actor: Actor) -> Opening:
    """What both ways of booking check, under the session's lock. Who waits for a free place comes first."""
    opening = opened(session, asked.client_id, asked.participant_id, asked.session_id)
    if opening.somebody_waits and not opening.is_full:
        serve(session, locked_session(session, asked.session_id), actor=actor, also=[asked.client_id])
        opening = opened(session, asked.client_id, asked.participant_id, asked.session_id)
    if opening.status == SessionStatus.cancelled:
        item = locked_session(session, asked.session_id)
        if not item.ended_with_its_booking:
            raise SessionCancelled
        if not asked.confirm_overlap:
            refuse_place_overlap(session, item)
    if opening.has_booking:
        raise AlreadyBooked(name=opening.name)
    if opening.overlaps_at and not asked.confirm_overlap:
        raise Overlap(who=opening.name, at=shown(opening.overlaps_at, opening.timezone))
    return opening


def _place(session: Session, opening: Opening, wish: PayWith, actor: Actor) -> Booking:
    """Write a booking that takes a place, and let it pay."""
    booking = Booking(**_values(opening, BookingState.booked, wish, actor))
    session.add(booking)
    session.flush()
    item = locked_session(session, opening.session_id)
    pay(session, booking, item, wish, actor=actor)
    _record(session, booking, actor)
    if opening.status == SessionStatus.cancelled:
        settle_appointment(session, item, actor=actor)
    return booking


def _queue(session: Session, opening: Opening, wish: PayWith, actor: Actor) -> Booking:
    """Write a booking that waits for a place, with what shall pay for it then.

    An enrollment that shall pay must be able to: its end would find the booking only if it is written before.
    """
    enrollment_id = wish.enrollment_id
    if wish.lot_id is not None:
        of_lot = select(lots.c.enrollment_id).where(lots.c.id == wish.lot_id)
        enrollment_id = session.connection().execute(of_lot).scalar()
    if enrollment_id is not None:
        lock_accounts(session, [opening.client_id], [opening.event_type_id])
        enrollment_guard(session, enrollment_id, opening.client_id, opening.participant_id, opening.day)
    booking = Booking(
        **_values(opening, BookingState.waitlisted, wish, actor), queued_at=clock.now(), pays=wish.pays,
        enrollment_id=enrollment_id, lot_id=wish.lot_id,
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

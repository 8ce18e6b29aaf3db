"""Cancelling bookings: what is returned, and who gets the place."""

import datetime as dt
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.db import idempotent
from ...core.errors import Busy
from ...core.fields import clean, text
from ...core.scope import Actor
from ..calc import BookingState, SessionStatus
from ..hooks import after_attendance, policy
from ..models import Booking, ScheduledSession
from .appointments import settle_appointment
from .pay import give_back, set_state, use_up
from .places import bookings, lock_accounts, lock_sessions, locked_booking, queue_of, sessions, state_conflict
from .waitlist import promote

CANCELLABLE = (BookingState.booked, BookingState.waitlisted)
_TURNS = 10


def cancel_booking(
    session: Session,
    *,
    booking_id: int,
    actor: Actor,
    return_credit: bool | None = None,
    reason: str | None = None,
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """Cancel a booking; its place goes to the queue. An appointment is cancelled with it.

    `return_credit` unsaid: what pays comes back when there is notice enough, else it is forfeited (by setting).
    Answers `{booking_id, state, returned, credits}`: whether what paid came back, and how many credits.
    Raises: NotFound, BookingStateConflict for a booking that took place or is off already, IdempotencyMismatch.
    """
    reason = clean({"reason": reason}, {"reason": text(500)})["reason"]

    def do() -> dict[str, Any]:
        booking, item = locked_booking(session, booking_id)
        if booking.state not in CANCELLABLE:
            raise state_conflict(booking)
        waiting = [row.client_id for row in queue_of(session, [item.id])]
        lock_accounts(session, [booking.client_id, *waiting], [item.event_type_id], booking_ids=[booking.id])
        result = call_off(session, booking, item, return_credit=return_credit, actor=actor, reason=reason)
        promoted = promote(session, item, actor=actor)
        settle_appointment(session, item, actor=actor, reason=reason)
        record_event(
            session, actor=actor, verb="cancel_booking", record="booking", record_id=booking.id,
            client_id=booking.client_id, reason=reason, session_id=item.id, promoted=len(promoted), **result,
        )
        if booking.enrollment_id is not None:
            after_attendance(session, [booking.enrollment_id], actor)
        return {"booking_id": booking.id, **result}

    asked = {"actor": actor.user_id, "booking_id": booking_id, "return_credit": return_credit}
    return idempotent(session, key=idempotency_key, verb="cancel_booking", asked=asked, do=do)


def call_off(
    session: Session, booking: Booking, item: ScheduledSession, *, return_credit: bool | None, actor: Actor,
    reason: str | None, **marks: Any,
) -> dict[str, Any]:
    """Cancel one booking under its session's lock; nobody is promoted. `{state, returned, credits}`."""
    if booking.state == BookingState.waitlisted:
        set_state(session, booking, BookingState.cancelled, returned=None, cancel_reason=reason, **marks)
        return {"state": BookingState.cancelled, "returned": False, "credits": 0}
    late = policy().is_late(item.starts_at, clock.now())
    back = return_credit if return_credit is not None else policy().returns(item.starts_at, clock.now())
    if back:
        credits = give_back(session, booking, item, actor=actor, reason=reason)
    else:
        use_up(session, booking, actor=actor, reason=reason)
        credits = 0
    state = BookingState.late_cancel if late and return_credit is not True else BookingState.cancelled
    set_state(session, booking, state, returned=back, cancel_reason=reason, **marks)
    return {"state": state, "returned": back, "credits": credits}


def hold_enrollment(session: Session, *, enrollment_id: int, client_id: int, event_type_id: int) -> None:
    """Lock the sessions to come that are booked with an enrollment, then the balances of its client and of those
    who wait there: in the order in which booking locks. Until the transaction ends nobody books with it.

    A booking that was made before the balance was locked may be in a further session: then all is let go and
    locked anew. Raises: Busy when that happens again and again.
    """
    to_come = _to_come(enrollment_id, clock.now())
    for _turn in range(_TURNS):
        with session.begin_nested() as attempt:
            found = {row.session_id for row in session.connection().execute(to_come)}
            held = lock_sessions(session, found)
            waiting = {row.client_id for row in queue_of(session, sorted(found))}
            lock_accounts(session, {client_id, *waiting}, {event_type_id, *(item.event_type_id for item in held)})
            if found.issuperset(row.session_id for row in session.connection().execute(to_come)):
                return
            attempt.rollback()
    raise Busy


def _to_come(enrollment_id: int, begins: dt.datetime, ends: dt.datetime | None = None) -> Select[Any]:
    """Keys and sessions of the bookings of an enrollment that can be cancelled, of sessions from now on."""
    query = (
        select(bookings.c.id, bookings.c.session_id)
        .join(sessions, sessions.c.id == bookings.c.session_id)
        .where(
            bookings.c.enrollment_id == enrollment_id, bookings.c.state.in_(CANCELLABLE),
            sessions.c.starts_at >= max(begins, clock.now()), sessions.c.status == SessionStatus.scheduled,
        )
    )
    return query if ends is None else query.where(sessions.c.starts_at < ends)


def cancel_enrollment_bookings(
    session: Session,
    *,
    enrollment_id: int,
    begins: dt.datetime,
    actor: Actor,
    reason: str,
    ends: dt.datetime | None = None,
    return_credit: bool = True,
) -> list[int]:
    """Cancel the bookings of an enrollment in sessions to come that start in [begins, ends); their keys.

    The caller has called `hold_enrollment`; freed places go to the queues.
    """
    found = session.connection().execute(_to_come(enrollment_id, begins, ends)).all()
    held = {item.id: item for item in lock_sessions(session, {row.session_id for row in found})}
    wanted = session.scalars(
        select(Booking)
        .where(Booking.id.in_([row.id for row in found]), Booking.state.in_(CANCELLABLE))
        .order_by(Booking.session_id, Booking.id)
        .execution_options(populate_existing=True)
    ).all()
    for booking in wanted:
        result = call_off(
            session, booking, held[booking.session_id], return_credit=return_credit, actor=actor, reason=reason
        )
        record_event(
            session, actor=actor, verb="cancel_booking", record="booking", record_id=booking.id,
            client_id=booking.client_id, reason=reason, session_id=booking.session_id, **result,
        )
    for item in held.values():
        promote(session, item, actor=actor)
        settle_appointment(session, item, actor=actor, reason=reason)
    return [booking.id for booking in wanted]

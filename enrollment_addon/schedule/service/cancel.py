"""Cancelling bookings: what is returned, and who gets the place."""

import datetime as dt
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.db import idempotent
from ...core.fields import clean, text
from ...core.scope import Actor
from ..calc import BookingState, SessionStatus
from ..hooks import after_attendance, policy
from ..models import Booking, ScheduledSession
from .pay import give_back, set_state, use_up
from .places import bookings, lock_accounts, lock_sessions, locked_booking, queue_of, sessions, state_conflict
from .waitlist import promote

CANCELLABLE = (BookingState.booked, BookingState.waitlisted)


def cancel_booking(
    session: Session,
    *,
    booking_id: int,
    actor: Actor,
    return_credit: bool | None = None,
    reason: str | None = None,
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """Cancel a booking; its place goes to the queue.

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
        lock_accounts(session, [booking.client_id, *waiting], [item.event_type_id])
        result = call_off(session, booking, item, return_credit=return_credit, actor=actor, reason=reason)
        promoted = promote(session, item, actor=actor)
        record_event(
            session, actor=actor, verb="cancel_booking", record="booking", record_id=booking.id,
            client_id=booking.client_id, reason=reason, session_id=item.id, promoted=len(promoted), **result,
        )
        if booking.enrollment_id is not None and not result["returned"]:
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
    back = return_credit if return_credit is not None else not (late and policy().late_cancel_forfeits)
    if back:
        credits = give_back(session, booking, item, actor=actor, reason=reason)
    else:
        use_up(session, booking, actor=actor, reason=reason)
        credits = 0
    state = BookingState.late_cancel if late and return_credit is not True else BookingState.cancelled
    set_state(session, booking, state, returned=back, cancel_reason=reason, **marks)
    return {"state": state, "returned": back, "credits": credits}


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

    Session rows are locked in key order, then all balances concerned; freed places go to the queues.
    """
    query = (
        select(bookings.c.id, bookings.c.session_id, bookings.c.client_id)
        .join(sessions, sessions.c.id == bookings.c.session_id)
        .where(
            bookings.c.enrollment_id == enrollment_id, bookings.c.state.in_(CANCELLABLE),
            sessions.c.starts_at >= max(begins, clock.now()), sessions.c.status == SessionStatus.scheduled,
        )
    )
    if ends is not None:
        query = query.where(sessions.c.starts_at < ends)
    found = session.connection().execute(query).all()
    held = {item.id: item for item in lock_sessions(session, {row.session_id for row in found})}
    waiting = [row.client_id for row in queue_of(session, sorted(held))]
    lock_accounts(
        session, {row.client_id for row in found} | set(waiting), {item.event_type_id for item in held.values()}
    )
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
    return [booking.id for booking in wanted]

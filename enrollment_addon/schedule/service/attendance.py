"""Attendance: what became of a booking, and what that does to its credit. Corrections are the same verb."""

from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.errors import InvalidInput
from ...core.fields import choice, clean
from ...core.scope import Actor
from ..calc import OFF, BookingState
from ..errors import AlreadyBooked, CapacityExceeded, SessionNotBegun
from ..hooks import after_attendance, policy
from ..models import Booking, ScheduledSession
from .appointments import settle_appointment
from .pay import give_back, pay, set_state, take_back_use, use_up, wish_again
from .places import (
    day_of,
    lock_accounts,
    locked_booking,
    locked_session,
    places,
    queue_of,
    require_open,
    state_conflict,
    zone_of,
)
from .waitlist import promote

RECORDED = (BookingState.booked, BookingState.attended, BookingState.no_show, BookingState.late_cancel)
"""What attendance may say; “booked” takes back what was said before."""


def record_attendance(
    session: Session, *, booking_id: int, state: str, actor: Actor, early: bool = False
) -> Booking:
    """Say what became of a booking; saying it again changes nothing, saying something else corrects it.

    Attended uses the credit up; no-show and late cancellation do or give it back, by setting. `early`: it is
    meant although the session's day has not come, as for people who check in for several days at once. An
    appointment goes with a late cancellation, and comes back with its correction.
    Raises: NotFound, InvalidInput, SessionCancelled, SessionNotBegun, BookingStateConflict for one that waits or
    was cancelled; of a late cancellation that is taken back AlreadyBooked, CapacityExceeded when the place went to
    somebody else, NotEnoughCredits when the credit is gone.
    """
    wanted = BookingState(clean({"state": state}, {"state": choice(BookingState)})["state"])
    if wanted not in RECORDED:
        raise InvalidInput(fields={"state": _l("Choose one of: %(choices)s.", choices=", ".join(RECORDED))})
    booking, item = locked_booking(session, booking_id)
    if not item.ended_with_its_booking:
        require_open(item)
    if booking.state not in RECORDED:
        raise state_conflict(booking)
    if not early and wanted not in (BookingState.late_cancel, BookingState.booked):
        _require_begun(session, item)
    if booking.state == wanted:
        return booking
    waiting = [row.client_id for row in queue_of(session, [item.id])]
    lock_accounts(session, [booking.client_id, *waiting], [item.event_type_id], booking_ids=[booking.id])
    _record(session, booking, item, wanted, actor)
    if booking.enrollment_id is not None:
        after_attendance(session, [booking.enrollment_id], actor)
    if wanted == BookingState.late_cancel:
        promote(session, item, actor=actor)
    settle_appointment(session, item, actor=actor)
    return booking


def all_present(session: Session, *, session_id: int, actor: Actor) -> int:
    """Note everybody who is booked, and whom the actor reaches, as attended; how many.

    Raises: NotFound, SessionCancelled, SessionNotBegun.
    """
    item = locked_session(session, session_id)
    require_open(item)
    _require_begun(session, item)
    booked = session.scalars(
        select(Booking)
        .where(Booking.session_id == item.id, Booking.state == BookingState.booked)
        .order_by(Booking.id)
        .execution_options(populate_existing=True)
    ).all()
    lock_accounts(
        session, [booking.client_id for booking in booked], [item.event_type_id],
        booking_ids=[booking.id for booking in booked],
    )
    for booking in booked:
        _record(session, booking, item, BookingState.attended, actor)
    after_attendance(session, [b.enrollment_id for b in booked if b.enrollment_id is not None], actor)
    return len(booked)


def _require_begun(session: Session, item: ScheduledSession) -> None:
    if day_of(session, item) > clock.today(zone_of(session, item.club_id)):
        raise SessionNotBegun


def _record(
    session: Session, booking: Booking, item: ScheduledSession, wanted: BookingState, actor: Actor
) -> None:
    """Bring the credit from what it does now to what the new state asks for, then write the state."""
    before = BookingState(booking.state)
    if before in OFF and wanted not in OFF:
        now = places(session, item.id, booking.participant_id)
        if now.has_booking:
            raise AlreadyBooked(name=booking.participant.name)
        if now.taken >= item.capacity:
            raise CapacityExceeded
    is_back = bool(booking.returned)
    spent = not is_back and before != BookingState.booked
    spends = policy().spends(wanted)
    returns = wanted != BookingState.booked and not spends
    values: dict[str, Any] = {"returned": returns if wanted != BookingState.booked else None}
    if returns and not is_back:
        if spent:
            take_back_use(session, booking, actor=actor)
        give_back(session, booking, item, actor=actor)
    elif not returns:
        if is_back:
            pay(session, booking, item, wish_again(booking), actor=actor)
        if spends and not spent:
            use_up(session, booking, actor=actor)
        elif spent and not spends:
            take_back_use(session, booking, actor=actor)
    set_state(session, booking, wanted, **values)
    record_event(
        session, actor=actor, verb="record_attendance", record="booking", record_id=booking.id,
        client_id=booking.client_id, session_id=item.id, state=wanted, before=before,
    )

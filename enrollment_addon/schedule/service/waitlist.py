"""The queue of a full session: a place that frees goes to the first in line who can pay for it."""

import datetime as dt

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.db import idempotent, require
from ...core.errors import AddonError
from ...core.scope import Actor
from ...credits.models import CreditBalance
from ..calc import BY_CREDIT, BookingState, SessionStatus
from ..errors import BookingStateConflict, CapacityExceeded, SessionOver
from ..hooks import policy
from ..labels import BOOKING_STATES
from ..models import Booking, ScheduledSession
from .pay import note, pay, set_state, wish_of
from .places import bookings, for_everybody, lock_accounts, locked_booking, locked_session, places, require_open


def promote(session: Session, item: ScheduledSession, *, actor: Actor) -> list[int]:
    """Give the free places of a session to its queue; the bookings that got or are offered one.

    Whoever cannot pay keeps their place in line and is passed over. With hold hours set a place is only held
    for the first in line, until they confirm. The caller holds the session and the balances of the queue.
    """
    now = clock.now()
    if item.status != SessionStatus.scheduled or item.starts_at <= now:
        return []
    served: list[int] = []
    with for_everybody(session, actor) as wide:
        free = item.capacity - places(session, item.id).taken
        if free <= 0:
            return []
        for booking in _in_line(session, item.id, now):
            if free == 0:
                break
            if _offer(session, booking, item, wide, now):
                served.append(booking.id)
                free -= 1
    return served


def _in_line(session: Session, session_id: int, now: dt.datetime) -> list[Booking]:
    waiting = (
        select(Booking)
        .where(Booking.session_id == session_id, Booking.state == BookingState.waitlisted, Booking.held_until.is_(None))
        .order_by(Booking.queued_at, Booking.id)
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(waiting))


def _offer(
    session: Session, booking: Booking, item: ScheduledSession, actor: Actor, now: dt.datetime
) -> bool:
    """Give or hold a place for one who waits; whether they could pay."""
    hours = policy().waitlist_hold_hours
    if hours:
        if not _has_credit(session, booking, item):
            return False
        until = min(now + dt.timedelta(hours=hours), item.starts_at)
        note(session, booking, held_until=until)
        verb = "hold_place"
    else:
        try:
            with session.begin_nested():
                pay(session, booking, item, wish_of(booking), actor=actor)
        except AddonError:
            session.expire(booking)
            return False
        set_state(session, booking, BookingState.booked)
        verb = "promote_booking"
    record_event(
        session, actor=actor, verb=verb, record="booking", record_id=booking.id, client_id=booking.client_id,
        session_id=item.id,
    )
    return True


def _has_credit(session: Session, booking: Booking, item: ScheduledSession) -> bool:
    """Whether somebody who waits for a credit to pay has any; other means of paying were agreed already."""
    if booking.pays is not None and booking.pays not in BY_CREDIT:
        return True
    available = session.scalar(
        select(CreditBalance.available).where(
            CreditBalance.client_id == booking.client_id, CreditBalance.event_type_id == item.event_type_id
        )
    )
    return bool(available)


def take_place(
    session: Session, *, booking_id: int, actor: Actor, idempotency_key: str | None = None
) -> Booking:
    """Give somebody in the queue a free place, or the one that is held for them; it is paid for now.

    Raises: NotFound, SessionCancelled, SessionOver, BookingStateConflict, CapacityExceeded, and what paying says.
    """

    def do() -> dict[str, int]:
        booking, item = locked_booking(session, booking_id)
        require_open(item)
        if item.starts_at <= clock.now():
            raise SessionOver
        if booking.state != BookingState.waitlisted:
            raise BookingStateConflict(
                state=dict(BOOKING_STATES)[BookingState(booking.state)],
                possible=dict(BOOKING_STATES)[BookingState.waitlisted],
            )
        held = booking.held_until is not None and booking.held_until > clock.now()
        if not held and places(session, item.id).taken >= item.capacity:
            raise CapacityExceeded
        set_state(session, booking, BookingState.booked)
        pay(session, booking, item, wish_of(booking), actor=actor)
        record_event(
            session, actor=actor, verb="promote_booking", record="booking", record_id=booking.id,
            client_id=booking.client_id, session_id=item.id,
        )
        return {"booking_id": booking.id}

    asked = {"actor": actor.user_id, "booking_id": booking_id}
    idempotent(session, key=idempotency_key, verb="take_place", asked=asked, do=do)
    return require(session, Booking, booking_id)


def lapse_holds(session: Session, *, after: int, actor: Actor) -> int | None:
    """End the holds of the next session in which nobody confirmed in time, and offer its places on.

    `after`: the session the last call ended with. The key of this one; None when there is none left.
    """
    now = clock.now()
    session_id = session.connection().execute(
        select(func.min(bookings.c.session_id)).where(bookings.c.held_until <= now, bookings.c.session_id > after)
    ).scalar()
    if session_id is None:
        return None
    item = locked_session(session, session_id)
    lapsed = session.scalars(
        select(Booking)
        .where(Booking.session_id == item.id, Booking.held_until <= now)
        .order_by(Booking.id)
        .execution_options(populate_existing=True)
    ).all()
    waiting = session.scalars(
        select(Booking.client_id).where(Booking.session_id == item.id, Booking.state == BookingState.waitlisted)
    ).all()
    lock_accounts(session, waiting, [item.event_type_id])
    for booking in lapsed:
        set_state(session, booking, BookingState.cancelled)
        record_event(
            session, actor=actor, verb="lapse_hold", record="booking", record_id=booking.id,
            client_id=booking.client_id, session_id=item.id,
        )
    promote(session, item, actor=actor)
    return item.id

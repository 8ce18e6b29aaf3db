"""The queue of a full session: a place that frees goes to the first in line who can pay for it."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.db import idempotent, require
from ...core.errors import AddonError
from ...core.scope import Actor
from ...credits.models import balances, lots, something_left
from ...notices.calc import NoticeKind
from ..calc import BY_CREDIT, TAKING_A_PLACE, BookingState, SessionStatus
from ..errors import CapacityExceeded, SessionOver
from ..hooks import policy
from ..models import Booking, ScheduledSession
from .overlaps import booked_elsewhere, refuse_booked_elsewhere
from .pay import note, pay, set_state, wish_of
from .places import (
    bookings,
    clients,
    for_everybody,
    lock_accounts,
    locked_booking,
    locked_session,
    places,
    queue_of,
    require_open,
    sessions,
    state_conflict,
)
from .tell import tell


def promote(session: Session, item: ScheduledSession, *, actor: Actor, spare: int | None = None) -> list[int]:
    """Give the free places of a session to its queue; the bookings that got or are offered one.

    Places that nobody confirmed in time are free again, and the bookings they were held for end, but for the one
    to `spare`. Whoever cannot pay, or has a place elsewhere at that time, keeps theirs in line and is passed over.
    With hold hours set a place is only held for the first in line, until they confirm. The caller holds the
    session and the balances of the queue.
    """
    now = clock.now()
    served: list[int] = []
    with for_everybody(session, actor) as wide:
        waiting = _in_line(session, item.id)
        for booking in waiting:
            if booking.held_until is not None and booking.held_until <= now and booking.id != spare:
                _lapse(session, booking, wide)
        if item.status != SessionStatus.scheduled or item.starts_at <= now or not waiting:
            return []
        free = item.capacity - places(session, item.id).taken
        busy = booked_elsewhere(session, item, [b.participant_id for b in waiting]) if free > 0 else {}
        for booking in waiting:
            if free <= 0:
                break
            in_line = booking.state == BookingState.waitlisted and booking.held_until is None
            in_line = in_line and booking.participant_id not in busy
            if in_line and _offer(session, booking, item, wide, now):
                served.append(booking.id)
                free -= 1
    return served


def _in_line(session: Session, session_id: int) -> Sequence[Booking]:
    """Everybody who waits for a place or has one held for them, in the order of the queue."""
    waiting = (
        select(Booking)
        .where(Booking.session_id == session_id, Booking.state == BookingState.waitlisted)
        .order_by(Booking.queued_at, Booking.id)
        .execution_options(populate_existing=True)
    )
    return session.scalars(waiting).all()


def _lapse(session: Session, booking: Booking, actor: Actor) -> None:
    """End a booking whose held place was not taken in time."""
    set_state(session, booking, BookingState.cancelled)
    record_event(
        session, actor=actor, verb="lapse_hold", record="booking", record_id=booking.id,
        client_id=booking.client_id, session_id=booking.session_id,
    )


def _offer(
    session: Session, booking: Booking, item: ScheduledSession, actor: Actor, now: dt.datetime
) -> bool:
    """Give or hold a place for one who waits, and have them told; whether they can pay.

    To hold one, paying is tried and taken back: what pays then is decided when they confirm.
    """
    hours = policy().waitlist_hold_hours
    try:
        with session.begin_nested() as attempt:
            pay(session, booking, item, wish_of(booking), actor=actor)
            if hours:
                attempt.rollback()
    except AddonError:
        session.expire(booking)
        return False
    if hours:
        session.expire(booking)
        until = min(now + dt.timedelta(hours=hours), item.starts_at)
        note(session, booking, held_until=until)
        tell(session, NoticeKind.place_held, item, {booking.client_id: {"until": until.isoformat()}})
    else:
        set_state(session, booking, BookingState.booked)
        tell(session, NoticeKind.place_given, item, {booking.client_id: {}})
    record_event(
        session, actor=actor, verb="hold_place" if hours else "promote_booking", record="booking",
        record_id=booking.id, client_id=booking.client_id, session_id=item.id,
    )
    return True


def serve(
    session: Session, item: ScheduledSession, *, actor: Actor, also: Iterable[int] = (), spare: int | None = None
) -> list[int]:
    """Lock the balances of a session's queue, with those of the clients `also` concerned, and promote from it.

    The caller holds the session.
    """
    waiting = [row.client_id for row in queue_of(session, [item.id])]
    lock_accounts(session, [*also, *waiting], [item.event_type_id])
    return promote(session, item, actor=actor, spare=spare)


def take_place(
    session: Session, *, booking_id: int, actor: Actor, confirm_overlap: bool = False,
    idempotency_key: str | None = None,
) -> Booking:
    """Give somebody in the queue the place that is held for them, or one that is free; it is paid for now.

    A free place is first offered to those in line who can pay. Somebody whose hold is over may still have what
    nobody else took. `confirm_overlap`: a double booking of the participant is meant.
    Raises: NotFound, SessionCancelled, SessionOver, BookingStateConflict, CapacityExceeded, Overlap, and what
    paying says.
    """

    def do() -> dict[str, int]:
        booking, item = locked_booking(session, booking_id)
        require_open(item)
        if item.starts_at <= clock.now():
            raise SessionOver
        if booking.state != BookingState.waitlisted:
            raise state_conflict(booking)
        served = serve(session, item, actor=actor, also=[booking.client_id], spare=booking.id)
        if booking.state == BookingState.waitlisted:
            held = booking.id in served or (booking.held_until is not None and booking.held_until > clock.now())
            if not held and places(session, item.id).taken >= item.capacity:
                raise CapacityExceeded
            if not confirm_overlap:
                refuse_booked_elsewhere(session, booking, item)
            if booking.held_until is None:
                tell(session, NoticeKind.place_given, item, {booking.client_id: {}})
            set_state(session, booking, BookingState.booked)
            pay(session, booking, item, wish_of(booking), actor=actor)
            record_event(
                session, actor=actor, verb="promote_booking", record="booking", record_id=booking.id,
                client_id=booking.client_id, session_id=item.id,
            )
        return {"booking_id": booking.id}

    asked = {"actor": actor.user_id, "booking_id": booking_id, "confirm_overlap": confirm_overlap}
    idempotent(session, key=idempotency_key, verb="take_place", asked=asked, do=do)
    return require(session, Booking, booking_id)


def serve_queues(session: Session, *, after: int, actor: Actor) -> int | None:
    """Serve the queue of the next session that has a place for it: one that was not confirmed in time, or a free
    one that nobody in line could pay for when it was offered last.

    `after`: the session the last call ended with. The key of this one; None when there is none left.
    """
    session_id = next_queue(session, after=after)
    if session_id is not None:
        serve(session, locked_session(session, session_id), actor=actor)
    return session_id


def serve_queue(session: Session, *, session_id: int, actor: Actor) -> None:
    """Serve the queue of one session, if there is something to do. Raises: NotFound."""
    serve(session, locked_session(session, session_id), actor=actor)


def next_queue(session: Session, *, after: int = 0) -> int | None:
    """The key of the next session whose queue could be served now."""
    return session.connection().execute(_to_serve(after).order_by(sessions.c.id).limit(1)).scalar()


def has_queue_to_serve(session: Session) -> bool:
    """Whether there is a session whose queue could be served now."""
    return next_queue(session) is not None


def count_queues(session: Session) -> int:
    """How many sessions have a queue that could be served now."""
    return session.connection().execute(select(func.count()).select_from(_to_serve(0).subquery())).scalar_one()


def _to_serve(after: int) -> Select[Any]:
    """The keys of the sessions after another in which a hold is over, or a place free for one who has credits."""
    now = clock.now()
    here = bookings.c.session_id == sessions.c.id
    taken = (
        select(func.count()).where(here, or_(bookings.c.state.in_(TAKING_A_PLACE), bookings.c.held_until > now))
    ).scalar_subquery()
    in_line = select(bookings.c.id).where(
        here, bookings.c.state == BookingState.waitlisted, bookings.c.held_until.is_(None), _may_pay()
    )
    has_place = and_(
        sessions.c.status == SessionStatus.scheduled, sessions.c.starts_at > now, in_line.exists(),
        sessions.c.capacity > taken,
    )
    is_over = sessions.c.id.in_(select(bookings.c.session_id).where(bookings.c.held_until <= now))
    return select(sessions.c.id).where(sessions.c.id > after, or_(is_over, has_place))


def _may_pay() -> ColumnElement[bool]:
    """Whether trying is worth it for one who waits: they pay otherwise than by credit, or there is one to spend."""
    own, sharer = clients.alias(), clients.alias()
    has_own = select(balances.c.client_id).where(
        balances.c.client_id == bookings.c.client_id, balances.c.event_type_id == sessions.c.event_type_id,
        balances.c.available > 0,
    )
    is_shared = (
        select(lots.c.id)
        .join(sharer, sharer.c.id == lots.c.client_id)
        .join(own, own.c.household_id == sharer.c.household_id)
        .where(
            own.c.id == bookings.c.client_id, lots.c.event_type_id == sessions.c.event_type_id,
            lots.c.shared.is_(True), something_left,
        )
    )
    return or_(bookings.c.pays.not_in(BY_CREDIT), has_own.exists(), is_shared.exists())

"""Reads of the schedule."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, case, false, func, or_, select
from sqlalchemy.orm import Session, joinedload, lazyload

from ..billing.models import Charge, ChargeStatus
from ..catalog.queries import name_clause as group_name_clause
from ..core import clock
from ..core.db import key_list
from ..credits.models import CreditLot
from ..people.models import Club, Participant, TeamMember
from .calc import OFF, BookingState, SessionStatus
from .models import Booking, ClassGroup, ScheduledSession

bookings: Any = Booking.__table__
RECENT = dt.timedelta(hours=12)
"""So long a session stays among those to come after it ended: its attendance is often taken later."""

SESSION_PARTS = (
    joinedload(ScheduledSession.group).options(lazyload(ClassGroup.slots)),
    joinedload(ScheduledSession.event_type),
    joinedload(ScheduledSession.club),
    joinedload(ScheduledSession.team_member).options(lazyload(TeamMember.clubs)),
)
"""What a list of sessions shows of each, in the same query."""
GROUP_PARTS = (
    joinedload(ClassGroup.club), joinedload(ClassGroup.event_type), joinedload(ClassGroup.category),
    joinedload(ClassGroup.level), joinedload(ClassGroup.semester),
    joinedload(ClassGroup.team_member).options(lazyload(TeamMember.clubs)),
)


@dataclass(frozen=True)
class Taken:
    """How many places of a session are booked, how many people wait, and for how many of these one is held."""

    booked: int = 0
    waiting: int = 0
    held: int = 0

    @property
    def taken(self) -> int:
        """Places that nobody else can have now."""
        return self.booked + self.held


class Line(NamedTuple):
    """How many people are in line for a place that frees, and the first of them, if the actor reaches them."""

    waiting: int
    first: Booking | None


class Roster(NamedTuple):
    """Who is booked in a session, in the order to show: places, then the queue, then who is off.

    `others` are people with a place or in the queue whom the session's actor doesn't reach: only counted.
    """

    bookings: Sequence[Booking]
    taken: Taken
    others: int


def is_upcoming() -> ColumnElement[bool]:
    """Sessions still to come, running or just over."""
    return ScheduledSession.ends_at > clock.now() - RECENT


def taken_of(session: Session, session_ids: Iterable[int]) -> dict[int, Taken]:
    """The places taken in sessions, by session. Counts everybody, in reach or not."""
    rows = session.connection().execute(
        select(
            bookings.c.session_id, bookings.c.state, func.count(),
            func.sum(case((bookings.c.held_until > clock.now(), 1), else_=0)),
        )
        .where(bookings.c.session_id.in_(key_list(session, session_ids)), bookings.c.state.not_in(OFF))
        .group_by(bookings.c.session_id, bookings.c.state)
    )
    found: dict[int, Taken] = {}
    for session_id, state, count, held in rows:
        so_far = found.get(session_id, Taken())
        if state == BookingState.waitlisted:
            found[session_id] = replace(so_far, waiting=count, held=int(held))
        else:
            found[session_id] = replace(so_far, booked=so_far.booked + count)
    return found


def line_of(session: Session, session_id: int) -> Line:
    """Who is in line for a place of a session, those with a held one apart. Counts everybody, in reach or not."""
    keys = session.connection().execute(
        select(bookings.c.id)
        .where(
            bookings.c.session_id == session_id, bookings.c.state == BookingState.waitlisted,
            bookings.c.held_until.is_(None),
        )
        .order_by(bookings.c.queued_at, bookings.c.id)
    ).scalars().all()
    first = select(Booking).where(Booking.id.in_(keys[:1])).options(joinedload(Booking.participant))
    return Line(len(keys), session.scalars(first).one_or_none())


def paid_with(session: Session, booking: Booking) -> CreditLot | Charge | None:
    """The lot whose credit, or the charge, a booking is paid with, if it is one of these and in reach."""
    if booking.lot_id is not None:
        return session.scalars(select(CreditLot).where(CreditLot.id == booking.lot_id)).one_or_none()
    charge = select(Charge).where(Charge.booking_id == booking.id, Charge.status != ChargeStatus.void)
    return session.scalars(charge.order_by(Charge.id.desc()).limit(1)).one_or_none()


def roster(session: Session, item: ScheduledSession) -> Roster:
    """Everybody of a session whom the actor reaches; the rest as a count."""
    rows = session.scalars(
        select(Booking)
        .where(Booking.session_id == item.id)
        .options(joinedload(Booking.participant), joinedload(Booking.client))
    ).all()
    order = {BookingState.waitlisted: 1, BookingState.late_cancel: 2, BookingState.cancelled: 3}
    far = dt.datetime.max.replace(tzinfo=dt.UTC)
    shown = sorted(
        rows,
        key=lambda b: (
            order.get(BookingState(b.state), 0), b.queued_at or far if b.state == "waitlisted" else far,
            b.participant.name, b.id,
        ),
    )
    taken = taken_of(session, [item.id]).get(item.id, Taken())
    live = sum(1 for b in rows if b.live)
    return Roster(shown, taken, taken.booked + taken.waiting - live)


def upcoming_of_group(session: Session, group_id: int, limit: int = 10) -> Sequence[ScheduledSession]:
    """The next sessions of a class group, those just over first."""
    return session.scalars(
        select(ScheduledSession)
        .where(ScheduledSession.class_group_id == group_id, is_upcoming())
        .options(*SESSION_PARTS)
        .order_by(ScheduledSession.starts_at, ScheduledSession.id)
        .limit(limit)
    ).unique().all()


def next_bookings(session: Session, client_id: int, limit: int = 10) -> Sequence[Booking]:
    """A client's bookings in sessions to come, the earliest first."""
    return session.scalars(
        select(Booking)
        .join(ScheduledSession, ScheduledSession.id == Booking.session_id)
        .where(Booking.client_id == client_id, Booking.live.is_(True), is_upcoming())
        .options(joinedload(Booking.participant), joinedload(Booking.session).options(*SESSION_PARTS))
        .order_by(ScheduledSession.starts_at, Booking.id)
        .limit(limit)
    ).unique().all()


def sessions_by_key(session: Session, keys: Collection[int]) -> dict[int, ScheduledSession]:
    """These sessions with what a list shows of each, as far as they are in reach."""
    found = session.scalars(
        select(ScheduledSession).where(ScheduledSession.id.in_(key_list(session, keys))).options(*SESSION_PARTS)
    ).unique()
    return {item.id: item for item in found}


def bookings_by_key(session: Session, keys: Collection[int]) -> dict[int, Booking]:
    """These bookings with their sessions and participants, as far as they are in reach."""
    found = session.scalars(
        select(Booking)
        .where(Booking.id.in_(key_list(session, keys)))
        .options(joinedload(Booking.participant), joinedload(Booking.session).options(*SESSION_PARTS))
    ).unique()
    return {booking.id: booking for booking in found}


def lots_to_pay_with(session: Session, client_id: int, event_type_id: int | None = None) -> Sequence[CreditLot]:
    """A client's lots that a booking (of this event type) may name, in the order they would be used."""
    statement = select(CreditLot).where(
        CreditLot.client_id == client_id, CreditLot.available > 0, CreditLot.held.is_(False)
    )
    if event_type_id is not None:
        statement = statement.where(CreditLot.event_type_id == event_type_id)
    return session.scalars(
        statement.options(joinedload(CreditLot.event_type))
        .order_by(CreditLot.priority, CreditLot.expires_on.is_(None), CreditLot.expires_on, CreditLot.id)
        .limit(50)
    ).all()


def participants_of(session: Session, client_id: int) -> Sequence[Participant]:
    """Who attends for a client, the client themself first."""
    rows = session.scalars(select(Participant).where(Participant.client_id == client_id).order_by(Participant.id))
    return sorted(rows, key=lambda p: (p.kind != "self", p.id))


def between_days(session: Session, first: dt.date | None, after: dt.date | None) -> ColumnElement[bool]:
    """Sessions from a day on and before another, each by the clock of its own club."""
    clubs: dict[str, list[int]] = {}
    for club_id, timezone in session.execute(select(Club.id, Club.timezone)):
        clubs.setdefault(timezone, []).append(club_id)
    parts = []
    for timezone, keys in clubs.items():
        zone = ZoneInfo(timezone)
        part: list[ColumnElement[bool]] = [ScheduledSession.club_id.in_(keys)]
        if first is not None:
            part.append(ScheduledSession.starts_at >= dt.datetime.combine(first, dt.time(), zone))
        if after is not None:
            part.append(ScheduledSession.starts_at < dt.datetime.combine(after, dt.time(), zone))
        parts.append(and_(*part))
    return or_(*parts) if parts else false()


def name_clause(text: str) -> ColumnElement[bool]:
    """Sessions of class groups whose name, in any language, contains the text."""
    named = select(ClassGroup.id).where(group_name_clause(text, ClassGroup))
    return ScheduledSession.class_group_id.in_(named)


def search_sessions(
    session: Session, text: str, limit: int = 25
) -> Sequence[ScheduledSession]:
    """Sessions to come for a choice, the earliest first; the text is part of the group's name."""
    statement: Select[Any] = (
        select(ScheduledSession)
        .where(ScheduledSession.starts_at > clock.now(), ScheduledSession.status == SessionStatus.scheduled)
        .options(*SESSION_PARTS)
        .order_by(ScheduledSession.starts_at, ScheduledSession.id)
        .limit(limit)
    )
    if text:
        statement = statement.where(name_clause(text))
    return session.scalars(statement).unique().all()


def search_class_groups(
    session: Session, text: str, limit: int = 25
) -> Sequence[ClassGroup]:
    """Active class groups for a choice, by name."""
    statement = select(ClassGroup).where(ClassGroup.active).options(*GROUP_PARTS, lazyload(ClassGroup.slots))
    if text:
        statement = statement.where(group_name_clause(text, ClassGroup))
    return session.scalars(statement.order_by(ClassGroup.name, ClassGroup.id).limit(limit)).unique().all()


def number_of_sessions(session: Session, class_group_id: int) -> int:
    """How many sessions a class group has, whoever reaches them."""
    own = ScheduledSession.class_group_id == class_group_id
    return session.connection().execute(select(func.count(ScheduledSession.id)).where(own)).scalar_one()

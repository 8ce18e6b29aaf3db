"""Calendar links: iCalendar feeds of a team member, a client or a class group, each behind a secret.

The link is shown once, when it is made; making it anew ends the old one. Whoever has it can read, so a feed says
what takes place when and where, and nobody's name.
"""

import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Table, case, delete, func, insert, literal, select
from sqlalchemy.orm import Session, joinedload, lazyload

from ..core import clock
from ..core.audit import AuditEvent, record_event
from ..core.db import require
from ..core.errors import NotFound
from ..core.scope import SYSTEM, Actor, acting_as
from ..people.errors import ClientClosed
from ..people.models import Client, TeamMember
from .calc import TAKING_A_PLACE, BookingState, SessionStatus
from .models import Booking, CalendarFeed, ClassGroup, ScheduledSession
from .queries import SESSION_PARTS

if TYPE_CHECKING:
    from icalendar import Event

PAST, AHEAD = dt.timedelta(days=60), dt.timedelta(days=400)
"""What a feed covers around now."""
MOST = 5_000
_feeds: Table = CalendarFeed.__table__  # type: ignore[assignment]


_STATUSES = ("CANCELLED", "TENTATIVE", "CONFIRMED")
"""What iCalendar calls a standing."""


class FeedKind(StrEnum):
    """Whose sessions a feed has."""

    team_member = "team_member"
    client = "client"
    class_group = "class_group"


def rotate_feed(session: Session, *, kind: FeedKind, target_id: int, actor: Actor) -> str:
    """Make a link, or a new one in place of the old, which ends; the secret, which nobody can look up later.

    Raises: NotFound, ClientClosed.
    """
    _require_target(session, kind, target_id, actor)
    secret, column, now = secrets.token_urlsafe(32), _column(kind), clock.now()
    session.execute(delete(_feeds).where(column == target_id))
    session.execute(
        insert(_feeds).values({column: target_id, "secret_hash": _hash(secret), "created_at": now, "updated_at": now})
    )
    _record(session, "rotate_calendar_link", kind, target_id, actor)
    return secret


def has_feed(session: Session, *, kind: FeedKind, target_id: int) -> bool:
    """Whether there is a link to this calendar already, in reach or not: a new one would end it."""
    return session.execute(select(_feeds.c.id).where(_column(kind) == target_id)).first() is not None


def end_feed(session: Session, *, feed_id: int, actor: Actor) -> None:
    """Let a link stop working. Raises: NotFound."""
    feed = require(session, CalendarFeed, feed_id)
    kind = next(kind for kind in FeedKind if getattr(feed, f"{kind}_id") is not None)
    target_id = getattr(feed, f"{kind}_id")
    session.execute(delete(_feeds).where(_feeds.c.id == feed_id))
    session.expunge(feed)
    _record(session, "end_calendar_link", kind, target_id, actor)


def feeds_in_reach(session: Session, limit: int = 100) -> Sequence[CalendarFeed]:
    """The links that the actor may change, the newest first."""
    return session.scalars(
        select(CalendarFeed)
        .options(
            joinedload(CalendarFeed.client), joinedload(CalendarFeed.class_group).options(lazyload(ClassGroup.slots)),
            joinedload(CalendarFeed.team_member).options(lazyload(TeamMember.clubs)),
        )
        .order_by(CalendarFeed.id.desc())
        .limit(limit)
    ).all()


def calendar_of(session: Session, secret: str) -> bytes:
    """The feed behind a secret as iCalendar. Raises: NotFound, also when whose it is has left or was erased."""
    from icalendar import Calendar  # only now: a start would wait for it

    with acting_as(session, SYSTEM):
        feed = session.scalars(select(CalendarFeed).where(CalendarFeed.secret_hash == _hash(secret))).one_or_none()
        if feed is None:
            raise NotFound
        name, mine, standing_then, changes_then = _subject(session, feed)
        rows = session.execute(
            select(ScheduledSession, standing_then, changes_then)
            .where(mine, ScheduledSession.starts_at.between(clock.now() - PAST, clock.now() + AHEAD))
            .options(*SESSION_PARTS)
            .order_by(ScheduledSession.starts_at, ScheduledSession.id)
            .limit(MOST)
        ).unique().all()
        calendar = Calendar.new(name=name, prodid="-//enrollment_addon//Schedule//EN")
        for item, standing, changes in rows:
            calendar.add_component(_event(item, Standing(int(standing)), int(changes)))
    if rows:
        first, last = (rows[at][0].starts_at.date() for at in (0, -1))
        calendar.add_missing_timezones(first - dt.timedelta(days=366), last + dt.timedelta(days=366))
    return bytes(calendar.to_ical())


class Standing(IntEnum):
    """What a session is to whom the feed is of: theirs no more, one they wait for, or theirs."""

    off = 0
    waits = 1
    sure = 2


def _subject(
    session: Session, feed: CalendarFeed
) -> tuple[str, ColumnElement[bool], ColumnElement[int], ColumnElement[int]]:
    """Whose feed it is, which sessions are theirs, how they stand to each, and how often that has changed."""
    always = (literal(int(Standing.sure)).label("standing"), literal(1).label("changes"))
    if feed.team_member_id is not None:
        member = session.get_one(TeamMember, feed.team_member_id)
        if not member.active:
            raise NotFound
        return member.name, ScheduledSession.team_member_id == member.id, *always
    if feed.class_group_id is not None:
        group = session.get_one(ClassGroup, feed.class_group_id)
        return group.label, ScheduledSession.class_group_id == group.id, *always
    client = session.get_one(Client, feed.client_id)
    if client.erased_at or client.merged_into_id:
        raise NotFound
    theirs = (Booking.session_id == ScheduledSession.id, Booking.client_id == client.id)
    standing = func.max(
        case(
            (Booking.state.in_(TAKING_A_PLACE), int(Standing.sure)),
            (Booking.state == BookingState.waitlisted, int(Standing.waits)), else_=int(Standing.off),
        )
    )
    # Whatever happens to a booking is on record, and what is on record stays: this number never goes back.
    recorded = select(func.count()).select_from(AuditEvent).join(Booking, Booking.id == AuditEvent.record_id)
    return (
        client.full_name,
        select(Booking.id).where(*theirs).exists(),
        select(standing).where(*theirs).correlate(ScheduledSession).scalar_subquery(),
        recorded.where(AuditEvent.record == "booking", *theirs).correlate(ScheduledSession).scalar_subquery(),
    )


def _event(item: ScheduledSession, standing: Standing, changes: int) -> "Event":
    """A session as an event; its sequence only grows, so that calendars take over every change."""
    from icalendar import Event

    zone = ZoneInfo(item.club.timezone)
    status = _STATUSES[Standing.off if item.status == SessionStatus.cancelled else standing]
    place = ", ".join(part for part in (item.room, item.club.name, item.club.address) if part)
    return Event.new(
        uid=f"session-{item.id}@enrollment-addon", summary=item.label, location=place,
        start=item.starts_at.astimezone(zone), end=item.ends_at.astimezone(zone), stamp=item.updated_at,
        last_modified=item.updated_at, sequence=item.sequence + changes,
        status=status,  # type: ignore[arg-type]
    )


def _require_target(session: Session, kind: FeedKind, target_id: int, actor: Actor) -> None:
    if kind is FeedKind.client:
        client = require(session, Client, target_id)
        if client.erased_at or client.merged_into_id:
            raise ClientClosed
    elif kind is FeedKind.class_group:
        if not require(session, ClassGroup, target_id).keeps_reach(actor):
            raise NotFound
    else:
        require(session, TeamMember, target_id)
        if not actor.sees_everything and actor.team_member_id != target_id:
            raise NotFound


def _record(session: Session, verb: str, kind: FeedKind, target_id: int, actor: Actor) -> None:
    client_id = target_id if kind is FeedKind.client else None
    record_event(session, actor=actor, verb=verb, record=str(kind), record_id=target_id, client_id=client_id)


def _column(kind: FeedKind) -> Any:
    return _feeds.c[f"{kind}_id"]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

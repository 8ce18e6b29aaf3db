"""Double bookings: the same instructor or room in two sessions at once, or those who are booked there."""

import datetime as dt
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, and_, func, or_, select, union
from sqlalchemy.orm import Session

from ...core import clock
from ...core.db import key_list
from ...people.models import TeamMember
from ..calc import TAKING_A_PLACE, SessionStatus
from ..errors import GroupOverlap, Overlap
from ..models import Booking, ClassGroup, ScheduledSession
from .places import bookings, sessions, zone_of

LONGEST = dt.timedelta(hours=24)
"""A session lasts no longer."""
mine = sessions.alias("mine")
SAME_INSTRUCTOR = sessions.c.team_member_id == mine.c.team_member_id
SAME_ROOM = and_(sessions.c.club_id == mine.c.club_id, sessions.c.room == mine.c.room)


def _others(item: ScheduledSession) -> Select[Any]:
    """Scheduled sessions that take place while this one does. Also those out of reach: the room is taken anyway."""
    query = select(sessions.c.starts_at).where(
        sessions.c.status == SessionStatus.scheduled,
        sessions.c.starts_at < item.ends_at, sessions.c.ends_at > item.starts_at,
    )
    return query.where(sessions.c.id != item.id) if item.id is not None else query


def refuse_place_overlap(session: Session, item: ScheduledSession) -> None:
    """Raises: Overlap when the instructor or the room is taken at that time, or somebody booked here is."""
    for who, starts_at in taken_twice(session, item):
        raise Overlap(who=who, at=shown(starts_at, zone_of(session, item.club_id)))
    if item.id is not None:
        here = select(bookings.c.participant_id).where(
            bookings.c.session_id == item.id, bookings.c.state.in_(TAKING_A_PLACE)
        )
        there = _others(item).join(bookings, bookings.c.session_id == sessions.c.id).where(
            bookings.c.participant_id.in_(here), bookings.c.state.in_(TAKING_A_PLACE)
        )
        _refuse(session, item, there, _l("somebody who is booked here"))


def taken_twice(session: Session, item: ScheduledSession) -> list[tuple[str, dt.datetime]]:
    """The instructor and the room of a session by name, as far as they have another one then, and when it begins."""
    asked = []
    if item.team_member_id is not None:
        member = session.get(TeamMember, item.team_member_id)
        there = _others(item).where(sessions.c.team_member_id == item.team_member_id)
        asked.append((member.name if member else "", there))
    if item.room:
        asked.append((item.room, _others(item).where(_same_room(item))))
    return [(who, first) for who, there in asked if (first := _first(session, there)) is not None]


def refuse_group_overlap(session: Session, group: ClassGroup) -> None:
    """Raises: GroupOverlap when the instructor or the room is taken during sessions of a class group to come."""
    to_come = and_(
        mine.c.class_group_id == group.id, mine.c.status == SessionStatus.scheduled, mine.c.starts_at > clock.now()
    )
    for who, same in ((str(group.team_member or ""), SAME_INSTRUCTOR), (group.room or "", SAME_ROOM)):
        first, number = session.connection().execute(
            select(func.min(mine.c.starts_at), func.count(mine.c.id.distinct()))
            .select_from(mine.join(sessions, and_(_meanwhile(), same)))
            .where(to_come)
        ).one()
        if number:
            raise GroupOverlap(who=who, number=number, at=shown(first, zone_of(session, group.club_id)))


def double_booked() -> Select[Any]:
    """The keys of sessions to come whose instructor or room has another one at that time; counts all, in reach or not.

    What is made at night asks nobody: this tells of it.
    """
    found = [_in_turn(sessions.c.team_member_id), _in_turn(sessions.c.club_id, sessions.c.room)]
    return select(union(*found).subquery().c.id)


def _in_turn(*whose: ColumnElement[Any]) -> Select[Any]:
    """The keys of sessions to come that overlap with another one of the same instructor or room.

    Looked at in the order of their starts: some earlier one ends later than this begins, or the next one begins
    before this ends. That is one sort; a join would compare every session with all of its club.
    """
    order: dict[str, Any] = {"partition_by": whose, "order_by": (sessions.c.starts_at, sessions.c.id)}
    row = (
        select(
            sessions.c.id, sessions.c.starts_at, sessions.c.ends_at,
            func.max(sessions.c.ends_at).over(**order, rows=(None, -1)).label("ended"),
            func.lead(sessions.c.starts_at).over(**order).label("next"),
        )
        .where(
            sessions.c.status == SessionStatus.scheduled, sessions.c.starts_at > clock.now() - LONGEST,
            *(column.is_not(None) for column in whose),
        )
        .subquery()
    )
    overlaps = or_(row.c.ended > row.c.starts_at, row.c.next < row.c.ends_at)
    return select(row.c.id).where(row.c.starts_at > clock.now(), overlaps)


def count_double_booked(session: Session) -> int:
    """How many sessions to come are double bookings of an instructor or a room."""
    return session.connection().execute(select(func.count()).select_from(double_booked().subquery())).scalar_one()


def count_double_bookings(session: Session, batch_id: int) -> tuple[int, int]:
    """Of what a closure cancelled: sessions whose instructor or room has something else meanwhile, and places of
    people who are booked elsewhere then."""
    closed = mine.c.closed_by_id == batch_id
    own, others = bookings.alias(), bookings.alias()
    taken = select(func.count(mine.c.id.distinct())).select_from(
        mine.join(sessions, and_(_meanwhile(), or_(SAME_INSTRUCTOR, SAME_ROOM)))
    )
    busy = select(func.count(own.c.id.distinct())).select_from(
        mine.join(own, and_(own.c.session_id == mine.c.id, own.c.closed_by_id == batch_id, own.c.returned.is_not(None)))
        .join(others, and_(others.c.participant_id == own.c.participant_id, others.c.state.in_(TAKING_A_PLACE)))
        .join(sessions, and_(sessions.c.id == others.c.session_id, _meanwhile()))
    )
    connection = session.connection()
    return connection.execute(taken.where(closed)).scalar_one(), connection.execute(busy.where(closed)).scalar_one()


def booked_elsewhere(
    session: Session, item: ScheduledSession, participant_ids: Iterable[int]
) -> dict[int, dt.datetime]:
    """Who of these has a place in another session while this one takes place, and when that begins."""
    there = (
        _others(item)
        .join(bookings, bookings.c.session_id == sessions.c.id)
        .where(
            bookings.c.participant_id.in_(key_list(session, participant_ids)), bookings.c.state.in_(TAKING_A_PLACE)
        )
        .with_only_columns(bookings.c.participant_id, func.min(sessions.c.starts_at))
        .group_by(bookings.c.participant_id)
    )
    return {row[0]: row[1] for row in session.connection().execute(there)}


def refuse_booked_elsewhere(session: Session, booking: Booking, item: ScheduledSession) -> None:
    """Raises: Overlap when a participant who shall have a place has one in another session at that time."""
    at = booked_elsewhere(session, item, [booking.participant_id]).get(booking.participant_id)
    if at is not None:
        raise Overlap(who=booking.participant.name, at=shown(at, zone_of(session, item.club_id)))


def _meanwhile() -> ColumnElement[bool]:
    """Another session takes place while `mine` does. What began longer ago is over: that bounds the search."""
    return and_(
        mine.c.id != sessions.c.id, sessions.c.status == SessionStatus.scheduled,
        sessions.c.starts_at > clock.now() - LONGEST,
        sessions.c.starts_at < mine.c.ends_at, sessions.c.ends_at > mine.c.starts_at,
    )


def _same_room(item: ScheduledSession) -> ColumnElement[bool]:
    return and_(sessions.c.club_id == item.club_id, sessions.c.room == item.room)


def _first(session: Session, there: Select[Any]) -> dt.datetime | None:
    return session.connection().execute(there.order_by(sessions.c.starts_at).limit(1)).scalar()


def _refuse(session: Session, item: ScheduledSession, there: Select[Any], who: Any) -> None:
    starts_at = _first(session, there)
    if starts_at is not None:
        raise Overlap(who=who, at=shown(starts_at, zone_of(session, item.club_id)))


def shown(at: dt.datetime, timezone: str) -> dt.datetime:
    """An instant as a refusal names it, by the club's clock."""
    return at.astimezone(ZoneInfo(timezone))


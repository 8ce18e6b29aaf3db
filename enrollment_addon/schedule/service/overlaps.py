"""Double bookings: the same instructor or room in two sessions at once, or those who are booked there."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import Session

from ...people.models import TeamMember
from ..calc import TAKING_A_PLACE, SessionStatus
from ..errors import Overlap
from ..models import ScheduledSession
from .places import bookings, sessions, zone_of


def _others(item: ScheduledSession) -> Select[Any]:
    """Scheduled sessions that take place while this one does. Also those out of reach: the room is taken anyway."""
    query = select(sessions.c.starts_at).where(
        sessions.c.status == SessionStatus.scheduled,
        sessions.c.starts_at < item.ends_at, sessions.c.ends_at > item.starts_at,
    )
    return query.where(sessions.c.id != item.id) if item.id is not None else query


def refuse_place_overlap(session: Session, item: ScheduledSession) -> None:
    """Raises: Overlap when the instructor or the room is taken at that time, or somebody booked here is."""
    if item.team_member_id is not None:
        member = session.get(TeamMember, item.team_member_id)
        there = _others(item).where(sessions.c.team_member_id == item.team_member_id)
        _refuse(session, item, there, member.name if member else "")
    if item.room:
        _refuse(session, item, _others(item).where(_same_room(item)), item.room)
    if item.id is not None:
        here = select(bookings.c.participant_id).where(
            bookings.c.session_id == item.id, bookings.c.state.in_(TAKING_A_PLACE)
        )
        there = _others(item).join(bookings, bookings.c.session_id == sessions.c.id).where(
            bookings.c.participant_id.in_(here), bookings.c.state.in_(TAKING_A_PLACE)
        )
        _refuse(session, item, there, _l("somebody who is booked here"))


def _same_room(item: ScheduledSession) -> ColumnElement[bool]:
    return and_(sessions.c.club_id == item.club_id, sessions.c.room == item.room)


def _refuse(session: Session, item: ScheduledSession, there: Select[Any], who: Any) -> None:
    starts_at: dt.datetime | None = session.connection().execute(there.order_by(sessions.c.starts_at).limit(1)).scalar()
    if starts_at is not None:
        raise Overlap(who=who, at=shown(starts_at, zone_of(session, item.club_id)))


def shown(at: dt.datetime, timezone: str) -> str:
    """An instant as a refusal names it, by the club's clock."""
    return at.astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M")


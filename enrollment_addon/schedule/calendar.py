"""What the calendar shows of a range of days: sessions as plain rows, in a bounded number of queries."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..catalog.models import EventType
from ..core.errors import InvalidInput
from ..core.scope import Actor
from ..core.translations import text_for_reader
from ..people.models import Club, TeamMember
from .calc import SessionStatus
from .models import ClassGroup, ScheduledSession, theirs
from .queries import between_days, taken_of

LONGEST_RANGE = dt.timedelta(days=62)
"""A month's view shows up to six weeks."""
MOST = 6_000


class Shown(NamedTuple):
    """A session as the calendar shows it; `starts` and `ends` are by the clock of its club. `own`: it is the
    actor's to change."""

    id: int
    title: str
    starts: dt.datetime
    ends: dt.datetime
    status: SessionStatus
    colour: str | None
    club: str
    instructor: str
    room: str
    capacity: int
    booked: int
    waiting: int
    own: bool


def shown_between(
    session: Session, first: dt.date, after: dt.date, *, actor: Actor, club_id: int | None = None,
    team_member_id: int | None = None, category_id: int | None = None,
) -> list[Shown]:
    """The sessions from one day on and before another that the actor reaches, the earliest first.

    Raises: InvalidInput for a range that is empty or too long, or more sessions than a page can show.
    """
    if not dt.timedelta() < after - first <= LONGEST_RANGE:
        raise InvalidInput(_l("The calendar shows 1 to %(most)s days at once."), most=LONGEST_RANGE.days)
    statement = _rows(actor).where(between_days(session, first, after))
    for column, key in (
        (ScheduledSession.club_id, club_id), (ScheduledSession.team_member_id, team_member_id),
        (ClassGroup.category_id, category_id),
    ):
        if key is not None:
            statement = statement.where(column == key)
    rows = session.execute(
        statement.order_by(ScheduledSession.starts_at, ScheduledSession.id).limit(MOST + 1)
    ).all()
    if len(rows) > MOST:
        raise InvalidInput(_l("There are more than %(most)s sessions in this view. Please filter it."), most=MOST)
    types = {item.id: item for item in session.scalars(select(EventType))}
    taken = taken_of(session, [row.id for row in rows])
    return [_shown(row, _title(session, row, types), types[row.event_type_id], taken.get(row.id)) for row in rows]


def _title(session: Session, row: Any, types: Mapping[int, EventType]) -> str:
    """The class group, or the kind of appointment, in the reader's language."""
    if row.class_group_id is None:
        return types[row.event_type_id].label
    return text_for_reader(session, ClassGroup.__tablename__, row.class_group_id, "name") or row.group_name


def _rows(actor: Actor) -> Any:
    return (
        select(
            ScheduledSession.id, ScheduledSession.starts_at, ScheduledSession.ends_at, ScheduledSession.status,
            ScheduledSession.event_type_id, ScheduledSession.class_group_id, ScheduledSession.room,
            ScheduledSession.capacity,
            ClassGroup.name.label("group_name"), ClassGroup.colour, Club.name.label("club"), Club.timezone,
            TeamMember.name.label("instructor"), theirs(ScheduledSession, actor).label("own"),
        )
        .join(Club, Club.id == ScheduledSession.club_id)
        .join(ClassGroup, ClassGroup.id == ScheduledSession.class_group_id, isouter=True)
        .join(TeamMember, TeamMember.id == ScheduledSession.team_member_id, isouter=True)
    )


def _shown(row: Any, title: str, event_type: EventType, taken: Any) -> Shown:
    zone = ZoneInfo(row.timezone)
    return Shown(
        id=row.id, title=title,
        starts=row.starts_at.astimezone(zone), ends=row.ends_at.astimezone(zone),
        status=SessionStatus(row.status), colour=row.colour or event_type.colour, club=row.club,
        instructor=row.instructor or "", room=row.room or "", capacity=row.capacity,
        booked=taken.booked if taken else 0, waiting=taken.waiting if taken else 0,
        own=bool(row.own),
    )

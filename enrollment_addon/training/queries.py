"""Reads of training reports."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select, tuple_
from sqlalchemy.orm import Session, joinedload, lazyload, selectinload

from ..core import clock
from ..core.db import User
from ..enrollments.models import Enrollment
from ..people.models import Client, Participant, TeamMember
from ..schedule.calc import TAKING_A_PLACE
from ..schedule.models import Booking, ClassGroup, ScheduledSession
from .models import Skill, SkillRating, TrainingReport

MOST_CHOICES = 25
"""So many sessions and so many enrollments are offered for a new report."""

_SESSION = (
    joinedload(ScheduledSession.group).options(lazyload(ClassGroup.slots)),
    joinedload(ScheduledSession.event_type), joinedload(ScheduledSession.club),
)
LISTED = (
    joinedload(TrainingReport.client).joinedload(Client.club),
    joinedload(TrainingReport.participant),
    joinedload(TrainingReport.session).options(*_SESSION),
    joinedload(TrainingReport.enrollment).joinedload(Enrollment.package),
)
"""What a line about a report tells, loaded for many at once."""
SHOWN = (*LISTED, selectinload(TrainingReport.ratings).joinedload(SkillRating.skill))
"""What pages show of a report."""


class Subject(NamedTuple):
    """What a report may be about: a participant in a session, or in the course of an enrollment."""

    participant: Participant
    session: ScheduledSession | None = None
    enrollment: Enrollment | None = None


def active_skills(session: Session, also: Iterable[int] = ()) -> Sequence[Skill]:
    """What new reports rate, by name; `also`: keys of others that a report has rated already."""
    return session.scalars(
        select(Skill).where(or_(Skill.active, Skill.id.in_(list(also)))).order_by(Skill.name, Skill.id)
    ).all()


def reports_of(
    session: Session, *, client_id: int | None = None, enrollment_id: int | None = None, limit: int
) -> Sequence[TrainingReport]:
    """The last reports on a client, or on an enrollment, the newest first."""
    statement = select(TrainingReport).options(*LISTED).limit(limit)
    if client_id is not None:
        statement = statement.where(TrainingReport.client_id == client_id)
    if enrollment_id is not None:
        statement = statement.where(TrainingReport.enrollment_id == enrollment_id)
    newest = (TrainingReport.held_on.desc(), TrainingReport.id.desc())
    return session.scalars(statement.order_by(*newest)).unique().all()


def shared_reports(session: Session, client_id: int, limit: int) -> Sequence[TrainingReport]:
    """The last reports that a client may see, with their ratings, the newest first."""
    return session.scalars(
        select(TrainingReport)
        .where(TrainingReport.client_id == client_id, TrainingReport.visible_to_client)
        .options(*SHOWN)
        .order_by(TrainingReport.held_on.desc(), TrainingReport.id.desc())
        .limit(limit)
    ).unique().all()


def author_names(session: Session, reports: Iterable[TrainingReport]) -> dict[int, str]:
    """Who wrote these reports, by user key: as clients know them, else by the name of the account."""
    wanted = {report.author_id for report in reports if report.author_id is not None}
    if not wanted:
        return {}
    rows = session.execute(
        select(User.id, User.first_name, User.last_name, TeamMember.name.label("known_as"))
        .outerjoin(TeamMember, TeamMember.user_id == User.id)
        .where(User.id.in_(wanted))
    )
    return {row.id: row.known_as or f"{row.first_name} {row.last_name}".strip() for row in rows}


def session_subjects(
    session: Session, client_id: int, asked: tuple[int, int] | None = None
) -> list[Subject]:
    """The last sessions that participants of a client had a place in; first the one `asked` for, if they had.

    `asked`: keys of a session, which may also be still to come, and of a participant.
    """
    statement = (
        select(Booking)
        .join(ScheduledSession, ScheduledSession.id == Booking.session_id)
        .where(Booking.client_id == client_id, Booking.state.in_(TAKING_A_PLACE))
        .options(joinedload(Booking.participant), joinedload(Booking.session).options(*_SESSION))
        .order_by(ScheduledSession.starts_at.desc(), Booking.id.desc())
        .limit(MOST_CHOICES)
    )
    found = list(session.scalars(statement.where(ScheduledSession.starts_at <= clock.now())).unique())
    if asked is not None:
        named = tuple_(Booking.session_id, Booking.participant_id).in_([asked])
        first = list(session.scalars(statement.where(named)).unique())
        found = first + [booking for booking in found if booking not in first]
    return [Subject(booking.participant, session=booking.session) for booking in found]


def enrollment_subjects(
    session: Session, client_id: int, asked: int | None = None
) -> list[Subject]:
    """The newest enrollments of a client, one for each participant it may be for; first the one `asked` for."""
    statement = (
        select(Enrollment)
        .where(Enrollment.client_id == client_id, Enrollment.deleted_at.is_(None))
        .options(joinedload(Enrollment.package))
        .order_by(Enrollment.id.desc())
        .limit(MOST_CHOICES)
    )
    found = list(session.scalars(statement).unique())
    if asked is not None:
        first = list(session.scalars(statement.where(Enrollment.id == asked)).unique())
        found = first + [item for item in found if item not in first]
    persons = session.scalars(
        select(Participant).where(Participant.client_id == client_id).order_by(Participant.id)
    ).all()
    return [
        Subject(person, enrollment=item)
        for item in found for person in persons if item.participant_id in (None, person.id)
    ]


def day_of(item: ScheduledSession) -> dt.date:
    """The day of a session, by its club's clock."""
    return item.starts_at.astimezone(ZoneInfo(item.club.timezone)).date()


def exported(session: Session, client_ids: Sequence[int]) -> list[dict[str, Any]]:
    """All that the reports on these clients say, those made visible and the others."""
    reports = session.scalars(
        select(TrainingReport)
        .where(TrainingReport.client_id.in_(client_ids))
        .options(selectinload(TrainingReport.ratings).joinedload(SkillRating.skill))
        .order_by(TrainingReport.id)
    ).all()
    columns = [column.key for column in TrainingReport.__table__.c]
    return [
        {
            **{name: getattr(report, name) for name in columns},
            "ratings": {rating.skill.name: rating.rating for rating in report.ratings},
        }
        for report in reports
    ]

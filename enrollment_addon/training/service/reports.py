"""The verbs on training reports."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.db import require
from ...core.errors import InvalidInput, NotFound
from ...core.fields import LARGEST_KEY, REQUIRED, Wrong, clean, date, flag, key, text
from ...core.scope import Actor
from ...enrollments.models import Enrollment
from ...people.errors import ClientClosed
from ...people.models import Client, Participant
from ...schedule.calc import TAKING_A_PLACE
from ...schedule.models import Booking, ScheduledSession
from .. import queries
from ..models import SkillRating, TrainingReport

EARLIEST = dt.date(2000, 1, 1)
LONGEST = 10_000


def _latest() -> dt.date:
    """Today where the day begins first."""
    return clock.today("Pacific/Kiritimati")


def _day(value: Any) -> dt.date:
    if value is None:
        raise Wrong(REQUIRED)
    day: dt.date = date(EARLIEST, _latest)(value)
    return day


def _ratings(value: Any) -> dict[int, int]:
    """Ratings by the key of the skill; what has none is left out."""
    if not isinstance(value, Mapping):
        raise Wrong(_l("Give the ratings by skill."))
    rated = {skill: rating for skill, rating in value.items() if rating is not None}
    keys_fit = all(isinstance(skill, int) and 1 <= skill <= LARGEST_KEY for skill in rated)
    if not keys_fit or any(type(rating) is not int or not 1 <= rating <= 5 for rating in rated.values()):
        raise Wrong(_l("A rating is a whole number from 1 to 5."))
    return rated


_ABOUT = {"participant_id": key(required=True), "session_id": key(), "enrollment_id": key()}
_CONTENTS = {
    "held_on": _day,
    "worked_on": text(LONGEST, required=True, lines=True),
    "homework": text(LONGEST, lines=True),
    "goals": text(LONGEST, lines=True),
    "visible_to_client": flag,
    "ratings": _ratings,
}


def write_training_report(session: Session, *, actor: Actor, **fields: Any) -> TrainingReport:
    """Add a report on a participant, about a session they had a place in, an enrollment, or both.

    Without a day it is the session's, or today. A session that was booked with an enrollment counts for that
    one. Raises: InvalidInput, NotFound, ClientClosed.
    """
    values = clean(fields, {**_ABOUT, **_CONTENTS}, required=("participant_id", "worked_on"))
    ratings = values.pop("ratings", {})
    participant = require(session, Participant, values["participant_id"])
    client = _open_client(session, participant.client_id)
    item, enrollment_id = _attended(session, participant, values.pop("session_id", None))
    enrollment_id = _enrolled(session, participant, values.pop("enrollment_id", None)) or enrollment_id
    if item is None and enrollment_id is None:
        raise InvalidInput(fields={"session_id": _l("Choose the session or the enrollment that this is about.")})
    values.setdefault("held_on", queries.day_of(item) if item else clock.today(client.club.timezone))
    report = TrainingReport(
        client_id=client.id, session_id=item.id if item else None, enrollment_id=enrollment_id,
        author_id=actor.user_id, **values,
    )
    _rate(session, report, ratings)
    session.add(report)
    session.flush()
    _note(session, actor, "write_training_report", report)
    return report


def update_training_report(
    session: Session, *, id: int, actor: Actor, **changed_fields: Any
) -> TrainingReport:
    """Change what a report says; fields not named stay, ratings are replaced by those given.

    Author and what it is about stay. Raises: NotFound, InvalidInput, ClientClosed.
    """
    report = require(session, TrainingReport, id)
    values = clean(changed_fields, _CONTENTS)
    _open_client(session, report.client_id)
    if (ratings := values.pop("ratings", None)) is not None:
        _rate(session, report, ratings)
    for name, value in values.items():
        setattr(report, name, value)
    session.flush()
    _note(session, actor, "update_training_report", report, fields=sorted(changed_fields))
    return report


def delete_training_report(session: Session, *, id: int, actor: Actor) -> None:
    """Remove a report. Raises: NotFound, ClientClosed."""
    report = require(session, TrainingReport, id, lock=True)
    _open_client(session, report.client_id)
    session.delete(report)
    session.flush()
    _note(session, actor, "delete_training_report", report)


def _open_client(session: Session, client_id: int) -> Client:
    client = require(session, Client, client_id, lock=True)
    if client.erased_at or client.merged_into_id:
        raise ClientClosed
    return client


def _attended(
    session: Session, participant: Participant, session_id: int | None
) -> tuple[ScheduledSession | None, int | None]:
    """The session a report is about, and the enrollment that the participant's place in it was booked with."""
    if session_id is None:
        return None, None
    item = require(session, ScheduledSession, session_id)
    booking = session.scalars(
        select(Booking).where(
            Booking.session_id == item.id, Booking.participant_id == participant.id,
            Booking.state.in_(TAKING_A_PLACE),
        )
    ).first()
    if booking is None:
        told = _l("%(name)s has no place in this session.", name=participant.name)
        raise InvalidInput(fields={"session_id": told})
    return item, booking.enrollment_id


def _enrolled(session: Session, participant: Participant, enrollment_id: int | None) -> int | None:
    if enrollment_id is None:
        return None
    enrollment = require(session, Enrollment, enrollment_id)
    if enrollment.deleted_at is not None:
        raise NotFound
    same_client = enrollment.client_id == participant.client_id
    if not same_client or enrollment.participant_id not in (None, participant.id):
        told = _l("This enrollment is not for %(name)s.", name=participant.name)
        raise InvalidInput(fields={"enrollment_id": told})
    return enrollment.id


def _rate(session: Session, report: TrainingReport, ratings: Mapping[int, int]) -> None:
    """Replace the ratings. Skills that are no longer in use can only be rated where they were already."""
    before = {rating.skill_id: rating for rating in report.ratings}
    known = {skill.id for skill in queries.active_skills(session, before)}
    if not set(ratings) <= known:
        raise InvalidInput(fields={"ratings": _l("One of these skills does not exist or is no longer in use.")})
    for skill_id, rating in ratings.items():
        if skill_id in before:
            before[skill_id].rating = rating
        else:
            report.ratings.append(SkillRating(skill_id=skill_id, rating=rating))
    for skill_id in set(before) - set(ratings):
        report.ratings.remove(before[skill_id])


def _note(session: Session, actor: Actor, verb: str, report: TrainingReport, **details: Any) -> None:
    record_event(
        session, actor=actor, verb=verb, record="training_report", record_id=report.id, client_id=report.client_id,
        participant_id=report.participant_id, session_id=report.session_id, enrollment_id=report.enrollment_id,
        **details,
    )

"""Training reports of the demonstration: on enrollments as they go on, and on classes that took place."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select

from ..enrollments.models import Enrollment
from ..people.models import Participant
from ..schedule.calc import BookingState
from ..schedule.models import Booking, ScheduledSession
from ..training import service as training

if TYPE_CHECKING:
    from .data import Demo

MOST = 4
"""Enrollments of a club with reports, and classes' participants with one."""
SKILLS: Sequence[tuple[str, dict[str, str]]] = (
    ("Balance", {"es": "Equilibrio", "fr": "Équilibre", "de": "Gleichgewicht", "ar": "التوازن"}),
    ("Endurance", {"es": "Resistencia", "fr": "Endurance", "de": "Ausdauer", "ar": "التحمل"}),
    ("Technique", {"es": "Técnica", "fr": "Technique", "de": "Technik", "ar": "التقنية"}),
    ("Concentration", {"es": "Concentración", "fr": "Concentration", "de": "Konzentration", "ar": "التركيز"}),
)
REPORTS: Sequence[tuple[str, str | None, str | None]] = (
    ("Posture and breathing.", "Five minutes of breathing every evening.", "Ten minutes without a break."),
    ("Slow repetitions, first with help and then alone.", "Twice through, slowly.", "The whole sequence by heart."),
    ("Warming up together; then each at their own pace.", None, "A little faster every week."),
    ("What was hard last time went well today.", "Keep the order of the steps.", None),
)
"""What was worked on, homework, next goals."""


def add_training(demo: "Demo") -> None:
    """Skills, two reports on each of some enrollments, and one on some of those who came to a class."""
    with demo.days_ago(100):
        skills = [
            training.create_skill(demo.session, name=name, translations={"name": names}, actor=demo.actor).id
            for name, names in SKILLS
        ]
    for club_id in demo.club_ids:
        enrolled = _people_enrolled(demo, club_id)
        for days in (30, 9):
            with demo.days_ago(days):
                for participant_id, enrollment_id in enrolled:
                    _write(demo, skills, participant_id, enrollment_id=enrollment_id)
        with demo.days_ago(0):
            for participant_id, session_id in _people_who_came(demo, club_id):
                _write(demo, skills, participant_id, session_id=session_id)


def _people_enrolled(demo: "Demo", club_id: int) -> list[tuple[int, int]]:
    """Participants and their enrollments."""
    rows = demo.session.execute(
        select(Participant.id, Enrollment.id)
        .join(Enrollment, Enrollment.client_id == Participant.client_id)
        .where(Enrollment.club_id == club_id, Enrollment.deleted_at.is_(None), Enrollment.renewed_from_id.is_(None))
        .order_by(Enrollment.id, Participant.id)
    )
    first = {enrollment_id: participant_id for participant_id, enrollment_id in reversed(rows.all())}
    return sorted((participant_id, enrollment_id) for enrollment_id, participant_id in first.items())[:MOST]


def _people_who_came(demo: "Demo", club_id: int) -> list[tuple[int, int]]:
    """Participants and the sessions they came to, the last ones first."""
    rows = demo.session.execute(
        select(Booking.participant_id, Booking.session_id)
        .join(ScheduledSession, ScheduledSession.id == Booking.session_id)
        .where(ScheduledSession.club_id == club_id, Booking.state == BookingState.attended)
        .order_by(ScheduledSession.starts_at.desc(), Booking.id)
        .limit(MOST)
    )
    return [(row.participant_id, row.session_id) for row in rows]


def _write(demo: "Demo", skills: Sequence[int], participant_id: int, **about: int) -> None:
    worked_on, homework, goals = demo.chance.choice(REPORTS)
    training.write_training_report(
        demo.session, participant_id=participant_id, worked_on=worked_on, homework=homework, goals=goals,
        visible_to_client=demo.probably(70), actor=demo.actor, **about,
        ratings={key: demo.chance.randint(2, 5) for key in demo.chance.sample(skills, 3)},
    )

"""A family that trains: a place in a session of last week, a package, and two skills."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.orm import Session

from enrollment_addon.catalog.models import Package
from enrollment_addon.enrollments.models import Enrollment
from enrollment_addon.people.models import ParticipantKind
from enrollment_addon.schedule.calc import BookingState, Pays, SessionKind
from enrollment_addon.schedule.models import Booking, ScheduledSession
from enrollment_addon.training.models import Skill
from tests import factories

AT = dt.datetime(2026, 3, 2, 23, 30, tzinfo=dt.UTC)
"""When the session took place; in Berlin that was the day after."""
DAY = dt.date(2026, 3, 3)


def make_session(session: Session, club: Any, event_type: Any, at: dt.datetime = AT) -> ScheduledSession:
    item = ScheduledSession(
        kind=SessionKind.appointment, event_type_id=event_type.id, club_id=club.id, starts_at=at,
        ends_at=at + dt.timedelta(hours=1),
    )
    session.add(item)
    session.flush()
    return item


def make_booking(session: Session, item: ScheduledSession, participant: Any, **over: Any) -> Booking:
    values = {"state": BookingState.attended, "live": True, "pays": Pays.nothing, **over}
    booking = Booking(
        client_id=participant.client_id, participant_id=participant.id, session_id=item.id, **values
    )
    session.add(booking)
    session.flush()
    return booking


def make_enrollment(session: Session, client: Any, package: Any, **over: Any) -> Enrollment:
    values = {
        "client_id": client.id, "club_id": client.club_id, "package_id": package.id,
        "event_type_id": package.event_type_id, "total": 10, "price": 10_000, "currency": "EUR",
        "begins_on": dt.date(2026, 3, 1), **over,
    }
    item = Enrollment(**values)
    session.add(item)
    session.flush()
    return item


def make_package(session: Session, event_type: Any) -> Package:
    package = Package(name="Ten lessons", event_type_id=event_type.id, sessions=10, price=10_000, currency="EUR")
    session.add(package)
    session.flush()
    return package


@dataclass(frozen=True)
class Family:
    """Keys of what is there: Mia and her brother Leo train, Ann looks after them and trains herself."""

    club: int
    client: int
    ann: int
    mia: int
    leo: int
    session: int
    enrollment: int
    balance: int
    recall: int


def make_family(session: Session, **client: Any) -> Family:
    """Mia had a place in a session, booked with the enrollment that is hers; Leo and Ann have nothing yet."""
    club = factories.make_club(session)
    person = factories.make_client(session, **{"club": club, "first_name": "Ann", "last_name": "Archer", **client})
    ann = factories.make_participant(session, person, kind=ParticipantKind.self, name="Ann Archer")
    mia, leo = (factories.make_participant(session, person, name=name) for name in ("Mia", "Leo"))
    riding = factories.make_event_type(session)
    enrollment = make_enrollment(session, person, make_package(session, riding), participant_id=mia.id)
    item = make_session(session, club, riding)
    make_booking(session, item, mia, pays=Pays.enrollment, enrollment_id=enrollment.id)
    skills = [Skill(name=f"{name} {item.id}") for name in ("Balance", "Recall")]
    session.add_all(skills)
    session.flush()
    return Family(
        club.id, person.id, ann.id, mia.id, leo.id, item.id, enrollment.id, skills[0].id, skills[1].id
    )


@pytest.fixture
def family(session: Session) -> Family:
    made = make_family(session)
    session.commit()
    return made



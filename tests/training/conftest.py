"""A family that trains: a place in a session of last week, a package, and two skills."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.orm import Session

from enrollment_addon.people.models import ParticipantKind
from enrollment_addon.schedule.calc import Pays
from tests import factories

AT = dt.datetime(2026, 3, 2, 23, 30, tzinfo=dt.UTC)
"""When the session took place; in Berlin that was the day after."""
DAY = dt.date(2026, 3, 3)


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
    package = factories.make_package(session, riding)
    enrollment = factories.make_enrollment(session, person, package, participant_id=mia.id)
    item = factories.make_session(session, club, riding, starts_at=AT)
    factories.make_booking(session, item, mia, pays=Pays.enrollment, enrollment_id=enrollment.id)
    balance, recall = (factories.make_skill(session) for _ in range(2))
    return Family(
        club.id, person.id, ann.id, mia.id, leo.id, item.id, enrollment.id, balance.id, recall.id
    )


@pytest.fixture
def family(session: Session) -> Family:
    made = make_family(session)
    session.commit()
    return made



"""A small studio with a timetable for the tests of the schedule."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits.models import CreditBalance, CreditLot
from enrollment_addon.credits.service import check_ledger
from enrollment_addon.notices.models import Notice
from enrollment_addon.people.models import ParticipantKind
from enrollment_addon.schedule import hooks, service
from enrollment_addon.schedule.calc import BookingState, Policy
from enrollment_addon.schedule.models import Booking, ScheduledSession
from tests import factories

MONDAY = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
"""The morning on which every story begins, in Berlin 10 o'clock."""


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    """Time stands still, and the deployment has decided nothing of its own."""
    hooks.use_policy(Policy())
    with clock.frozen(MONDAY):
        yield
    hooks.use_policy(Policy())


class Studio:
    """One club, one kind of class, and short ways to act on them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        with unit_of_work(session):
            self.club = factories.make_club(session, timezone="Europe/Berlin")
            self.yoga = factories.make_event_type(session, name="Yoga")
            self.trainer = factories.make_team_member(session)
        self.club_id, self.yoga_id, self.trainer_id = self.club.id, self.yoga.id, self.trainer.id

    def group(self, **over: Any) -> int:
        """A class on Wednesdays at 18:00; its key."""
        fields = {
            "name": "Evening yoga", "club_id": self.club_id, "event_type_id": self.yoga_id, "capacity": 10,
            "slots": [{"weekday": 2, "starts_at_time": dt.time(18), "duration_minutes": 60}], **over,
        }
        with unit_of_work(self.session):
            return service.create_class_group(self.session, actor=SYSTEM, **fields).id

    def sessions(self, group_id: int) -> list[ScheduledSession]:
        return list(
            self.session.scalars(
                select(ScheduledSession)
                .where(ScheduledSession.class_group_id == group_id)
                .order_by(ScheduledSession.starts_at)
                .execution_options(populate_existing=True)
            )
        )

    def client(self, credits: int = 0, **over: Any) -> int:
        """A client who takes part themself, with so many credits of one lot."""
        lot = over.pop("lot", {})
        with unit_of_work(self.session):
            client = factories.make_client(self.session, **{"club_id": self.club_id, **over})
            factories.make_participant(self.session, client, kind=ParticipantKind.self, name=client.full_name)
            if credits:
                factories.make_lot(self.session, client, self.yoga, quantity=credits, **lot)
            return client.id

    def book(self, client_id: int, session_id: int, **over: Any) -> Booking:
        with unit_of_work(self.session):
            return service.book(
                self.session, **{"client_id": client_id, "session_id": session_id, "actor": SYSTEM, **over}
            )

    def cancel(self, booking_id: int, **over: Any) -> dict[str, Any]:
        with unit_of_work(self.session):
            return service.cancel_booking(self.session, **{"booking_id": booking_id, "actor": SYSTEM, **over})

    def attend(self, booking_id: int, state: str = "attended") -> Booking:
        with unit_of_work(self.session):
            return service.record_attendance(self.session, booking_id=booking_id, state=state, actor=SYSTEM)

    def do(self, verb: str, **asked: Any) -> Any:
        with unit_of_work(self.session):
            return getattr(service, verb)(self.session, **{"actor": SYSTEM, **asked})

    def credits(self, client_id: int) -> tuple[int, int, int]:
        """Available, reserved and used credits of a client; the ledger adds up."""
        balance = self.session.get(CreditBalance, (client_id, self.yoga_id), populate_existing=True)
        assert balance is not None
        with unit_of_work(self.session):
            assert list(check_ledger(self.session)) == []
        return balance.available, balance.reserved, balance.used

    def expiry(self, client_id: int) -> dt.date | None:
        statement = select(CreditLot.expires_on).where(CreditLot.client_id == client_id).order_by(CreditLot.id)
        return self.session.execute(statement).scalars().first()

    def state(self, booking_id: int) -> BookingState:
        found = self.session.get(Booking, booking_id, populate_existing=True)
        assert found is not None
        return BookingState(found.state)

    @contextmanager
    def later(self, **by: int) -> Iterator[None]:
        with clock.frozen(clock.now() + dt.timedelta(**by)):
            yield

    def told(self) -> list[tuple[str, int]]:
        """The notices to clients so far: what about, and whom."""
        found = self.session.execute(select(Notice.kind, Notice.client_id).order_by(Notice.id))
        return [(str(kind), client_id) for kind, client_id in found]

    def decide(self, **policy: Any) -> None:
        hooks.use_policy(replace(hooks.policy(), **policy))


@pytest.fixture
def studio(session: Session) -> Studio:
    return Studio(session)

"""An enrollment of four paid sessions in a small studio, and short ways to act on it."""

import datetime as dt
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy.orm import Session

from enrollment_addon.billing import service as billing
from enrollment_addon.core import clock
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits import hooks as credits
from enrollment_addon.enrollments import people_hooks, queries, service
from enrollment_addon.enrollments.models import Enrollment
from enrollment_addon.schedule import hooks
from enrollment_addon.schedule import service as schedule
from enrollment_addon.schedule.calc import Pays, PayWith
from enrollment_addon.schedule.models import Booking
from tests import factories

NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
LIMITS = service.PauseLimits(4, 90)


@pytest.fixture
def plugged(session: Session) -> Iterator[None]:
    """The hooks as the wiring sets them, and the clock on a Monday morning."""
    hooks.register_enrollment_guard("enrollments", service.guard_booking)
    hooks.register_after_attendance("enrollments", partial(service.settle_attendance, complete=True))
    credits.register_after_expiry("enrollments", service.follow_expiry)
    credits.register_after_void("enrollments", service.tell_voided)
    credits.register_give_back("enrollments", service.have_ended, service.tell_given_back)
    people_hooks.plug_in()
    with clock.frozen(NOW):
        yield


@pytest.fixture
def sold(session: Session, plugged: None) -> Enrollment:
    """Four sessions for 100 euros, paid, for Kim; and a session on each of the next ten days."""
    club = factories.make_club(session, timezone="UTC")
    client = factories.make_client(session, club=club)
    kim = factories.make_participant(session, client)
    package = factories.make_package(session, factories.make_event_type(session), sessions=4, valid_days=30)
    item = service.create_enrollment(
        session, client_id=client.id, package_id=package.id, participant_id=kim.id, actor=SYSTEM
    )
    billing.take_payment(session, client_id=client.id, amount=10_000, method="cash", actor=SYSTEM)
    return item


def book(session: Session, item: Enrollment, days: int, **over: Any) -> Booking:
    """A place in a session so many days from now, paid by the enrollment."""
    assert item.event_type
    held = factories.make_session(
        session, item.club, item.event_type, starts_at=NOW + dt.timedelta(days=days), capacity=5
    )
    asked: dict[str, Any] = {"client_id": item.client_id, "participant_id": item.participant_id, "session_id": held.id}
    asked["pay_with"] = PayWith(Pays.enrollment, enrollment_id=item.id)
    return schedule.book(session, **{**asked, **over}, actor=SYSTEM)


def figures(session: Session, item: Enrollment) -> tuple[str, int, int, int]:
    counts = queries.counts_of(session, item.id)
    return str(item.status), counts.used, counts.reserved, counts.remaining

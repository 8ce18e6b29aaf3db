"""What the verbs on credits do to an enrollment whose sessions they are."""

import datetime as dt

import pytest
from sqlalchemy.orm import Session

from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits import service as credits
from enrollment_addon.credits.models import CreditLot, Origin
from enrollment_addon.enrollments import queries, service
from enrollment_addon.enrollments.calc import Refund
from enrollment_addon.enrollments.models import Enrollment
from enrollment_addon.schedule import service as schedule
from tests.enrollments.conftest import LIMITS, NOW, book, figures

pytestmark = pytest.mark.databases("sqlite")
TODAY = NOW.date()


def test_the_end_follows_the_last_sessions_that_are_left(session: Session, sold: Enrollment) -> None:
    end = sold.ends_on
    assert end is not None
    lots = queries.lot_ids(session, sold.id)
    booked = book(session, sold, 2)
    closed = schedule.close_sessions(
        session, session_ids=[booked.session_id], extend_days=7, reason="Storm", threshold=100, actor=SYSTEM
    )
    assert sold.ends_on == end + dt.timedelta(days=7)
    service.pause_enrollment(
        session, enrollment_id=sold.id, ends_on=TODAY + dt.timedelta(days=2), limits=LIMITS, actor=SYSTEM
    )
    assert sold.ends_on == end + dt.timedelta(days=10)
    service.resume_enrollment(session, enrollment_id=sold.id, actor=SYSTEM)
    schedule.undo_closure(session, batch_id=closed["batch_id"], reason="No storm", threshold=100, actor=SYSTEM)
    assert sold.ends_on == end

    later = TODAY + dt.timedelta(days=100)
    credits.extend_lots(session, lot_ids=lots, expires_on=later, reason="Broken leg", actor=SYSTEM)
    assert sold.ends_on == later
    service.update_sessions(session, enrollment_id=sold.id, total=5, actor=SYSTEM)
    service.cancel_enrollment(session, enrollment_id=sold.id, refund=Refund.none, actor=SYSTEM)
    service.undo_enrollment(session, enrollment_id=sold.id, reason="She stays", actor=SYSTEM)
    renewal = service.renew_enrollment(session, enrollment_id=sold.id, actor=SYSTEM)
    assert renewal.begins_on == later + dt.timedelta(days=1)
    left = session.get_one(CreditLot, queries.lot_ids(session, sold.id)[-1])
    assert (left.available, left.expires_on) == (5, later)
    credits.extend_lots(session, lot_ids=[left.id], expires_on=None, reason="Loyal", actor=SYSTEM)
    assert sold.ends_on is None
    credits.extend_lots(session, lot_ids=[left.id], expires_on=TODAY, reason="Tidied up", actor=SYSTEM)
    assert sold.ends_on == TODAY
    soon = service.create_enrollment(
        session, client_id=sold.client_id, package_id=sold.package_id or 0, begins_on=later, actor=SYSTEM
    )
    credits.extend_lots(
        session, lot_ids=queries.lot_ids(session, soon.id), expires_on=TODAY, reason="Mistyped", actor=SYSTEM
    )
    assert soon.ends_on == later, "never before it begins"


def test_sessions_voided_as_credits_are_told_in_the_history(session: Session, sold: Enrollment) -> None:
    book(session, sold, 2)
    credits.void_lots(session, lot_ids=queries.lot_ids(session, sold.id), reason="Unpaid", actor=SYSTEM)
    assert figures(session, sold) == ("active", 0, 1, 0)
    told = queries.history(session, sold.id)[0]
    assert (told.verb, told.reason, told.details) == ("void_session_credits", "Unpaid", {"voided": 3})
    service.complete_enrollment(session, enrollment_id=sold.id, actor=SYSTEM)
    assert service.undo_plan(session, enrollment_id=sold.id).sessions == 0


@pytest.mark.databases("sqlite")
def test_voided_sessions_come_back_unless_the_enrollment_has_ended_early(session: Session, sold: Enrollment) -> None:
    sizes = {"threshold": 500, "chunk": 100}
    credits.open_lot(
        session, client_id=sold.client_id, event_type_id=sold.event_type_id, quantity=1, expires_on=None,
        origin=Origin.enrollment, unit_value=0, currency="EUR", enrollment_id=sold.id, actor=SYSTEM,
    )
    made = credits.void_lots(session, lot_ids=queries.lot_ids(session, sold.id), reason="Unpaid", actor=SYSTEM)
    credits.undo_batch(session, batch_id=made["batch_id"], reason="Paid", actor=SYSTEM, **sizes)
    told = queries.history(session, sold.id)[0]
    assert (told.verb, told.reason, told.details) == ("undo_void_session_credits", "Paid", {"sessions": 5})
    assert figures(session, sold)[1:] == (0, 0, 5)
    again = credits.void_lots(session, lot_ids=queries.lot_ids(session, sold.id), reason="Unpaid", actor=SYSTEM)
    service.cancel_enrollment(session, enrollment_id=sold.id, refund=Refund.none, actor=SYSTEM)
    plan = credits.undo_plan(session, batch_id=again["batch_id"], actor=SYSTEM)
    assert (plan.credits, plan.taken_back, plan.closed) == (5, 0, 5)
    done = credits.undo_batch(session, batch_id=again["batch_id"], reason="Paid", actor=SYSTEM, **sizes)
    assert (done["taken_back"], figures(session, sold)[1:]) == (0, (0, 0, 0))

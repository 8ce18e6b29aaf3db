"""Enrollments and the schedule: what can be booked, and what attendance, pauses and cancellations do to bookings."""

import datetime as dt

import pytest
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.core import clock
from enrollment_addon.core.errors import Conflict
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits.errors import NotEnoughCredits
from enrollment_addon.credits.service import check_ledger
from enrollment_addon.enrollments import queries, service
from enrollment_addon.enrollments.calc import Refund, Status
from enrollment_addon.enrollments.errors import RestsNow
from enrollment_addon.enrollments.jobs import PAUSES
from enrollment_addon.enrollments.models import Enrollment
from enrollment_addon.jobs.service import queue_job
from enrollment_addon.people import hooks as people
from enrollment_addon.people.service import merge_clients
from enrollment_addon.schedule import service as schedule
from enrollment_addon.schedule.calc import BookingState, Pays, PayWith
from tests import factories
from tests.breaking import broken, run
from tests.enrollments.conftest import LIMITS, NOW, book, figures


def test_attendance_uses_sessions_completes_and_reopens(session: Session, sold: Enrollment) -> None:
    booked = [book(session, sold, day) for day in range(1, 5)]
    assert figures(session, sold) == ("active", 0, 4, 0)
    with clock.frozen(NOW + dt.timedelta(days=6)):
        for booking in booked[:3]:
            schedule.record_attendance(session, booking_id=booking.id, state=BookingState.attended, actor=SYSTEM)
        assert figures(session, sold) == ("active", 3, 1, 0)
        schedule.record_attendance(session, booking_id=booked[3].id, state=BookingState.no_show, actor=SYSTEM)
        assert figures(session, sold) == ("completed", 4, 0, 0), "the last session completes it"
        schedule.record_attendance(session, booking_id=booked[3].id, state=BookingState.booked, actor=SYSTEM)
    assert figures(session, sold) == ("active", 3, 1, 0), "and taking it back reopens it"
    assert [step.verb for step in queries.history(session, sold.id)][:2] == [
        "reopen_enrollment", "auto_complete_enrollment",
    ]


def test_a_cancellation_takes_its_bookings_along_and_refunds_their_share(session: Session, sold: Enrollment) -> None:
    past, to_come = book(session, sold, 1), book(session, sold, 5)
    with clock.frozen(NOW + dt.timedelta(days=2)):
        schedule.record_attendance(session, booking_id=past.id, state=BookingState.attended, actor=SYSTEM)
        quote = queries.refund_quote(session, sold, Refund.partial)
        assert (quote.remaining, quote.amount) == (3, 7_500), "one booked for later counts as left"
        service.cancel_enrollment(session, enrollment_id=sold.id, refund="partial", actor=SYSTEM)
    session.expire_all()
    assert to_come.state == BookingState.cancelled
    assert figures(session, sold) == ("cancelled", 1, 0, 0)
    assert queries.money_of(session, sold.id).refunded == 7_500
    with pytest.raises(Conflict, match="Cancelled"):
        book(session, sold, 6)
    assert list(check_ledger(session)) == []


def test_a_planned_pause_cancels_what_is_inside_begins_and_ends_by_itself(session: Session, sold: Enrollment) -> None:
    inside, after = book(session, sold, 4), book(session, sold, 9)
    first, last = NOW.date() + dt.timedelta(days=3), NOW.date() + dt.timedelta(days=7)
    service.pause_enrollment(
        session, enrollment_id=sold.id, begins_on=first, ends_on=last, reason="Holiday", actor=SYSTEM, limits=LIMITS
    )
    session.expire_all()
    assert (inside.state, after.state) == (BookingState.cancelled, BookingState.booked)
    assert sold.ends_on == NOW.date() + dt.timedelta(days=34)
    assert figures(session, sold) == ("active", 0, 1, 3)
    with pytest.raises(Conflict, match="paused from"):
        book(session, sold, 5)
    with clock.frozen(NOW + dt.timedelta(days=3)):
        assert service.turn_pauses(session, size=10, actor=SYSTEM) == (1, None)
        assert sold.status == Status.paused
        assert service.turn_pauses(session, size=10, actor=SYSTEM) == (0, None), "done already"
        with pytest.raises(Conflict):
            book(session, sold, 10)
    with clock.frozen(NOW + dt.timedelta(days=8)):
        service.turn_pauses(session, size=10, actor=SYSTEM)
        assert sold.status == Status.active
        book(session, sold, 11)
    assert sold.ends_on == NOW.date() + dt.timedelta(days=34), "all five days were rested"


@pytest.mark.databases("sqlite")
def test_a_pause_that_cannot_begin_does_not_stop_the_others(
    session: Session, sold: Enrollment, session_factory: sessionmaker[Session]
) -> None:
    other = service.create_enrollment(
        session, client_id=sold.client_id, package_id=sold.package_id, participant_id=sold.participant_id, actor=SYSTEM
    )
    days = {"begins_on": NOW.date() + dt.timedelta(days=3), "ends_on": NOW.date() + dt.timedelta(days=7)}
    for item in (sold, other):
        service.pause_enrollment(session, enrollment_id=item.id, actor=SYSTEM, limits=LIMITS, **days)
    job_id = queue_job(session, kind=PAUSES, input={"chunk": 10}, actor=SYSTEM).id
    session.commit()
    with clock.frozen(NOW + dt.timedelta(days=3)):
        with broken(session, "UPDATE OF status", "enrollment_enrollment", f"NEW.id = {sold.id}"):
            view = run(session_factory, job_id)
        assert (view.total, view.done, view.failed) == (2, 1, 1)
        session.expire_all()
        assert (sold.status, other.status) == (Status.active, Status.paused)
        session.rollback()
        assert run(session_factory, job_id, again=True).failed == 0
    assert sold.status == Status.paused


def test_only_its_own_participant_and_days_can_be_booked(session: Session, sold: Enrollment) -> None:
    other = factories.make_participant(session, sold.client)
    with pytest.raises(Conflict, match="another participant"):
        book(session, sold, 1, participant_id=other.id)
    later = service.renew_enrollment(session, enrollment_id=sold.id, actor=SYSTEM)
    with pytest.raises(Conflict, match="begins on"):
        book(session, later, 1)


def test_a_credit_pays_that_can_where_the_first_enrollment_cannot(session: Session, sold: Enrollment) -> None:
    later = service.renew_enrollment(session, enrollment_id=sold.id, actor=SYSTEM)
    day = NOW.date() + dt.timedelta(days=3)
    service.pause_enrollment(
        session, enrollment_id=sold.id, begins_on=day, ends_on=day, reason="Wedding", limits=LIMITS, actor=SYSTEM
    )
    with pytest.raises(Conflict, match="paused"), session.begin_nested():
        book(session, sold, 3, pay_with=PayWith())
    third = service.create_enrollment(
        session, client_id=sold.client_id, package_id=sold.package_id, participant_id=sold.participant_id, actor=SYSTEM
    )
    assert book(session, sold, 3, pay_with=PayWith()).enrollment_id == third.id
    assert third.ends_on == NOW.date() + dt.timedelta(days=29), "it ends before the one that rests a day"
    assert book(session, sold, 1, pay_with=PayWith()).enrollment_id == third.id
    assert book(session, sold, 45, pay_with=PayWith()).enrollment_id == later.id
    chosen = book(session, sold, 2, pay_with=PayWith(Pays.enrollment, enrollment_id=third.id))
    assert chosen.enrollment_id == third.id
    assert list(check_ledger(session)) == []


def test_a_merged_client_keeps_enrollments_and_a_held_one_cannot_be_deleted(session: Session, sold: Enrollment) -> None:
    target = factories.make_client(session, club=sold.club)
    assert "enrollments" in map(str, people.client_holders.of(session, [sold.client_id]))
    merge_clients(
        session, source_id=sold.client_id, target_id=target.id, keep={}, reason="The same person", actor=SYSTEM
    )
    session.expire_all()
    assert sold.client_id == target.id
    assert figures(session, sold) == ("active", 0, 0, 4)
    rows = people.export_sections["enrollments"](session, [target.id])
    assert [row["id"] for row in rows] == [sold.id]
    people.erasures["enrollments"](session, client_id=target.id, needles=["Cleo"])
    assert {step.reason for step in queries.history(session, sold.id)} <= {None, "[erased]"}


def test_pauses_count_in_the_years_they_lie_in(session: Session, sold: Enrollment) -> None:
    def pause(begins_on: dt.date, ends_on: dt.date, days: int, pauses: int = 2) -> None:
        limits = service.PauseLimits(pauses, days)
        service.pause_enrollment(
            session, enrollment_id=sold.id, begins_on=begins_on, ends_on=ends_on, limits=limits, actor=SYSTEM
        )

    year = NOW.year
    queries.lots_of_enrollment(session, sold.id)[0].expires_on = sold.ends_on = None
    with pytest.raises(Conflict, match=f"in {year + 1} it would"):
        pause(dt.date(year, 12, 27), dt.date(year + 1, 1, 11), 10)
    pause(dt.date(year, 12, 27), dt.date(year + 1, 1, 6), 10)
    pause(dt.date(year + 1, 2, 1), dt.date(year + 1, 2, 4), 10)
    with pytest.raises(Conflict):
        pause(dt.date(year + 1, 3, 1), dt.date(year + 1, 3, 1), 10)
    with pytest.raises(Conflict):
        pause(dt.date(year, 12, 1), dt.date(year, 12, 6), 10)
    pause(dt.date(year, 12, 1), dt.date(year, 12, 5), 10)
    pause(dt.date(year + 1, 4, 1), dt.date(year + 1, 4, 1), 11)  # the pause that began the year before is none of it
    service.cancel_enrollment(session, enrollment_id=sold.id, refund=Refund.none, actor=SYSTEM)
    first = {"begins_on": f"{year}-12-01", "ends_on": f"{year}-12-05"}
    plan = service.undo_plan(session, enrollment_id=sold.id)
    assert (plan.pauses[0], len(plan.pauses)) == (first, 4), "the undo says what it does not bring back"


def test_while_it_rests_the_refusal_names_the_pause_and_all_used_completes_it_then(
    session: Session, sold: Enrollment
) -> None:
    booked = [book(session, sold, day) for day in (1, 2, 3)]
    last = book(session, sold, 12)
    with clock.frozen(NOW + dt.timedelta(days=4)):
        for each in booked:
            schedule.record_attendance(session, booking_id=each.id, state="attended", actor=SYSTEM)
        ends_on = clock.today("UTC") + dt.timedelta(days=3)
        service.pause_enrollment(session, enrollment_id=sold.id, ends_on=ends_on, limits=LIMITS, actor=SYSTEM)
        schedule.cancel_booking(session, booking_id=last.id, return_credit=True, actor=SYSTEM)
        for pays in (PayWith(), PayWith(Pays.enrollment, enrollment_id=sold.id)):
            with pytest.raises(RestsNow, match="rests from Mar 6, 2026 to Mar 9, 2026"), session.begin_nested():
                book(session, sold, 20, pay_with=pays)
        stranger = factories.make_participant(session, sold.client)
        with pytest.raises(NotEnoughCredits), session.begin_nested():
            book(session, sold, 21, pay_with=PayWith(), participant_id=stranger.id)
        service.resume_enrollment(session, enrollment_id=sold.id, actor=SYSTEM)
        again = book(session, sold, 6)
        service.pause_enrollment(
            session, enrollment_id=sold.id, ends_on=ends_on - dt.timedelta(days=2), limits=LIMITS, actor=SYSTEM
        )
        schedule.record_attendance(session, booking_id=again.id, state="attended", early=True, actor=SYSTEM)
        assert figures(session, sold) == ("paused", 4, 0, 0)
        service.resume_enrollment(session, enrollment_id=sold.id, actor=SYSTEM)
        assert figures(session, sold) == ("completed", 4, 0, 0)

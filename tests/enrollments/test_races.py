"""Two people at one enrollment at the same moment: nothing is left behind, and nobody is told to try again."""

import contextvars
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.billing import service as billing
from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits.service import check_ledger
from enrollment_addon.enrollments import queries, service
from enrollment_addon.enrollments.calc import Refund
from enrollment_addon.enrollments.errors import NotBookable, PausedThatDay
from enrollment_addon.enrollments.models import Enrollment
from enrollment_addon.schedule import service as schedule
from enrollment_addon.schedule.calc import Pays, PayWith
from enrollment_addon.schedule.models import Booking
from tests import factories
from tests.enrollments.conftest import LIMITS, NOW, book, figures

pytestmark = pytest.mark.databases("postgresql")


class Other:
    """What somebody else does meanwhile, in a transaction of their own."""

    def __init__(self, factory: sessionmaker[Session], do: Callable[[Session], Any]) -> None:
        self.refusal: Exception | None = None
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run, factory, do))
        self._thread.start()

    def _run(self, factory: sessionmaker[Session], do: Callable[[Session], Any]) -> None:
        try:
            with factory() as session, unit_of_work(session):
                do(session)
        except Exception as error:
            self.refusal = error

    def end(self) -> Exception | None:
        """Wait until they are done; what they were refused with."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.refusal


@pytest.fixture
def meanwhile(session_factory: sessionmaker[Session]) -> Iterator[Callable[[Callable[[Session], Any]], Other]]:
    """Let somebody else begin, and go on here as soon as they wait for a lock."""
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def begin(do: Callable[[Session], Any]) -> Other:
        other, until = Other(session_factory, do), time.monotonic() + 10
        with session_factory() as watcher:
            while not watcher.execute(waits).scalar_one():
                assert time.monotonic() < until, "they wait for what is held here"
                watcher.rollback()
                time.sleep(0.01)
        return other

    return begin


def test_booked_and_attended_while_it_is_changed_and_cancelled(
    session: Session, sold: Enrollment, meanwhile: Callable[[Callable[[Session], Any]], Other]
) -> None:
    key, owner, event_type = sold.id, sold.client_id, sold.event_type_id or 0
    came = book(session, sold, 1)
    session.commit()
    with clock.frozen(NOW + dt.timedelta(days=1, hours=1)):
        with unit_of_work(session):
            schedule.lock_accounts(session, [owner], [event_type])  # attendance has come so far
            desk = meanwhile(lambda other: service.update_sessions(other, enrollment_id=key, total=5, actor=SYSTEM))
            schedule.record_attendance(session, booking_id=came.id, state="attended", actor=SYSTEM)
        assert desk.end() is None
        with unit_of_work(session):
            late = book(session, sold, 3)
            desk = meanwhile(
                lambda other: service.cancel_enrollment(other, enrollment_id=key, refund=Refund.none, actor=SYSTEM)
            )
        assert desk.end() is None
    session.expire_all()
    assert (came.state, late.state) == ("attended", "cancelled")
    assert figures(session, sold) == ("cancelled", 1, 0, 0)
    assert list(check_ledger(session)) == []


def test_nobody_books_a_day_of_a_pause_that_is_being_entered(
    session: Session, sold: Enrollment, meanwhile: Callable[[Callable[[Session], Any]], Other]
) -> None:
    key, day = sold.id, NOW.date() + dt.timedelta(days=3)
    session.commit()
    with unit_of_work(session):
        service.pause_enrollment(
            session, enrollment_id=key, begins_on=day, ends_on=day, limits=LIMITS, reason="Wedding", actor=SYSTEM
        )
        guest = meanwhile(lambda other: book(other, other.get_one(Enrollment, key), 3))
    assert isinstance(guest.end(), PausedThatDay)
    assert session.query(Booking).count() == 0


def test_nobody_joins_a_queue_with_an_enrollment_that_is_being_cancelled(
    session: Session, sold: Enrollment, meanwhile: Callable[[Callable[[Session], Any]], Other]
) -> None:
    key, owner, participant = sold.id, sold.client_id, sold.participant_id
    lot = queries.lot_ids(session, key)[0]
    guest = factories.make_participant(session, factories.make_client(session, club=sold.club))
    free = PayWith(Pays.nothing)
    full = book(session, sold, 3, client_id=guest.client_id, participant_id=guest.id, pay_with=free).session
    full.capacity, full_id = 1, full.id
    session.commit()

    def join(other: Session, wish: PayWith) -> None:
        schedule.book(
            other, client_id=owner, participant_id=participant, session_id=full_id, pay_with=wish, actor=SYSTEM
        )

    with unit_of_work(session):
        service.cancel_enrollment(session, enrollment_id=key, refund=Refund.none, actor=SYSTEM)
        first = meanwhile(lambda other: join(other, PayWith(Pays.enrollment, enrollment_id=key)))
        second = meanwhile(lambda other: join(other, PayWith(Pays.lot, lot_id=lot)))
    assert isinstance(first.end(), NotBookable)
    assert isinstance(second.end(), NotBookable)
    assert session.query(Booking).count() == 1


def test_a_freed_place_is_paid_by_a_parent_whose_credits_somebody_is_using(
    session: Session, sold: Enrollment, meanwhile: Callable[[Callable[[Session], Any]], Other]
) -> None:
    """Whoever frees the place waits for the parent's balance instead of being told to try again."""
    parent = factories.make_client(session, club=sold.club)
    child = factories.make_client(session, club=sold.club)
    factories.make_household(session, parent, child)
    assert sold.event_type
    factories.make_lot(session, parent, sold.event_type, quantity=2, shared=True)
    factories.make_lot(session, child, sold.event_type, quantity=1, expires_on=NOW.date())
    first = book(session, sold, 3)
    first.session.capacity = 1
    waiting = schedule.book(
        session, client_id=child.id, participant_id=factories.make_participant(session, child).id,
        session_id=first.session_id, actor=SYSTEM,
    )
    key, parent_id, event_type_id, waits_id = first.id, parent.id, sold.event_type.id, waiting.id
    session.commit()
    with unit_of_work(session):
        schedule.lock_accounts(session, [parent_id], [event_type_id])
        desk = meanwhile(lambda other: schedule.cancel_booking(other, booking_id=key, actor=SYSTEM))
    assert desk.end() is None
    assert session.get_one(Booking, waits_id, populate_existing=True).state == "booked"
    assert list(check_ledger(session)) == []


def test_a_payment_that_is_being_taken_is_refunded_with_the_rest(
    session: Session, sold: Enrollment, meanwhile: Callable[[Callable[[Session], Any]], Other]
) -> None:
    item = service.create_enrollment(session, client_id=sold.client_id, package_id=sold.package_id or 0, actor=SYSTEM)
    key, owner = item.id, sold.client_id
    session.commit()
    with unit_of_work(session):
        billing.take_payment(session, client_id=owner, amount=10_000, method="cash", actor=SYSTEM)
        desk = meanwhile(
            lambda other: service.cancel_enrollment(other, enrollment_id=key, refund=Refund.full, actor=SYSTEM)
        )
    assert desk.end() is None
    money = queries.money_of(session, key)
    assert (money.paid, money.refunded, money.open) == (10_000, 10_000, 0)

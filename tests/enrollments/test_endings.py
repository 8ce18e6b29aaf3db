"""The ends of an enrollment: what a cancellation and a deletion do to money and sessions, and what undo brings back."""

import datetime as dt
from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from enrollment_addon.billing import service as billing
from enrollment_addon.billing.queries import balance_due
from enrollment_addon.core import clock
from enrollment_addon.core.errors import InvalidInput
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits.service import check_ledger
from enrollment_addon.enrollments import queries, service
from enrollment_addon.enrollments.calc import Refund
from enrollment_addon.enrollments.errors import HasEnded
from enrollment_addon.enrollments.models import Enrollment
from enrollment_addon.schedule import hooks as schedule_hooks
from enrollment_addon.schedule import service as schedule
from enrollment_addon.schedule.calc import Policy
from tests.enrollments.conftest import NOW, book, figures

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(autouse=True)
def policy() -> Iterator[None]:
    yield
    schedule_hooks.use_policy(Policy())


def test_a_full_refund_leaves_nothing_due_and_undo_brings_all_of_it_back(session: Session, sold: Enrollment) -> None:
    half_paid = service.create_enrollment(
        session, client_id=sold.client_id, package_id=sold.package_id or 0, actor=SYSTEM
    )
    billing.take_payment(session, client_id=sold.client_id, amount=4_000, method="cash", actor=SYSTEM)
    service.cancel_enrollment(session, enrollment_id=half_paid.id, refund=Refund.full, actor=SYSTEM)
    money = queries.money_of(session, half_paid.id)
    assert (money.paid, money.refunded, money.open) == (4_000, 4_000, 0)
    step = queries.history(session, half_paid.id)[0]
    assert (step.details["refunded"], step.details["withdrawn"]) == (4_000, 6_000)
    assert balance_due(session, [sold.client_id]) == {}
    service.undo_enrollment(session, enrollment_id=half_paid.id, reason="She stays", actor=SYSTEM)
    assert balance_due(session, [sold.client_id]) == {sold.client_id: {"EUR": 10_000}}

    service.cancel_enrollment(session, enrollment_id=half_paid.id, refund=Refund.partial, actor=SYSTEM)
    assert balance_due(session, [sold.client_id]), "a partial refund keeps what is due"
    service.delete_enrollment(session, enrollment_id=half_paid.id, reason="A mistake", actor=SYSTEM)
    assert balance_due(session, [sold.client_id]) == {}
    service.restore_enrollment(session, enrollment_id=half_paid.id, actor=SYSTEM)
    assert balance_due(session, [sold.client_id]) == {sold.client_id: {"EUR": 10_000}}
    assert figures(session, half_paid) == ("cancelled", 0, 0, 0)
    assert list(billing.check_money(session)) == []


@pytest.mark.parametrize("deleted", [False, True])
def test_what_comes_back_after_the_end_is_voided_and_counted_by_an_undo(
    session: Session, sold: Enrollment, deleted: bool
) -> None:
    """The sessions of two bookings have begun when the enrollment ends; nobody came, and it was not their fault."""
    booked = [book(session, sold, 1), book(session, sold, 2)]
    with clock.frozen(NOW + dt.timedelta(days=2, minutes=10)):
        if deleted:
            money = queries.money_of(session, sold.id)
            billing.refund_enrollment(
                session, enrollment_id=sold.id, amount=money.paid, reason="By mistake", actor=SYSTEM
            )
            service.delete_enrollment(session, enrollment_id=sold.id, reason="Wrong client", actor=SYSTEM)
        else:
            service.cancel_enrollment(session, enrollment_id=sold.id, refund=Refund.none, actor=SYSTEM)
        assert figures(session, sold)[1:] == (0, 2, 0)
        schedule.cancel_booking(session, booking_id=booked[0].id, return_credit=True, actor=SYSTEM)
        schedule_hooks.use_policy(Policy(no_show_forfeits=False))
        schedule.record_attendance(session, booking_id=booked[1].id, state="no_show", actor=SYSTEM)
        assert figures(session, sold)[1:] == (0, 0, 0), "nothing that nobody could use"
        assert [step.details.get("voided") for step in queries.history(session, sold.id)[:3]] == [1, 1, 2]
        if deleted:
            service.restore_enrollment(session, enrollment_id=sold.id, actor=SYSTEM)
        else:
            assert service.undo_plan(session, enrollment_id=sold.id).sessions == 4
            service.undo_enrollment(session, enrollment_id=sold.id, reason="She stays", actor=SYSTEM)
        assert figures(session, sold) == ("active", 0, 0, 4)
    assert list(check_ledger(session)) == []


def test_sessions_are_never_born_expired(session: Session, sold: Enrollment) -> None:
    asked = {"client_id": sold.client_id, "package_id": sold.package_id, "actor": SYSTEM}
    last = NOW.date() - dt.timedelta(days=30)
    with pytest.raises(InvalidInput) as refused:
        service.create_enrollment(session, begins_on=last, **asked)
    assert set(refused.value.fields) == {"begins_on"}
    today = service.create_enrollment(session, begins_on=last + dt.timedelta(days=1), **asked)
    assert today.ends_on == NOW.date(), "thirty days, the first and the last among them"
    service.update_sessions(session, enrollment_id=today.id, total=7, charge_amount="20.00", actor=SYSTEM)
    assert queries.lots_of_enrollment(session, today.id)[-1].unit_value == 667, "half up, as everywhere"
    with clock.frozen(NOW + dt.timedelta(days=1)), pytest.raises(HasEnded, match="ended on"):
        service.update_sessions(session, enrollment_id=today.id, total=8, actor=SYSTEM)

    service.cancel_enrollment(session, enrollment_id=sold.id, refund=Refund.none, actor=SYSTEM)
    with clock.frozen(NOW + dt.timedelta(days=60)):
        until = NOW.date() + dt.timedelta(days=60 + Policy().grace_days)
        assert service.undo_plan(session, enrollment_id=sold.id).until == until
        service.undo_enrollment(session, enrollment_id=sold.id, reason="The wrong one", actor=SYSTEM)
        assert (sold.ends_on, queries.lots_of_enrollment(session, sold.id)[-1].expires_on) == (until, until)

"""The ends of an enrollment: what a cancellation and a deletion do to money and sessions, and what undo brings back."""

import pytest
from sqlalchemy.orm import Session

from enrollment_addon.billing import service as billing
from enrollment_addon.billing.queries import balance_due
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.enrollments import queries, service
from enrollment_addon.enrollments.calc import Refund
from enrollment_addon.enrollments.models import Enrollment
from tests.enrollments.conftest import figures

pytestmark = pytest.mark.databases("sqlite")


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

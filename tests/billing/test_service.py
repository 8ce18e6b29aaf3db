"""Money as the front desk moves it: every step leaves payments − refunds = settled + on account."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from enrollment_addon.billing import queries
from enrollment_addon.billing.errors import (
    AboveOpen,
    ChargeStateConflict,
    CurrencyDiffers,
    NotEnoughOnAccount,
    NothingOpen,
    RefundAbovePaid,
)
from enrollment_addon.catalog.models import Package
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import AddonError, IdempotencyMismatch, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM, Actor, Reach, acting_as
from enrollment_addon.enrollments.models import Enrollment
from tests import factories
from tests.billing.conftest import Till

DAY = dt.timedelta(days=1)


@pytest.mark.all_databases
def test_a_day_at_the_till(till: Till, sound: Callable[[], bool]) -> None:
    """Issue, pay part, pay the rest and more, use the account, refund, void: checked after every step."""
    late = till.charge(4500, due_on=till.today - DAY, tax_rate=Decimal("19"))
    early = till.charge(3000, due_on=till.today - 5 * DAY)
    assert till.session.get_one(queries.Charge, late).tax == 718
    first = till.pay(2000, reference="R-1")
    assert first["settled"] == [{"charge_id": early, "amount": 2000}], "the oldest due first"
    second = till.pay(6000, method="card")
    assert second["settled"] == [{"charge_id": early, "amount": 1000}, {"charge_id": late, "amount": 4500}]
    assert second["on_account"] == 500
    assert till.charges() == {late: ("paid", 4500, 0), early: ("paid", 3000, 0)}
    assert sound()

    third = till.charge(1200)
    used = till.pay(300, method="account")
    assert used == {
        "id": None, "currency": "EUR", "settled": [{"charge_id": third, "amount": 300}], "on_account": 200
    }
    assert len(till.payments()) == 2, "what is on account is no new money"
    assert till.act("settle_from_account", client_id=till.client)["on_account"] == 0
    assert till.charges()[third] == ("open", 500, 0)
    assert queries.balance_due(till.session, [till.client]) == {till.client: {"EUR": 700}}
    assert sound()

    till.act("void_charge", charge_id=early, reason="Never took place")
    assert till.charges()[early] == ("void", 0, 0)
    assert till.on_account() == {"EUR": 3000}
    till.refund(second["id"], 4000)
    assert till.payments()[second["id"]] == (6000, 2000, 4000), "a thousand were on account, the rest was freed"
    assert till.on_account() == {"EUR": 2000}, "what is left of the first payment"
    assert till.charges()[late] == ("open", 2000, 0), "refunded settlements are owed again, the newest first"
    assert till.charges()[third] == ("open", 0, 0)
    assert sound()

    assert till.act("free_charge", charge_id=late, reason="Wrong one") == 2000
    till.refund(second["id"], 2000)
    till.refund(first["id"], 2000)
    assert till.on_account() == {"EUR": 0}
    assert sum(amount - refunded for amount, _settled, refunded in till.payments().values()) == 0
    assert sound()


def test_a_payment_settles_the_charges_it_names_and_no_others(till: Till, sound: Callable[[], bool]) -> None:
    old, new = till.charge(1000, due_on=till.today - DAY), till.charge(1500)
    answer = till.pay(2000, charge_ids=[new])
    assert answer["settled"] == [{"charge_id": new, "amount": 1500}]
    assert answer["on_account"] == 500
    assert till.charges()[old] == ("open", 0, 0)
    with pytest.raises(ChargeStateConflict):
        till.pay(100, charge_ids=[old, new])
    stranger = till.charge(700, client_id=till.new_client())
    with pytest.raises(NotFound):
        till.pay(100, charge_ids=[old, stranger])
    assert till.on_account() == {"EUR": 500}
    assert sound()


def test_each_currency_is_an_account_of_its_own(till: Till, sound: Callable[[], bool]) -> None:
    euros, yen = till.charge(1000), till.charge(500, currency="JPY")
    assert till.pay(1500)["on_account"] == 500
    assert till.charges()[yen] == ("open", 0, 0)
    assert till.pay(400, charge_ids=[yen])["currency"] == "JPY"
    for given in ({"charge_ids": [yen], "currency": "EUR"}, {"charge_ids": [euros, yen]}):
        with pytest.raises(CurrencyDiffers):
            till.pay(100, **given)
    assert till.on_account() == {"EUR": 500, "JPY": 0}
    assert queries.client_money(till.session, till.client).due == {"JPY": 100}
    assert sound()


def test_nothing_to_pay_is_paid(till: Till, sound: Callable[[], bool]) -> None:
    charge = till.charge(0)
    assert till.charges() == {charge: ("paid", 0, 0)}
    assert queries.balance_due(till.session, [till.client]) == {}
    assert sound()


def test_what_is_refused_changes_nothing(till: Till, sound: Callable[[], bool]) -> None:
    charge = till.charge(1000)
    paid = till.pay(600)["id"]
    before = (till.charges(), till.payments(), till.on_account())
    actor = {"actor": SYSTEM}
    refused: list[tuple[type[AddonError], Callable[[], Any]]] = [
        (InvalidInput, lambda: till.pay(0)),
        (InvalidInput, lambda: till.pay(-100)),
        (InvalidInput, lambda: till.pay(10**16)),
        (InvalidInput, lambda: till.pay(100, method="barter")),
        (InvalidInput, lambda: till.pay(100, currency="XXXX")),
        (InvalidInput, lambda: till.pay(100, paid_on=till.today + 2 * DAY)),
        (InvalidInput, lambda: till.pay(100, charge_ids=[])),
        (InvalidInput, lambda: till.pay(100, method="account", reference="R-1")),
        (NotEnoughOnAccount, lambda: till.pay(100, method="account")),
        (NotEnoughOnAccount, lambda: till.act("settle_from_account", client_id=till.client)),
        (NotFound, lambda: till.pay(100, client_id=999_999)),
        (NotFound, lambda: till.pay(100, client_id=0)),
        (InvalidInput, lambda: till.charge(-1)),
        (InvalidInput, lambda: till.charge(100, what=" ")),
        (InvalidInput, lambda: till.charge(100, tax_rate=Decimal("100.001"))),
        (InvalidInput, lambda: till.charge(100, tax_rate=Decimal("1.0001"))),
        (InvalidInput, lambda: till.charge(100, currency="EURO")),
        (NotFound, lambda: till.charge(100, client_id=999_999)),
        (RefundAbovePaid, lambda: till.refund(paid, 601)),
        (InvalidInput, lambda: till.refund(paid, 0)),
        (InvalidInput, lambda: till.refund(paid, 100, reason=" ")),
        (NotFound, lambda: till.refund(999_999, 100)),
        (InvalidInput, lambda: till.act("void_charge", charge_id=charge, reason="")),
        (NotFound, lambda: till.act("void_charge", charge_id=999_999, reason="x")),
        (RefundAbovePaid, lambda: till.act("refund_enrollment", enrollment_id=1, amount=100, reason="x", **actor)),
    ]
    for error, do in refused:
        with pytest.raises(error):
            do()
    assert (till.charges(), till.payments(), till.on_account()) == before
    till.act("void_charge", charge_id=charge, reason="x")
    with pytest.raises(ChargeStateConflict):
        till.act("void_charge", charge_id=charge, reason="again")
    with pytest.raises(ChargeStateConflict):
        till.act("free_charge", charge_id=charge, reason="x")
    with pytest.raises(NothingOpen):
        till.pay(100, method="account")
    till.charge(50)
    with pytest.raises(AboveOpen) as refusal:
        till.pay(100, method="account")
    assert str(refusal.value) == "Only 0.50 EUR is open."
    assert sound()


def test_the_same_request_again_moves_nothing(till: Till, sound: Callable[[], bool]) -> None:
    charge = till.charge(1000, idempotency_key="c")
    assert till.charge(1000, idempotency_key="c") == charge
    paid = till.pay(1500, idempotency_key="p")
    assert till.pay(1500, idempotency_key="p") == paid
    refund = till.refund(paid["id"], 200, idempotency_key="r")
    assert till.refund(paid["id"], 200, idempotency_key="r") == refund
    with pytest.raises(IdempotencyMismatch):
        till.pay(1600, idempotency_key="p")
    till.charge(100)
    settled = till.act("settle_from_account", client_id=till.client, idempotency_key="s")
    assert till.act("settle_from_account", client_id=till.client, idempotency_key="s") == settled
    assert till.payments() == {paid["id"]: (1500, 1100, 200)}
    assert sound()


def test_cancelling_an_enrollment_credits_what_goes_back(till: Till, sound: Callable[[], bool]) -> None:
    """Two charges, paid by two payments; a refund by hand of part of it leaves nothing owed for it."""
    enrollment = enroll(till)
    first = till.charge(10_000, enrollment_id=enrollment)
    more = till.charge(2_000, enrollment_id=enrollment)
    with pytest.raises(CurrencyDiffers):
        till.charge(100, enrollment_id=enrollment, currency="USD")
    till.pay(10_500)
    till.pay(2_000, method="card")
    money = queries.EnrollmentMoney(12_000, 0, 0, "EUR")
    assert queries.enrollment_money(till.session, [enrollment, 999]) == {
        enrollment: money, 999: queries.EnrollmentMoney()
    }
    with pytest.raises(RefundAbovePaid):
        till.act("refund_enrollment", enrollment_id=enrollment, amount=12_001, reason="Moved away")
    till.act("refund_enrollment", enrollment_id=enrollment, amount=4_501, reason="Moved away")
    assert till.charges() == {first: ("paid", 7_499, 2_501), more: ("paid", 0, 2_000)}
    assert queries.enrollment_money(till.session, [enrollment])[enrollment] == queries.EnrollmentMoney(
        12_000, 4_501, 0, "EUR"
    )
    assert till.on_account() == {"EUR": 500}, "what was on account stays there"
    assert queries.balance_due(till.session, [till.client]) == {}
    assert sound()
    till.act("refund_enrollment", enrollment_id=enrollment, amount=7_499, reason="All of it")
    assert queries.enrollment_money(till.session, [enrollment])[enrollment].refunded == 12_000
    with pytest.raises(RefundAbovePaid):
        till.act("refund_enrollment", enrollment_id=enrollment, amount=1, reason="More")
    assert sound()


def enroll(till: Till) -> int:
    """An enrollment of the till's client, written directly."""
    with unit_of_work(till.session):
        event_type = factories.make_event_type(till.session)
        package = Package(
            name="Ten", event_type_id=event_type.id, sessions=10, price=10_000, currency="EUR", active=True
        )
        till.session.add(package)
        till.session.flush()
        enrollment = Enrollment(
            kind="package", status="active", client_id=till.client, club_id=till.club_id, package_id=package.id,
            event_type_id=event_type.id, total=10, price=10_000, currency="EUR", begins_on=till.today,
        )
        till.session.add(enrollment)
        till.session.flush()
        return enrollment.id


def test_a_team_member_moves_no_money_of_the_neighbour(till: Till, sound: Callable[[], bool]) -> None:
    charge = till.charge(1000)
    paid = till.pay(600)["id"]
    neighbour = Actor(user_id=None, reach=Reach.own_clients, team_member_id=12_345)
    with acting_as(till.session, neighbour):
        for do in (
            lambda: till.charge(100, actor=neighbour),
            lambda: till.pay(100, actor=neighbour),
            lambda: till.pay(100, method="account", actor=neighbour),
            lambda: till.refund(paid, 100, actor=neighbour),
            lambda: till.act("void_charge", charge_id=charge, reason="x", actor=neighbour),
            lambda: till.act("free_charge", charge_id=charge, reason="x", actor=neighbour),
        ):
            with pytest.raises(NotFound):
                do()  # type: ignore[no-untyped-call]
        assert till.charges() == {}
        assert till.payments() == {}
        assert queries.balance_due(till.session, [till.client]) == {}
        assert queries.client_money(till.session, till.client) == queries.ClientMoney({}, {}, {}, [], 0, [])
    assert till.charges()[charge] == ("open", 600, 0)
    assert sound()


@pytest.mark.all_databases
def test_the_database_itself_refuses_impossible_money(till: Till) -> None:
    charge = till.charge(1000)
    paid = till.pay(1000)["id"]
    for statement in (
        f"UPDATE enrollment_charge SET settled = 1001 WHERE id = {charge}",
        f"UPDATE enrollment_charge SET status = 'open' WHERE id = {charge}",
        f"UPDATE enrollment_charge SET status = 'lost' WHERE id = {charge}",
        f"UPDATE enrollment_charge SET tax = 1 WHERE id = {charge}",
        f"UPDATE enrollment_payment SET refunded = 1 WHERE id = {paid}",
        "UPDATE enrollment_money_account SET on_account = -1",
        f"DELETE FROM enrollment_payment WHERE id = {paid}",
    ):
        with pytest.raises(DBAPIError), unit_of_work(till.session):
            till.session.execute(text(statement))


@pytest.mark.all_databases
def test_the_check_finds_and_repairs_what_was_changed_by_hand(till: Till, sound: Callable[[], bool]) -> None:
    charge, other = till.charge(1000), till.charge(500)
    till.pay(1200)
    with unit_of_work(till.session):
        for statement in (
            f"UPDATE enrollment_charge SET settled = 900, status = 'open' WHERE id = {charge}",
            "UPDATE enrollment_payment SET settled = 100",
            "UPDATE enrollment_money_account SET on_account = 77",
        ):
            till.session.execute(text(statement))
    found = till.findings()
    assert [(f.code, f.repaired) for f in found] == [
        ("charge_differs", False), ("payment_differs", False), ("account_differs", False)
    ]
    assert found[0].detail == "row/sum: settled 900/1000, credited 0/0"
    assert all(f.repaired for f in till.findings(repair=True))
    assert till.charges() == {charge: ("paid", 1000, 0), other: ("open", 200, 0)}
    assert sound()


def test_overdue_goes_by_the_clock_of_the_club(till: Till, session: Session) -> None:
    with unit_of_work(session):
        far = factories.make_club(session, timezone="Pacific/Kiritimati")
    there = till.new_client(club_id=far.id)
    due = till.today
    here, ahead = till.charge(100, due_on=due - DAY), till.charge(100, due_on=due - DAY, client_id=there)
    till.charge(100, due_on=due + 3 * DAY, client_id=there)
    till.pay(100, client_id=there, charge_ids=[ahead])
    with unit_of_work(session):
        late = session.scalars(select(queries.Charge.id).where(queries.overdue_clause(session))).all()
    assert late == [here]


@pytest.mark.all_databases
def test_debts_by_age(till: Till, session: Session) -> None:
    """One charge at each end of every age, some paid in part, in two currencies and for two people."""
    for days, gross in ((-1, 1), (0, 2), (1, 4), (30, 8), (31, 16), (60, 32), (61, 64), (90, 128), (91, 256)):
        till.charge(gross, due_on=till.today - days * DAY)
    till.pay(156)
    till.act("void_charge", charge_id=till.charge(5000), reason="x")
    other = till.new_client(first_name="Zoe", last_name="Zed")
    till.charge(700, client_id=other, currency="JPY", due_on=till.today - 40 * DAY)
    till.charge(900, client_id=other)
    with unit_of_work(session):
        first = queries.aged_debts(session, size=2)
        rest = queries.aged_debts(session, after=(first[-1].client_id, first[-1].currency), size=2)
        assert [(d.client_id, d.currency, d.by_age) for d in (*first, *rest)] == [
            (till.client, "EUR", (3, 12, 48, 192, 100)),
            (other, "EUR", (900, 0, 0, 0, 0)),
            (other, "JPY", (0, 0, 700, 0, 0)),
        ]
        assert queries.debt_totals(session) == [("EUR", (903, 12, 48, 192, 100)), ("JPY", (0, 0, 700, 0, 0))]
    with acting_as(session, Actor(user_id=None, reach=Reach.own_clients, team_member_id=12_345)):
        assert queries.aged_debts(session, size=2) == queries.debt_totals(session) == []

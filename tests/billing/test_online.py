"""Paying online, between our books and a provider's: whatever happens in whatever order, money is recorded once."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.billing.models import Payment, Refund
from enrollment_addon.billing.online import desk, service
from enrollment_addon.billing.online.check import check_online
from enrollment_addon.billing.online.errors import (
    BadEvent,
    ChargesChanged,
    MoneyOnItsWay,
    NoSuchAmount,
    OnlineOff,
    OnlineStateConflict,
    ProviderAway,
    ProviderMisconfigured,
    ProviderRefused,
)
from enrollment_addon.billing.online.models import OnlinePayment, OnlineRefund
from enrollment_addon.billing.online.provider import use_provider
from enrollment_addon.billing.online.stripe_provider import Stripe, checkout_locale, from_stripe, to_stripe
from enrollment_addon.core.audit import AuditEvent
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM, Actor, Reach, acting_as
from enrollment_addon.jobs.models import Job
from tests import stripe_server
from tests.billing.conftest import Till
from tests.factories import make_user_row
from tests.stripe_server import KEY, SECRET, FakeStripe, sign

URLS = {"done_url": "https://studio.example/done", "left_url": "https://studio.example/left"}


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    with stripe_server.serving() as fake:
        use_provider(Stripe(KEY, SECRET, fake.url))
        yield fake
        use_provider(None)


def ask(till: Till, **over: Any) -> int:
    return desk.request_payment(till.session, **{"client_id": till.client, "actor": SYSTEM, **URLS, **over})


def request(till: Till, key: int) -> OnlinePayment:
    with unit_of_work(till.session):
        return till.session.scalars(
            select(OnlinePayment).where(OnlinePayment.id == key).execution_options(populate_existing=True)
        ).one()


def hear(till: Till, event: tuple[bytes, str]) -> None:
    desk.hear(till.session, body=event[0], signature=event[1])


def findings(till: Till) -> list[str]:
    """What the proof of online payment finds."""
    with unit_of_work(till.session):
        return [finding.code for finding in check_online(till.session)]


def rows(till: Till, column: Any) -> list[Any]:
    with unit_of_work(till.session):
        return list(till.session.scalars(select(column).order_by(column.class_.id)))


@pytest.mark.databases("sqlite")
def test_what_is_paid_at_stripe_settles_what_is_still_open_here(till: Till, stripe: FakeStripe, sound: Any) -> None:
    first, second = till.charge(4500), till.charge(3000)
    key = ask(till, idempotency_key="once")
    assert ask(till, idempotency_key="once") == key, "a double click"
    assert ask(till) == key, "who asks for the same again gets the same link"
    made = request(till, key)
    assert (made.amount, made.currency, made.state) == (7500, "EUR", "open")
    assert made.url == stripe.last()["url"]
    [(_, _, sent), *_] = stripe.asked
    assert [sent[f"line_items[{n}][price_data][unit_amount]"] for n in (0, 1)] == ["4500", "3000"]
    assert sent["success_url"] == URLS["done_url"]
    assert sent["customer_email"].endswith("@example.org")

    # One of them is paid at the desk meanwhile; the money for it stays on account, whatever else is open.
    till.pay(4500, charge_ids=[first])
    third = till.charge(9900)
    paid = stripe.event("checkout.session.completed", stripe.pay(made.checkout_id))
    for _ in range(2):
        hear(till, paid)
    assert till.charges() == {first: ("paid", 4500, 0), second: ("paid", 3000, 0), third: ("open", 0, 0)}
    assert till.on_account() == {"EUR": 4500}
    made = request(till, key)
    assert (made.state, made.received, made.url) == ("paid", 7500, None)
    [_cash, online] = rows(till, Payment.id)
    assert made.payment_id == online
    assert rows(till, Payment.method)[1] == "online"

    # What comes late or is asked for afterwards changes nothing.
    late = {**stripe.last(), "status": "expired", "payment_status": "unpaid"}
    hear(till, stripe.event("checkout.session.expired", late))
    desk.ask_provider(till.session, online_payment_id=key, actor=SYSTEM)
    with pytest.raises(OnlineStateConflict, match="Paid"):
        desk.cancel_request(till.session, online_payment_id=key, actor=SYSTEM)
    assert till.payments()[online] == (7500, 3000, 0)
    assert sound()


@pytest.mark.databases("sqlite")
def test_a_request_ends_in_one_of_five_ways(till: Till, stripe: FakeStripe, sound: Any) -> None:
    charge = till.charge(4500)
    one = ask(till, charge_ids=[charge])
    till.charge(500)
    two = ask(till)
    assert request(till, one).state == "cancelled", "it was replaced: two links for one charge would be paid twice"
    assert stripe.sessions[request(till, one).checkout_id]["status"] == "expired"
    stripe.pay(request(till, two).checkout_id, at_once=False)
    with pytest.raises(OnlineStateConflict, match="On its way"):
        desk.cancel_request(till.session, online_payment_id=two, actor=SYSTEM)
    with pytest.raises(MoneyOnItsWay, match=r"50\.00 EUR"):
        ask(till, charge_ids=[charge])
    hear(till, stripe.event("checkout.session.async_payment_failed", stripe.last()))
    three = ask(till)
    stripe.pay(request(till, three).checkout_id, at_once=False)
    hear(till, stripe.event("checkout.session.completed", stripe.last()))
    hear(till, stripe.event("checkout.session.async_payment_succeeded", {**stripe.last(), "payment_status": "paid"}))
    last = till.charge(700)
    four = ask(till, charge_ids=[last])
    stripe.last()["status"] = "expired"
    desk.ask_provider(till.session, online_payment_id=four, actor=SYSTEM)
    five = ask(till, charge_ids=[last])
    desk.cancel_request(till.session, online_payment_id=five, actor=SYSTEM)
    desk.cancel_request(till.session, online_payment_id=five, actor=SYSTEM)
    states = [str(request(till, key).state) for key in (one, two, three, four, five)]
    assert states == ["cancelled", "failed", "paid", "expired", "cancelled"]
    assert set(rows(till, AuditEvent.verb)) >= {
        "request_online_payment", "cancel_online_payment", "fail_online_payment", "expire_online_payment",
    }
    assert [amount for amount, _, _ in till.payments().values()] == [5000]

    # A client was quicker than who cancelled: the money counts.
    six = ask(till, charge_ids=[last])
    stripe.pay(request(till, six).checkout_id)
    with pytest.raises(OnlineStateConflict, match="Paid"):
        desk.cancel_request(till.session, online_payment_id=six, actor=SYSTEM)
    assert till.charges()[last] == ("paid", 700, 0)
    assert sound()


@pytest.mark.databases("sqlite")
def test_what_differs_is_recorded_and_noted_and_settles_nothing(till: Till, stripe: FakeStripe, sound: Any) -> None:
    charge = till.charge(4500)
    key = ask(till)
    less = stripe.pay(request(till, key).checkout_id, amount_total=4000)
    hear(till, stripe.event("checkout.session.completed", less))
    assert till.charges() == {charge: ("open", 0, 0)}
    assert till.on_account() == {"EUR": 4000}
    assert (request(till, key).amount, request(till, key).received) == (4500, 4000)
    other = till.new_client()
    till.charge(100, client_id=other)
    elsewhere = ask(till, client_id=other)
    paid = stripe.pay(request(till, elsewhere).checkout_id, currency="jpy", amount_total=150)
    hear(till, stripe.event("checkout.session.completed", paid))
    assert till.on_account(other) == {"EUR": 0, "JPY": 150}
    assert rows(till, AuditEvent.verb).count("note_online_difference") == 2
    assert sound()


@pytest.mark.databases("sqlite")
def test_what_stripe_does_not_do_leaves_nothing_behind(till: Till, stripe: FakeStripe) -> None:
    till.charge(4500)
    stripe.away = True
    with pytest.raises(ProviderAway):
        ask(till, idempotency_key="again")
    stripe.away, stripe.refuses = False, "Amount must be at least $0.50"
    with pytest.raises(ProviderRefused, match="at least"):
        ask(till, idempotency_key="again")
    stripe.refuses = ""
    assert rows(till, OnlinePayment.id) == []
    assert ask(till, idempotency_key="again")
    use_provider(Stripe("sk_test_wrong", SECRET, stripe.url))
    with pytest.raises(ProviderMisconfigured) as refused:
        desk.cancel_request(till.session, online_payment_id=1, actor=SYSTEM)
    assert "sk_" not in str(refused.value)
    use_provider(None)
    with pytest.raises(OnlineOff):
        desk.cancel_request(till.session, online_payment_id=1, actor=SYSTEM)
    assert request(till, 1).state == "open"


@pytest.mark.databases("sqlite")
def test_a_charge_that_was_paid_while_stripe_was_asked(till: Till, stripe: FakeStripe) -> None:
    till.charge(4500)
    provider = Stripe(KEY, SECRET, stripe.url)

    class Slow(Stripe):
        def begin(self, order: Any) -> Any:
            till.pay(4500)
            return provider.begin(order)

    use_provider(Slow(KEY, SECRET, stripe.url))
    with pytest.raises(Exception, match="paid"):
        ask(till)
    assert rows(till, OnlinePayment.id) == [], "nobody has the link of what Stripe made"


@pytest.mark.databases("sqlite")
def test_only_what_stripe_signed_is_heard(till: Till, stripe: FakeStripe) -> None:
    till.charge(4500)
    key = ask(till)
    body, good = stripe.event("checkout.session.completed", stripe.pay(request(till, key).checkout_id))
    for bad in (None, "", "junk", "t=x,v1=", good[:-1] + "0" * (good[-1] != "0") or "1", sign(body, "whsec_other"),
                sign(body, at=time.time() - 3600)):
        with pytest.raises(BadEvent):
            hear(till, (body, bad))  # type: ignore[arg-type]
    for junk in (b"", b"\xff", b"[]", b"{}", b'{"type": 1, "data": {}, "created": "x"}', b"{" * 2000):
        with pytest.raises(BadEvent):
            hear(till, (junk, sign(junk)))
    of_others = {**stripe.last(), "metadata": {}, "mode": "setup", "amount_total": None}
    for body in (
        stripe.event("customer.created", {"id": "cus_1"}), stripe.event("charge.refunded", {"payment_intent": None}),
        stripe.event("checkout.session.completed", of_others),
        stripe.event("checkout.session.completed", {**stripe.last(), "id": "cs_of_another_account"}),
        stripe.refunded("pi_of_another_account"),
        stripe.event("charge.dispute.created", {"payment_intent": None}),
    ):
        hear(till, body)
    assert request(till, key).state == "open"
    assert till.payments() == {}


def paid_online(till: Till, stripe: FakeStripe, amount: int) -> tuple[int, str]:
    """A payment that came in online, and its name at Stripe."""
    till.charge(amount)
    made = request(till, ask(till))
    hear(till, stripe.event("checkout.session.completed", stripe.pay(made.checkout_id)))
    paid = request(till, made.id)
    assert paid.payment_id
    assert paid.provider_payment
    return paid.payment_id, paid.provider_payment


def give_back(till: Till, payment: int, amount: int, **over: Any) -> int:
    options = {"payment_id": payment, "amount": amount, "reason": " Ill ", "actor": SYSTEM, **over}
    return desk.refund_payment(till.session, **options)


@pytest.mark.databases("sqlite")
def test_money_that_came_in_online_goes_back_there(till: Till, stripe: FakeStripe, sound: Any) -> None:
    payment, name = paid_online(till, stripe, 5000)
    stripe.refuses = "Insufficient funds"
    with pytest.raises(ProviderRefused, match="Insufficient"):
        give_back(till, payment, 2000)
    stripe.refuses, stripe.away = "", True
    with pytest.raises(ProviderAway):
        give_back(till, payment, 2000, idempotency_key="a")
    stripe.away = False
    assert till.payments() == {payment: (5000, 5000, 0)}, "a refund that did not happen changes nothing"
    first = give_back(till, payment, 2000, idempotency_key="a")
    assert give_back(till, payment, 2000, idempotency_key="a") == first
    assert [r["amount"] for r in stripe.refunds.values()] == [2000]
    hear(till, stripe.refunded(name))
    assert till.payments() == {payment: (5000, 3000, 2000)}

    # At the dashboard, told twice; then by hand while Stripe is switched off, told when it is on again.
    stripe.send_back(name, 500)
    for _ in range(2):
        hear(till, stripe.refunded(name))
    provider = Stripe(KEY, SECRET, stripe.url)
    use_provider(None)
    give_back(till, payment, 300)
    stripe.send_back(name, 300)
    use_provider(provider)
    hear(till, stripe.refunded(name))
    assert till.payments() == {payment: (5000, 2200, 2800)}
    assert rows(till, Refund.reason) == ["Ill", "Refunded at the provider", "Ill"]
    assert rows(till, OnlineRefund.state) == ["sent"] * 3

    # More than is left here: noted once, and money stays what it is.
    till.act("refund_payment", payment_id=payment, amount=2000, reason="In cash")
    stripe.send_back(name, 900)
    for _ in range(2):
        hear(till, stripe.refunded(name))
    assert till.payments() == {payment: (5000, 200, 4800)}
    assert rows(till, AuditEvent.verb).count("note_refund_difference") == 1
    assert sound()


@pytest.mark.databases("sqlite")
def test_the_event_of_a_refund_may_be_quicker_than_who_asked_for_it(till: Till, stripe: FakeStripe, sound: Any) -> None:
    payment, name = paid_online(till, stripe, 5000)

    class Slow(Stripe):
        def refund(self, *asked: Any) -> Any:
            made = super().refund(*asked)
            hear(till, stripe.refunded(name))
            return made

    use_provider(Slow(KEY, SECRET, stripe.url))
    refund = give_back(till, payment, 5000)
    assert till.payments() == {payment: (5000, 0, 5000)}
    assert (rows(till, Refund.id), rows(till, Refund.reason)) == ([refund], ["Ill"])

    # It failed days later: it stays in the books, and people are told.
    next(iter(stripe.refunds.values())).update(status="failed", failure_reason="lost_or_stolen_card")
    hear(till, stripe.event("refund.failed", {"object": "refund", "payment_intent": name}))
    [row] = rows(till, OnlineRefund.problem)
    assert row == "lost_or_stolen_card"
    assert rows(till, OnlineRefund.state) == ["failed"]
    assert sound()
    assert findings(till) == ["online_refund_failed"]
    with unit_of_work(till.session):
        till.session.execute(update(OnlinePayment).values(received=4999))
    assert findings(till) == ["online_payment_differs", "online_refund_failed"]


@pytest.mark.databases("sqlite")
def test_refunds_that_other_verbs_cause_are_sent_after_them(till: Till, stripe: FakeStripe, sound: Any) -> None:
    payment, name = paid_online(till, stripe, 5000)
    with unit_of_work(till.session):
        user_id = make_user_row(till.session).id
    here = Actor(user_id=user_id, reach=Reach.own_clubs, club_ids=(till.club_id,))
    with unit_of_work(till.session), acting_as(till.session, here):
        made = service.billing.refund_payment(
            till.session, payment_id=payment, amount=1500, reason="Cancelled", actor=here
        )
        service.send_later(till.session, [made])
    assert rows(till, Job.by_system) == [True], "also where somebody with a narrow reach caused it"
    [due] = rows(till, OnlineRefund.id)
    stripe.refuses = "Insufficient funds"
    desk.send_refund(till.session, online_refund_id=due)
    assert rows(till, OnlineRefund.problem) == ["Insufficient funds"]
    stripe.refuses = ""
    with unit_of_work(till.session):
        service.send_again(till.session, online_refund_id=due, actor=SYSTEM)
    with unit_of_work(till.session), pytest.raises(ChargesChanged):
        service.send_again(till.session, online_refund_id=due, actor=SYSTEM)
    for _ in range(2):
        desk.send_refund(till.session, online_refund_id=due)
    hear(till, stripe.refunded(name))
    assert [r["amount"] for r in stripe.refunds.values()] == [1500]
    assert rows(till, OnlineRefund.state) == ["sent"]
    assert till.payments() == {payment: (5000, 3500, 1500)}
    assert sound()
    assert findings(till) == []


@pytest.mark.databases("postgresql")
def test_thirty_times_the_same_event_at_once(
    till: Till, stripe: FakeStripe, session_factory: sessionmaker[Session], sound: Any
) -> None:
    till.charge(4500)
    key = ask(till)
    body, signature = stripe.event("checkout.session.completed", stripe.pay(request(till, key).checkout_id))

    def deliver(_number: int) -> None:
        with session_factory() as session:
            desk.hear(session, body=body, signature=signature)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(deliver, range(30)))
    assert [payment[:2] for payment in till.payments().values()] == [(4500, 4500)]
    assert rows(till, AuditEvent.verb).count("take_payment") == 1
    assert sound()


@pytest.mark.parametrize(
    ("currency", "ours", "theirs"),
    [("EUR", 4599, 4599), ("JPY", 500, 500), ("KWD", 5120, 5120), ("ISK", 500, 50000), ("UGX", 500, 50000),
     ("ALL", 70, 7000), ("MGA", 900, 900)],
)
def test_stripe_counts_some_currencies_in_its_own_way(currency: str, ours: int, theirs: int) -> None:
    assert to_stripe(ours, currency) == theirs
    assert from_stripe(theirs, currency) == ours


def test_of_thousandths_stripe_takes_tens() -> None:
    with pytest.raises(NoSuchAmount, match=r"KWD only in steps of 0\.010"):
        to_stripe(5124, "KWD")
    assert from_stripe(750, "ISK") == 8, "half up: there are no smaller coins"


def test_checkout_speaks_the_clients_language_where_it_can() -> None:
    assert [checkout_locale(name) for name in ("de", "pt_BR", "fr-CH", "ar", "", None)] == [
        "de", "pt-BR", "fr", "auto", "auto", "auto"
    ]

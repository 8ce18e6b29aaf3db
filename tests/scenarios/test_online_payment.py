"""Money that comes in online, from the link on a client's card to the refund, and what the client does alone."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from enrollment_addon.billing.models import Charge, Payment
from enrollment_addon.billing.online.models import OnlinePayment, OnlineRefund
from enrollment_addon.billing.online.provider import use_provider
from enrollment_addon.billing.online.queries import ASK_AFTER
from enrollment_addon.billing.online.stripe_provider import stripe_of
from enrollment_addon.billing.service import issue_charge, refund_enrollment
from enrollment_addon.core import clock, roles
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.people.models import Client
from tests import factories, stripe_server
from tests.conftest import csrf_token
from tests.hosts import Command
from tests.scenarios.conftest import Studio
from tests.scenarios.test_money import assert_money_adds_up, call, fill_in, stored
from tests.stripe_server import FakeStripe

pytestmark = pytest.mark.databases("sqlite")
WEBHOOK = "/api/v1/enrollment/online_payments/webhook"


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    with stripe_server.serving() as fake:
        yield fake


@pytest.fixture
def config(stripe: FakeStripe) -> dict[str, Any]:
    return {**stripe_server.settings(stripe), "ENROLLMENT_WORKER": False}


def charge(app: Flask, client_id: int, gross: int, what: str, **over: Any) -> int:
    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        with unit_of_work(session):
            key: int = factories.make_charge(
                session, session.get_one(Client, client_id), gross=gross, what=what, **over
            ).id
            return key


def tell(app: Flask, event: tuple[bytes, str]) -> TestResponse:
    """Stripe sends an event: a stranger without cookies or tokens."""
    body, signature = event
    return app.test_client().post(WEBHOOK, data=body, headers={"Stripe-Signature": signature})


def test_a_link_for_a_client(
    ana: FlaskClient, jonas: FlaskClient, app: Flask, studio: Studio, stripe: FakeStripe
) -> None:
    maya = studio.clients[20]
    assert "Ask to pay online" not in ana.get(f"/enrollment/clients/show/{maya}").text, "nothing is open"
    agility, puppies = charge(app, maya, 4500, "Agility"), charge(app, maya, 3000, "Puppies")
    ask = f"/enrollment/online-request/{maya}"
    assert ask in ana.get(f"/enrollment/clients/show/{maya}").text
    choice = ana.get(ask).text
    assert choice.count("checked") == 2
    assert "€45.00" in choice
    both = f"{ask}?charge_id={agility}&charge_id={puppies}"
    confirm = ana.get(both).text
    assert "Ask for €75.00" in confirm
    bill = [re.sub(r"<[^>]+>|\s", "", row) for row in confirm.partition('"enr-sum"')[2].split("</div>")[:3]]
    assert [row.lstrip(">") for row in bill] == ["Agility€45.00", "Puppies€30.00", "Total€75.00"]
    assert jonas.get(ask).status_code == 404
    assert jonas.get(f"/enrollment/online-request/{studio.jonas_clients[0]}?charge_id={agility}").status_code == 404

    # Stripe is away, then refuses, then takes it: what was typed stays, and nothing is there twice.
    stripe.away = True
    away = fill_in(ana, both).text
    assert "does not answer" in away
    assert "Please correct" not in away, "there is nothing to correct"
    stripe.away, stripe.refuses = False, "Too small"
    refused = fill_in(ana, both, key="first")
    assert "Stripe refused: Too small" in refused.text
    assert 'name="idempotency_key" value="first"' not in refused.text, "Stripe would only repeat itself"
    stripe.refuses = ""
    answer = fill_in(ana, both)
    [made] = stored(app, OnlinePayment)
    assert answer.headers["Location"].endswith(f"/enrollment/online-payments/show/{made.id}")
    page = ana.get(f"/enrollment/online-payments/show/{made.id}").text
    for words in (made.url, "Copy link", "mailto:client", "Agility", "€75.00", "Open"):
        assert words in page, words
    card = ana.get(f"/enrollment/clients/show/{maya}").text
    assert "Asked to pay online: €75.00" in card
    assert f"/enrollment/online-payments/list/?_flt_0_client_id={maya}" in card
    assert "Maya 20" in ana.get("/enrollment/online-payments/list/").text
    assert "Maya 20" not in jonas.get("/enrollment/online-payments/list/").text
    for url in ("show", "cancel"):
        assert jonas.get(f"/enrollment/online-payments/{url}/{made.id}").status_code == 404

    # One charge alone: the earlier link ends. Then it is paid, and Stripe says so twice.
    one = f"/enrollment/charges/show/{agility}"
    assert f"{ask}?charge_id={agility}" in ana.get(one).text
    assert "An earlier link" in ana.get(f"{ask}?charge_id={agility}").text
    assert fill_in(ana, f"{ask}?charge_id={agility}").status_code == 302
    paid = stripe.event("checkout.session.completed", stripe.pay(stripe.last()["id"]))
    assert [tell(app, paid).status_code for _ in range(2)] == [200, 200]
    assert [str(r.state) for r in stored(app, OnlinePayment)] == ["cancelled", "paid"]
    assert [(str(c.status), c.settled) for c in stored(app, Charge)] == [("paid", 4500), ("open", 0)]
    [payment] = stored(app, Payment)
    for event, status in (((b"{}", paid[1]), 400), ((paid[0], ""), 400), ((b"x" * 300_000, ""), 413)):
        assert tell(app, event).status_code == status
    page = ana.get("/enrollment/online-payments/show/2").text
    assert "Copy link" not in page
    assert "Ask now about refunds" in page
    assert "whether it was paid" not in page
    assert fill_in(ana, "/enrollment/online-payments/cancel/2").status_code == 422

    # The payer's bank wants it back: told twice, lost, and told once more by an event that was late.
    dispute = {
        "id": "dp_1", "object": "dispute", "amount": 4500, "currency": "eur", "status": "needs_response",
        "payment_intent": stripe.last()["payment_intent"],
    }
    opened = stripe.event("charge.dispute.created", dispute)
    lost = stripe.event("charge.dispute.closed", {**dispute, "status": "lost"})
    payments = "/enrollment/payments"
    assert "· Disputed" not in ana.get(f"{payments}/list/").text
    for event, flag in ((opened, "Disputed"), (opened, "Disputed"), (lost, "Dispute lost"), (opened, "Dispute lost")):
        assert tell(app, event).status_code == 200
        assert f"Online · {flag}" in ana.get(f"{payments}/list/?_flt_0_disputed=1").text
        assert flag in ana.get(f"{payments}/show/{payment.id}").text
    assert "Nothing matches." in ana.get(f"{payments}/list/?_flt_0_disputed=0").text
    assert jonas.get(f"{payments}/show/{payment.id}").status_code == 404
    card = ana.get(f"/enrollment/clients/show/{maya}").text
    assert card.count("wants €45.00 back") == card.count("Dispute over €45.00 lost") == 1
    assert [(str(c.status), c.settled) for c in stored(app, Charge)] == [("paid", 4500), ("open", 0)], "people decide"

    # It goes back by Stripe, which first refuses.
    refund = f"/enrollment/payments/refund/{payment.id}"
    assert "It goes back by Stripe" in ana.get(refund).text
    stripe.refuses = "Insufficient funds"
    assert "Insufficient funds" in fill_in(ana, refund, amount="20", reason="Ill").text
    stripe.refuses = ""
    assert fill_in(ana, refund, amount="20", reason="Ill").status_code == 302
    back = call(ana, "POST", "/refunds/", {"payment_id": payment.id, "amount": "5", "reason": "Late"}, key="r")
    assert back.json["result"]["amount"] == "5.00"  # type: ignore[index]
    assert sorted(r["amount"] for r in stripe.refunds.values()) == [500, 2000]
    assert "Sent back online" in ana.get(f"/enrollment/payments/show/{payment.id}").text
    next(iter(stripe.refunds.values())).update(status="failed", failure_reason="lost_or_stolen_card")
    tell(app, stripe.event("refund.failed", {"payment_intent": payment.reference}))
    assert "Could not be sent back online" in ana.get(f"/enrollment/payments/show/{payment.id}").text
    assert fill_in_button(ana, f"/enrollment/payments/show/{payment.id}", "/enrollment/online-payments/send-again/1")
    assert [str(r.state) for r in stored(app, OnlineRefund)] == ["due", "sent"]
    assert_money_adds_up(app)


def fill_in_button(browser: FlaskClient, page: str, url: str) -> bool:
    """Press a button of a page that posts; whether it led on."""
    shown = browser.get(page).text
    assert url in shown
    return browser.post(url, data={"csrf_token": csrf_token(shown)}).status_code == 302


def test_what_nobody_told_of_is_asked_for_at_night(
    ana: FlaskClient, app: Flask, studio: Studio, stripe: FakeStripe
) -> None:
    """Refunds that other verbs recorded are sent then, too, when they could not be sent at once."""

    def due() -> int:
        """How many jobs there were to do."""
        ran: int = json.loads(Command(app)("run-due", "--often", "--json").stdout)["ran"]
        return ran

    for number in (20, 21, 22):
        charge(app, studio.clients[number], 1000, "Agility")
        assert fill_in(ana, f"/enrollment/online-request/{studio.clients[number]}").status_code == 302
    first, second, third = stripe.sessions
    stripe.pay(first)
    stripe.sessions[second]["status"] = "expired"
    assert due() == 0, "events may take an hour"
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        session.execute(update(OnlinePayment).values(asked_at=clock.now() - ASK_AFTER * 2))
    stripe.away = True
    assert due() == 1
    assert {str(r.state) for r in stored(app, OnlinePayment)} == {"open"}
    stripe.away = False
    assert due() == 1
    assert [str(r.state) for r in stored(app, OnlinePayment)] == ["paid", "expired", "open"]
    assert due() == 0
    assert stripe.sessions[third]["status"] == "open"

    # A refund that comes with something else, such as a cancelled enrollment, is sent once that is written.
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        yoga = session.get_one(factories.EventType, studio.yoga)
        client = session.get_one(Client, studio.clients[23])
        enrollment = factories.make_enrollment(session, client, factories.make_package(session, yoga)).id
        issue_charge(
            session, client_id=client.id, what="Ten lessons", gross=9000, currency="EUR", enrollment_id=enrollment,
            due_on=clock.today("UTC"), actor=SYSTEM,
        )
    assert fill_in(ana, f"/enrollment/online-request/{studio.clients[23]}").status_code == 302
    tell(app, stripe.event("checkout.session.completed", stripe.pay(stripe.last()["id"])))
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        refund_enrollment(session, enrollment_id=enrollment, amount=4000, reason="Moved away", actor=SYSTEM)
    assert stripe.refunds == {}, "nothing leaves before it is written"
    assert due() == 1
    assert [r["amount"] for r in stripe.refunds.values()] == [4000]
    assert [str(r.state) for r in stored(app, OnlineRefund)] == ["sent"]
    assert_money_adds_up(app)


def test_clients_pay_what_is_theirs(
    ana: FlaskClient, app: Flask, studio: Studio, stripe: FakeStripe, make_user: Callable[..., int],
    login: Callable[..., FlaskClient],
) -> None:
    maya, other = studio.clients[20], studio.clients[21]
    account = make_user("maya", [roles.CLIENT])
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        session.execute(update(Client).where(Client.id == maya).values(portal_user_id=account, locale="ar"))
    browser = login(app.test_client(), "maya")
    own, pay = "/enrollment/my/", "/enrollment/my/pay/"
    assert "You have nothing to pay." in browser.get(own).text
    charge(app, maya, 4500, "Agility")
    theirs = charge(app, other, 900, "Of somebody else")
    page = browser.get(own).text
    assert "€45.00" in page
    assert "Of somebody else" not in page
    assert pay in page
    assert browser.get(f"{pay}?charge_id={theirs}").status_code == 404
    assert "Pay €45.00 online" in browser.get(pay).text
    away = fill_in(browser, pay)
    assert away.headers["Location"] == stripe.last()["url"]
    assert fill_in(browser, pay).headers["Location"] == stripe.last()["url"], "back and once more"
    assert len(stripe.sessions) == 1
    [(_, _, sent), *_] = stripe.asked
    assert sent["locale"] == "auto", "Stripe speaks no Arabic; the browser says what else"
    nobody = app.test_client()
    for url in (sent["success_url"], sent["cancel_url"]):
        assert url.startswith("http://localhost/enrollment/online-payment/")
        shown = nobody.get(url)
        assert shown.status_code == 200
        assert "Maya" not in shown.text
        assert own in browser.get(url).text
    assert [c.settled for c in stored(app, Charge)] == [0, 0], "that they came back says nothing"
    tell(app, stripe.event("checkout.session.completed", stripe.pay(stripe.last()["id"])))
    assert "You have nothing to pay." in browser.get(own).text
    for url in (f"/enrollment/online-request/{maya}", "/enrollment/online-payments/list/"):
        assert browser.get(url).status_code == 403
    assert ana.get(pay).status_code == 403, "who works here asks; only clients pay"


class TestOff:
    @pytest.fixture
    def config(self) -> dict[str, Any]:
        return {"ENROLLMENT_STRIPE_KEY": "sk_test_only_this", "ENROLLMENT_WORKER": False}

    def test_without_all_settings_it_is_off_and_says_so_to_who_can_set_it(
        self, ana: FlaskClient, jonas: FlaskClient, app: Flask, studio: Studio
    ) -> None:
        maya = studio.jonas_clients[0]
        open_charge = charge(app, maya, 4500, "Agility")
        told = ana.get("/enrollment/online-payments/list/").text
        assert "set ENROLLMENT_STRIPE_WEBHOOK_SECRET" in told
        assert "sk_test" not in told
        assert "ENROLLMENT_STRIPE" not in jonas.get("/enrollment/online-payments/list/").text
        for url in (f"/enrollment/clients/show/{maya}", f"/enrollment/charges/show/{open_charge}"):
            assert "online-request" not in ana.get(url).text
        assert "switched off" in ana.get(f"/enrollment/online-request/{maya}").text
        answer = call(ana, "POST", "/online_payments/", {"client_id": maya})
        assert (answer.status_code, answer.json["error"]["code"]) == (409, "online_payment_off")  # type: ignore[index]
        assert tell(app, (b"{}", "t=1,v1=0")).status_code == 400

    def test_without_its_library_it_is_off_and_says_so(
        self, ana: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = replace(app.extensions["enrollment"].settings, stripe_webhook_secret="whsec_1")
        monkeypatch.setitem(sys.modules, "stripe", None)  # so Python says that it is not installed
        use_provider(*stripe_of(settings))
        assert "Install enrollment-addon[stripe]" in ana.get("/enrollment/online-payments/list/").text
        assert tell(app, (b"{}", "t=1,v1=0")).status_code == 400

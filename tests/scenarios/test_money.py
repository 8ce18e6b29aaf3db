"""A week of money at the front desk, through the pages and through REST, and what a colleague sees of it: nothing."""

import csv
import datetime as dt
import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from enrollment_addon.billing.models import Charge, MoneyAccount, Payment
from enrollment_addon.billing.service import check_money
from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from tests.conftest import csrf_token
from tests.scenarios.conftest import Studio

DAY = dt.timedelta(days=1)
CARD = "/enrollment/clients/show"
REST = "/api/v1/enrollment"


def fill_in(browser: FlaskClient, url: str, key: str = "", **typed: Any) -> TestResponse:
    """Open a form and post it."""
    page = browser.get(url)
    assert page.status_code == 200, page.text[:500]
    assert csrf_token(page.text)
    own_key = page.text.partition('name="idempotency_key" value="')[2].partition('"')[0]
    return browser.post(
        url, data={"csrf_token": csrf_token(page.text), "idempotency_key": key or own_key, **typed}
    )


def stored(app: Flask, model: Any) -> list[Any]:
    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        return list(session.scalars(select(model).order_by(*model.__table__.primary_key)).all())


def assert_money_adds_up(app: Flask) -> None:
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        assert list(check_money(session)) == []


def call(browser: FlaskClient, method: str, path: str, body: Any = None, key: str | None = None) -> TestResponse:
    """REST with the browser's own log-in."""
    token = csrf_token(browser.get("/enrollment/clients/list/").text) or _meta(browser)
    headers = {"X-CSRFToken": token, **({"Idempotency-Key": key} if key else {})}
    return browser.open(f"{REST}{path}", method=method, json=body, headers=headers)


def _meta(browser: FlaskClient) -> str:
    page = browser.get("/enrollment/clients/list/").text
    return page.partition('name="csrf-token" content="')[2].partition('"')[0]


def test_a_week_at_the_front_desk(ana: FlaskClient, jonas: FlaskClient, app: Flask, studio: Studio) -> None:
    maya = studio.clients[20]
    assert "Nothing is open." in ana.get(f"{CARD}/{maya}").text

    # Two charges, one of them overdue; the first is paid in part, the second from its own page.
    issue = f"/enrollment/money/charge/{maya}"
    soon = str(clock.today("UTC") + 30 * DAY)
    for what, amount, due_on in (("Agility", "45.00", "2026-01-05"), ("Puppies", "1,030.50", soon)):
        answer = fill_in(ana, issue, what=what, amount=amount, tax_rate="19", due_on=due_on)
        assert answer.status_code == 302, answer.text
    agility, puppies = (charge.id for charge in stored(app, Charge))
    card = ana.get(f"{CARD}/{maya}").text
    for words in ("€1,075.50", "2 open charges", "Overdue", "Charge issued: Agility, €45.00"):
        assert words in card, words
    assert ana.get("/enrollment/clients/list/").text.count("€1,075.50") == 1, "the list says who owes what"
    pay = f"/enrollment/money/pay/{maya}"
    assert 'value="1075.50"' in ana.get(pay).text, "what is due is proposed"
    assert fill_in(ana, pay, key="one", amount="20", method="cash").status_code == 302
    assert fill_in(ana, pay, key="one", amount="20", method="cash").status_code == 302, "a double click"
    assert fill_in(ana, pay, key="one", amount="21", method="cash").status_code == 422, "another amount is no repeat"
    assert len(stored(app, Payment)) == 1
    of_puppies = f"{pay}?charge_id={puppies}"
    assert 'value="1030.50"' in ana.get(of_puppies).text
    assert fill_in(ana, of_puppies, amount="1100", method="transfer", reference="B-7").status_code == 302
    assert [(str(c.status), c.settled) for c in stored(app, Charge)] == [("open", 2000), ("paid", 103050)]
    card = ana.get(f"{CARD}/{maya}").text
    for words in ("€25.00", "€69.50", "Bank transfer · B-7", "Payment taken: €1,100.00"):
        assert words in card, words

    # The rest of it from the account; then the big payment goes back in part.
    shown = ana.get(f"/enrollment/charges/show/{agility}").text
    assert "Settle from account" in shown
    assert fill_in(ana, f"/enrollment/charges/settle/{agility}").status_code == 302
    assert [c.status for c in stored(app, Charge)] == ["paid", "paid"]
    [_cash, transfer] = stored(app, Payment)
    refund = f"/enrollment/payments/refund/{transfer.id}"
    assert 'value="1100.00"' in ana.get(refund).text, "all of it is proposed"
    assert fill_in(ana, refund, amount="40.00", reason="Paid too much").status_code == 302
    assert [a.on_account for a in stored(app, MoneyAccount)] == [450]
    assert "Paid too much" in ana.get(f"/enrollment/payments/show/{transfer.id}").text
    assert_money_adds_up(app)

    # A charge that was paid is withdrawn: the money is on account, and can be refunded.
    void = f"/enrollment/charges/void/{puppies}"
    assert fill_in(ana, void, reason="").status_code == 422
    assert fill_in(ana, void, reason="Never took place").status_code == 302
    assert [a.on_account for a in stored(app, MoneyAccount)] == [103500]
    assert "Never took place" in ana.get(f"/enrollment/charges/show/{puppies}").text
    assert fill_in(ana, f"/enrollment/charges/free/{agility}", reason="Wrong one").status_code == 302
    assert [a.on_account for a in stored(app, MoneyAccount)] == [108000]
    assert "€45.00" in ana.get(f"{CARD}/{maya}").text
    assert_money_adds_up(app)
    assert_nothing_is_seen_by(jonas, maya, agility, transfer.id, app)
    report = ana.get("/enrollment/open-charges/").text
    assert "Over 90 days overdue" in report
    assert "Maya 20 Fischer" in report
    file = ana.get("/enrollment/open-charges/export/csv").text
    assert file.splitlines()[1:] == [f"{maya},Maya 20 Fischer,EUR,0.00,0.00,0.00,0.00,45.00,45.00"]
    assert ana.get("/enrollment/open-charges/export/xlsx").status_code == 200
    assert ana.get("/enrollment/open-charges/export/pdf").status_code == 404
    overdue = ana.get("/enrollment/charges/export/csv?_flt_0_status=overdue")
    [row] = csv.DictReader(io.StringIO(overdue.text.lstrip("\ufeff")))
    assert (row["What for"], row["Amount"], row["Tax"], row["Status"]) == ("Agility", "45.00", "7.18", "Overdue")


def assert_nothing_is_seen_by(jonas: FlaskClient, client: int, charge: int, payment: int, app: Flask) -> None:
    """By no way in: Jonas reaches ten other clients."""
    before = [(c.status, c.settled) for c in stored(app, Charge)]
    for name, words in (("charges", "Agility"), ("payments", "Maya 20")):
        for query in ("", f"?_flt_0_client_id={client}", "?search=Maya+20"):
            page = jonas.get(f"/enrollment/{name}/list/{query}")
            assert page.status_code == 200
            assert words not in page.text.replace('value="Maya 20"', "")
        assert jonas.get(f"/enrollment/{name}/export/csv").text.count("\n") == 1
        assert jonas.get(f"{REST}/{name}/").json["count"] == 0  # type: ignore[index]
    assert "Maya 20" not in jonas.get("/enrollment/open-charges/").text
    assert jonas.get("/enrollment/open-charges/export/csv").text.count("\n") == 1
    for url in (
        f"/enrollment/charges/show/{charge}", f"/enrollment/payments/show/{payment}",
        f"/enrollment/money/charge/{client}", f"/enrollment/money/pay/{client}",
        f"/enrollment/money/pay/{client}?charge_id={charge}", f"/enrollment/charges/free/{charge}",
        f"/enrollment/charges/settle/{charge}", f"{REST}/charges/{charge}", f"{REST}/payments/{payment}",
        f"{REST}/clients/{client}/charges",
    ):
        assert jonas.get(url).status_code == 404, url
    for url in (f"/enrollment/charges/void/{charge}", f"/enrollment/payments/refund/{payment}"):
        assert jonas.get(url).status_code == 403, "team members hold neither permission"
    for path, body in (
        ("/charges/", {"client_id": client, "what": "X", "amount": "1"}),
        ("/payments/", {"client_id": client, "amount": "1", "method": "cash"}),
        ("/payments/", {"client_id": client, "amount": "1", "method": "account"}),
        (f"/charges/{charge}/free", {"reason": "x"}),
    ):
        assert call(jonas, "POST", path, body).status_code == 404, path
    assert call(jonas, "POST", "/refunds/", {"payment_id": payment, "amount": "1", "reason": "x"}).status_code == 403
    assert [(c.status, c.settled) for c in stored(app, Charge)] == before


@pytest.mark.databases("sqlite")
def test_what_cannot_be_paid_is_said_and_the_form_keeps_what_was_typed(
    ana: FlaskClient, app: Flask, studio: Studio
) -> None:
    maya = studio.clients[20]
    issue, pay = f"/enrollment/money/charge/{maya}", f"/enrollment/money/pay/{maya}"
    good = {"what": "Agility", "amount": "10", "tax_rate": "0", "due_on": "2026-12-01"}
    for typed in (
        {"amount": "-1"}, {"amount": "0"}, {"amount": "0.001"}, {"amount": "ten"}, {"amount": ""}, {"amount": "NaN"},
        {"amount": "1e99"}, {"what": ""}, {"tax_rate": "101"}, {"tax_rate": "-1"}, {"due_on": "tomorrow"},
        {"due_on": "1899-01-01"},
    ):
        answer = fill_in(ana, issue, **{**good, **typed})
        assert answer.status_code == 422, typed
        assert "aria-invalid" in answer.text, typed
        assert typed.get("what", "Agility") in answer.text
    for typed in ({"amount": "0.001"}, {"amount": "-5"}, {"method": "barter"}, {"paid_on": "2999-01-01"}):
        answer = fill_in(ana, pay, **{"amount": "5", "method": "cash", "reference": "R-99", **typed})
        assert answer.status_code == 422, typed
        assert "aria-invalid" in answer.text, typed
        assert "R-99" in answer.text
    refused = fill_in(ana, pay, amount="5", method="account")
    assert refused.status_code == 422
    assert "There is no open charge" in refused.text
    assert stored(app, Charge) == stored(app, Payment) == []


@pytest.mark.databases("sqlite")
def test_amounts_are_typed_as_the_language_writes_them(ana: FlaskClient, app: Flask, studio: Studio) -> None:
    maya = studio.clients[20]
    ana.get("/lang/de")
    fill_in(ana, f"/enrollment/money/charge/{maya}", what="Kurs", amount="1.234,50", tax_rate="8,1",
            due_on="2026-12-01")
    [charge] = stored(app, Charge)
    assert (charge.gross, charge.tax, str(charge.tax_rate)) == (123450, 9250, "8.100")
    assert 'value="1234,50"' in ana.get(f"/enrollment/money/pay/{maya}").text

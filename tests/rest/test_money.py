"""Money as other programs move it: the shapes of the contract, and what is refused."""

from typing import Any

import pytest

from enrollment_addon.core import clock
from tests.rest.conftest import Caller, Town, refusal, wrong_fields

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def cara(owner: Caller, town: Town) -> int:
    """A client of North who owes nothing."""
    made = owner.made("/clients/", {"first_name": "Cara", "last_name": "Cole", "club_id": town.north})
    return int(made["id"])


def issue(owner: Caller, client: int, amount: str, **more: Any) -> Any:
    return owner.made("/charges/", {"client_id": client, "what": "Agility", "amount": amount, **more})


def test_charge_pay_refund_as_the_contract_says(owner: Caller, cara: int) -> None:
    charge = issue(owner, cara, "119.00", tax_rate="19")
    assert {k: charge[k] for k in ("net", "tax", "gross", "tax_rate", "currency", "status", "settled", "open")} == {
        "net": "100.00", "tax": "19.00", "gross": "119.00", "tax_rate": "19", "currency": "EUR", "status": "open",
        "settled": "0.00", "open": "119.00",
    }
    assert charge["due_on"] == clock.today("Europe/Berlin").isoformat()
    later = issue(owner, cara, "30", due_on="2030-01-31", what="Puppies")
    body = {"client_id": cara, "amount": "130.00", "method": "card", "reference": "T-1"}
    paid = owner.made("/payments/", body, key="k1")
    assert paid["settled"] == [
        {"charge_id": charge["id"], "amount": "119.00"}, {"charge_id": later["id"], "amount": "11.00"}
    ]
    assert (paid["currency"], paid["on_account"]) == ("EUR", "0.00")
    assert owner.made("/payments/", body, key="k1") == paid
    assert refusal(owner.post("/payments/", {**body, "amount": "131"}, key="k1")) == (409, "idempotency_mismatch")
    assert owner.get("/payments/", q=f"(filters:!((col:client_id,opr:eq,value:{cara})))").json["count"] == 1
    shown = owner.get(f"/clients/{cara}/charges").json
    assert shown["count"] == 2
    assert [(c["id"], c["status"], c["settled"]) for c in shown["result"]] == [
        (charge["id"], "paid", "119.00"), (later["id"], "open", "11.00")
    ]
    extra = owner.made("/payments/", {"client_id": cara, "amount": "25", "method": "cash", "charge_ids": [later["id"]]})
    assert extra["on_account"] == "6.00"
    third = issue(owner, cara, "4.00")
    used = owner.made("/payments/", {"client_id": cara, "amount": "4.00", "method": "account"})
    assert used == {
        "id": None, "currency": "EUR", "on_account": "2.00", "settled": [{"charge_id": third["id"], "amount": "4.00"}]
    }
    refund = owner.made("/refunds/", {"payment_id": extra["id"], "amount": "2.00", "reason": "Too much"}, key="k2")
    assert (refund["amount"], refund["currency"], refund["reason"]) == ("2.00", "EUR", "Too much")
    assert owner.result(f"/payments/{extra['id']}")["refunded"] == "2.00"
    for _ in range(2):
        voided = owner.post(f"/charges/{third['id']}/void", {"reason": "Never took place"}, key="k3").json["result"]
        assert (voided["status"], voided["settled"]) == ("void", "0.00")
    assert refusal(owner.post(f"/charges/{third['id']}/void", {"reason": "x"})) == (409, "state_conflict")
    answer = owner.post(f"/charges/{charge['id']}/free", {"reason": "Wrong one"}, key="k3")
    assert refusal(answer) == (409, "idempotency_mismatch")
    freed = owner.post(f"/charges/{charge['id']}/free", {"reason": "Wrong one"}, key="k4").json["result"]
    assert (freed["status"], freed["open"]) == ("open", "119.00")
    page = owner.get(f"/clients/{cara}/charges", page=1).json
    assert (page["count"], page["result"]) == (3, []), "a page has up to 1,000"
    overdue = owner.get("/charges/", q="(filters:!((col:status,opr:eq,value:overdue)))").json["result"]
    assert cara not in [c["client_id"] for c in overdue]


def test_what_cannot_be_is_refused_at_its_field(owner: Caller, cara: int, town: Town) -> None:
    charge = issue(owner, cara, "10.00")
    dollars = issue(owner, cara, "10.00", currency="USD")
    paid = owner.made("/payments/", {"client_id": cara, "amount": "4.00", "method": "cash"})
    payment = {"client_id": cara, "amount": "1.00", "method": "cash"}
    refund = {"payment_id": paid["id"], "amount": "1.00", "reason": "x"}
    new = {"client_id": cara, "what": "X", "amount": "1.00"}
    for path, body, field in (
        *(("/payments/", {**payment, "amount": amount}, "amount")
          for amount in ("-1", "0", "0.001", "x", "", "NaN", "1e30", 1.5, None)),
        ("/payments/", {**payment, "method": "barter"}, "method"),
        ("/payments/", {**payment, "currency": "EURO"}, "currency"),
        ("/payments/", {**payment, "charge_ids": []}, "charge_ids"),
        ("/payments/", {**payment, "charge_ids": ["x"]}, "charge_ids"),
        ("/payments/", {**payment, "paid_on": "2999-01-01"}, "paid_on"),
        ("/payments/", {**payment, "tip": "1"}, "tip"),
        *(("/refunds/", {**refund, "amount": amount}, "amount") for amount in ("-1", "0", "0.001", "4.01")),
        ("/refunds/", {**refund, "reason": " "}, "reason"),
        *(("/charges/", {**new, "amount": amount}, "amount") for amount in ("-1", "0.001", "much")),
        ("/charges/", {**new, "tax_rate": "101"}, "tax_rate"),
        ("/charges/", {**new, "tax_rate": "x"}, "tax_rate"),
        ("/charges/", {**new, "due_on": "1990-01-01"}, "due_on"),
        ("/charges/", {**new, "what": ""}, "what"),
    ):
        assert wrong_fields(owner.post(path, body)) == {field}, (path, body)
    for body, expected in (
        ({**payment, "charge_ids": [dollars["id"]], "currency": "EUR"}, (422, "currency_differs")),
        ({**payment, "charge_ids": [charge["id"], dollars["id"]]}, (422, "currency_differs")),
        ({**payment, "method": "account"}, (409, "not_enough_on_account")),
        ({**payment, "charge_ids": [town.bob.charge]}, (404, "not_found")),
        ({**payment, "client_id": 4_711}, (404, "not_found")),
    ):
        assert refusal(owner.post("/payments/", body)) == expected, body
    above = owner.post("/refunds/", {**refund, "amount": "4.01"})
    assert refusal(above) == (422, "refund_above_paid")
    assert above.json["error"]["message"] == "At most 4.00 EUR can be refunded."
    owner.made("/payments/", {"client_id": cara, "amount": "100", "method": "cash"})
    rest = owner.post("/payments/", {**payment, "amount": "50", "method": "account", "charge_ids": [dollars["id"]]})
    assert refusal(rest) == (409, "not_enough_on_account"), "euros pay no dollars"
    more = issue(owner, cara, "5.00")
    assert refusal(owner.post("/payments/", {**payment, "amount": "6", "method": "account"})) == (422, "above_open")
    assert owner.result(f"/charges/{more['id']}")["settled"] == "0.00"

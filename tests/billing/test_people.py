"""What money does when clients are merged, erased, exported or deleted, and when a club changes its currency."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment_addon.billing import people_hooks, queries
from enrollment_addon.billing.errors import ClientMerged
from enrollment_addon.billing.models import Charge, Payment, Refund
from enrollment_addon.billing.online.models import OnlinePayment
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import InUse
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.people import service
from enrollment_addon.people.errors import CurrencyInUse
from tests.billing.conftest import Till
from tests.factories import make_online_payment


@pytest.fixture(autouse=True)
def plugged() -> None:
    people_hooks.plug_in()


@pytest.mark.all_databases
def test_two_records_of_a_person_become_one_and_so_does_their_money(
    till: Till, session: Session, sound: Callable[[], bool]
) -> None:
    source, target = till.client, till.new_client()
    open_charge, paid = till.charge(1000), till.charge(300)
    till.pay(500, charge_ids=[paid])
    till.pay(70, currency="USD")
    till.charge(50, client_id=target)
    with unit_of_work(session):
        make_online_payment(session, session.get_one(Charge, open_charge))
    with unit_of_work(session):
        plan = service.merge_plan(session, source_id=source, target_id=target)
        assert [(row["label"], row["source"], row["after"]) for row in plan.parts["money"].rows] == [
            ("Charges", 2, 3), ("Payments", 2, 2)
        ]
        moved = service.merge_clients(session, source_id=source, target_id=target, reason="same", actor=SYSTEM)
    assert {k: v for k, v in moved["moved"].items() if k.startswith("money.")} == {
        "money.charges": 2, "money.payments": 2, "money.settlements": 1, "money.refunds": 0,
        "money.online_payments": 1, "money.online_payment_charges": 1, "money.online_refunds": 0,
    }
    assert till.on_account(target) == {"EUR": 200, "USD": 70}
    assert till.on_account(source) == {}
    assert queries.balance_due(session, [source, target]) == {target: {"EUR": 1050}}
    assert sound()
    with pytest.raises(ClientMerged):
        till.pay(100)
    assert till.act("settle_from_account", client_id=target, charge_ids=[open_charge])["on_account"] == 0
    assert sound()


def test_a_client_with_money_stays_and_so_does_the_currency_of_the_club(till: Till, session: Session) -> None:
    till.charge(100)
    with pytest.raises(InUse, match="charges and payments"), unit_of_work(session):
        service.delete_client(session, id=till.client, actor=SYSTEM)
    with pytest.raises(CurrencyInUse), unit_of_work(session):
        service.update_club(session, id=till.club_id, currency="USD", actor=SYSTEM)


def test_erasing_keeps_the_money_and_export_tells_all_of_it(
    till: Till, session: Session, sound: Callable[[], bool]
) -> None:
    person = till.new_client(first_name="Wanda", last_name="Winter")
    void = till.charge(900, client_id=person, what="Lesson for Wanda Winter")
    till.act("void_charge", charge_id=void, reason="Wanda was ill")
    paid = till.pay(400, client_id=person, reference="Wanda Winter 12")["id"]
    refund = till.refund(paid, 100, reason="Wanda moved away")
    asked = till.charge(100, client_id=person)
    with unit_of_work(session):
        link = {"state": "open", "closed_at": None, "url": "https://pay.example/wanda@example.org"}
        make_online_payment(session, session.get_one(Charge, asked), **link)
        sections = service.export_client_data(session, client_id=person, actor=SYSTEM)
    assert sections["charges"][0]["what"] == "Lesson for Wanda Winter"
    assert (sections["payments"][0]["amount"], sections["refunds"][0]["amount"]) == (400, 100)
    with unit_of_work(session):
        service.erase_client(session, client_id=person, reason="asked", typed_name="Wanda Winter", actor=SYSTEM)
    texts = [
        *session.execute(select(Charge.what, Charge.void_reason).where(Charge.id == void)).one(),
        session.execute(select(Payment.reference).where(Payment.id == paid)).scalar_one(),
        session.execute(select(Refund.reason).where(Refund.id == refund)).scalar_one(),
    ]
    assert not [text for text in texts if "Wanda" in text or "Winter" in text], texts
    assert texts[1] == texts[3] == "[erased]"
    assert session.scalars(select(OnlinePayment.url)).all() == [None]
    assert sections["online_payments"][0]["url"] == "https://pay.example/wanda@example.org"
    assert till.payments()[paid] == (400, 0, 100)
    assert sound()

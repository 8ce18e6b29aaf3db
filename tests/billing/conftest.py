"""A till: clients of one club, and short ways to act on their money."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment_addon.billing import service
from enrollment_addon.billing.models import Charge, MoneyAccount, Payment
from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from tests import factories


class Till:
    """One club in Berlin, one client, and the verbs in a unit of work each."""

    def __init__(self, session: Session) -> None:
        self.session = session
        with unit_of_work(session):
            self.club_id = factories.make_club(session, currency="EUR").id
        self.client = self.new_client()

    @property
    def today(self) -> dt.date:
        return clock.today("Europe/Berlin")

    def new_client(self, **over: Any) -> int:
        with unit_of_work(self.session):
            return factories.make_client(self.session, **{"club_id": self.club_id, **over}).id

    def charge(self, gross: int, **over: Any) -> int:
        options = {
            "client_id": self.client, "what": "Agility", "currency": "EUR", "due_on": self.today,
            "tax_rate": Decimal(0), "actor": SYSTEM, **over,
        }
        with unit_of_work(self.session):
            return service.issue_charge(self.session, gross=gross, **options).id

    def pay(self, amount: int, **over: Any) -> dict[str, Any]:
        options = {"client_id": self.client, "method": "cash", "actor": SYSTEM, **over}
        with unit_of_work(self.session):
            return service.take_payment(self.session, amount=amount, **options)

    def act(self, verb: str, **given: Any) -> Any:
        """Any other verb; what it returns."""
        with unit_of_work(self.session):
            return getattr(service, verb)(self.session, **{"actor": SYSTEM, **given})

    def refund(self, payment_id: int, amount: int, **over: Any) -> int:
        with unit_of_work(self.session):
            options = {"payment_id": payment_id, "reason": "Paid too much", "actor": SYSTEM, **over}
            return service.refund_payment(self.session, amount=amount, **options).id

    def charges(self) -> dict[int, tuple[str, int, int]]:
        """Status, settled and credited by key."""
        with unit_of_work(self.session):
            rows = self.session.execute(select(Charge.id, Charge.status, Charge.settled, Charge.credited))
            return {row.id: (str(row.status), row.settled, row.credited) for row in rows}

    def payments(self) -> dict[int, tuple[int, int, int]]:
        """Amount, settled and refunded by key."""
        with unit_of_work(self.session):
            rows = self.session.execute(select(Payment.id, Payment.amount, Payment.settled, Payment.refunded))
            return {row.id: (row.amount, row.settled, row.refunded) for row in rows}

    def on_account(self, client_id: int | None = None) -> dict[str, int]:
        with unit_of_work(self.session):
            rows = self.session.execute(
                select(MoneyAccount.currency, MoneyAccount.on_account).where(
                    MoneyAccount.client_id == (client_id or self.client)
                )
            )
            return {row.currency: row.on_account for row in rows}

    def findings(self, **options: Any) -> list[service.MoneyFinding]:
        with unit_of_work(self.session):
            return list(service.check_money(self.session, **options))


@pytest.fixture
def till(session: Session) -> Till:
    return Till(session)


@pytest.fixture
def sound(till: Till) -> Callable[[], bool]:
    """Whether all money adds up."""
    return lambda: till.findings() == []

"""Charges and payments of the demonstration, in every state that money can be in."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from ..billing import service as billing
from ..core import clock

if TYPE_CHECKING:
    from .data import Demo

MOST = 40
"""Clients of a club with money on record."""
LESSONS = (("Single lesson", 18), ("Rental of equipment", 7), ("Workshop on Saturday", 45), ("Late cancellation", 12))
METHODS = ("cash", "card", "transfer", "card")
CURRENCIES: Sequence[tuple[str, int, str]] = (("EUR", 100, "19"), ("USD", 100, "8.875"), ("AED", 400, "5"))
"""By place of the club: currency, minor units that a price is multiplied by, tax in percent."""


def add_money(demo: "Demo") -> None:
    """Each client has one story: paid, paid in part, overdue, due soon, overpaid, withdrawn, refunded."""
    stories = (_paid, _paid_in_part, _overdue, _due_soon, _overpaid, _withdrawn, _refunded)
    for place, club_id in enumerate(demo.club_ids):
        chosen = demo.clients.get(club_id, [])[::3][:MOST]
        for number, client_id in enumerate(chosen):
            stories[number % len(stories)](demo, client_id, place)


def _charge(demo: "Demo", client_id: int, place: int, *, ago: int, due: int) -> tuple[int, int]:
    """A charge issued some days ago, due `due` days later; its key and amount."""
    what, price = demo.chance.choice(LESSONS)
    currency, unit, rate = CURRENCIES[place]
    with demo.days_ago(ago):
        charge = billing.issue_charge(
            demo.session, client_id=client_id, what=what, gross=price * unit, currency=currency,
            tax_rate=Decimal(rate), due_on=clock.now().date() + dt.timedelta(days=due), actor=demo.actor,
        )
        return charge.id, charge.gross


def _pay(demo: "Demo", client_id: int, place: int, amount: int, *, ago: int) -> int:
    with demo.days_ago(ago):
        taken = billing.take_payment(
            demo.session, client_id=client_id, amount=amount, currency=CURRENCIES[place][0],
            method=demo.chance.choice(METHODS), reference=f"R-{1000 + client_id}", actor=demo.actor,
        )
        return int(taken["id"])


def _paid(demo: "Demo", client_id: int, place: int) -> None:
    _key, gross = _charge(demo, client_id, place, ago=40, due=14)
    _pay(demo, client_id, place, gross, ago=30)


def _paid_in_part(demo: "Demo", client_id: int, place: int) -> None:
    _key, gross = _charge(demo, client_id, place, ago=20, due=14)
    _pay(demo, client_id, place, gross // 2, ago=15)


def _overdue(demo: "Demo", client_id: int, place: int) -> None:
    _charge(demo, client_id, place, ago=demo.chance.choice((25, 55, 95)), due=14)


def _due_soon(demo: "Demo", client_id: int, place: int) -> None:
    _charge(demo, client_id, place, ago=2, due=14)


def _overpaid(demo: "Demo", client_id: int, place: int) -> None:
    _key, gross = _charge(demo, client_id, place, ago=12, due=14)
    _pay(demo, client_id, place, gross + CURRENCIES[place][1] * 20, ago=8)


def _withdrawn(demo: "Demo", client_id: int, place: int) -> None:
    key, _gross = _charge(demo, client_id, place, ago=30, due=14)
    with demo.days_ago(28):
        billing.void_charge(demo.session, charge_id=key, reason="The lesson did not take place", actor=demo.actor)


def _refunded(demo: "Demo", client_id: int, place: int) -> None:
    key, gross = _charge(demo, client_id, place, ago=30, due=14)
    payment = _pay(demo, client_id, place, gross, ago=25)
    with demo.days_ago(20):
        billing.void_charge(demo.session, charge_id=key, reason="Moved to another day", actor=demo.actor)
        billing.refund_payment(
            demo.session, payment_id=payment, amount=gross, reason="Moved to another day", actor=demo.actor
        )

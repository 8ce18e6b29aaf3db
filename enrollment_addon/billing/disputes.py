"""What pages of payments say of disputes: beside the method in the list, and in a section of the page."""

from collections.abc import Iterable
from typing import Any

from flask import g
from flask_babel import lazy_pgettext
from sqlalchemy.orm import Session

from ..core.web import render
from ..core.web.filters import Filter
from .labels import METHODS
from .models import Payment
from .online.disputes import disputed, disputes_of
from .online.provider import DisputeState

STATES = {
    DisputeState.opened: lazy_pgettext("payment", "Disputed"),
    DisputeState.lost: lazy_pgettext("payment", "Dispute lost"),
    DisputeState.won: lazy_pgettext("payment", "Dispute won"),
}
"""The gravest first."""
FILTER = Filter(
    "disputed", STATES[DisputeState.opened], "flag",
    apply=lambda _op, value: disputed() if value else ~disputed(),
)


def load(session: Session, payments: Iterable[Payment]) -> None:
    """The disputes of a page of payments at once."""
    g.enrollment_disputes = disputes_of(session, [payment.id for payment in payments])


def _gravest(payment: Payment) -> DisputeState | None:
    states = {told.state for told in g.get("enrollment_disputes", {}).get(payment.id, ())}
    return next((state for state in STATES if state in states), None)


def method_shown(payment: Payment) -> str:
    """How it was paid, and whether that is disputed."""
    method, state = str(dict(METHODS)[payment.method]), _gravest(payment)
    return f"{method} · {STATES[state]}" if state else method


def sections(session: Session, payment: Payment) -> list[dict[str, Any]]:
    """The disputes of a payment as a section of its page; none where there were none."""
    rows = [
        {"title": STATES[told.state], "meta": render.moment(told.at), "end": render.amount(told.amount, told.currency)}
        for told in disputes_of(session, [payment.id]).get(payment.id, ())
    ]
    return [{"title": lazy_pgettext("payment", "Disputes"), "empty": "", "rows": rows}] if rows else []

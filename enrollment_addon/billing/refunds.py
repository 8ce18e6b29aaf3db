"""What pages say of refunds: which there were, what became of them at the provider, and which way one goes."""

from collections.abc import Sequence
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..core import reasons
from ..core.web import access, render
from .models import Payment, Refund
from .online import labels, provider, queries
from .online.models import OnlineRefund, RefundState


def way_back(session: Session, payment: Payment) -> str:
    """How the money of a payment goes back, where that is not in the hands of who refunds it."""
    if queries.of_payment(session, payment.id) is None:
        return ""
    if provider.switched_on():
        return str(_("It goes back by %(provider)s, the way it came in.", provider=provider.current().name))
    return str(_("It came in online, and online payment is off: this only notes what you give back at the provider."))


def section(
    session: Session, given: Sequence[Refund], buttons: list[dict[str, Any]], *, payment_id: int | None = None
) -> dict[str, Any]:
    """The refunds as a section of a page; on a payment's page with what became of them at the provider.

    One that failed there can be sent again: that goes to the page's buttons.
    """
    there = queries.refunds_at_provider(session, payment_id) if payment_id is not None else {}
    if access.can("refund") and provider.switched_on():
        buttons += [
            {"label": _("Send %(amount)s back again", amount=render.amount(refund.amount, refund.currency)),
             "url": url_for("OnlinePaymentView.send_again", pk=there[refund.id].id), "post": True}
            for refund in given if refund.id in there and there[refund.id].state == RefundState.failed
        ]
    return {"title": _("Refunds"), "empty": "", "rows": [_row(refund, there.get(refund.id)) for refund in given]}


def _row(refund: Refund, there: OnlineRefund | None) -> dict[str, Any]:
    state = [dict(labels.REFUND_STATES)[RefundState(there.state)], there.problem] if there else []
    return {
        "title": reasons.told(refund.reason), "meta": render.joined([render.moment(refund.created_at), *state]),
        "end": render.amount(refund.amount, refund.currency),
        "url": url_for("PaymentView.show", pk=refund.payment_id) if access.may("read", "EnrollmentPayment") else None,
    }

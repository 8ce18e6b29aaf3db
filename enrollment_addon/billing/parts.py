"""What money adds to the client card: the balance, open charges, last payments, and sentences of the timeline."""

from collections.abc import Callable, Sequence
from typing import Any

from flask import g, url_for
from flask_babel import gettext as _
from flask_babel import lazy_pgettext, ngettext

from ..core import clock
from ..core.web import access, render
from ..core.web.columns import Column
from ..people.hooks import TimelineItem
from ..people.models import Client
from ..people.parts import ClientPart
from . import labels, queries
from .models import Charge, Payment
from .views import shown_sums

MENU = "EnrollmentCharge"


def prepare(clients: Sequence[Client]) -> None:
    """What a page of clients owes, for the column."""
    if access.may("read", MENU):
        g.enrollment_due = queries.balance_due(access.current_session(), [c.id for c in clients])


def _due(client: Client) -> str:
    return shown_sums(g.get("enrollment_due", {}).get(client.id, {}))


def card(client: Client) -> dict[str, Any]:
    """What is due and on account, the first open charges and the last payments, and the verbs."""
    charges_seen, payments_seen = access.may("read", MENU), access.may("read", "EnrollmentPayment")
    if not charges_seen:
        return {}
    found = queries.client_money(access.current_session(), client.id)
    zero = {client.club.currency: 0}
    stat = {
        "label": _("Balance due"), "value": shown_sums(found.due or zero),
        "note": ngettext("%(num)s open charge", "%(num)s open charges", found.open_count),
    }
    today = clock.today(client.club.timezone)
    section = {
        "template": "enrollment_addon/_client_money.html",
        "due": shown_sums(found.due or zero), "on_account": shown_sums(found.on_account or zero),
        "charges": [_charge(charge, overdue=charge.due_on < today) for charge in found.open_charges],
        "charges_url": url_for("ChargeView.list", _flt_0_client_id=client.id),
        "overdue": labels.OVERDUE, "more": found.open_count - len(found.open_charges),
        "payments": [_payment(payment) for payment in found.payments] if payments_seen else [],
        "payments_url": url_for("PaymentView.list", _flt_0_client_id=client.id) if payments_seen else None,
        "issue_url": _verb_url("issue_charges", "MoneyView.charge", client),
        "pay_url": _verb_url("take_payments", "MoneyView.pay", client),
    }
    return {"stats": [stat], "side_sections": [section]}


def _verb_url(verb: str, endpoint: str, client: Client) -> str | None:
    return url_for(endpoint, pk=client.id) if access.can(verb) and not client.merged_into_id else None


def _charge(charge: Charge, *, overdue: bool) -> dict[str, Any]:
    return {
        "what": charge.what, "url": url_for("ChargeView.show", pk=charge.id), "due_on": charge.due_on,
        "open": render.amount(charge.open, charge.currency), "overdue": overdue,
    }


def _payment(payment: Payment) -> dict[str, Any]:
    parts = [str(dict(labels.METHODS)[payment.method]), payment.reference or ""]
    if payment.refunded:
        parts.append(_("%(amount)s refunded", amount=render.amount(payment.refunded, payment.currency)))
    return {
        "amount": render.amount(payment.amount, payment.currency), "url": url_for("PaymentView.show", pk=payment.id),
        "meta": render.joined(parts), "paid_on": payment.paid_on,
    }


def tell(item: TimelineItem) -> tuple[Any, str | None] | None:
    """A verb on money as a sentence."""
    if item.verb not in _SENTENCES or "amount" not in item.details:
        return None
    amount = render.amount(item.details["amount"], item.details["currency"])
    return _SENTENCES[item.verb](amount, item.details.get("what", "")), None


_SENTENCES: dict[str, Callable[[str, str], str]] = {
    "issue_charge": lambda amount, what: _("Charge issued: %(what)s, %(amount)s", what=what, amount=amount),
    "void_charge": lambda amount, what: _("Charge voided: %(what)s, %(amount)s", what=what, amount=amount),
    "free_charge": lambda amount, what: _("%(amount)s of “%(what)s” put on account", what=what, amount=amount),
    "take_payment": lambda amount, _what: _("Payment taken: %(amount)s", amount=amount),
    "settle_from_account": lambda amount, _what: _("%(amount)s settled from the account", amount=amount),
    "refund_payment": lambda amount, _what: _("Refund: %(amount)s", amount=amount),
}

PART = ClientPart(
    columns=(Column("due", lazy_pgettext("money", "Due"), value=_due, kind="number", show=_due, menu=MENU),),
    prepare=prepare,
    card=card,
    tell=tell,
    records={"charge": MENU, "payment": "EnrollmentPayment", "refund": "EnrollmentPayment"},
)

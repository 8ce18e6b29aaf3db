"""What money adds to the client card and the clients' own page: balance, open charges, payments, and sentences."""

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
from .models import Charge, ChargeStatus, Payment
from .online.provider import switched_on
from .views import shown_sums

MENU = "EnrollmentCharge"
OWN_CHARGES = 50
"""Rows on the page that clients have themselves."""


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
        "online_url": _verb_url("request_online_payments", "OnlineRequestView.ask", client)
        if found.open_count and switched_on() else None,
        "asked": shown_sums(found.asked) if payments_seen else "",
        "asked_url": url_for("OnlinePaymentView.list", _flt_0_client_id=client.id),
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


def own(client: Client) -> dict[str, Any]:
    """What a client still has to pay, and the way to pay it online where that is possible."""
    charges = access.current_session().scalars(
        queries.charges_of(client.id).where(Charge.status == ChargeStatus.open).limit(OWN_CHARGES)
    ).all()
    today = clock.today(client.club.timezone)
    pays = switched_on() and access.may("pay", "EnrollmentOwnPage")
    return {
        "title": _("To pay"), "empty": _("You have nothing to pay."),
        "link": {"label": _("Pay online"), "url": url_for("OwnPaymentView.pay"), "primary": True} if pays else None,
        "rows": [
            {"name": charge.what, "facts": [_("due %(date)s", date=render.date(charge.due_on))],
             "badge": {"label": labels.OVERDUE, "class": "bad"} if charge.due_on < today else None,
             "end": render.amount(charge.open, charge.currency)}
            for charge in charges
        ],
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
    "request_online_payment": lambda amount, _what: _("Asked to pay online: %(amount)s", amount=amount),
    "cancel_online_payment": lambda amount, _what: _("Online payment of %(amount)s cancelled", amount=amount),
    "expire_online_payment": lambda amount, _what: _("Link to pay %(amount)s online expired", amount=amount),
    "fail_online_payment": lambda amount, _what: _("Online payment of %(amount)s failed", amount=amount),
    "note_online_difference": lambda amount, _what: _(
        "%(amount)s came in online, which is not what was asked for: it is on account", amount=amount
    ),
    "note_refund_difference": lambda amount, _what: _(
        "%(amount)s went back at the provider, which is more than was left here: please look at it", amount=amount
    ),
    "fail_online_refund": lambda amount, _what: _("Refund of %(amount)s could not be sent back online", amount=amount),
    "open_dispute": lambda amount, _what: _(
        "The payer’s bank wants %(amount)s back: please answer it at the provider", amount=amount
    ),
    "win_dispute": lambda amount, _what: _("Dispute over %(amount)s won", amount=amount),
    "lose_dispute": lambda amount, _what: _(
        "Dispute over %(amount)s lost: the money went back to the payer, please look at it", amount=amount
    ),
    "resend_online_refund": lambda amount, _what: _("Refund of %(amount)s is sent back once more", amount=amount),
}

PART = ClientPart(
    columns=(Column("due", lazy_pgettext("money", "Due"), value=_due, kind="number", show=_due, menu=MENU),),
    prepare=prepare,
    card=card,
    own=own,
    tell=tell,
    records={
        "charge": MENU, "payment": "EnrollmentPayment", "refund": "EnrollmentPayment",
        "online_payment": "EnrollmentPayment",
    },
)

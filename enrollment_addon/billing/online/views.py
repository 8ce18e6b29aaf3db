"""Pages of online payment: the requests and their links, and where the provider's page leads back to."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import force_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement
from sqlalchemy.orm import joinedload

from ...core import money
from ...core.web import access, forms, render
from ...core.web.access import anyone, can, verb
from ...core.web.api import key_of
from ...core.web.columns import Column
from ...core.web.filters import Filter
from ...core.web.pages import PageView, notice
from ...people.models import Client
from ..views import MoneyRecordView, amount_column, client_crumb
from . import desk, labels, queries, service
from .models import LIVE, OnlinePayment, OnlinePaymentCharge, OnlineState
from .provider import switched_on, why_off


def state_of(item: OnlinePayment) -> str:
    return str(dict(labels.STATES)[OnlineState(item.state)])


def class_of(item: OnlinePayment) -> str:
    return labels.STATE_CLASSES.get(OnlineState(item.state), "")


def _clock_of(item: OnlinePayment) -> str:
    return item.client.club.timezone


class OnlinePaymentView(MoneyRecordView):
    """Requests to pay online: their link while it lasts, and what became of them."""

    route_base = "/enrollment/online-payments"
    datamodel = SQLAInterface(OnlinePayment)
    class_permission_name = "EnrollmentPayment"
    list_title = _l("Online payments")
    singular = _l("Online payment")
    empty_text = _l("Clients are asked to pay online on their card or on the page of a charge.")
    search_placeholder = _l("Client")
    load = (joinedload(OnlinePayment.client).joinedload(Client.club), joinedload(OnlinePayment.payment))
    columns = (
        Column("client", _l("Client"), value=lambda r: r.client.full_name, kind="link", phone="title"),
        amount_column("amount", _l("Amount"), order=(OnlinePayment.amount,), phone="end"),
        Column("state", _l("Status"), value=state_of, kind="badge", badge=class_of),
        Column("created_at", _l("Asked"), kind="moment", order=(OnlinePayment.id,), timezone=_clock_of),
        Column("ends_at", _l("Link ends"), kind="moment", order=(OnlinePayment.ends_at,), phone="hide",
               timezone=_clock_of),
    )
    export_columns = (
        Column("id", _l("Number")), Column("client_id", _l("Client number")),
        Column("client", _l("Client"), value=lambda r: r.client.full_name), amount_column("amount", _l("Amount")),
        Column("currency", _l("Currency")), Column("state", _l("Status"), value=state_of),
        Column("created_at", _l("Asked"), timezone=_clock_of), Column("ends_at", _l("Link ends"), timezone=_clock_of),
        Column("received", _l("Received"), value=lambda r: r.payment and money.to_decimal(
            r.payment.amount, r.payment.currency
        )),
        Column("payment_id", _l("Payment number")),
    )
    filters = (
        Filter("client_id", _l("Client"), "reference", OnlinePayment.client_id, source="clients"),
        Filter("state", _l("Status"), "choice", OnlinePayment.state, labels.STATES),
    )
    default_order = (OnlinePayment.id,)
    default_descending = True

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return self.client_clause(text)

    def list_page(self) -> dict[str, Any]:
        """Whoever may set up a club is told what is missing while online payment is off."""
        missing = not switched_on() and access.may("edit", "EnrollmentClub")
        return {**super().list_page(), **({"subtitle": why_off()} if missing else {})}

    def title_of(self, item: OnlinePayment) -> str:
        return _("%(amount)s from %(name)s", amount=render.amount(item.amount, item.currency),
                 name=item.client.full_name)

    def show_page(self, item: OnlinePayment) -> dict[str, Any]:
        page = super().show_page(item)
        page["badge"] = {"label": state_of(item), "class": class_of(item)}
        page["fields"] = [{"label": label, "value": value, "wide": False} for label, value in _facts(item)]
        page["buttons"] = self._verbs(item)
        charges = queries.charges_of(self.session, item.id)
        page["sections"] = [{"title": _("Charges"), "empty": "", "rows": [_charge(row) for row in charges]}]
        page["crumbs"] = [*self.crumbs(), client_crumb(item.client)]
        return page

    @expose("/show/<pk>")
    @access.needs("read")
    def show(self, pk: str) -> Any:
        item = self.find(pk)
        return self.render_template("enrollment_addon/online_payment.html", link=_link(item), **self.show_page(item))

    def _verbs(self, item: OnlinePayment) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        if item.payment_id:
            found.append({"label": _("Show the payment"), "url": url_for("PaymentView.show", pk=item.payment_id)})
        if can("request_online_payments") and switched_on():
            paid = item.state == OnlineState.paid
            label = _("Ask now about refunds") if paid else _("Ask now whether it was paid")
            found.append({"label": label, "post": True, "url": url_for("OnlinePaymentView.ask", pk=item.id)})
            if item.state == OnlineState.open:
                found.append({"label": _("Cancel request"), "danger": True,
                              "url": url_for("OnlinePaymentView.cancel", pk=item.id)})
        return found

    @expose("/cancel/<pk>", methods=["GET", "POST"])
    @verb("request_online_payments")
    def cancel(self, pk: str) -> Any:
        """End the link of a request."""
        item, form = self.find(pk), forms.Form()
        if request.method == "POST" and form.validate():
            ok, _nothing = self.attempt(
                form, lambda: desk.cancel_request(self.session, online_payment_id=int(pk), actor=self.actor),
                apart=True,
            )
            if ok:
                notice(_("The request was cancelled; its link no longer works."))
                return redirect(url_for("OnlinePaymentView.show", pk=pk))
            item = self.find(pk)
        return self.confirm(
            item, form, title=_("Cancel the request to %(name)s?", name=item.client.full_name),
            sentence=_("Its link no longer works. The charges stay open."), facts=_facts(item),
            submit_label=_("Cancel request"),
        )

    @expose("/ask/<pk>", methods=["POST"])
    @verb("request_online_payments")
    def ask(self, pk: str) -> Any:
        """Ask the provider what became of a request, and record it."""
        desk.ask_provider(self.session, online_payment_id=self.find(pk).id, actor=self.actor)
        notice(_("The request is “%(state)s”.", state=state_of(self.find(pk))))
        return redirect(url_for("OnlinePaymentView.show", pk=pk))

    @expose("/send-again/<pk>", methods=["POST"])
    @verb("refund")
    def send_again(self, pk: str) -> Any:
        """Send a refund once more that failed at the provider."""
        row = self.work(lambda: service.send_again(
            self.session, online_refund_id=key_of(pk), actor=self.actor
        ))
        notice(_("The refund will be sent again in a moment."))
        return redirect(url_for("PaymentView.show", pk=row.refund.payment_id))


def _facts(item: OnlinePayment) -> list[tuple[Any, str]]:
    received = item.payment and render.amount(item.payment.amount, item.payment.currency)
    facts = [
        (_("Client"), item.client.full_name), (_("Amount"), render.amount(item.amount, item.currency)),
        (_("Asked"), render.moment(item.created_at)), (_("Link ends"), render.moment(item.ends_at)),
    ]
    return [*facts, *([(_("Received"), received)] if received else [])]


def _charge(row: OnlinePaymentCharge) -> dict[str, Any]:
    charge = row.charge
    return {
        "title": charge.what, "meta": _("due %(date)s", date=render.date(charge.due_on)),
        "end": render.amount(row.amount, charge.currency),
        "url": url_for("ChargeView.show", pk=charge.id) if access.may("read", "EnrollmentCharge") else None,
    }


def _link(item: OnlinePayment) -> Mapping[str, str] | None:
    """The link while it can be used, with an e-mail to the client that is ready to be sent, in their language."""
    if item.state not in LIVE or not item.url:
        return None
    with force_locale(item.client.locale or render.locale_name()):
        subject = _("Your payment of %(amount)s", amount=render.amount(item.amount, item.currency))
        text = _("Please pay %(amount)s here by %(at)s:", amount=render.amount(item.amount, item.currency),
                 at=render.moment(item.ends_at))
    body = quote(f"{text}\n\n{item.url}\n")
    return {
        "url": item.url, "ends": render.moment(item.ends_at),
        "mail": f"mailto:{quote(item.client.email or '', safe='@')}?subject={quote(subject)}&body={body}",
    }


class OnlineReturnView(PageView):
    """Where the provider's page leads back to: the same for everybody, since only the provider knows what happened."""

    route_base = "/enrollment/online-payment"
    class_permission_name = "EnrollmentOwnPage"
    default_view = "done"

    @expose("/done")
    @anyone
    def done(self) -> Any:
        return self._page(_("Thank you"), _("Your payment is on its way to us. We record it as soon as it is there."))

    @expose("/left")
    @anyone
    def left(self) -> Any:
        return self._page(_("Nothing was paid"), _("The link you came with still works until it ends."))

    def _page(self, title: str, text: str) -> Any:
        own = url_for("OwnPageView.show") if access.may("read", "EnrollmentOwnPage") else None
        return self.render_template("enrollment_addon/online_return.html", title=title, text=text, own_url=own)

"""The forms of money that start from a client: issue a charge, take a payment."""

from decimal import Decimal
from typing import Any

from flask import current_app, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _

from ..core import clock, money
from ..core.web import render
from ..core.web.access import verb
from ..core.web.api import new_key
from ..core.web.views import PageView, form_status, notice, posted_key
from ..people.models import Client
from . import queries, service
from .forms import ChargeForm, PaymentForm
from .models import Charge
from .schemas import minor_units
from .views import shown_sums


class MoneyView(PageView):
    """Issue a charge to a client; take a payment from one."""

    route_base = "/enrollment/money"
    class_permission_name = "EnrollmentCharge"
    default_view = "charge"

    def _client(self, pk: str) -> Client:
        client: Client = current_app.extensions["enrollment"].views["ClientView"].find(pk)
        render.use_timezone(client.club.timezone)
        return client

    def _page(self, client: Client, form: Any, **context: Any) -> Any:
        views = current_app.extensions["enrollment"].views
        card = url_for("ClientView.show", pk=client.id)
        page = self.render_template(
            "enrollment_addon/ask.html", form=form, danger=False, cancel_url=card, action_url=request.full_path,
            crumbs=[*views["ClientView"].crumbs(), {"label": client.full_name, "url": card}],
            idempotency_key=request.form.get("idempotency_key") or new_key(), **context,
        )
        return page, form_status()

    @expose("/charge/<pk>", methods=["GET", "POST"])
    @verb("issue_charges")
    def charge(self, pk: str) -> Any:
        """Issue a charge in the currency of the client's club."""
        client = self._client(pk)
        today = clock.today(client.club.timezone)
        form = ChargeForm(data={"tax_rate": Decimal(0), "due_on": today}) if request.method == "GET" else ChargeForm()
        if request.method == "POST" and form.validate():
            ok, _charge = self.attempt(form, lambda: self._issue(client, form))
            if ok:
                notice(_("The charge was issued."), url_for("ChargeView.show", pk=_charge.id), _("Show"))
                return redirect(url_for("ClientView.show", pk=pk))
            client = self._client(pk)
        return self._page(
            client, form, title=_("Issue a charge to %(name)s", name=client.full_name), sentence="",
            facts=[{"label": _("Currency"), "value": client.club.currency}], submit_label=_("Issue charge"),
        )

    def _issue(self, client: Client, form: ChargeForm) -> Charge:
        currency = client.club.currency
        return service.issue_charge(
            self.session, client_id=client.id, what=form.what.data, currency=currency,
            gross=minor_units(form.amount.data, currency), tax_rate=form.tax_rate.data, due_on=form.due_on.data,
            actor=self.actor, idempotency_key=posted_key(),
        )

    @expose("/pay/<pk>", methods=["GET", "POST"])
    @verb("take_payments")
    def pay(self, pk: str) -> Any:
        """Take a payment for the charge in the URL, or for the oldest open ones; what is due is proposed."""
        client = self._client(pk)
        named = self._named(client)
        currency = service.payment_currency(self.session, client.id, [named.id] if named else None)
        owed = queries.client_money(self.session, client.id)
        due = named.open if named else owed.due.get(currency, 0)
        proposed = {"amount": money.to_decimal(due, currency) if due else None}
        form = PaymentForm(data=proposed) if request.method == "GET" else PaymentForm()
        if request.method == "POST" and form.validate():
            ok, answer = self.attempt(form, lambda: self._take(client, named, currency, form))
            if ok:
                self._tell(answer)
                return redirect(url_for("ClientView.show", pk=pk))
            client = self._client(pk)
            named = self._named(client)
        sentence = (
            _("It pays for “%(what)s”; the rest goes on account.", what=named.what) if named
            else _("It settles the oldest open charges first; the rest goes on account.")
        )
        return self._page(
            client, form, title=_("Take a payment from %(name)s", name=client.full_name), sentence=sentence,
            facts=[
                {"label": _("Currency"), "value": currency},
                {"label": _("Balance due"), "value": shown_sums(owed.due) or "–"},
                {"label": _("On account"), "value": shown_sums(owed.on_account) or "–"},
            ],
            submit_label=_("Take payment"),
        )

    def _named(self, client: Client) -> Charge | None:
        """The charge that the URL names, if it is this client's."""
        if not (pk := request.args.get("charge_id")):
            return None
        charge: Charge = current_app.extensions["enrollment"].views["ChargeView"].find(pk)
        return charge if charge.client_id == client.id else None

    def _take(self, client: Client, named: Charge | None, currency: str, form: PaymentForm) -> dict[str, Any]:
        answer: dict[str, Any] = service.take_payment(
            self.session, client_id=client.id, amount=minor_units(form.amount.data, currency), currency=currency,
            method=form.method.value or "", charge_ids=[named.id] if named else None,
            reference=form.reference.data or None, paid_on=form.paid_on.data, actor=self.actor,
            idempotency_key=posted_key(),
        )
        return answer

    def _tell(self, answer: dict[str, Any]) -> None:
        settled = render.amount(sum(part["amount"] for part in answer["settled"]), answer["currency"])
        held = render.amount(answer["on_account"], answer["currency"])
        text = _("%(settled)s settles charges; on account: %(held)s.", settled=settled, held=held)
        if answer["id"] is None:
            notice(text)
        else:
            notice(text, url_for("PaymentView.show", pk=answer["id"]), _("Show the payment"))

"""Pages of money: lists and pages of charges and payments, and the forms of the verbs."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from flask import redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import joinedload

from ..core import clock, money, reasons
from ..core.db import require
from ..core.web import access, forms, render
from ..core.web.access import can, verb
from ..core.web.api import new_key
from ..core.web.filters import Filter
from ..core.web.views import Column, RecordView, form_status, notice, posted_key
from ..people.models import Client
from ..people.queries import text_clause
from . import disputes, labels, queries, refunds, service
from .forms import ReasonForm, RefundForm
from .models import Charge, ChargeStatus, Payment, Refund, Settlement
from .online import desk
from .online import provider as online
from .online.errors import ProviderRefused
from .schemas import minor_units


def shown_sums(sums: dict[str, int]) -> str:
    """Amounts of several currencies, as the reader writes them."""
    return " + ".join(render.amount(minor, currency) for currency, minor in sums.items())


def status_of(charge: Charge) -> str:
    """The status in words; an open charge whose day has passed is overdue."""
    return str(labels.OVERDUE if _is_overdue(charge) else dict(labels.STATUSES)[charge.status])


def class_of(charge: Charge) -> str:
    return "bad" if _is_overdue(charge) else labels.STATUS_CLASSES[ChargeStatus(charge.status)]


def _is_overdue(charge: Charge) -> bool:
    return charge.status == ChargeStatus.open and charge.due_on < clock.today(charge.client.club.timezone)


def _by_status(_operator: str, value: Any) -> ColumnElement[bool]:
    if value == "overdue":
        return queries.overdue_clause(access.current_session())
    return Charge.status == value


def _clock_of(row: Charge | Payment) -> str:
    return row.client.club.timezone


def amount_column(name: str, label: Any, **options: Any) -> Column:
    """A column of money: a decimal number in files, in the reader's format on the page."""
    return Column(
        name, label, value=lambda row: money.to_decimal(getattr(row, name), row.currency),
        show=lambda row: render.amount(getattr(row, name), row.currency), kind="number", **options,
    )


class MoneyRecordView(RecordView):
    """What lists of charges and of payments have in common: no adding, and pages that confirm a verb."""

    def add_url(self) -> str | None:
        return None

    def client_clause(self, text: str) -> ColumnElement[bool]:
        clients = select(Client.id).where(text_clause(self.session, text))
        return self.model.client_id.in_(clients)  # type: ignore[no-any-return]

    def find(self, pk: str) -> Any:
        item = super().find(pk)
        render.use_timezone(item.client.club.timezone)
        return item

    def confirm(
        self, item: Any, form: forms.Form, *, title: str, sentence: str, facts: list[tuple[Any, str]],
        submit_label: str, danger: bool = True, key: str | None = None,
    ) -> Any:
        page = self.render_template(
            "enrollment_addon/ask.html", title=title, sentence=sentence, form=form, crumbs=self.crumbs_to(item),
            facts=[{"label": label, "value": value} for label, value in facts], action_url=request.path,
            cancel_url=self.show_url(item), submit_label=submit_label, danger=danger,
            idempotency_key=key or request.form.get("idempotency_key") or new_key(),
        )
        return page, form_status()


class ChargeView(MoneyRecordView):
    """Charges: what clients owe and have paid."""

    route_base = "/enrollment/charges"
    datamodel = SQLAInterface(Charge)
    class_permission_name = "EnrollmentCharge"
    list_title = _l("Charges")
    singular = _l("Charge")
    empty_text = _l("A charge is what a client has to pay. It is issued on the client’s card or by an enrollment.")
    search_placeholder = _l("Client or what for")
    load = (joinedload(Charge.client).joinedload(Client.club),)
    columns = (
        Column("what", _l("What for"), kind="link", phone="title"),
        Column("client", _l("Client"), value=lambda c: c.client.full_name),
        amount_column("gross", _l("Amount"), order=(Charge.gross,), phone="end"),
        amount_column("open", _l("Still open"), phone="hide"),
        Column("status", _l("Status"), value=status_of, kind="badge", badge=class_of),
        Column("due_on", _l("Due on"), kind="date", order=(Charge.due_on,)),
        Column("issued_at", _l("Issued"), kind="moment", order=(Charge.id,), phone="hide", timezone=_clock_of),
    )
    export_columns = (
        Column("id", _l("Number")), Column("client_id", _l("Client number")),
        Column("client", _l("Client"), value=lambda c: c.client.full_name), Column("what", _l("What for")),
        *(amount_column(name, label) for name, label in (
            ("gross", _l("Amount")), ("net", _l("Net")), ("tax", _l("Tax")), ("settled", _l("Settled")),
            ("credited", _l("Credited")), ("open", _l("Still open")),
        )),
        Column("tax_rate", _l("Tax rate in percent")), Column("currency", _l("Currency")),
        Column("status", _l("Status"), value=status_of), Column("due_on", _l("Due on")),
        Column("issued_at", _l("Issued"), timezone=_clock_of),
    )
    filters = (
        Filter("client_id", _l("Client"), "reference", Charge.client_id, source="clients"),
        Filter("status", _l("Status"), "choice", choices=(*labels.STATUSES, ("overdue", labels.OVERDUE)),
               apply=_by_status, operators=("eq",)),
        Filter("due_on", _l("Due on"), "date", Charge.due_on),
        Filter("enrollment_id", _l("Enrollment"), "number", Charge.enrollment_id),
    )
    default_order = (Charge.id,)
    default_descending = True

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return or_(Charge.what.icontains(text, autoescape=True), self.client_clause(text))

    def show_page(self, item: Charge) -> dict[str, Any]:
        page = super().show_page(item)
        fields = [
            (_("Net"), render.amount(item.net, item.currency)),
            (_("Tax"), _("%(amount)s at %(rate)s %%", amount=render.amount(item.tax, item.currency),
                         rate=render.number(item.tax_rate.normalize()))),
            (_("Settled"), render.amount(item.settled, item.currency)),
            (_("Credited"), render.amount(item.credited, item.currency)),
        ]
        if item.status == ChargeStatus.void:
            fields += [(_("Voided"), render.moment(item.voided_at)), (_("Reason"), reasons.told(item.void_reason))]
        page["fields"] += [{"label": label, "value": value, "wide": False} for label, value in fields]
        page["badge"] = {"label": status_of(item), "class": class_of(item)}
        page["buttons"] = self._verbs(item)
        page["sections"] = [
            {"title": _("Settled by"), "empty": _("Nothing has been paid for this yet."),
             "rows": [_settled_by(s) for s in queries.settlements_of(self.session, charge_id=item.id)]},
        ]
        if given := queries.refunds_of(self.session, charge_id=item.id):
            page["sections"].append(refunds.section(self.session, given, page["buttons"]))
        page["crumbs"] = [*self.crumbs(), client_crumb(item.client)]
        return page

    def _verbs(self, item: Charge) -> list[dict[str, Any]]:
        found = []
        if item.open and can("take_payments"):
            found.append({"label": _("Take payment"), "primary": True,
                          "url": url_for("MoneyView.pay", pk=item.client_id, charge_id=item.id)})
            if online.switched_on() and can("request_online_payments"):
                found.append({"label": _("Ask to pay online"),
                              "url": url_for("OnlineRequestView.ask", pk=item.client_id, charge_id=item.id)})
            if queries.on_account(self.session, item.client_id, item.currency):
                found.append({"label": _("Settle from account"), "url": url_for("ChargeView.settle", pk=item.id)})
        if item.settled and can("take_payments"):
            found.append({"label": _("Free the money"), "url": url_for("ChargeView.free", pk=item.id)})
        if item.status != ChargeStatus.void and can("void_charges"):
            found.append({"label": _("Void"), "url": url_for("ChargeView.void", pk=item.id), "danger": True})
        return found

    @expose("/void/<pk>", methods=["GET", "POST"])
    @verb("void_charges")
    def void(self, pk: str) -> Any:
        """Withdraw a charge, with a reason."""
        item, form = self.find(pk), ReasonForm()
        if request.method == "POST" and form.validate():
            ok, _nothing = self.attempt(
                form, lambda: service.void_charge(
                    self.session, charge_id=int(pk), reason=form.reason.data, actor=self.actor
                ),
            )
            if ok:
                notice(_("The charge was voided."))
                return redirect(url_for("ChargeView.show", pk=pk))
            item = self.find(pk)
        return self.confirm(
            item, form, title=_("Void the charge “%(what)s”?", what=item.what),
            sentence=_("Nothing is owed for it any more. What was paid for it goes on account of %(name)s.",
                       name=item.client.full_name),
            facts=_charge_facts(item), submit_label=_("Void charge"),
        )

    @expose("/free/<pk>", methods=["GET", "POST"])
    @verb("take_payments")
    def free(self, pk: str) -> Any:
        """Put the money that settles a charge on account."""
        item, form = self.find(pk), ReasonForm()
        if request.method == "POST" and form.validate():
            ok, freed = self.attempt(
                form, lambda: service.free_charge(
                    self.session, charge_id=int(pk), reason=form.reason.data, actor=self.actor
                ),
            )
            if ok:
                item = self.find(pk)
                notice(_("%(amount)s is on account again.", amount=render.amount(freed, item.currency)))
                return redirect(url_for("ChargeView.show", pk=pk))
            item = self.find(pk)
        return self.confirm(
            item, form, title=_("Free the money of “%(what)s”?", what=item.what),
            sentence=_("It goes on account of %(name)s and can settle something else. The charge is open again.",
                       name=item.client.full_name),
            facts=_charge_facts(item), submit_label=_("Free %(amount)s",
                                                      amount=render.amount(item.settled, item.currency)),
        )

    @expose("/settle/<pk>", methods=["GET", "POST"])
    @verb("take_payments")
    def settle(self, pk: str) -> Any:
        """Pay a charge with what is on account."""
        item, form = self.find(pk), forms.Form()
        if request.method == "POST" and form.validate():
            ok, _answer = self.attempt(
                form, lambda: service.settle_from_account(
                    self.session, client_id=item.client_id, charge_ids=[int(pk)], actor=self.actor,
                    idempotency_key=posted_key(),
                ),
            )
            if ok:
                notice(_("The charge was settled from the account."))
                return redirect(url_for("ChargeView.show", pk=pk))
            item = self.find(pk)
        held = queries.on_account(self.session, item.client_id, item.currency)
        part = render.amount(min(held, item.open), item.currency)
        return self.confirm(
            item, form, title=_("Settle “%(what)s” from the account?", what=item.what),
            sentence=_("%(amount)s of what %(name)s has on account pays for it.", amount=part,
                       name=item.client.full_name),
            facts=[*_charge_facts(item), (_("On account"), render.amount(held, item.currency))],
            submit_label=_("Settle %(amount)s", amount=part), danger=False,
        )


class PaymentView(MoneyRecordView):
    """Payments: the money that came in, and what became of it."""

    route_base = "/enrollment/payments"
    datamodel = SQLAInterface(Payment)
    class_permission_name = "EnrollmentPayment"
    list_title = _l("Payments")
    singular = _l("Payment")
    empty_text = _l("Payments are taken on a client’s card or on the page of a charge.")
    search_placeholder = _l("Client or reference")
    load = (joinedload(Payment.client).joinedload(Client.club),)
    columns = (
        Column("client", _l("Client"), value=lambda p: p.client.full_name, kind="link", phone="title"),
        amount_column("amount", _l("Amount"), order=(Payment.amount,), phone="end"),
        Column("method", _l("Method"), value=lambda p: str(dict(labels.METHODS)[p.method]),
               show=disputes.method_shown, order=(Payment.method,)),
        Column("paid_on", _l("Paid on"), kind="date", order=(Payment.paid_on,)),
        amount_column("left", _l("On account"), phone="hide"),
        amount_column("refunded", _l("Refunded"), order=(Payment.refunded,), phone="hide"),
        Column("reference", _l("Reference"), phone="hide"),
    )
    export_columns = (
        Column("id", _l("Number")), Column("client_id", _l("Client number")),
        Column("client", _l("Client"), value=lambda p: p.client.full_name),
        *(amount_column(name, label) for name, label in (
            ("amount", _l("Amount")), ("settled", _l("Settled")), ("refunded", _l("Refunded")),
            ("left", _l("On account")),
        )),
        Column("currency", _l("Currency")),
        Column("method", _l("Method"), value=lambda p: str(dict(labels.METHODS)[p.method])),
        Column("reference", _l("Reference")), Column("paid_on", _l("Paid on")),
        Column("created_at", _l("Taken"), timezone=_clock_of),
    )
    filters = (
        Filter("client_id", _l("Client"), "reference", Payment.client_id, source="clients"),
        Filter("method", _l("Method"), "choice", Payment.method, labels.METHODS),
        Filter("paid_on", _l("Paid on"), "date", Payment.paid_on),
        Filter("on_account", _l("On account"), "flag",
               apply=lambda _op, value: (Payment.settled + Payment.refunded < Payment.amount) == value),
        disputes.FILTER,
    )
    default_order = (Payment.id,)
    default_descending = True

    def prepare(self, items: Sequence[Payment]) -> None:
        disputes.load(self.session, items)

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return or_(Payment.reference.icontains(text, autoescape=True), self.client_clause(text))

    def title_of(self, item: Payment) -> str:
        return _("%(amount)s from %(name)s", amount=render.amount(item.amount, item.currency),
                 name=item.client.full_name)

    def show_page(self, item: Payment) -> dict[str, Any]:
        page = super().show_page(item)
        page["fields"] += [
            {"label": _("Settled"), "value": render.amount(item.settled, item.currency), "wide": False},
            {"label": _("Taken"), "value": render.moment(item.created_at), "wide": False},
        ]
        refund = {"label": _("Refund"), "url": url_for("PaymentView.refund", pk=item.id), "danger": True}
        page["buttons"] = [refund] if item.amount > item.refunded and can("refund") else []
        page["sections"] = [
            *disputes.sections(self.session, item),
            {"title": _("Settles"), "empty": _("All of it is on account."),
             "rows": [_settles(s) for s in queries.settlements_of(self.session, payment_id=item.id)]},
        ]
        if given := queries.refunds_of(self.session, payment_id=item.id):
            page["sections"].append(refunds.section(self.session, given, page["buttons"], payment_id=item.id))
        page["crumbs"] = [*self.crumbs(), client_crumb(item.client)]
        return page

    @expose("/refund/<pk>", methods=["GET", "POST"])
    @verb("refund")
    def refund(self, pk: str) -> Any:
        """Give back a payment, whole or in part; what is not refunded yet is proposed."""
        item, key = self.find(pk), None
        form = RefundForm(data={"amount": _refundable(item)}) if request.method == "GET" else RefundForm()
        if request.method == "POST" and form.validate():
            ok, answer = self.attempt(form, lambda: self._refund(item, form), apart=True)
            item = self.find(pk)
            if ok:
                notice(_("%(amount)s was refunded.", amount=render.amount(answer.amount, item.currency)))
                return redirect(url_for("PaymentView.show", pk=pk))
            key = new_key() if isinstance(answer, ProviderRefused) else None
        sentence = _("What is on account goes back first. Beyond that, charges that were paid with it are open "
                     "again: void a charge first if nothing is owed for it any more.")
        return self.confirm(
            item, form, title=_("Refund the payment of %(name)s?", name=item.client.full_name),
            sentence=f"{sentence} {refunds.way_back(self.session, item)}".strip(), key=key,
            facts=[
                (_("Paid"), render.amount(item.amount, item.currency)),
                (_("Refunded so far"), render.amount(item.refunded, item.currency)),
                (_("On account"), render.amount(item.left, item.currency)),
                (_("Settles charges"), render.amount(item.settled, item.currency)),
            ],
            submit_label=_("Refund"),
        )

    def _refund(self, item: Payment, form: RefundForm) -> Refund:
        made = desk.refund_payment(
            self.session, payment_id=item.id, amount=minor_units(form.amount.data, item.currency),
            reason=form.reason.data, actor=self.actor, idempotency_key=posted_key(),
        )
        return require(self.session, Refund, made)


def _refundable(payment: Payment) -> Decimal:
    return money.to_decimal(payment.amount - payment.refunded, payment.currency)


def client_crumb(client: Client) -> dict[str, Any]:
    readable = access.may("read", "EnrollmentClient")
    return {"label": client.full_name, "url": url_for("ClientView.show", pk=client.id) if readable else None}


def _charge_facts(charge: Charge) -> list[tuple[Any, str]]:
    return [
        (_("Client"), charge.client.full_name),
        (_("Amount"), render.amount(charge.gross, charge.currency)),
        (_("Settled"), render.amount(charge.settled, charge.currency)),
        (_("Still open"), render.amount(charge.open, charge.currency)),
    ]


def _freed(settlement: Settlement) -> str:
    return _("freed %(at)s", at=render.moment(settlement.freed_at)) if settlement.freed_at else ""


def _settled_by(settlement: Settlement) -> dict[str, Any]:
    payment = settlement.payment
    parts = [render.date(payment.paid_on), payment.reference or "", _freed(settlement)]
    return {
        "title": str(dict(labels.METHODS)[payment.method]), "meta": render.joined(parts),
        "end": render.amount(settlement.amount, payment.currency),
        "url": url_for("PaymentView.show", pk=payment.id) if access.may("read", "EnrollmentPayment") else None,
    }


def _settles(settlement: Settlement) -> dict[str, Any]:
    charge = settlement.charge
    parts = [_("due %(date)s", date=render.date(charge.due_on)), _freed(settlement)]
    return {
        "title": charge.what, "meta": render.joined(parts),
        "end": render.amount(settlement.amount, charge.currency),
        "url": url_for("ChargeView.show", pk=charge.id) if access.may("read", "EnrollmentCharge") else None,
    }

"""Asking for an online payment: which charges, then a confirmation with the sum; by staff, or by clients themselves."""

from typing import Any

from flask import current_app, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import ngettext

from ...core.db import require
from ...core.errors import Conflict, NotFound
from ...core.web import forms, render
from ...core.web.access import needs, verb
from ...core.web.api import key_of, new_key
from ...core.web.pages import PageView, notice, posted_key
from ...people.models import Client
from ...people.queries import client_of_account
from .. import queries as billing_queries
from ..models import Charge, ChargeStatus
from . import desk, service
from .api import return_urls
from .models import OnlinePayment
from .provider import current, switched_on


class _AskView(PageView):
    """The steps that both ways have in common."""

    def _open_charges(self, client: Client) -> dict[str, list[Charge]]:
        """What can be paid at once, by currency, the oldest due first."""
        found: dict[str, list[Charge]] = {}
        statement = billing_queries.charges_of(client.id).where(Charge.status == ChargeStatus.open)
        for charge in self.session.scalars(statement.limit(service.MOST_CHARGES)):
            found.setdefault(charge.currency, []).append(charge)
        return found

    def _choose(self, client: Client, **context: Any) -> Any:
        """The charges to tick, one form for each currency."""
        groups = [
            {"currency": currency, "charges": charges, "label": _("Charges in %(currency)s", currency=currency)}
            for currency, charges in (self._open_charges(client).items() if switched_on() else ())
        ]
        return self.render_template("enrollment_addon/online_choose.html", groups=groups, **context)

    def _confirm(
        self, form: forms.Form, client: Client, keys: list[int], key: str | None, *, own: bool = False, **context: Any
    ) -> Any:
        """The sum, charge by charge, and what ends for it."""
        plan = service.plan_request(self.session, client_id=client.id, charge_ids=keys)
        items = [{"label": what, "value": render.amount(amount, plan.currency)} for _, what, amount in plan.items]
        total = render.amount(plan.amount, plan.currency)
        replaced = [] if plan.same else plan.replaces
        way = _("You pay on a page of %(provider)s, which leads back here.", provider=current().name) if own else _(
            "%(provider)s makes a page for it, and you get the link. Nothing is sent by itself.",
            provider=current().name,
        )
        if key:
            context["idempotency_key"] = key
        return self.ask_first(
            form, danger=False, action_url=request.full_path, template="enrollment_addon/online_confirm.html",
            items=[*items, {"label": _("Total"), "value": total}],
            sentence=" ".join([way, *([ngettext(
                "An earlier link for these charges ends: another one is made in its place.",
                "%(num)s earlier links for these charges end: another one is made in their place.", len(replaced),
            )] if replaced else [])]),
            submit_label=_("Pay %(amount)s online", amount=total) if own else _("Ask for %(amount)s", amount=total),
            **context,
        )

    def _ask(self, form: forms.Form, client_id: int, keys: list[int]) -> tuple[int | None, str | None]:
        """The request's key; else a new key for the form, where the old one would only be refused again."""
        ok, made = self.attempt(
            form, lambda: desk.request_payment(
                self.session, client_id=client_id, charge_ids=keys, actor=self.actor, idempotency_key=posted_key(),
                **return_urls(),
            ), apart=True,
        )
        return (made, None) if ok else (None, new_key() if isinstance(made, Conflict) else None)

    def _keys(self, client: Client) -> list[int]:
        """The charges that the address names, or the only one there is."""
        if named := request.args.getlist("charge_id"):
            return [key_of(text) for text in named]
        found = [charge.id for charges in self._open_charges(client).values() for charge in charges]
        return found if len(found) == 1 else []


class OnlineRequestView(_AskView):
    """Ask a client to pay open charges online."""

    route_base = "/enrollment/online-request"
    class_permission_name = "EnrollmentCharge"
    default_view = "ask"

    @expose("/<pk>", methods=["GET", "POST"])
    @verb("request_online_payments")
    def ask(self, pk: str) -> Any:
        """First which charges, where there are several; then the sum. At the end the link."""
        client, key = self._client(pk), None
        current()
        keys, form = self._keys(client), forms.Form()
        title = _("Ask %(name)s to pay online", name=client.full_name)
        card = url_for("ClientView.show", pk=client.id)
        crumbs = [
            *current_app.extensions["enrollment"].views["ClientView"].crumbs(),
            {"label": client.full_name, "url": card},
        ]
        if not keys:
            return self._choose(client, title=title, crumbs=crumbs, cancel_url=card)
        if request.method == "POST" and form.validate():
            made, key = self._ask(form, client.id, keys)
            if made is not None:
                notice(_("The link is ready. Send it to the client, or open it on a device of yours."))
                return redirect(url_for("OnlinePaymentView.show", pk=made))
            client = self._client(pk)
        return self._confirm(form, client, keys, key, title=title, crumbs=crumbs, cancel_url=card)

    def _client(self, pk: str) -> Client:
        client: Client = current_app.extensions["enrollment"].views["ClientView"].find(pk)
        render.use_timezone(client.club.timezone)
        return client


class OwnPaymentView(_AskView):
    """Clients who log in pay their own open charges."""

    route_base = "/enrollment/my/pay"
    class_permission_name = "EnrollmentOwnPage"
    default_view = "pay"

    @expose("/", methods=["GET", "POST"])
    @needs("pay")
    def pay(self) -> Any:
        """First which charges, where there are several; then the sum. At the end the provider's page."""
        client, key = self._client(), None
        own = url_for("OwnPageView.show")
        crumbs = [{"label": _("My sessions and credits"), "url": own}]
        title = _("Pay online")
        keys, form = self._keys(client) if switched_on() else [], forms.Form()
        if not keys:
            return self._choose(client, title=title, crumbs=crumbs, cancel_url=own)
        if request.method == "POST" and form.validate():
            made, key = self._ask(form, client.id, keys)
            if made is not None:
                return redirect(require(self.session, OnlinePayment, made).url or own)
            client = self._client()
        return self._confirm(form, client, keys, key, title=title, crumbs=crumbs, cancel_url=own, own=True)

    def _client(self) -> Client:
        client = client_of_account(self.session, self.actor.user_id)
        if client is None:
            raise NotFound
        render.use_timezone(client.club.timezone)
        return client

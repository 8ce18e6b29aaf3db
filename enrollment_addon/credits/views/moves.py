"""Verbs on unspent credits of clients: transfer, convert, a new last day for all, take all back."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import current_app, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import Select, select

from ...core.errors import NotFound
from ...core.web import forms, lists
from ...core.web.access import verb
from ...core.web.views import PageView, RecordView, Selection, notice, posted_key
from ...people.models import Client
from .. import queries, service
from ..forms import ConvertForm, TransferForm
from ..models import CreditLot
from .common import client_view, explained, number_of
from .convert import ConvertPages, whole_credits
from .extend import ExtendPages
from .void import VoidPages


class CreditMovesView(ExtendPages, VoidPages, ConvertPages, PageView):
    """Transfer a client's credits; convert those of one or many clients, give them a new last day, or void them."""

    route_base = "/enrollment/credit-moves"
    class_permission_name = "EnrollmentCredits"
    default_view = "transfer"

    def crumbs(self) -> Any:
        return client_view().crumbs()

    @expose("/transfer/<pk>", methods=["GET", "POST"])
    @verb("transfer_session_credits")
    def transfer(self, pk: str) -> Any:
        """Give unspent credits of this client to another."""
        client, form = client_view().find(pk), TransferForm()
        if request.method == "GET":
            form.event_type_id.data = number_of(request.args.get("event_type_id"))
        elif form.validate():
            ok, made = self.attempt(
                form,
                lambda: service.transfer_credits(
                    self.session, from_client_id=client.id, to_client_id=form.to_client_id.data,
                    event_type_id=form.event_type_id.data, quantity=form.quantity.data, reason=form.reason.data,
                    actor=self.actor, idempotency_key=posted_key(),
                ),
            )
            if ok:
                other = self.session.get(Client, form.to_client_id.data)
                told = ngettext(
                    "%(num)s credit now belongs to %(name)s.", "%(num)s credits now belong to %(name)s.",
                    made["transferred"], name=other.full_name if other else "–",
                )
                return self._done(client, told, made["batch_id"])
        return self._page(
            client, form, _("Transfer session credits of %(name)s", name=client.full_name),
            _("Unspent credits change hands; they keep their origin and last day. A restriction to participants ends. "
              "Credits of an enrollment stay."),
            _("Transfer credits"),
        )

    @expose("/convert/<pk>", methods=["GET", "POST"])
    @verb("convert_session_credits")
    def convert(self, pk: str) -> Any:
        """Make of a client's unspent credits such of another event type."""
        client, form = client_view().find(pk), ConvertForm()
        if request.method == "GET":
            form.from_event_type_id.data = number_of(request.args.get("event_type_id"))
        elif form.validate():
            ok, made = self.attempt(
                form,
                lambda: service.convert_credits(
                    self.session, client_id=client.id, from_event_type_id=form.from_event_type_id.data,
                    to_event_type_id=form.to_event_type_id.data, quantity=form.quantity.data, give=form.give.data,
                    get=form.get.data, reason=form.reason.data, actor=self.actor, idempotency_key=posted_key(),
                ),
            )
            if ok:
                told = ngettext(
                    "%(num)s credit became %(received)s; left as they were: %(left)s.",
                    "%(num)s credits became %(received)s; left as they were: %(left)s.",
                    made["converted"], received=made["received"], left=made["left"],
                )
                return self._done(client, told, made["batch_id"])
        return self._page(
            client, form, _("Convert session credits of %(name)s", name=client.full_name),
            whole_credits(), _("Convert credits"), template="enrollment_addon/convert.html",
        )

    def _page(
        self, client: Client, form: forms.Form, title: str, sentence: str, submit: str, **context: Any
    ) -> Any:
        """The form beside what the client has."""
        held = queries.client_credits(self.session, client.id).balances
        return self.ask_first(
            form, title=title, sentence=sentence, danger=False,
            facts=[
                {"label": row.event_type, "value": explained(row.available, client.id, row.event_type_id)}
                for row in held
            ],
            cancel_url=url_for("ClientView.show", pk=client.id), submit_label=submit, **context,
        )

    def _done(self, client: Client, told: str, batch_id: int) -> Any:
        notice(told, url_for("BatchView.show", pk=batch_id), _("Show or undo"))
        return redirect(url_for("ClientView.show", pk=client.id))

    @expose("/extend/<pk>")
    @verb("extend_credit_expiry")
    def extend(self, pk: str) -> Any:
        """A new last day for all that a client has left."""
        return self.extend_page(Selection(keys=(client_view().find(pk).id,)))

    @expose("/void/<pk>")
    @verb("void_session_credits")
    def void(self, pk: str) -> Any:
        """Take back all that a client has left."""
        return self.void_page(Selection(keys=(client_view().find(pk).id,)))

    def extend_page(self, selection: Selection, *args: Any, **more: Any) -> Any:
        return self._unless_nothing_left(super().extend_page, selection, *args, **more)

    def void_page(self, selection: Selection, *args: Any, **more: Any) -> Any:
        return self._unless_nothing_left(super().void_page, selection, *args, **more)

    def _unless_nothing_left(self, page: Callable[..., Any], selection: Selection, *args: Any, **more: Any) -> Any:
        """The page of a verb; where the selected clients have nothing left, say so and go back."""
        try:
            return page(selection, *args, **more)
        except NotFound:
            notice(_("Nobody of those who are selected has session credits left."), category="warning")
            return redirect(self.back_url(selection))

    def lots_of(self, selection: Selection) -> Select[Any]:
        """The lots of the selected clients with something left."""
        return select(CreditLot.id).where(
            CreditLot.client_id.in_(client_view().selected(selection)), CreditLot.available > 0
        )

    def back_url(self, selection: Selection) -> str:
        """The card of a single client, or the list as it was filtered."""
        if selection.query is not None:
            arguments = lists.arguments_from(selection.query)
            return f"{url_for('ClientView.list')}?{urlencode([*arguments.items(multi=True)])}"
        if len(selection.keys) == 1:
            return url_for("ClientView.show", pk=selection.keys[0])
        return url_for("ClientView.list")

    def after_verb(self, selection: Selection, batch_id: int) -> str:
        """To the client, or for many to the batch."""
        if selection.query is None and len(selection.keys) == 1:
            return url_for("ClientView.show", pk=selection.keys[0])
        return url_for("BatchView.show", pk=batch_id)


def void_of_clients(_view: RecordView, selection: Selection) -> Any:
    """The list action: take back all that the ticked clients, or all that match, have left."""
    moves: CreditMovesView = current_app.extensions["enrollment"].views["CreditMovesView"]
    return moves.void_page(selection)


def extend_of_clients(_view: RecordView, selection: Selection) -> Any:
    """The list action: a new last day for all that the ticked clients, or all that match, have left."""
    moves: CreditMovesView = current_app.extensions["enrollment"].views["CreditMovesView"]
    return moves.extend_page(selection)


def convert_of_clients(_view: RecordView, selection: Selection) -> Any:
    """The list action: another event type for what the ticked clients, or all that match, have left."""
    moves: CreditMovesView = current_app.extensions["enrollment"].views["CreditMovesView"]
    return moves.convert_page(selection)

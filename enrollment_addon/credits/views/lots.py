"""Lots and the ledger: lists, taking back and new last days."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import g, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from markupsafe import Markup
from sqlalchemy.orm import joinedload

from ...core.web import render
from ...core.web.access import can, verb
from ...core.web.api import new_key
from ...core.web.filters import Filter
from ...core.web.views import Column, ListAction, RecordView, Selection, notice, posted_key, posted_selection
from .. import hooks, labels, queries, service
from ..forms import ExtendForm, VoidForm
from ..models import CreditEntry, CreditLot
from .common import Totals, explained, facts_of, grace_mark, linked, sizes, totals_of
from .explain import lot_url
from .extend import ExtendPages, extend_form


def _void_selected(view: RecordView, selection: Selection) -> Any:
    return view.void_page(selection)  # type: ignore[attr-defined]


def _extend_selected(view: RecordView, selection: Selection) -> Any:
    return view.extend_page(selection)  # type: ignore[attr-defined]


def last_day(lot: CreditLot) -> Any:
    """The last day of a lot of this page, with a mark where it is a grace."""
    day = render.date(lot.expires_on)
    if lot.id not in g.get("enrollment_grace", ()):
        return day
    return Markup('{} <span class="enr-badge warn">{}</span>').format(day, _("Grace"))


def _explained(name: str) -> Callable[[CreditLot], Any]:
    return lambda lot: explained(getattr(lot, name), lot.client_id, lot.event_type_id)


class LotView(ExtendPages, RecordView):
    """Lots: every grant to every client."""

    route_base = "/enrollment/lots"
    datamodel = SQLAInterface(CreditLot)
    class_permission_name = "EnrollmentCredits"
    list_title = _l("Lots")
    singular = _l("Lot")
    empty_text = _l("A lot is one grant of session credits to one client. Tick clients in their list to add credits.")
    load = (joinedload(CreditLot.client), joinedload(CreditLot.event_type))
    columns = (
        Column("client", _l("Client"), value=lambda lot: lot.client.full_name, kind="link", phone="title"),
        Column("event_type", _l("Event type"), value=lambda lot: lot.event_type.label),
        Column("quantity", _l("Added"), show=_explained("quantity"), kind="number", order=(CreditLot.quantity,),
               phone="hide"),
        Column("available", _l("Available"), show=_explained("available"), kind="number",
               order=(CreditLot.available,), phone="end"),
        Column("reserved", _l("Reserved"), show=_explained("reserved"), kind="number", order=(CreditLot.reserved,),
               phone="hide"),
        Column("used", _l("Used"), show=_explained("used"), kind="number", order=(CreditLot.used,), phone="hide"),
        Column("expires_on", _l("Expires"), show=last_day, kind="date", order=(CreditLot.expires_on,)),
        Column("origin", _l("Origin"), value=lambda lot: str(dict(labels.ORIGINS)[lot.origin]), phone="hide"),
    )
    filters = (
        Filter("client_id", _l("Client"), "reference", CreditLot.client_id, source="clients"),
        Filter("event_type_id", _l("Event type"), "reference", CreditLot.event_type_id, source="event_types"),
        Filter("available", _l("Available"), "number", CreditLot.available),
        Filter("expires_on", _l("Expires"), "date", CreditLot.expires_on),
        Filter("origin", _l("Origin"), "choice", CreditLot.origin, labels.ORIGINS),
        Filter("batch_id", _l("Batch"), "number", operators=("eq",),
               apply=lambda _op, value: CreditLot.id.in_(queries.lots_in_batch(value))),
    )
    export_columns = (
        *columns, Column("voided", _l("Taken back"), kind="number"), Column("expired", _l("Expired"), kind="number"),
        Column("transferred", _l("Given away"), kind="number"), Column("note", _l("Note")),
    )
    actions_on_list = (
        ListAction("extend_credit_expiry", _l("Extend credit expiry"), _extend_selected),
        ListAction("void_session_credits", _l("Void session credits"), _void_selected),
    )
    default_order = (CreditLot.id,)
    default_descending = True

    def prepare(self, items: Sequence[CreditLot]) -> None:
        g.enrollment_grace = queries.in_grace(self.session, [lot.id for lot in items])

    def show_page(self, item: CreditLot) -> dict[str, Any]:
        self.prepare([item])
        page = super().show_page(item)
        fields = [
            (_("Taken back"), _explained("voided")(item)), (_("Expired"), _explained("expired")(item)),
            (_("Given away"), _explained("transferred")(item)),
            (_("Priority"), render.number(item.priority)),
            (_("Value of one credit"), render.amount(item.unit_value, item.currency)),
            (_("Shared with the household"), _shared(item)),
            (_("Only for"), ", ".join(p.name for p in item.participants) or _("anyone of the client")),
            (_("On hold"), _("Yes") if item.held else _("No")),
            (_("Added on"), render.moment(item.granted_at)), (_("Note"), item.note or ""),
        ]
        page["fields"] += [{"label": label, "value": value, "wide": False} for label, value in fields]
        page["title"] = f"{item.event_type.label} · {item.client.full_name}"
        page["subtitle"] = ""
        page["badge"] = grace_mark(item.expires_on) if item.id in g.enrollment_grace else None
        page["buttons"] = [
            {"label": _("Explain"), "url": url_for("CreditsView.explain", pk=item.client_id,
                                                   event_type_id=item.event_type_id), "primary": True}
        ]
        if item.available + item.reserved and can("extend_credit_expiry"):
            page["buttons"].append({"label": _("Extend"), "url": url_for("LotView.extend", pk=item.id)})
        if item.available and can("void_session_credits"):
            page["buttons"].append({"label": _("Void"), "url": url_for("LotView.void", pk=item.id), "danger": True})
        return page

    @expose("/void/<pk>")
    @verb("void_session_credits")
    def void(self, pk: str) -> Any:
        return self.void_page(Selection(keys=(self.find(pk).id,)))

    def void_page(self, selection: Selection, form: VoidForm | None = None, status: int = 200) -> Any:
        """Say how many credits would be taken back, and ask for the reason."""
        return void_form(
            self, totals_of(self.session, self.selected(selection)), form, status, hidden=selection.hidden(),
            action_url=url_for("LotView.take_back"), cancel_url=url_for("LotView.list"),
        )

    @expose("/take-back", methods=["POST"])
    @verb("void_session_credits")
    def take_back(self) -> Any:
        selection, form = posted_selection(request.form), VoidForm()
        if not form.validate():
            return self.void_page(selection, form, 422)
        ok, result = void_now(self, form, lambda: self.selected(selection))
        if ok is None:
            return self.void_page(selection, form, result.http_status)
        return redirect(self._back(selection)) if ok is True else ok

    def _back(self, selection: Selection) -> str:
        if selection.query is None and len(selection.keys) == 1:
            return url_for("LotView.show", pk=selection.keys[0])
        return url_for("LotView.list")

    @expose("/extend/<pk>")
    @verb("extend_credit_expiry")
    def extend(self, pk: str) -> Any:
        return self.extend_page(Selection(keys=(self.find(pk).id,)))

    def lots_of(self, selection: Selection) -> Any:
        return self.selected(selection)

    def extend_page(self, selection: Selection, form: ExtendForm | None = None, status: int = 200, **more: Any) -> Any:
        return extend_form(
            self, totals_of(self.session, self.selected(selection)), form, status, hidden=selection.hidden(),
            action_url=url_for("LotView.new_last_day"), cancel_url=url_for("LotView.list"), **more,
        )

    def after_extension(self, selection: Selection, batch_id: int) -> str:
        return self._back(selection)


def _shared(lot: CreditLot) -> str:
    if not lot.shared:
        return _("No")
    if lot.member_cap is None:
        return _("Yes")
    return ngettext("%(num)s credit per member", "%(num)s credits per member", lot.member_cap)


def void_form(
    view: Any, sums: Totals, form: VoidForm | None, status: int, *, action_url: str, cancel_url: str,
    hidden: Sequence[tuple[str, Any]],
) -> Any:
    """The page that says what of chosen lots would be taken back, and asks for the reason."""
    facts = [*facts_of(sums), {"label": _("Taken back"), "value": render.number(sums.available)}]
    if sums.of_enrollments:
        facts.append({"label": _("Of these, from enrollments"), "value": render.number(sums.of_enrollments)})
    page = view.render_template(
        "enrollment_addon/undo.html", title=_("Void session credits"), form=form or VoidForm(formdata=None),
        sentence=_("Reserved and used credits stay; the reason is kept in the ledger."), facts=facts,
        crumbs=view.crumbs(), action_url=action_url, cancel_url=cancel_url, hidden=hidden,
        submit_label=ngettext("Take back %(num)s credit", "Take back %(num)s credits", sums.available),
        idempotency_key=request.form.get("idempotency_key") or new_key(),
    )
    return page, status


def void_now(view: Any, form: VoidForm, lots: Callable[[], Any]) -> tuple[Any, Any]:
    """Take back: True and what was done, a redirect to the job, or nothing and the refusal."""
    ok, result = view.attempt(
        form,
        lambda: service.void_lots(
            view.session, lot_ids=lots(), reason=form.reason.data, actor=view.actor, idempotency_key=posted_key(),
            **sizes(),
        ),
    )
    if not ok:
        return None, result
    if result["job_id"] is not None:
        notice(_("The credits are being taken back in the background."))
        return redirect(url_for("JobView.show", pk=result["job_id"])), result
    notice(
        ngettext("%(num)s credit was taken back.", "%(num)s credits were taken back.", result["voided"]),
        url_for("BatchView.show", pk=result["batch_id"]), _("Show or undo"),
    )
    return True, result


def _booking(entry: CreditEntry) -> hooks.Told | None:
    found: Mapping[int, hooks.Told] = g.get("enrollment_booked", {})
    return found.get(entry.booking_id) if entry.booking_id else None


def _booking_link(entry: CreditEntry) -> Any:
    booking = _booking(entry)
    if booking is None:
        return ""
    what, when = (Markup("<bdi>{}</bdi>").format(part) for part in booking.parts[:2])
    return linked(Markup("{} · {}").format(what, when), booking.url())


def _change(name: str) -> Callable[[CreditEntry], Any]:
    """A change of the ledger as a link to where its lot is explained."""
    return lambda e: linked(
        render.number(getattr(e, name)), lot_url(e.client_id, e.event_type_id, e.lot_id)
    ) if getattr(e, name) else render.number(0)


class EntryView(RecordView):
    """The ledger: every change of every lot, never edited."""

    route_base = "/enrollment/ledger"
    datamodel = SQLAInterface(CreditEntry)
    class_permission_name = "EnrollmentCredits"
    list_title = _l("Ledger")
    singular = _l("Ledger entry")
    empty_text = _l("The ledger shows every change of session credits in order. Nothing in it is ever edited.")
    load = (
        joinedload(CreditEntry.lot).joinedload(CreditLot.client),
        joinedload(CreditEntry.lot).joinedload(CreditLot.event_type),
    )
    columns = (
        Column("client", _l("Client"), value=lambda e: e.lot.client.full_name, kind="link", phone="title"),
        Column("kind", _l("What happened"), value=lambda e: str(labels.entry_label(e.kind, e.available_change))),
        Column("event_type", _l("Event type"), value=lambda e: e.lot.event_type.label, phone="hide"),
        Column("available_change", _l("Available"), kind="number", phone="end", show=_change("available_change")),
        Column("reserved_change", _l("Reserved"), kind="number", phone="hide", show=_change("reserved_change")),
        Column("at", _l("When"), kind="moment", order=(CreditEntry.id,)),
        Column("who", _l("By whom"), value=lambda e: g.get("enrollment_doers", {}).get(e.actor_id, ""), phone="hide"),
        Column("booking", _l("Booking"), value=lambda e: b.label if (b := _booking(e)) else "", show=_booking_link),
        Column("reason", _l("Reason"), phone="hide"),
    )
    filters = (
        Filter("client_id", _l("Client"), "reference", CreditEntry.client_id, source="clients"),
        Filter("event_type_id", _l("Event type"), "reference", CreditEntry.event_type_id, source="event_types"),
        Filter("kind", _l("What happened"), "choice", CreditEntry.kind, labels.ENTRY_KINDS),
        Filter("lot_id", _l("Lot"), "number", CreditEntry.lot_id),
    )
    default_order = (CreditEntry.id,)
    default_descending = True

    def prepare(self, items: Sequence[CreditEntry]) -> None:
        """Who did it and for which booking, for a page of entries at once."""
        g.enrollment_doers = queries.names_of(self.session, {entry.actor_id for entry in items})
        g.enrollment_booked = hooks.told_of(
            self.session, "booking", {entry.booking_id for entry in items if entry.booking_id}
        )

    def show_url(self, item: CreditEntry) -> str:
        return url_for("LotView.show", pk=item.lot_id)

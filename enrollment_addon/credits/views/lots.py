"""Lots and the ledger: lists, cards, and the verbs on chosen lots."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import g, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from markupsafe import Markup
from sqlalchemy.orm import joinedload

from ...core import reasons
from ...core.audit import user_names
from ...core.web import render
from ...core.web.access import can, verb
from ...core.web.filters import Filter
from ...core.web.views import Column, ListAction, RecordView, Selection
from ...people.parts import client_url
from .. import hooks, labels, queries
from ..models import CreditEntry, CreditLot
from .common import explained, grace_mark, linked
from .explain import conversions_among, lot_url
from .extend import EXTEND_SELECTED, ExtendPages
from .transfer import TRANSFER_SELECTED, TransferPages
from .void import VoidPages


def last_day(lot: CreditLot) -> Any:
    """The last day of a lot of this page, with a mark where it is a grace."""
    day = render.date(lot.expires_on)
    if lot.id not in g.get("enrollment_grace", ()):
        return day
    return Markup('{} <span class="enr-badge warn">{}</span>').format(day, _("Grace"))


def _explained(name: str) -> Callable[[CreditLot], Any]:
    return lambda lot: explained(getattr(lot, name), lot.client_id, lot.event_type_id)


class LotView(ExtendPages, VoidPages, TransferPages, RecordView):
    """Lots: every grant to every client."""

    route_base = "/enrollment/lots"
    datamodel = SQLAInterface(CreditLot)
    class_permission_name = "EnrollmentCredits"
    list_title = _l("Lots")
    singular = _l("Lot")
    empty_text = _l("A lot is one grant of session credits to one client. Tick clients in their list to add credits.")
    load = (joinedload(CreditLot.client), joinedload(CreditLot.event_type))
    columns = (
        Column("client", _l("Client"), value=lambda lot: lot.client.full_name, kind="link", phone="title",
               to=lambda lot: client_url(lot.client_id)),
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
        Column("transferred", _l("Transferred or converted"), kind="number"), Column("note", _l("Note")),
    )
    actions_on_list = (
        EXTEND_SELECTED,
        TRANSFER_SELECTED,
        ListAction(
            "void_session_credits", _l("Void session credits"), lambda view, selection: view.void_page(selection)
        ),
    )
    default_order = (CreditLot.id,)
    default_descending = True

    def prepare(self, items: Sequence[CreditLot]) -> None:
        g.enrollment_grace = queries.in_grace(self.session, [lot.id for lot in items])

    def title_of(self, item: CreditLot) -> str:
        return f"{item.event_type.label} · {item.client.full_name}"

    def show_page(self, item: CreditLot) -> dict[str, Any]:
        self.prepare([item])
        page = super().show_page(item)
        fields = [
            (_("Taken back"), _explained("voided")(item)), (_("Expired"), _explained("expired")(item)),
            (_("Transferred or converted"), _explained("transferred")(item)),
            (_("Priority"), render.number(item.priority)),
            (_("Value of one credit"), render.amount(item.unit_value, item.currency)),
            (_("Shared with the household"), _shared(item)),
            (_("Only for"), render.listed(p.name for p in item.participants) or _("Anyone of the client")),
            (_("On hold"), _("Yes") if item.held else _("No")),
            (_("Added on"), render.moment(item.granted_at)), (_("Note"), item.note or ""),
        ]
        page["fields"] += [{"label": label, "value": value, "wide": False} for label, value in fields]
        page["subtitle"] = ""
        page["badge"] = grace_mark(item.expires_on) if item.id in g.enrollment_grace else None
        page["buttons"] = [
            {"label": _("Explain"), "url": url_for("CreditsView.explain", pk=item.client_id,
                                                   event_type_id=item.event_type_id), "primary": True}
        ]
        if item.available + item.reserved and can("extend_credit_expiry"):
            page["buttons"].append({"label": _("Extend"), "url": url_for("LotView.extend", pk=item.id)})
        free = not item.held and item.enrollment_id is None
        if item.available and free and can("transfer_session_credits"):
            page["buttons"].append({"label": _("Transfer"), "url": url_for("LotView.transfer", pk=item.id)})
        if item.available and can("void_session_credits"):
            page["buttons"].append({"label": _("Void"), "url": url_for("LotView.void", pk=item.id), "danger": True})
        return page

    @expose("/void/<pk>")
    @verb("void_session_credits")
    def void(self, pk: str) -> Any:
        return self.void_page(Selection(keys=(self.find(pk).id,)))

    @expose("/transfer/<pk>")
    @verb("transfer_session_credits")
    def transfer(self, pk: str) -> Any:
        return self.transfer_page(Selection(keys=(self.find(pk).id,)))

    @expose("/extend/<pk>")
    @verb("extend_credit_expiry")
    def extend(self, pk: str) -> Any:
        return self.extend_page(Selection(keys=(self.find(pk).id,)))

    def after_verb(self, selection: Selection, batch_id: int) -> str:
        """To a single lot, or back to the list."""
        if selection.query is None and len(selection.keys) == 1:
            return url_for("LotView.show", pk=selection.keys[0])
        return self.back_url(selection)


def _shared(lot: CreditLot) -> str:
    if not lot.shared:
        return _("No")
    if lot.member_cap is None:
        return _("Yes")
    return ngettext("%(num)s credit per member", "%(num)s credits per member", lot.member_cap)


def _booking(entry: CreditEntry) -> hooks.Told | None:
    found: Mapping[int, hooks.Told] = g.get("enrollment_booked", {})
    return found.get(entry.booking_id) if entry.booking_id else None


def _booking_link(entry: CreditEntry) -> Any:
    booking = _booking(entry)
    if booking is None:
        return ""
    what, when = (Markup("<bdi>{}</bdi>").format(part) for part in booking.parts[:2])
    return linked(Markup("<span>{} · {}</span>").format(what, when), booking.url())


def _what(entry: CreditEntry) -> Any:
    converted = entry.batch_id in g.get("enrollment_converted", ())
    return labels.entry_label(entry.kind, entry.available_change, converted=converted)


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
        Column("kind", _l("What happened"), value=lambda e: str(_what(e))),
        Column("event_type", _l("Event type"), value=lambda e: e.lot.event_type.label, phone="hide"),
        Column("available_change", _l("Available"), kind="number", phone="end", show=_change("available_change")),
        Column("reserved_change", _l("Reserved"), kind="number", phone="hide", show=_change("reserved_change")),
        Column("at", _l("When"), kind="moment", order=(CreditEntry.id,)),
        Column("who", _l("By whom"), value=lambda e: g.get("enrollment_doers", {}).get(e.actor_id, ""), phone="hide"),
        Column("booking", _l("Booking"), value=lambda e: b.label if (b := _booking(e)) else "", show=_booking_link),
        Column("reason", _l("Reason"), value=lambda e: reasons.told(e.reason), phone="hide"),
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
        """Who did it, for which booking and what was a conversion, for a page of entries at once."""
        g.enrollment_converted = conversions_among(self.session, items)
        g.enrollment_doers = user_names(self.session, {entry.actor_id for entry in items})
        g.enrollment_booked = hooks.told_of(
            self.session, "booking", {entry.booking_id for entry in items if entry.booking_id}
        )

    def title_of(self, item: CreditEntry) -> str:
        return f"{_what(item)} · {item.lot.client.full_name}"

    def show_url(self, item: CreditEntry) -> str:
        return url_for("LotView.show", pk=item.lot_id)

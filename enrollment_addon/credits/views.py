"""Pages of credits: adding, explaining, taking back; lists of batches, lots and the ledger."""

import datetime as dt
from typing import Any

from flask import current_app, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from ..catalog.queries import active_event_types
from ..core.batches import Batch, BatchState
from ..core.errors import AddonError, InvalidInput, NotFound
from ..core.web import access, render
from ..core.web.access import can, needs, verb
from ..core.web.api import new_key
from ..core.web.filters import Filter
from ..core.web.views import (
    Column,
    ListAction,
    PageView,
    RecordView,
    Selection,
    form_status,
    notice,
    posted_key,
    posted_selection,
)
from ..jobs.queries import job_view
from ..people.models import Client
from . import labels, queries, service
from .forms import AsOfForm, GrantForm, VoidForm
from .models import CreditEntry, CreditLot, EntryKind

ROWS = 50


def _settings() -> Any:
    return current_app.extensions["enrollment"].settings


def client_view() -> RecordView:
    """The list of clients, whose search and filters a selection refers to."""
    view: RecordView = current_app.extensions["enrollment"].views["ClientView"]
    return view


class CreditsView(PageView):
    """Add session credits to one client or to many; explain a balance."""

    route_base = "/enrollment/credits"
    class_permission_name = "EnrollmentCredits"
    default_view = "add"

    def chosen(self, selection: Selection) -> list[int] | Select[Any]:
        return client_view().selected(selection)

    @expose("/add/<pk>")
    @verb("add_session_credits")
    def add(self, pk: str) -> Any:
        """The form for one client, from the card."""
        client = client_view().find(pk)
        return self.form_page(empty_form(), Selection(keys=(client.id,)))

    def form_page(self, form: GrantForm, selection: Selection, status: int = 200) -> Any:
        """The form with the preview of what it would do as it stands."""
        label, back = self._whom(selection)
        page = self.render_template(
            "enrollment_addon/grant.html", title=_("Add session credits"), form=form,
            selection={"label": label, "hidden": selection.hidden(), "clients_url": back},
            preview=self._preview(form, selection) if form.event_type_id.data else None,
            preview_url=url_for("CreditsView.preview"), action_url=url_for("CreditsView.save"), cancel_url=back,
            crumbs=client_view().crumbs(),
            idempotency_key=request.form.get("idempotency_key") or new_key(),
        )
        return page, status

    def _whom(self, selection: Selection) -> tuple[str, str]:
        """Whom the selection means, in words, and where they came from."""
        if selection.query is not None:
            back = f"{url_for('ClientView.list')}?{selection.query}"
            return _("all clients that match the search"), back
        if len(selection.keys) == 1:
            client = client_view().find(str(selection.keys[0]))
            return client.full_name, url_for("ClientView.show", pk=client.id)
        count = len(selection.keys)
        return (
            ngettext("%(num)s selected client", "%(num)s selected clients", count), url_for("ClientView.list")
        )

    @expose("/preview", methods=["POST"])
    @verb("add_session_credits")
    def preview(self) -> Any:
        """The preview as a fragment, whenever the form changes."""
        form, selection = GrantForm(), posted_selection(request.form)
        form.validate()
        chosen = form.event_type_id.data is not None
        return self.render_template(
            "enrollment_addon/_grant_preview.html", preview=self._preview(form, selection) if chosen else None,
            cancel_url=self._whom(selection)[1],
        )

    def _preview(self, form: GrantForm, selection: Selection) -> dict[str, Any]:
        try:
            plan = service.plan_grant(
                self.session, clients=self.chosen(selection), actor=self.actor, **form.terms()
            )
        except NotFound:
            return {"errors": [str(NotFound.message)]}
        except AddonError as error:
            return {"errors": [str(m) for m in error.fields.values()] or [error.text()]}
        credits = ngettext("Add %(num)s credit", "Add %(num)s credits", plan.credits)
        return {
            "clients": plan.clients, "credits": plan.credits, "skipped_count": plan.skipped_count,
            "reasons": [
                {"label": labels.SKIP_REASONS.get(reason, reason), "count": count}
                for reason, count in plan.by_reason.items()
            ],
            "expires_text": _expires_text(plan.expires),
            "background": plan.clients > _settings().job_threshold,
            "submit_label": _(
                "%(add_credits)s to %(clients)s", add_credits=credits,
                clients=ngettext("%(num)s client", "%(num)s clients", plan.clients),
            ),
            "errors": [],
        }

    @expose("/save", methods=["POST"])
    @verb("add_session_credits")
    def save(self) -> Any:
        """Give the credits; a second Save of the same form changes nothing and leads to the same batch."""
        form, selection = GrantForm(), posted_selection(request.form)
        if not form.validate():
            return self.form_page(form, selection, 422)
        ok, result = self.attempt(
            form,
            lambda: service.grant_credits(
                self.session, clients=self.chosen(selection), actor=self.actor,
                idempotency_key=posted_key(),
                threshold=_settings().job_threshold, chunk=_settings().grant_chunk, **form.terms(), **form.extras(),
            ),
        )
        if not ok:
            return self.form_page(form, selection, result.http_status)
        if result["job_id"] is not None:
            notice(_("The credits are being added in the background."))
            return redirect(url_for("JobView.show", pk=result["job_id"]))
        batch_url = url_for("BatchView.show", pk=result["batch_id"])
        told = ngettext(
            "%(num)s client got session credits.", "%(num)s clients got session credits.", result["granted"]
        )
        if selection.query is None and len(selection.keys) == 1:
            notice(told, batch_url, _("Show or undo"))
            return redirect(url_for("ClientView.show", pk=selection.keys[0]))
        notice(told)
        return redirect(batch_url)

    @expose("/explain/<pk>")
    @needs("read")
    def explain(self, pk: str) -> Any:
        """How a client's credits came about: each lot with its entries in order, also as of a past day."""
        client = client_view().find(pk)
        render.use_timezone(client.club.timezone)
        form = AsOfForm(request.args, meta={"csrf": False})
        as_of = form.as_of.data if form.validate() else None
        event_type_id = _number(request.args.get("event_type_id"))
        told = queries.explain(
            self.session, client.id, event_type_id=event_type_id, as_of=as_of,
            after=_number(request.args.get("after")) or 0, size=ROWS,
        )
        credits = queries.client_credits(self.session, client.id, as_of)
        arguments: dict[str, Any] = {"as_of": as_of.isoformat()} if as_of else {}
        tabs = [(None, _("All")), *((b.event_type_id, b.event_type) for b in credits.balances)]
        here = {**arguments, **({"event_type_id": event_type_id} if event_type_id else {})}
        return self.render_template(
            "enrollment_addon/explain.html", title=_("Session credits of %(name)s explained", name=client.full_name),
            client_url=url_for("ClientView.show", pk=pk), crumbs=client_view().crumbs(), form=form,
            filters=[
                {"label": label, "current": key == event_type_id,
                 "url": url_for("CreditsView.explain", pk=pk, event_type_id=key, **arguments)}
                for key, label in tabs
            ],
            hidden_args=[("event_type_id", event_type_id)] if event_type_id else [],
            totals=[b for b in credits.balances if event_type_id in (None, b.event_type_id)],
            lots=[_told(lot) for lot in told.lots],
            next_url=url_for("CreditsView.explain", pk=pk, **here, after=told.next_after) if told.next_after else None,
        )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 19 else None


def _expires_text(dates: tuple[dt.date, ...]) -> str:
    if not dates:
        return _("They never expire.")
    return _("They expire after %(date)s.", date=" / ".join(render.date(day) for day in dates))


def _told(explained: queries.ExplainedLot) -> dict[str, Any]:
    """A lot and its entries for the page."""
    lot = explained.lot
    facts = [dict(labels.ORIGINS)[lot.origin], _("priority %(number)s", number=lot.priority)]
    if lot.unit_value:
        facts.append(_("%(amount)s each", amount=render.amount(lot.unit_value, lot.currency)))
    if lot.shared:
        facts.append(_("shared with the household"))
    if lot.note:
        facts.append(lot.note)
    badge = {"label": _("Expired"), "class": "bad"} if lot.lapsed or lot.expired else None
    return {
        "title": f"{lot.event_type} · {render.number(lot.quantity)}", "badge": badge,
        "facts": " · ".join(str(f) for f in facts),
        "expires": _("until %(date)s", date=render.date(lot.expires_on)) if lot.expires_on else _("never expires"),
        "batch_url": url_for("BatchView.show", pk=lot.batch_id) if lot.batch_id else None,
        "entries": [
            {
                "at": e.at, "kind_label": dict(labels.ENTRY_KINDS)[e.kind], "available_change": e.available_change,
                "reserved_change": e.reserved_change, "available_after": e.running_available,
                "reserved_after": e.running_reserved, "who": e.who, "reason": _entry_reason(e),
                "reversed": e.reversed,
            }
            for e in explained.entries
        ],
    }


def _entry_reason(entry: queries.EntryRow) -> str:
    facts = []
    if entry.kind == EntryKind.extend:
        facts.append(
            _("from %(before)s to %(after)s", before=_last_day(entry.old_expires_on),
              after=_last_day(entry.new_expires_on))
        )
    elif entry.new_expires_on:
        facts.append(_("usable until %(date)s", date=render.date(entry.new_expires_on)))
    if entry.member_id:
        facts.append(_("for %(name)s", name=entry.member or _("another member of the household")))
    return " · ".join([*facts, *filter(None, (entry.reason,))])


def _last_day(day: dt.date | None) -> str:
    return render.date(day) if day else _("never")


def add_to_selection(_view: RecordView, selection: Selection) -> Any:
    """The list action: the form for the ticked clients, or for all that match."""
    credits: CreditsView = current_app.extensions["enrollment"].views["CreditsView"]
    return credits.form_page(empty_form(), selection)


def empty_form() -> GrantForm:
    """The form as it opens; where only one event type is offered, it is chosen already."""
    form = GrantForm(formdata=None)
    offered = active_event_types(access.current_session())
    if len(offered) == 1:
        form.event_type_id.data = offered[0].id
    return form


class BatchView(RecordView):
    """Batches: who got what at once, and their undo."""

    route_base = "/enrollment/batches"
    datamodel = SQLAInterface(Batch)
    class_permission_name = "EnrollmentBatch"
    list_title = _l("Batches")
    singular = _l("Batch")
    empty_text = _l("Every time credits are added, a batch remembers who got what, so that it can be undone.")
    columns = (
        Column("kind", _l("Batch"), value=lambda b: str(labels.BATCH_KINDS.get(b.kind, b.kind)), kind="link",
               phone="title"),
        Column("state", _l("State"), value=lambda b: str(dict(labels.BATCH_STATES)[b.state]), kind="badge",
               badge=lambda b: labels.BATCH_CLASSES.get(b.state, ""), phone="end"),
        Column("done", _l("Clients"), kind="number", order=(Batch.done,)),
        Column("note", _l("Note"), phone="hide"),
        Column("created_at", _l("When"), kind="moment", order=(Batch.id,)),
    )
    filters = (
        Filter("state", _l("State"), "choice", Batch.state, labels.BATCH_STATES),
        Filter("note", _l("Note"), "text", Batch.note),
        Filter("mine", _l("Mine"), "flag",
               apply=lambda _op, value: (Batch.created_by_id == access.acting_user_id()) == value),
    )
    default_order = (Batch.id,)
    default_descending = True

    @expose("/show/<pk>")
    @needs("read")
    def show(self, pk: str) -> Any:
        batch = queries.batch_summary(self.session, self.find(pk).id)
        after = _number(request.args.get("after")) or 0
        rows = queries.batch_rows(self.session, batch.id, after=after, size=ROWS + 1)
        more = len(rows) > ROWS
        readable = access.may("read", "EnrollmentClient")
        state = BatchState(batch.state)
        return self.render_template(
            "enrollment_addon/batch.html", crumbs=self.crumbs(), total=batch.clients,
            batch={
                "title": _batch_title(batch),
                "state_label": dict(labels.BATCH_STATES)[state], "state_class": labels.BATCH_CLASSES.get(state, ""),
                "note": batch.note, "created_by": batch.who, "created_at": batch.created_at,
                "facts": _facts(batch), "skipped": self._skipped(batch),
                "undo_url": self._undo_url(batch), "job_url": self._job_url(batch),
                "undone": {"text": _undone(batch)} if batch.undone_at else None,
            },
            rows=[
                {
                    "client": r.client, "quantity": r.quantity, "available": r.available, "reserved": r.reserved,
                    "used": r.used, "voided": r.taken_back,
                    "client_url": url_for("ClientView.show", pk=r.client_id) if readable else None,
                    "lot_url": url_for("LotView.show", pk=r.lot_id),
                }
                for r in rows[:ROWS]
            ],
            next_url=url_for("BatchView.show", pk=pk, after=rows[ROWS - 1].lot_id) if more else None,
        )

    @staticmethod
    def _undoable(batch: queries.BatchSummary) -> bool:
        return batch.state == BatchState.done and batch.kind in service.UNDOABLE and can("undo_batch")

    def _undo_url(self, batch: queries.BatchSummary) -> str | None:
        return url_for("BatchView.undo", pk=batch.id) if self._undoable(batch) else None

    def _job_url(self, batch: queries.BatchSummary) -> str | None:
        if batch.job_id is None:
            return None
        try:
            job_view(self.session, batch.job_id, errors_limit=0)
        except NotFound:
            return None
        return url_for("JobView.show", pk=batch.job_id)

    def _skipped(self, batch: queries.BatchSummary) -> list[dict[str, Any]]:
        """The skipped clients by name, where the viewer reaches them."""
        keys = [s["client_id"] for s in batch.skipped[:ROWS]]
        names = {c.id: c.full_name for c in self.session.scalars(select(Client).where(Client.id.in_(keys)))}
        return [
            {"name": names.get(s["client_id"], _("Number %(id)s", id=s["client_id"])),
             "reason": labels.SKIP_REASONS.get(s["reason"], s["reason"])}
            for s in batch.skipped[:ROWS]
        ]

    @expose("/undo/<pk>", methods=["GET", "POST"])
    @verb("undo_batch")
    def undo(self, pk: str) -> Any:
        """What an undo would take back, then the undo."""
        key = self.find(pk).id
        try:
            plan = service.undo_plan(self.session, batch_id=key, actor=self.actor)
        except AddonError as error:
            notice(error.text(), category="warning")
            return redirect(url_for("BatchView.show", pk=pk))
        form = VoidForm()
        if request.method == "POST" and form.validate():
            ok, result = self.attempt(
                form,
                lambda: service.undo_batch(
                    self.session, batch_id=key, reason=form.reason.data, actor=self.actor,
                    idempotency_key=posted_key(),
                    threshold=_settings().job_threshold, chunk=_settings().grant_chunk,
                ),
            )
            if ok and result["job_id"] is not None:
                notice(_("The batch is being undone in the background."))
                return redirect(url_for("JobView.show", pk=result["job_id"]))
            if ok:
                notice(ngettext("%(num)s credit was taken back.", "%(num)s credits were taken back.",
                                result["taken_back"]))
                return redirect(url_for("BatchView.show", pk=pk))
        page = self.render_template(
            "enrollment_addon/undo.html", title=_("Undo this batch?"), sentence=_undo_sentence(plan),
            facts=[
                {"label": _("Taken back"), "value": render.number(plan.taken_back)},
                {"label": _("Stay, because spent or reserved"), "value": render.number(plan.kept_spent)},
                {"label": _("Clients"), "value": render.number(plan.clients)},
            ],
            form=form, crumbs=self.crumbs(), action_url=request.path, cancel_url=url_for("BatchView.show", pk=pk),
            submit_label=ngettext("Take back %(num)s credit", "Take back %(num)s credits", plan.taken_back),
            idempotency_key=request.form.get("idempotency_key") or new_key(),
        )
        return page, form_status()


def _batch_title(batch: queries.BatchSummary) -> str:
    """What was done, with the number and event type where the batch has one of each."""
    what = str(labels.BATCH_KINDS[batch.kind])
    if batch.event_type is None:
        return what
    credits = _("%(quantity)s × %(event_type)s", quantity=render.number(batch.input["quantity"]),
                event_type=batch.event_type)
    return credits if batch.kind == queries.GRANT else f"{what}: {credits}"


def _facts(batch: queries.BatchSummary) -> list[dict[str, Any]]:
    facts = [
        (_("Clients"), batch.clients), (_("Credits"), batch.credits), (_("Available"), batch.available),
        (_("Reserved"), batch.reserved), (_("Used"), batch.used), (_("Expired"), batch.expired),
        (_("Taken back"), batch.taken_back), (_("Skipped"), batch.skipped_count),
    ]
    return [{"label": label, "value": render.number(value)} for label, value in facts]


def _undone(batch: queries.BatchSummary) -> str:
    return _(
        "Undone by %(name)s on %(at)s: %(reason)s", name=batch.undone_by or "–", at=render.moment(batch.undone_at),
        reason=batch.undo_reason or "",
    )


def _undo_sentence(plan: service.UndoPlan) -> str:
    """What will happen, in figures."""
    if not plan.clients_spent:
        return ngettext(
            "Nobody has spent any: all %(num)s credit is taken back.",
            "Nobody has spent any: all %(num)s credits are taken back.", plan.taken_back,
        )
    spent = ngettext(
        "%(num)s of %(clients)s has already spent some", "%(num)s of %(clients)s have already spent some",
        plan.clients_spent, clients=plan.clients,
    )
    return _(
        "%(spent)s: their spent credits stay, %(taken_back)s of %(credits)s are taken back.", spent=spent,
        taken_back=render.number(plan.taken_back), credits=render.number(plan.credits),
    )


def _void_selected(view: RecordView, selection: Selection) -> Any:
    chosen = view.selected(selection)
    if isinstance(chosen, Select):
        chosen = list(view.session.scalars(chosen.limit(VOID_MOST + 1)))
        if len(chosen) > VOID_MOST:
            raise InvalidInput(_l("At most %(most)s lots can be taken back at once."), most=VOID_MOST)
    return view.void_page(chosen)  # type: ignore[attr-defined]


VOID_MOST = 2_000


class LotView(RecordView):
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
        Column("quantity", _l("Added"), kind="number", order=(CreditLot.quantity,), phone="hide"),
        Column("available", _l("Available"), kind="number", order=(CreditLot.available,), phone="end"),
        Column("reserved", _l("Reserved"), kind="number", order=(CreditLot.reserved,), phone="hide"),
        Column("used", _l("Used"), kind="number", order=(CreditLot.used,), phone="hide"),
        Column("expires_on", _l("Expires"), kind="date", order=(CreditLot.expires_on,)),
        Column("origin", _l("Origin"), value=lambda lot: str(dict(labels.ORIGINS)[lot.origin]), phone="hide"),
    )
    filters = (
        Filter("client_id", _l("Client"), "reference", CreditLot.client_id, source="clients"),
        Filter("event_type_id", _l("Event type"), "reference", CreditLot.event_type_id, source="event_types"),
        Filter("available", _l("Available"), "number", CreditLot.available),
        Filter("expires_on", _l("Expires"), "date", CreditLot.expires_on),
        Filter("origin", _l("Origin"), "choice", CreditLot.origin, labels.ORIGINS),
    )
    actions_on_list = (ListAction("void_session_credits", _l("Void session credits"), _void_selected),)
    default_order = (CreditLot.id,)
    default_descending = True

    def show_page(self, item: CreditLot) -> dict[str, Any]:
        page = super().show_page(item)
        fields = [
            (_("Taken back"), render.number(item.voided)), (_("Expired"), render.number(item.expired)),
            (_("Priority"), render.number(item.priority)),
            (_("Value of one credit"), render.amount(item.unit_value, item.currency)),
            (_("Shared with the household"), _("Yes") if item.shared else _("No")),
            (_("Added on"), render.moment(item.granted_at)), (_("Note"), item.note or ""),
        ]
        page["fields"] += [{"label": label, "value": value, "wide": False} for label, value in fields]
        page["title"] = f"{item.event_type.label} · {item.client.full_name}"
        page["subtitle"] = ""
        page["buttons"] = [
            {"label": _("Explain"), "url": url_for("CreditsView.explain", pk=item.client_id,
                                                   event_type_id=item.event_type_id), "primary": True}
        ]
        if item.available and can("void_session_credits"):
            page["buttons"].append({"label": _("Void"), "url": url_for("LotView.void", pk=item.id), "danger": True})
        return page

    @expose("/void/<pk>")
    @verb("void_session_credits")
    def void(self, pk: str) -> Any:
        return self.void_page([self.find(pk).id])

    def void_page(self, lot_ids: list[int], form: VoidForm | None = None, status: int = 200) -> Any:
        """Say how many credits would be taken back, and ask for the reason."""
        reached = self.session.execute(
            select(CreditLot.id, CreditLot.available).where(CreditLot.id.in_(lot_ids)).order_by(CreditLot.id)
        ).all()
        if not reached:
            raise NotFound
        credits = sum(lot.available for lot in reached)
        page = self.render_template(
            "enrollment_addon/undo.html", title=_("Void session credits"), form=form or VoidForm(formdata=None),
            sentence=_("Reserved and used credits stay; the reason is kept in the ledger."),
            facts=[
                {"label": _("Lots"), "value": render.number(len(reached))},
                {"label": _("Taken back"), "value": render.number(credits)},
            ],
            crumbs=self.crumbs(), action_url=url_for("LotView.take_back"), cancel_url=url_for("LotView.list"),
            submit_label=ngettext("Take back %(num)s credit", "Take back %(num)s credits", credits),
            idempotency_key=request.form.get("idempotency_key") or new_key(),
            hidden=[("lot_ids", ",".join(str(lot.id) for lot in reached))],
        )
        return page, status

    @expose("/take-back", methods=["POST"])
    @verb("void_session_credits")
    def take_back(self) -> Any:
        lot_ids = [int(k) for k in request.form.get("lot_ids", "").split(",") if k.isdecimal() and len(k) < 19]
        form = VoidForm()
        if not form.validate():
            return self.void_page(lot_ids, form, 422)
        ok, result = self.attempt(
            form,
            lambda: service.void_lots(
                self.session, lot_ids=lot_ids, reason=form.reason.data, actor=self.actor,
                idempotency_key=posted_key(),
            ),
        )
        if not ok:
            return self.void_page(lot_ids, form, result.http_status)
        notice(ngettext("%(num)s credit was taken back.", "%(num)s credits were taken back.", result["voided"]))
        return redirect(url_for("LotView.show", pk=lot_ids[0]) if len(lot_ids) == 1 else url_for("LotView.list"))


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
        Column("kind", _l("What happened"), value=lambda e: str(dict(labels.ENTRY_KINDS)[e.kind])),
        Column("event_type", _l("Event type"), value=lambda e: e.lot.event_type.label, phone="hide"),
        Column("available_change", _l("Available"), kind="number", phone="end"),
        Column("reserved_change", _l("Reserved"), kind="number", phone="hide"),
        Column("at", _l("When"), kind="moment", order=(CreditEntry.id,)),
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

    def show_url(self, item: CreditEntry) -> str:
        return url_for("LotView.show", pk=item.lot_id)

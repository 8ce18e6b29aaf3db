"""Batches: who got what at once, and their undo."""

from typing import Any

from flask import redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy import Select, select

from ...core.batches import Batch, BatchState
from ...core.errors import AddonError, NotFound
from ...core.web import access, render
from ...core.web.access import can, needs, verb
from ...core.web.filters import Filter
from ...core.web.forms import ReasonForm
from ...core.web.views import Column, RecordView, notice, posted_key
from ...jobs.queries import job_view
from ...people.models import Client
from .. import labels, queries, service
from . import undo_text
from .common import ROWS, linked, number_of, settings, skipped_by_name


def _served(batch: Batch) -> str:
    """Some are for clients, others for lots."""
    if batch.kind in queries.OF_CLIENTS:
        return ngettext("%(num)s client", "%(num)s clients", batch.done)
    return ngettext("%(num)s lot", "%(num)s lots", batch.done)


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
        Column("done", _l("Done for"), value=_served, order=(Batch.done,)),
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

    def base_query(self) -> Select[Any]:
        """The batches of credits; those of other domains have pages of their own."""
        return select(Batch).where(Batch.kind.in_(labels.BATCH_KINDS))

    @expose("/show/<pk>")
    @needs("read")
    def show(self, pk: str) -> Any:
        batch = queries.batch_summary(self.session, self.find(pk).id)
        after = number_of(request.args.get("after")) or 0
        rows = queries.batch_rows(self.session, batch.id, after=after, size=ROWS + 1)
        more = len(rows) > ROWS
        readable = access.may("read", "EnrollmentClient")
        explainable = access.may("read", "EnrollmentCredits")
        state = BatchState(batch.state)
        return self.render_template(
            "enrollment_addon/batch.html", crumbs=self.crumbs(), total=batch.clients,
            batch={
                "title": _batch_title(batch),
                "state_label": dict(labels.BATCH_STATES)[state], "state_class": labels.BATCH_CLASSES.get(state, ""),
                "note": batch.note, "created_by": batch.who, "created_at": batch.created_at,
                "facts": _facts(batch), "skipped": skipped_by_name(self.session, batch.skipped[:ROWS]),
                "export_urls": _export_urls(batch), "undo_url": self._undo_url(batch), "job_url": self._job_url(batch),
                "undone": {"text": _undone(batch)} if batch.undone_at else None, "whole_of": service.whole_of(batch),
            },
            rows=[
                {
                    "client": r.client, "event_type": None if batch.event_type else r.event_type,
                    "quantity": r.quantity, "available": r.available, "reserved": r.reserved,
                    "used": r.used, "voided": r.taken_back,
                    "client_url": url_for("ClientView.show", pk=r.client_id) if readable else None,
                    "lot_url": url_for("LotView.show", pk=r.lot_id),
                    "explain_url": url_for("CreditsView.explain", pk=r.client_id) if explainable else None,
                }
                for r in rows[:ROWS]
            ],
            next_url=url_for("BatchView.show", pk=pk, after=rows[ROWS - 1].lot_id) if more else None,
        )

    def _undo_url(self, batch: queries.BatchSummary) -> str | None:
        undoable = can("undo_batch") and service.is_undoable(self.session, batch)
        return url_for("BatchView.undo", pk=batch.id) if undoable else None

    def _job_url(self, batch: queries.BatchSummary) -> str | None:
        if batch.job_id is None:
            return None
        try:
            job_view(self.session, batch.job_id, errors_limit=0)
        except NotFound:
            return None
        return url_for("JobView.show", pk=batch.job_id)

    @expose("/undo/<pk>", methods=["GET", "POST"])
    @verb("undo_batch")
    def undo(self, pk: str) -> Any:
        """What an undo would take back, then the undo."""
        key = self.find(pk).id
        batch = queries.batch_summary(self.session, key)
        try:
            plan = service.undo_plan(self.session, batch_id=key, actor=self.actor)
        except AddonError as error:
            notice(error.text(), category="warning")
            return redirect(url_for("BatchView.show", pk=pk))
        if undo_text.is_empty(plan, batch.kind):
            notice(undo_text.nothing(plan, batch.kind), category="warning")
            return redirect(url_for("BatchView.show", pk=pk))
        form, back = ReasonForm(), url_for("BatchView.show", pk=pk)
        if request.method == "POST" and form.validate():
            ok, result = self.attempt(
                form,
                lambda: service.undo_batch(
                    self.session, batch_id=key, reason=form.reason.data, actor=self.actor,
                    idempotency_key=posted_key(),
                    threshold=settings().job_threshold, chunk=settings().grant_chunk,
                ),
            )
            if ok and result["job_id"] is not None:
                notice(_("The batch is being undone in the background."))
                return redirect(url_for("JobView.show", pk=result["job_id"]))
            if ok:
                notice(undo_text.done(batch.kind, result["taken_back"]))
                return redirect(url_for("BatchView.show", pk=pk))
        return self.ask_first(
            form, title=_("Undo this batch?"),
            sentence=undo_text.sentence(plan, batch, self._giver(batch)), facts=undo_text.facts(plan, batch.kind),
            cancel_url=back, submit_label=undo_text.button(batch.kind, plan.taken_back),
            crumbs=[*self.crumbs(), {"label": _batch_title(batch), "url": back}],
        )

    def _giver(self, batch: queries.BatchSummary) -> str | None:
        """Whose credits a transfer gave away, if in reach."""
        key = batch.input.get("from_client_id")
        client = self.session.scalar(select(Client).where(Client.id == key)) if key else None
        return client.full_name if client else None


def _export_urls(batch: queries.BatchSummary) -> list[dict[str, Any]]:
    """Who got what, as a file: the list of lots narrowed to those of the batch."""
    if not access.may("read", "EnrollmentCredits"):
        return []
    return [
        {"label": label, "url": url_for("LotView.export", fmt=fmt, _flt_0_batch_id=batch.id)}
        for fmt, label in (("csv", _("CSV file")), ("xlsx", _("Excel file")))
    ]


def _batch_title(batch: queries.BatchSummary) -> str:
    """What was done, with the number and event type where the batch has one of each."""
    what = str(labels.BATCH_KINDS[batch.kind])
    if batch.event_type is None:
        return what
    credits = batch.event_type
    if batch.input["quantity"] is not None:
        credits = _("%(quantity)s × %(event_type)s", quantity=render.number(batch.input["quantity"]),
                    event_type=batch.event_type)
    if batch.to_event_type is not None:
        credits = _("%(before)s → %(after)s", before=credits, after=batch.to_event_type)
    return credits if batch.kind == queries.GRANT else f"{what}: {credits}"


def _facts(batch: queries.BatchSummary) -> list[dict[str, Any]]:
    """The figures of a batch, each with the way to its lots."""
    readable = access.may("read", "EnrollmentCredits")
    url = url_for("LotView.list", _flt_0_batch_id=batch.id) if readable else None
    facts = [
        (_("Clients"), batch.clients), (_("Credits"), batch.credits), (_("Available"), batch.available),
        (_("Reserved"), batch.reserved), (_("Used"), batch.used), (_("Expired"), batch.expired),
        (_("Taken back"), batch.taken_back), (_("Transferred or converted"), batch.transferred),
    ]
    return [
        *({"label": label, "value": linked(render.number(value), url)} for label, value in facts),
        {"label": _("Skipped"), "value": render.number(batch.skipped_count)},
    ]


def _undone(batch: queries.BatchSummary) -> str:
    return _(
        "Undone by %(name)s on %(at)s: %(reason)s", name=batch.undone_by or "–", at=render.moment(batch.undone_at),
        reason=batch.undo_reason or "",
    )

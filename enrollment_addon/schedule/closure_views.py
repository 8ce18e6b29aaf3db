"""Pages of closures: the wizard, the list of what was closed, and the undo."""

from collections.abc import Sequence
from typing import Any

from flask import current_app, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy import Select, select

from ..core.batches import Batch, BatchState
from ..core.db import key_list
from ..core.errors import AddonError, InvalidInput
from ..core.web import render
from ..core.web.access import can, needs, verb
from ..core.web.forms import Form, ReasonForm
from ..core.web.views import (
    MOST_TICKED,
    Column,
    RecordView,
    Selection,
    form_key,
    notice,
    posted_key,
    posted_selection,
)
from ..credits.labels import BATCH_CLASSES, BATCH_STATES
from ..people.queries import user_names
from . import queries, service
from .forms import CloseForm, when
from .models import ScheduledSession
from .service.close import KIND

SHOWN = 50
NAMED = 20
"""Sessions that the preview of a closure names."""


def close_selection(view: RecordView, selection: Selection) -> Any:
    """The list action: the form for the ticked sessions, or for all that match."""
    chosen = view.selected(selection)
    if isinstance(chosen, Select):
        chosen = list(view.session.scalars(chosen.limit(MOST_TICKED + 1)))
    if len(chosen) > MOST_TICKED:
        raise InvalidInput(_l("At most %(most)s rows can be ticked at once."), most=MOST_TICKED)
    closures: ClosureView = current_app.extensions["enrollment"].views["ClosureView"]
    return closures.form(CloseForm(formdata=None), chosen)


class ClosureView(RecordView):
    """Days and sessions that were closed: each is a batch, and can be undone as one."""

    route_base = "/enrollment/closures"
    datamodel = SQLAInterface(Batch)
    class_permission_name = "EnrollmentClosure"
    list_title = _l("Closures")
    singular = _l("Closure")
    empty_text = _l("A closure cancels sessions of a day or more at once; what people paid with comes back.")
    columns = (
        Column("note", _l("Reason"), kind="link", phone="title"),
        Column("state", _l("State"), value=lambda b: str(dict(BATCH_STATES)[b.state]), kind="badge",
               badge=lambda b: BATCH_CLASSES.get(b.state, ""), phone="end"),
        Column("total", _l("Sessions"), kind="number", order=(Batch.total,)),
        Column("booked", _l("People sent home"), value=lambda b: b.input["booked"], kind="number"),
        Column("created_at", _l("When"), kind="moment", order=(Batch.id,)),
    )
    default_order = (Batch.id,)
    default_descending = True

    def base_query(self) -> Select[Any]:
        return select(Batch).where(Batch.kind == KIND)

    def list_page(self) -> dict[str, Any]:
        page = super().list_page()
        url = url_for("ClosureView.close") if can("close_sessions") else None
        label = _("Close days")
        return {
            **page, "add_url": url, "add_label": label, "empty": {**page["empty"], "url": url, "label": label},
        }

    # ---- the wizard ------------------------------------------------------------------------------------

    @expose("/close", methods=["GET", "POST"])
    @verb("close_sessions")
    def close(self) -> Any:
        """What to close; then what that means, with people and credits; then it is done."""
        form = CloseForm()
        key = request.args.get("session_id", "")
        chosen = posted_selection(request.form).keys if request.method == "POST" else ()
        session_ids = list(chosen) or ([int(key)] if key.isdecimal() and len(key) < 19 else [])
        if request.method == "GET" or not form.validate():
            return self.form(form, session_ids)
        asked = form.asked(session_ids)
        if "confirmed" in request.form:
            ok, done = self.attempt(
                form,
                lambda: service.close_sessions(
                    self.session, reason=form.reason.data, actor=self.actor, idempotency_key=posted_key(),
                    threshold=current_app.extensions["enrollment"].settings.job_threshold, **asked,
                ),
            )
            return self._closed(done) if ok else self.form(form, session_ids)
        ok, plan = self.attempt(form, lambda: service.closure_plan(self.session, actor=self.actor, **asked))
        return self._preview(form, session_ids, plan) if ok else self.form(form, session_ids)

    def form(self, form: CloseForm, session_ids: list[int]) -> Any:
        """The first step; for sessions that were chosen before, without the days."""
        fields = ("reason", "extend_days", "makeups")
        title = _("Close days")
        if session_ids:
            title = ngettext("Close %(num)s session", "Close %(num)s sessions", len(session_ids))
        page = self.form_page(
            form, title=title, subtitle=self._which(session_ids), crumbs=self.crumbs(),
            fields=fields if session_ids else ("club_id", "first_date", "last_date", *fields),
            submit_label=_("See what happens"), cancel_url=url_for("SessionView.list"),
            hidden=Selection(keys=tuple(session_ids)).hidden() if session_ids else [],
            action_url=url_for("ClosureView.close"),
        )
        refused = bool(form.errors or form.form_errors)
        return page, 422 if refused else 200

    def _which(self, session_ids: list[int]) -> str:
        """The session by name, if it is only one."""
        if len(session_ids) != 1:
            return ""
        item = self.session.scalars(
            select(ScheduledSession).where(ScheduledSession.id == session_ids[0]).options(*queries.SESSION_PARTS)
        ).unique().one_or_none()
        return f"{item.label} · {when(item)}" if item else ""

    def _preview(self, form: CloseForm, session_ids: list[int], plan: service.ClosurePlan) -> Any:
        people = ngettext("%(num)s person", "%(num)s people", plan.clients)
        sessions = ngettext("%(num)s session", "%(num)s sessions", plan.sessions)
        kept = {k: v for k, v in request.form.items() if k in form._fields and k != "csrf_token"}
        hidden = [*kept.items(), ("confirmed", "1")]
        hidden += Selection(keys=tuple(session_ids)).hidden() if session_ids else []
        facts = (
            (_("Sessions"), plan.sessions), (_("Booked places"), plan.booked), (_("On the waitlist"), plan.waiting),
            (_("Clients"), plan.clients), (_("Credits that go back"), plan.credits),
        )
        return self.render_template(
            "enrollment_addon/ask.html",
            title=_("Close %(sessions)s for %(people)s?", sessions=sessions, people=people),
            sentence=_("The sessions are cancelled, and people are told; what they paid with comes back. "
                       "This can be undone."),
            facts=[{"label": label, "value": render.number(value)} for label, value in facts]
            + self._named(plan.session_ids),
            form=Form(formdata=None), crumbs=self.crumbs(), action_url=url_for("ClosureView.close"), hidden=hidden,
            cancel_url=url_for("SessionView.list"), danger=True,
            submit_label=_("Close %(sessions)s for %(people)s", sessions=sessions, people=people),
            idempotency_key=form_key(),
        )

    def _named(self, session_ids: Sequence[int]) -> list[dict[str, Any]]:
        """The sessions by time and name; of many the first."""
        found = self.session.scalars(
            select(ScheduledSession).where(ScheduledSession.id.in_(key_list(self.session, session_ids)))
            .options(*queries.SESSION_PARTS).order_by(ScheduledSession.starts_at, ScheduledSession.id).limit(NAMED)
        ).unique().all()
        rows = [
            (when(item), render.joined((item.label, item.team_member, item.room)))
            for item in found
        ]
        if (more := len(session_ids) - len(found)) > 0:
            rows.append((_("And so many more"), render.number(more)))
        return [{"label": label, "value": value, "wide": True} for label, value in rows]

    def _closed(self, done: dict[str, Any]) -> Any:
        if done["job_id"] is not None:
            notice(_("The sessions are being closed in the background."))
            return redirect(url_for("JobView.show", pk=done["job_id"]))
        notice(ngettext("%(num)s session was closed.", "%(num)s sessions were closed.", done["sessions"]))
        return redirect(url_for("ClosureView.show", pk=done["batch_id"]))

    # ---- one closure -----------------------------------------------------------------------------------

    def show_page(self, item: Batch) -> dict[str, Any]:
        page = super().show_page(item)
        state = BatchState(item.state)
        names = user_names(self.session, [item.created_by_id] if item.created_by_id else [])
        page["badge"] = {"label": dict(BATCH_STATES)[state], "class": BATCH_CLASSES.get(state, "")}
        page["title"] = item.note or self.singular
        page["fields"] = [
            {"label": c.label, "value": c.told(item), "wide": False}
            for c in self.shown_columns if c.name not in ("note", "state")  # the title and its badge
        ]
        facts = [
            (_("Clients"), render.number(item.input["clients"])),
            (_("Credits that went back"), render.number(item.input["credits"])),
            (_("By"), names.get(item.created_by_id or 0)),
        ]
        if item.undo_result:
            facts += [
                (_("Bookings that came back"), render.number(item.undo_result["taken_back"])),
                (_("Bookings that could not"), render.number(item.undo_result["kept_spent"])),
                (_("Double bookings"), render.number(item.undo_result.get("overlaps", 0))),
                (_("Reason of the undo"), item.undo_reason),
            ]
        page["fields"] += [{"label": label, "value": value, "wide": False} for label, value in facts]
        closed = self.session.scalars(
            select(ScheduledSession).where(ScheduledSession.closed_by_id == item.id)
            .options(*queries.SESSION_PARTS).order_by(ScheduledSession.starts_at).limit(SHOWN)
        ).unique().all()
        page["sections"] = [{
            "title": _("Closed sessions"), "empty": _("None any more."),
            "rows": [
                {"title": s.label, "url": url_for("SessionView.show", pk=s.id), "meta": when(s), "end": ""}
                for s in closed
            ],
        }]
        if state == BatchState.done and can("close_sessions"):
            page["buttons"] = [
                {"label": _("Undo"), "url": url_for("ClosureView.undo", pk=item.id), "danger": True}
            ]
        return page

    @expose("/show/<pk>")
    @needs("read")
    def show(self, pk: str) -> Any:
        return self.render_template("enrollment_addon/show.html", **self.show_page(self.find(pk)))

    @expose("/undo/<pk>", methods=["GET", "POST"])
    @verb("close_sessions")
    def undo(self, pk: str) -> Any:
        """What an undo would do, then the undo."""
        key = self.find(pk).id
        try:
            plan = service.reopen_plan(self.session, batch_id=key, actor=self.actor)
        except AddonError as error:
            notice(error.text(), category="warning")
            return redirect(url_for("ClosureView.show", pk=pk))
        form = ReasonForm()
        if request.method == "POST" and form.validate():
            ok, done = self.attempt(
                form,
                lambda: service.undo_closure(
                    self.session, batch_id=key, reason=form.reason.data, actor=self.actor,
                    threshold=current_app.extensions["enrollment"].settings.job_threshold,
                    idempotency_key=posted_key(),
                ),
            )
            if ok and done["job_id"] is not None:
                notice(_("The closure is being undone in the background."))
                return redirect(url_for("JobView.show", pk=done["job_id"]))
            if ok:
                notice(ngettext("%(num)s booking came back.", "%(num)s bookings came back.", done["taken_back"]))
                if done["overlaps"]:
                    notice(ngettext("%(num)s of them is a double booking.", "%(num)s of them are double bookings.",
                                    done["overlaps"]), category="warning")
                return redirect(url_for("ClosureView.show", pk=pk))
        facts = (
            (_("Sessions"), plan.sessions), (_("Of these already over"), plan.over),
            (_("Bookings"), plan.bookings), (_("Clients"), plan.clients),
            (_("Sessions whose instructor or room is taken by now"), plan.taken),
            (_("People who are booked elsewhere by now"), plan.busy),
        )
        return self.ask_first(
            form, title=_("Undo this closure?"),
            sentence=_("The sessions take place after all. Bookings come back where their credit is still there."),
            facts=[{"label": label, "value": render.number(value)} for label, value in facts],
            cancel_url=url_for("ClosureView.show", pk=pk), submit_label=_("Undo the closure"),
        )

"""Adding session credits to one client or to many, and explaining a balance."""

import datetime as dt
from typing import Any

from flask import current_app, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import Select

from ...catalog.queries import active_event_types
from ...core.errors import AddonError, NotFound
from ...core.web import access, render
from ...core.web.access import needs, verb
from ...core.web.views import PageView, RecordView, Selection, form_key, notice, posted_key, posted_selection
from .. import labels, service
from ..forms import GrantForm
from .common import client_view, settings, skipped_by_name, whom
from .explain import explanation

SKIPPED_SHOWN = 5
"""So many of those whom a grant would leave out are named in its preview."""


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
            idempotency_key=form_key(),
        )
        return page, status

    def _whom(self, selection: Selection) -> tuple[str, str]:
        """Whom the selection means, in words, and where they came from."""
        if selection.query is not None:
            back = f"{url_for('ClientView.list')}?{selection.query}"
        elif len(selection.keys) == 1:
            back = url_for("ClientView.show", pk=selection.keys[0])
        else:
            back = url_for("ClientView.list")
        return whom(selection), back

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
                for reason, count in sorted(plan.by_reason.items())
            ],
            "skipped": skipped_by_name(self.session, plan.skipped[:SKIPPED_SHOWN]),
            "skipped_more": max(0, plan.skipped_count - SKIPPED_SHOWN),
            "expires_text": _expires_text(plan.expires),
            "background": plan.clients > settings().job_threshold,
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
                threshold=settings().job_threshold, chunk=settings().grant_chunk, **form.terms(), **form.extras(),
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
        return self.render_template(
            "enrollment_addon/explain.html", title=_("Session credits of %(name)s explained", name=client.full_name),
            crumbs=client_view().crumbs_to(client), own=False,
            **explanation(self.session, client, lambda **asked: url_for("CreditsView.explain", pk=pk, **asked)),
        )


def _expires_text(dates: tuple[dt.date, ...]) -> str:
    if not dates:
        return _("They never expire.")
    return _("They expire after %(date)s.", date=" / ".join(render.date(day) for day in dates))


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

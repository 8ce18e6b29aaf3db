"""The pages that give chosen lots a new last day, for the three views from which they can be chosen."""

from collections.abc import Sequence
from typing import Any

from flask import redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import ngettext

from ...core.web import render
from ...core.web.access import verb
from ...core.web.api import new_key
from ...core.web.views import Selection, notice, posted_key, posted_selection
from .. import service
from ..forms import ExtendForm
from .common import Totals, facts_of, sizes


class ExtendPages:
    """Mixin of a view: it says which lots a selection means, shows the page that asks, and where to go afterwards."""

    session: Any
    actor: Any
    attempt: Any

    def lots_of(self, selection: Selection) -> Any:
        """The keys of the lots, or a query of them."""
        raise AssertionError("every view says what its rows are")

    def extend_page(self, selection: Selection, form: ExtendForm | None = None, status: int = 200, **more: Any) -> Any:
        """Say whose credits get a new last day, and ask for it and the reason: `extend_form` with its addresses."""
        raise AssertionError("every view says where it is")

    def after_extension(self, selection: Selection, batch_id: int) -> str:
        """The page that follows when it was done at once."""
        raise AssertionError("every view says where it leads")

    @expose("/new-last-day", methods=["POST"])
    @verb("extend_credit_expiry")
    def new_last_day(self) -> Any:
        """Do it, after another look where lots would be good for less long than now."""
        selection, form = posted_selection(request.form), ExtendForm()
        if not form.validate():
            return self.extend_page(selection, form, 422)
        ok, plan = self.attempt(
            form,
            lambda: service.plan_extension(
                self.session, lot_ids=self.lots_of(selection), actor=self.actor, **form.change()
            ),
        )
        if not ok:
            return self.extend_page(selection, form, plan.http_status)
        if plan.shortened and request.form.get("shortened") != str(plan.shortened):
            return self.extend_page(selection, form, plan=plan)
        ok, result = self.attempt(
            form,
            lambda: service.extend_lots(
                self.session, lot_ids=self.lots_of(selection), reason=form.reason.data, actor=self.actor,
                idempotency_key=posted_key(), **form.change(), **sizes(),
            ),
        )
        if not ok:
            return self.extend_page(selection, form, result.http_status)
        if result["job_id"] is not None:
            notice(_("The last days are being changed in the background."))
            return redirect(url_for("JobView.show", pk=result["job_id"]))
        notice(
            ngettext("%(num)s lot has a new last day.", "%(num)s lots have a new last day.", result["extended"]),
            url_for("BatchView.show", pk=result["batch_id"]), _("Show or undo"),
        )
        return redirect(self.after_extension(selection, result["batch_id"]))


def extend_form(
    view: Any, sums: Totals, form: ExtendForm | None, status: int, *, action_url: str, cancel_url: str,
    hidden: Sequence[tuple[str, Any]], plan: service.ExtensionPlan | None = None,
) -> Any:
    """The page that asks for the new last day of chosen lots; with a `plan` once more, because it shortens some."""
    sentence = _(
        "What has expired, been spent or taken back stays so. The change and its reason are kept in the ledger and "
        "can be undone."
    )
    if plan is not None:
        hidden = [*hidden, ("shortened", plan.shortened)]
        sentence = ngettext(
            "%(num)s of %(lots)s lots would expire earlier than now. Choose another day, or send it again if you "
            "mean it.",
            "%(num)s of %(lots)s lots would expire earlier than now. Choose another day, or send it again if you "
            "mean it.",
            plan.shortened, lots=render.number(plan.lots),
        )
    page = view.render_template(
        "enrollment_addon/extend.html", title=_("Extend credit expiry"), form=form or ExtendForm(formdata=None),
        sentence=sentence,
        facts=[*facts_of(sums), {"label": _("Available"), "value": render.number(sums.available)}],
        crumbs=view.crumbs(), action_url=action_url, cancel_url=cancel_url, danger=plan is not None, hidden=hidden,
        submit_label=ngettext(
            "Set the last day of %(num)s credit", "Set the last day of %(num)s credits", sums.available
        ),
        idempotency_key=request.form.get("idempotency_key") or new_key(),
    )
    return page, status

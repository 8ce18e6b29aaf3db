"""The pages that give chosen lots a new last day, for the views from which they can be chosen."""

from typing import Any

from flask import request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from ...core.web import render
from ...core.web.access import verb
from ...core.web.views import ListAction, Selection, posted_key, posted_selection
from .. import service
from ..forms import ExtendForm
from .common import sizes, totals_of
from .lot_pages import LotPages, sized


class ExtendPages(LotPages):
    """Mixin of a view whose lots can get a new last day."""

    def extend_page(
        self, selection: Selection, form: ExtendForm | None = None, status: int = 200,
        plan: service.ExtensionPlan | None = None,
    ) -> Any:
        """Say whose credits get a new last day, and ask for it and the reason.

        With a `plan` once more, because it shortens some.
        """
        sums = totals_of(self.session, self.lots_of(selection))
        sentence = _(
            "What has expired, been spent or taken back stays so. The change and its reason are kept in the ledger and "
            "can be undone."
        )
        if plan is not None:
            sentence = ngettext(
                "%(num)s of %(lots)s lots would expire earlier than now. Choose another day, or send it again if you "
                "mean it.",
                "%(num)s of %(lots)s lots would expire earlier than now. Choose another day, or send it again if you "
                "mean it.",
                plan.shortened, lots=render.number(plan.lots),
            )
        page = self.ask(
            "enrollment_addon/extend.html", form or ExtendForm(formdata=None), selection,
            title=_("Extend credit expiry"), sentence=sentence,
            facts=[*sized(sums.lots, sums.clients), {"label": _("Available"), "value": render.number(sums.available)}],
            action_url=url_for(f"{self.endpoint}.new_last_day"), danger=plan is not None,
            hidden=[("shortened", plan.shortened)] if plan is not None else [],
            submit_label=ngettext(
                "Set the last day of %(num)s credit", "Set the last day of %(num)s credits", sums.available
            ),
        )
        return page, status

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
        done = ngettext("%(num)s lot has a new last day.", "%(num)s lots have a new last day.", result["extended"])
        return self.told(selection, result, done, _("The last days are being changed in the background."))


EXTEND_SELECTED = ListAction(
    "extend_credit_expiry", _l("Extend credit expiry"), lambda view, selection: view.extend_page(selection)
)
"""The list action of a view with these pages."""

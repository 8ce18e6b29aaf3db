"""The pages that take back what is left of chosen lots, for the views from which they can be chosen."""

from typing import Any

from flask import redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import ngettext

from ...core.web import render
from ...core.web.access import verb
from ...core.web.forms import ReasonForm
from ...core.web.views import Selection, notice, posted_key, posted_selection
from .. import service
from .common import sizes, totals_of
from .lot_pages import LotPages, sized


class VoidPages(LotPages):
    """Mixin of a view whose lots can be voided."""

    def void_page(self, selection: Selection, form: ReasonForm | None = None, status: int = 200) -> Any:
        """Say how many credits would be taken back, and ask for the reason."""
        sums = totals_of(self.session, self.lots_of(selection))
        if not sums.available:
            notice(_("There is nothing to take back: no credits are left in these lots."), category="warning")
            return redirect(self.back_url(selection))
        facts = sized(sums.lots, sums.clients)
        facts.append({"label": _("Taken back"), "value": render.number(sums.available)})
        if sums.of_enrollments:
            facts.append({"label": _("Of these, from enrollments"), "value": render.number(sums.of_enrollments)})
        page = self.ask(
            "enrollment_addon/ask.html", form or ReasonForm(formdata=None), selection,
            title=_("Void session credits"), facts=facts,
            sentence=_("Reserved and used credits stay; the reason is kept in the ledger."),
            action_url=url_for(f"{self.endpoint}.take_back"),
            submit_label=ngettext("Take back %(num)s credit", "Take back %(num)s credits", sums.available),
        )
        return page, status

    @expose("/take-back", methods=["POST"])
    @verb("void_session_credits")
    def take_back(self) -> Any:
        """Do it; what is refused is shown in the form."""
        selection, form = posted_selection(request.form), ReasonForm()
        if not form.validate():
            return self.void_page(selection, form, 422)
        ok, result = self.attempt(
            form,
            lambda: service.void_lots(
                self.session, lot_ids=self.lots_of(selection), reason=form.reason.data, actor=self.actor,
                idempotency_key=posted_key(), **sizes(),
            ),
        )
        if not ok:
            return self.void_page(selection, form, result.http_status)
        done = ngettext("%(num)s credit was taken back.", "%(num)s credits were taken back.", result["voided"])
        return self.told(selection, result, done, _("The credits are being taken back in the background."))

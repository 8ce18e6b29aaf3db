"""The pages that give chosen lots to another client, for the views from which they can be chosen."""

from typing import Any

from flask import redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from ...core.web import render
from ...core.web.access import verb
from ...core.web.views import ListAction, Selection, notice, posted_key, posted_selection
from ...people.models import Client
from .. import labels, service
from ..errors import NothingToTransfer
from ..forms import LotTransferForm
from .common import sizes
from .lot_pages import LotPages, sized


class TransferPages(LotPages):
    """Mixin of a view whose lots can go to another client."""

    def transfer_page(self, selection: Selection, form: LotTransferForm | None = None, status: int = 200) -> Any:
        """Say whose credits would change hands and what stays, and ask for the receiver and the reason."""
        plan = service.plan_transfer(self.session, lot_ids=self.lots_of(selection), actor=self.actor)
        if not plan.lots:
            notice(NothingToTransfer().text(), category="warning")
            return redirect(self.back_url(selection))
        facts = [
            *sized(plan.lots, plan.clients),
            {"label": _("Credits"), "value": render.number(plan.credits)},
            {"label": _("From"), "value": _names(plan), "wide": True},
            *(
                {"label": labels.SKIP_REASONS[reason], "value": _lots(count)}
                for reason, count in sorted(plan.left_out.items())
            ),
        ]
        page = self.ask(
            "enrollment_addon/ask.html", form or LotTransferForm(formdata=None), selection,
            title=_("Transfer session credits"), facts=facts, danger=False,
            sentence=_(
                "Unspent credits change hands; they keep their origin and last day. A restriction to participants "
                "ends. Credits of an enrollment stay."
            ),
            action_url=url_for(f"{self.endpoint}.transfer_lots"),
            submit_label=ngettext("Transfer %(num)s credit", "Transfer %(num)s credits", plan.credits),
        )
        return page, status

    @expose("/transfer-lots", methods=["POST"])
    @verb("transfer_session_credits")
    def transfer_lots(self) -> Any:
        """Do it; what is refused is shown in the form."""
        selection, form = posted_selection(request.form), LotTransferForm()
        if not form.validate():
            return self.transfer_page(selection, form, 422)
        ok, result = self.attempt(
            form,
            lambda: service.transfer_lots(
                self.session, lot_ids=self.lots_of(selection), to_client_id=form.to_client_id.data,
                reason=form.reason.data, actor=self.actor, idempotency_key=posted_key(), **sizes(),
            ),
        )
        if not ok:
            return self.transfer_page(selection, form, result.http_status)
        receiver = self.session.get(Client, form.to_client_id.data)
        done = ngettext(
            "%(num)s credit now belongs to %(name)s.", "%(num)s credits now belong to %(name)s.",
            result["transferred"], name=receiver.full_name if receiver else "–",
        )
        return self.told(selection, result, done, _("The credits are being transferred in the background."))


def _names(plan: service.TransferPlan) -> str:
    """Who would give, the first of them by name."""
    names, more = render.listed(plan.givers), plan.clients - len(plan.givers)
    if not more:
        return names
    rest = ngettext("%(num)s more", "%(num)s more", more)
    return _("%(names)s and %(others)s", names=names, others=rest)


def _lots(count: int) -> str:
    return ngettext("%(num)s lot", "%(num)s lots", count)


TRANSFER_SELECTED = ListAction(
    "transfer_session_credits", _l("Transfer session credits"), lambda view, selection: view.transfer_page(selection)
)
"""The list action of a view with these pages."""

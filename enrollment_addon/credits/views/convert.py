"""The pages that convert credits of many clients: what would come of it is shown before it is done."""

from typing import Any

from flask import request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from ...catalog.models import EventType
from ...core.web import render
from ...core.web.access import verb
from ...core.web.views import Selection, posted_key, posted_selection
from .. import labels, service
from ..errors import NothingToConvert
from ..forms import ConvertManyForm
from .common import client_view, sizes, whom
from .lot_pages import LotPages


class ConvertPages(LotPages):
    """Mixin of the view of verbs on the credits of clients."""

    def convert_page(
        self, selection: Selection, form: ConvertManyForm | None = None, status: int = 200,
        plan: service.ConversionPlan | None = None,
    ) -> Any:
        """Ask for the event types and the ratio; with a `plan` once more, and say what would become of it."""
        page = self.ask(
            "enrollment_addon/convert.html", form or ConvertManyForm(formdata=None), selection,
            title=_("Convert session credits"), plan=plan, danger=False,
            sentence=whole_credits(),
            facts=self._conversion_facts(form, plan) if form and plan
            else [{"label": _("Clients"), "value": whom(selection), "wide": True}],
            more=plan.clients - len(plan.listed) if plan else 0,
            hidden=[("agreed", form.agreed())] if form and plan else [],
            action_url=url_for(f"{self.endpoint}.convert_clients"), submit_label=_button(plan),
        )
        return page, status

    def _conversion_facts(self, form: ConvertManyForm, plan: service.ConversionPlan) -> list[dict[str, Any]]:
        """What would become of what, and whose credits stay as they are."""
        before, after = (
            _("%(quantity)s × %(event_type)s", quantity=render.number(number),
              event_type=self.session.get_one(EventType, key).label)
            for number, key in ((plan.converted, form.from_event_type_id.data),
                                (plan.received, form.to_event_type_id.data))
        )
        pairs = [
            (_("Clients"), plan.clients), (_("Left as they were"), plan.left),
            *((_LEFT_OUT[reason], count) for reason, count in sorted(plan.by_reason.items())),
        ]
        return [
            {"label": _("Credits converted"), "value": before}, {"label": _("Credits that come of it"), "value": after},
            *({"label": label, "value": render.number(value)} for label, value in pairs),
        ]

    @expose("/convert-clients", methods=["POST"])
    @verb("convert_session_credits")
    def convert_clients(self) -> Any:
        """Show what would be done; do it when it is sent again with the same terms."""
        selection, form = posted_selection(request.form), ConvertManyForm()
        if not form.validate():
            return self.convert_page(selection, form, 422)
        asked = {"clients": client_view().selected(selection), "actor": self.actor, **form.terms()}
        if request.form.get("agreed") != form.agreed():
            ok, plan = self.attempt(form, lambda: service.plan_conversion(self.session, **asked))
            if not ok:
                return self.convert_page(selection, form, plan.http_status)
            if not plan.clients:
                form.add_errors({}, NothingToConvert().text())
                return self.convert_page(selection, form, NothingToConvert.http_status)
            return self.convert_page(selection, form, plan=plan)
        ok, result = self.attempt(
            form,
            lambda: service.convert_for_clients(
                self.session, reason=form.reason.data, idempotency_key=posted_key(), **asked, **sizes()
            ),
        )
        if not ok:
            return self.convert_page(selection, form, result.http_status)
        told = ngettext(
            "%(num)s credit became %(received)s.", "%(num)s credits became %(received)s.", result["converted"],
            received=render.number(result["received"]),
        )
        return self.told(selection, result, told, _("The credits are being converted in the background."))


_LEFT_OUT = {**labels.SKIP_REASONS, "empty": _l("Clients with too few")}


def whole_credits() -> str:
    """How a conversion rounds, by an example."""
    return _("Only whole credits come out: 5 credits at 2 → 1 give 2, and 1 stays as it was.")


def _button(plan: service.ConversionPlan | None) -> str:
    if plan is None:
        return _("Show what will happen")
    credits = ngettext("Convert %(num)s credit", "Convert %(num)s credits", plan.converted)
    clients = ngettext("%(num)s client", "%(num)s clients", plan.clients)
    return _("%(convert_credits)s of %(clients)s", convert_credits=credits, clients=clients)

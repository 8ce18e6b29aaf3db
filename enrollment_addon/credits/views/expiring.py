"""What will expire soon, and what would be forfeited."""

from collections.abc import Sequence
from typing import Any

from flask import g, url_for
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from markupsafe import Markup
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from ...core import money
from ...core.web import access, render
from ...core.web.filters import Filter
from ...core.web.views import Column, RecordView
from ...people.models import Client
from .. import queries
from ..models import CreditLot
from .common import explained, linked
from .extend import EXTEND_SELECTED, ExtendPages
from .lots import last_day

WINDOWS = (("30", _l("30 days")), ("60", _l("60 days")), ("90", _l("90 days")))
WIDEST = 90


def overview(endpoint: str) -> dict[str, Any]:
    """What both lists say on top: the sums of each time, which lead to its rows, and the way to the other list."""
    sums = [_sum(days, label, url_for(f"{endpoint}.list", _flt_0_within=days)) for days, label in WINDOWS]
    lists = (("ExpiringView", _("By lot")), ("ExpiringClientsView", _("By client")))
    return {
        "subtitle": Markup(" · ").join(sums),
        "tabs": [
            {"label": label, "url": url_for(f"{name}.list"), "current": name == endpoint} for name, label in lists
        ],
    }


def _sum(days: str, label: Any, url: str) -> Markup:
    sums = queries.forfeited(access.current_session(), int(days))
    credits = sum(row.credits for row in sums)
    values = [render.amount(row.value, row.currency) for row in sums if row.value]
    told = ngettext("%(num)s credit", "%(num)s credits", credits)
    return linked(_("%(time)s: %(what)s", time=label, what=render.listed([told, *values])), url)


class ExpiringView(ExtendPages, RecordView):
    """Lots whose last day is near, with what their credits are worth."""

    route_base = "/enrollment/expiring"
    datamodel = SQLAInterface(CreditLot)
    class_permission_name = "EnrollmentCredits"
    list_title = _l("Expiring soon")
    singular = _l("Lot")
    empty_text = _l("Nothing expires in this time.")
    load = (joinedload(CreditLot.client), joinedload(CreditLot.event_type))
    columns = (
        Column("client", _l("Client"), value=lambda lot: lot.client.full_name, kind="link", phone="title",
               order=(Client.last_name, Client.first_name, CreditLot.expires_on)),
        Column("event_type", _l("Event type"), value=lambda lot: lot.event_type.label),
        Column("available", _l("Available"), kind="number", order=(CreditLot.available,), phone="end",
               show=lambda lot: explained(lot.available, lot.client_id, lot.event_type_id)),
        Column("reserved", _l("Reserved"), kind="number", phone="hide",
               show=lambda lot: explained(lot.reserved, lot.client_id, lot.event_type_id)),
        Column("used", _l("Used"), kind="number", phone="hide",
               show=lambda lot: explained(lot.used, lot.client_id, lot.event_type_id)),
        Column("forfeited", _l("Value forfeited"), kind="number",
               value=lambda lot: money.to_decimal(lot.available * lot.unit_value, lot.currency),
               show=lambda lot: render.amount(lot.available * lot.unit_value, lot.currency)),
        Column("expires_on", _l("Expires"), show=last_day, kind="date", order=(CreditLot.expires_on,)),
    )
    export_columns = (*columns, Column("currency", _l("Currency")))
    filters = (
        Filter("within", _l("Within"), "choice", choices=WINDOWS, operators=("eq",),
               apply=lambda _op, days: queries.expiring_within(access.current_session(), int(days))),
        Filter("client_id", _l("Client"), "reference", CreditLot.client_id, source="clients"),
        Filter("event_type_id", _l("Event type"), "reference", CreditLot.event_type_id, source="event_types"),
    )
    actions_on_list = (EXTEND_SELECTED,)
    default_order = (CreditLot.expires_on,)

    def base_query(self) -> Select[Any]:
        return select(CreditLot).join(CreditLot.client).where(queries.expiring_within(self.session, WIDEST))

    def prepare(self, items: Sequence[CreditLot]) -> None:
        g.enrollment_grace = queries.in_grace(self.session, [lot.id for lot in items])

    def list_page(self) -> dict[str, Any]:
        """The list, under the sums of what would be forfeited in each time."""
        return {**super().list_page(), **overview("ExpiringView")}

    def show_url(self, item: CreditLot) -> str:
        return url_for("CreditsView.explain", pk=item.client_id, event_type_id=item.event_type_id)

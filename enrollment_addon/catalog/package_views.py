"""The list and forms of packages."""

from typing import Any

from flask import current_app
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement
from sqlalchemy.orm import joinedload

from ..core import money
from ..core.web import render
from ..core.web.filters import Filter
from ..core.web.forms import Amount, Form, Input
from ..core.web.record_verbs import RecordVerbs
from ..core.web.views import Column
from ..people.views import currency_choices
from . import queries, service
from .languages import TranslatedView
from .models import Package


def _at_club(operator: str, value: Any) -> ColumnElement[bool]:
    sold = queries.sold_at(value)
    return sold if operator == "eq" else ~sold


class PackageView(TranslatedView):
    """Packages of sessions that clients enroll in."""

    route_base = "/enrollment/packages"
    datamodel = SQLAInterface(Package)
    class_permission_name = "EnrollmentPackage"
    holders = service.package_holders
    verbs = RecordVerbs(service.create_package, service.update_package, service.delete_package)
    list_title = _l("Packages")
    singular = _l("Package")
    add_label = _l("New package")
    empty_text = _l("A package is a number of sessions sold together, such as “10 × Yoga class”.")
    load = (joinedload(Package.event_type),)
    columns = (
        Column("label", _l("Name"), order=(Package.name,), kind="link", phone="title"),
        Column("event_type", _l("Event type"), value=lambda p: p.event_type.label),
        Column("sessions", _l("Sessions"), order=(Package.sessions,), kind="number"),
        Column("price", _l("Price"), value=lambda p: money.to_decimal(p.price, p.currency),
               show=lambda p: render.amount(p.price, p.currency), order=(Package.price,), kind="number", phone="end"),
        Column("currency", _l("Currency"), order=(Package.currency,), phone="hide"),
        Column("valid_days", _l("Valid for days"), order=(Package.valid_days,), kind="number", phone="hide"),
        Column("clubs", _l("Clubs"), value=lambda p: ", ".join(c.name for c in p.clubs),
               show=lambda p: render.listed(c.name for c in p.clubs), phone="hide"),
        Column("active", _l("Active"), order=(Package.active,), phone="hide"),
    )
    filters = (
        Filter("name", _l("Name"), "text", Package.name),
        Filter("event_type_id", _l("Event type"), "reference", Package.event_type_id, source="event_types"),
        Filter("club_id", _l("Club"), "reference", source="clubs", apply=_at_club),
        Filter("active", _l("Active"), "flag", Package.active),
    )
    default_order = (Package.name,)
    search_placeholder = _l("Name in any language")
    inputs = (
        Input("name", _l("Name")),
        Input("description", _l("Description"), widget="textarea"),
        Input("event_type_id", _l("Event type"), _l("What the sessions are good for."), source="event_types"),
        Input("sessions", _l("Sessions"), low=1, high=1000),
        Input("price", _l("Price"), _l("For all sessions together."), make=Amount, required=True,
              attributes={"inputmode": "decimal"}),
        Input("currency", _l("Currency"), choices=currency_choices),
        Input("valid_days", _l("Valid for days"), _l("Counted from the first day; empty: the sessions never expire."),
              low=1, high=3650),
        Input("club_ids", _l("Clubs"), _l("Where the package is sold; none: at every club of its currency."),
              source="clubs", multiple=True, required=False),
        Input("active", _l("Active"), _l("Only active packages are offered. Who is enrolled keeps what they have.")),
    )
    translated = ("name", "description")

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return queries.name_clause(text, Package)

    def prefilled(self) -> dict[str, Any]:
        settings = current_app.extensions["enrollment"].settings
        return {"sessions": 10, "currency": settings.currency, "active": True}

    def fill(self, form: Form, item: Package) -> None:
        super().fill(form, item)
        form.price.data = money.to_decimal(item.price, item.currency)

    def show_page(self, item: Package) -> dict[str, Any]:
        page = super().show_page(item)
        if item.description:
            page["fields"].append({"label": _("Description"), "value": item.about, "wide": True})
        return page

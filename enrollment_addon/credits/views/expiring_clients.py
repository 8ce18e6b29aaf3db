"""What will expire soon, by client."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask import g, request, url_for
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select

from ...core.web import access, lists, render
from ...core.web.filters import Applied, Filter
from ...core.web.views import Column, RecordView, Selection
from ...people.models import Client
from .. import queries
from ..models import CreditLot
from .common import explained
from .expiring import WIDEST, WINDOWS, overview
from .extend import EXTEND_SELECTED, ExtendPages


def _forfeit(client: Client) -> queries.ClientForfeit | None:
    found: queries.ClientForfeit | None = g.get("enrollment_forfeits", {}).get(client.id)
    return found


def _figure(name: str) -> Callable[[Client], Any]:
    return lambda client: getattr(_forfeit(client), name, None)


def _explained(name: str) -> Callable[[Client], Any]:
    return lambda client: explained(_figure(name)(client), client.id)


def _values(client: Client) -> list[str]:
    found = _forfeit(client)
    return [render.amount(value, currency) for currency, value in found.values.items()] if found else []


def _losing(days: int) -> Select[Any]:
    """The keys of clients of whom something expires within so many days."""
    return select(CreditLot.client_id).where(queries.expiring_within(access.current_session(), days))


class ExpiringClientsView(ExtendPages, RecordView):
    """Clients of whom credits expire soon: how many, and what they are worth."""

    route_base = "/enrollment/expiring-clients"
    datamodel = SQLAInterface(Client)
    class_permission_name = "EnrollmentCredits"
    list_title = _l("Expiring soon")
    singular = _l("Client")
    empty_text = _l("Nothing expires in this time.")
    columns = (
        Column("full_name", _l("Client"), order=(Client.last_name, Client.first_name), kind="link", phone="title"),
        Column("available", _l("Available"), value=_figure("available"), show=_explained("available"), kind="number",
               phone="end"),
        Column("reserved", _l("Reserved"), value=_figure("reserved"), show=_explained("reserved"), kind="number",
               phone="hide"),
        Column("used", _l("Used"), value=_figure("used"), show=_explained("used"), kind="number", phone="hide"),
        Column("forfeited", _l("Value forfeited"), value=lambda client: ", ".join(_values(client)),
               show=lambda client: render.listed(_values(client)), kind="number"),
        Column("next_expiry", _l("Next expiry"), value=_figure("next_expiry"), kind="date"),
    )
    filters = (
        Filter("within", _l("Within"), "choice", choices=WINDOWS, operators=("eq",),
               apply=lambda _op, days: Client.id.in_(_losing(int(days)))),
        Filter("club_id", _l("Club"), "reference", Client.club_id, source="clubs"),
        Filter("team_member_id", _l("Team member"), "reference", Client.team_member_id, source="team_members"),
    )
    actions_on_list = (EXTEND_SELECTED,)
    default_order = (Client.last_name, Client.first_name)

    def base_query(self) -> Select[Any]:
        return select(Client).where(Client.id.in_(_losing(WIDEST)))

    def matching(self, applied: Iterable[Applied], search: str) -> Select[Any]:
        """The figures are of the time that the filter names."""
        entries = list(applied)
        g.enrollment_within = next((int(e.value) for e in entries if e.filter.name == "within"), WIDEST)
        return super().matching(entries, search)

    def prepare(self, items: Sequence[Client]) -> None:
        days = g.get("enrollment_within", WIDEST)
        g.enrollment_forfeits = queries.forfeited_by_client(self.session, [client.id for client in items], days)

    def list_page(self) -> dict[str, Any]:
        return {**super().list_page(), **overview("ExpiringClientsView")}

    def show_page(self, item: Client) -> dict[str, Any]:
        self.prepare([item])
        return super().show_page(item)

    def show_url(self, item: Client) -> str:
        return url_for("CreditsView.explain", pk=item.id)

    def lots_of(self, selection: Selection) -> Any:
        """Of the chosen clients, what expires in the time that the list was narrowed to."""
        return select(CreditLot.id).where(
            CreditLot.client_id.in_(self.selected(selection)),
            queries.expiring_within(self.session, int(_within())),
        )

    def carried(self, selection: Selection) -> Sequence[tuple[str, Any]]:
        return [*super().carried(selection), ("within", _within())]


def _within() -> str:
    """The time that was posted: by the list in its query, by the steps that follow in a field of its own."""
    posted = request.form.get("within") or lists.arguments_from(request.form.get("filter", "")).get("_flt_0_within")
    return posted if posted in dict(WINDOWS) else str(WIDEST)

"""Lists, cards and forms of people and places."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from babel import Locale
from flask import current_app, request
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy import Select, String, cast
from sqlalchemy.orm import joinedload, lazyload

from ..core import clock, money
from ..core.search import matches
from ..core.web import render
from ..core.web.access import may
from ..core.web.filters import Applied, Filter
from ..core.web.forms import Form, Input
from ..core.web.record_verbs import RecordVerbs
from ..core.web.views import Column, RecordView
from . import hooks, queries, service
from .client_pages import ClientPages
from .household_pages import HouseholdPages
from .labels import KINDS, RELATIONSHIPS, SCOPES
from .models import (
    Client,
    Club,
    Household,
    Participant,
    ParticipantKind,
    ReachChoice,
    Relationship,
    TeamMember,
)
from .parts import client_parts, client_url


def _language(code: str) -> str:
    """A language under its own name."""
    return Locale.parse(code).get_display_name(code) or code


def _languages() -> list[tuple[str, str]]:
    """The host's languages."""
    return [(code, _language(code)) for code in current_app.config["LANGUAGES"]]


def currency_choices() -> list[tuple[str, str]]:
    """All currencies by code, with their names in the reader's language."""
    names = Locale.parse(render.locale_name()).currencies
    return sorted((code, f"{code} – {names.get(code, code)}") for code in money.currencies())


class ClubView(RecordView):
    """Places: each with its time zone and currency."""

    route_base = "/enrollment/clubs"
    datamodel = SQLAInterface(Club)
    class_permission_name = "EnrollmentClub"
    holders = hooks.club_holders
    verbs = RecordVerbs(service.create_club, service.update_club, service.delete_club)
    list_title = _l("Clubs")
    singular = _l("Club")
    add_label = _l("New club")
    empty_text = _l(
        "A club is a place with its own time zone and currency. Add the first one to be able to add clients."
    )
    columns = (
        Column("name", _l("Name"), order=(Club.name,), kind="link", phone="title"),
        Column("timezone", _l("Time zone"), order=(Club.timezone,)),
        Column("currency", _l("Currency"), order=(Club.currency,), phone="end"),
        Column("address", _l("Address"), phone="hide"),
        Column("active", _l("Active"), order=(Club.active,), phone="hide"),
    )
    filters = (Filter("active", _l("Active"), "flag", Club.active), Filter("name", _l("Name"), "text", Club.name))
    default_order = (Club.name,)
    inputs = (
        Input("name", _l("Name")),
        Input("timezone", _l("Time zone"), _l("It decides what “today” is for this club’s clients."),
              choices=lambda: [(z, z.replace("_", " ")) for z in sorted(clock.timezones())]),
        Input("currency", _l("Currency"), choices=currency_choices),
        Input("address", _l("Address"), widget="textarea"),
        Input("active", _l("Active")),
    )

    def prefilled(self) -> dict[str, Any]:
        settings = current_app.extensions["enrollment"].settings
        return {"timezone": settings.timezone, "currency": settings.currency, "active": True}

    def goes_along(self, item: Club) -> Any:
        names = render.listed([member.name for member in queries.team_of_club(self.session, item.id)])
        return _("These team members no longer work there: %(names)s.", names=names) if names else ""


class TeamMemberView(RecordView):
    """Users of the host who work here, and how far each sees."""

    route_base = "/enrollment/team-members"
    datamodel = SQLAInterface(TeamMember)
    class_permission_name = "EnrollmentTeamMember"
    holders = hooks.team_member_holders
    verbs = RecordVerbs(service.create_team_member, service.update_team_member, service.delete_team_member)
    list_title = _l("Team members")
    singular = _l("Team member")
    add_label = _l("New team member")
    empty_text = _l("Team members are the people who work here. Each sees only the clients that their scope allows.")
    load = (joinedload(TeamMember.user),)
    columns = (
        Column("name", _l("Name"), order=(TeamMember.name,), kind="link", phone="title"),
        Column("user", _l("User account"), value=lambda m: m.user.username),
        Column("scope", _l("Scope"), value=lambda m: str(dict(SCOPES)[m.scope]), order=(TeamMember.scope,)),
        Column("clubs", _l("Clubs"), value=lambda m: ", ".join(c.name for c in m.clubs),
               show=lambda m: render.listed(c.name for c in m.clubs), phone="hide"),
        Column("active", _l("Active"), order=(TeamMember.active,), phone="hide"),
    )
    filters = (
        Filter("scope", _l("Scope"), "choice", TeamMember.scope, SCOPES),
        Filter("active", _l("Active"), "flag", TeamMember.active),
    )
    default_order = (TeamMember.name,)
    _common = (
        Input("name", _l("Name"), _l("As clients and colleagues see it.")),
        Input("scope", _l("Scope"), _l("Which clients this person sees and acts on."), choices=SCOPES, required=True),
        Input("club_ids", _l("Clubs"), source="clubs", multiple=True, required=False),
        Input("active", _l("Active"), _l("An inactive team member sees no clients.")),
    )
    inputs = (Input("user_id", _l("User account"), source="free_users"), *_common)
    edit_inputs = _common

    def prefilled(self) -> dict[str, Any]:
        return {"scope": ReachChoice.own_clients, "active": True}

    def goes_along(self, item: TeamMember) -> Any:
        return _("Their user account stays.")


def participants_in_use(statement: Select[Any], applied: Iterable[Applied]) -> Select[Any]:
    """Participants of archived clients are left out unless a filter asks for them or for one client's."""
    asked = {e.filter.name for e in applied if e.filter.name == "archived" or e.operator == "eq"}
    return statement if asked & {"archived", "client_id"} else statement.where(~Participant.client.has(Client.archived))


def clients_in_use(statement: Select[Any], applied: Iterable[Applied]) -> Select[Any]:
    """Archived clients are left out unless a filter asks for them."""
    return statement if any(e.filter.name == "archived" for e in applied) else statement.where(~Client.archived)


class ParticipantView(RecordView):
    """Who attends: the clients themselves, their children and pets."""

    route_base = "/enrollment/participants"
    datamodel = SQLAInterface(Participant)
    class_permission_name = "EnrollmentParticipant"
    holders = hooks.participant_holders
    verbs = RecordVerbs(service.create_participant, service.update_participant, service.delete_participant)
    list_title = _l("Participants")
    singular = _l("Participant")
    add_label = _l("New participant")
    empty_text = _l("Participants are the people and pets who attend. Every client is one from the start.")
    load = (joinedload(Participant.client),)
    columns = (
        Column("name", _l("Name"), order=(Participant.name,), kind="link", phone="title"),
        Column("kind", _l("Kind"), value=lambda p: str(dict(KINDS)[p.kind]), order=(Participant.kind,)),
        Column("client", _l("Client"), value=lambda p: p.client.full_name if p.client else "",
               to=lambda p: client_url(p.client_id)),
        Column("birth_date", _l("Birth date"), order=(Participant.birth_date,), kind="date", phone="hide"),
        Column("breed", _l("Breed"), value=lambda p: " ".join(filter(None, (p.species, p.breed))), phone="hide"),
    )
    filters = (
        Filter("name", _l("Name"), "text", Participant.name),
        Filter("kind", _l("Kind"), "choice", Participant.kind, KINDS),
        Filter("client_id", _l("Client"), "reference", Participant.client_id, source="clients"),
        Filter("archived", _l("Client archived"), "flag",
               apply=lambda _op, value: Participant.client.has(Client.archived.is_(value))),
    )
    default_order = (Participant.name,)
    _common = (
        Input("name", _l("Name")),
        Input("kind", _l("Kind"), choices=KINDS[1:]),
        Input("birth_date", _l("Birth date")),
        Input("species", _l("Species"), _l("For pets, for example dog."), attributes={"data-enr-show": "kind=pet"}),
        Input("breed", _l("Breed"), attributes={"data-enr-show": "kind=pet"}),
        Input("notes", _l("Notes")),
    )
    inputs = (Input("client_id", _l("Client"), source="clients"), *_common)
    edit_inputs = (_common[0], Input("kind", _l("Kind"), choices=KINDS), *_common[2:])

    def matching(self, applied: Iterable[Applied], search: str) -> Any:
        entries = list(applied)
        return participants_in_use(super().matching(entries, search), entries)

    def prefilled(self) -> dict[str, Any]:
        key = request.args.get("client_id", "")
        return {"kind": ParticipantKind.child, **({"client_id": int(key)} if key.isdecimal() and len(key) < 19 else {})}


class HouseholdView(HouseholdPages, RecordView):
    """Clients who belong together under one head."""

    route_base = "/enrollment/households"
    datamodel = SQLAInterface(Household)
    class_permission_name = "EnrollmentHousehold"
    verbs = RecordVerbs(service.create_household, service.update_household, service.delete_household)
    list_title = _l("Households")
    singular = _l("Household")
    add_label = _l("New household")
    search_placeholder = _l("Name of the household")
    empty_text = _l("A household joins clients who belong together, such as a family.")
    load = (joinedload(Household.head),)
    columns = (
        Column("name", _l("Name"), order=(Household.name,), kind="link", phone="title"),
        Column("head", _l("Head of household"),
               value=lambda h: h.head.full_name if h.head and may("read", "EnrollmentClient") else ""),
    )
    default_order = (Household.name,)
    inputs = (Input("name", _l("Name")), Input("head_id", _l("Head of household"), source="clients"))
    edit_inputs = (Input("name", _l("Name")),)

    def search_clause(self, text: str) -> Any:
        return matches(self.session, Household, text)

    def goes_along(self, item: Household) -> Any:
        return _("Its members stay as clients.")


def _name(client: Client) -> Any:
    mail = Markup('<div class="small muted">{}</div>').format(client.email) if client.email else ""
    return Markup("{}{}").format(client.full_name, mail)


TAGS = Filter(
    "tag", _l("Tag"), "text", operators=("ct",),
    apply=lambda _op, value: cast(Client.tags, String).icontains(value, autoescape=True),
)
CLIENT_FILTERS = (
    Filter("club_id", _l("Club"), "reference", Client.club_id, source="clubs"),
    Filter("team_member_id", _l("Team member"), "reference", Client.team_member_id, source="team_members"),
    Filter("archived", _l("Archived"), "flag", Client.archived),
    TAGS,
    Filter("household_id", _l("Household"), "reference", Client.household_id, source="households",
           menu="EnrollmentHousehold"),
    Filter("first_name", _l("First name"), "text", Client.first_name),
    Filter("last_name", _l("Last name"), "text", Client.last_name),
    Filter("email", _l("E-mail"), "text", Client.email),
    Filter("phone", _l("Phone"), "text", Client.phone),
    Filter("birth_date", _l("Birth date"), "date", Client.birth_date),
)


class ClientView(ClientPages, RecordView):
    """The list of clients and the card people live in."""

    route_base = "/enrollment/clients"
    datamodel = SQLAInterface(Client)
    class_permission_name = "EnrollmentClient"
    holders = hooks.client_holders
    list_title = _l("Clients")
    singular = _l("Client")
    add_label = _l("New client")
    search_placeholder = _l("Name, e-mail or phone")
    empty_text = _l("Clients are the people who hold session credits. Add the first one.")
    load = (joinedload(Client.club), joinedload(Client.team_member).options(lazyload(TeamMember.clubs)))
    default_order = (Client.last_name, Client.first_name)
    base_columns = (
        Column("full_name", _l("Client"), show=_name, order=(Client.last_name, Client.first_name), kind="link",
               phone="title"),
        Column("club", _l("Club"), value=lambda c: c.club.name, phone="hide"),
        Column("team_member", _l("Team member"), value=lambda c: c.team_member.name if c.team_member else "",
               phone="hide"),
    )
    own_export_columns = (
        Column("id", _l("Number")),
        Column("first_name", _l("First name")),
        Column("last_name", _l("Last name")),
        Column("email", _l("E-mail")),
        Column("phone", _l("Phone")),
        Column("birth_date", _l("Birth date")),
        Column("club", _l("Club"), value=lambda c: c.club.name),
        Column("team_member", _l("Team member"), value=lambda c: c.team_member.name if c.team_member else ""),
        Column("tags", _l("Tags"), value=lambda c: ", ".join(c.tags or ())),
        Column("archived", _l("Archived")),
    )
    groups = (
        (None, ("first_name", "last_name", "email", "phone", "birth_date", "locale")),
        (_l("Belongs to"), ("club_id", "team_member_id", "household_id", "relationship_to_head")),
        (_l("More"), ("tags", "notes", "portal_user_id", "archived")),
    )
    inputs = (
        Input("first_name", _l("First name")),
        Input("last_name", _l("Last name")),
        Input("email", _l("E-mail"), attributes={"type": "email", "autocomplete": "off"}),
        Input("phone", _l("Phone"), attributes={"type": "tel"}),
        Input("birth_date", _l("Birth date")),
        Input("locale", _l("Language"), choices=_languages, required=False),
        Input("club_id", _l("Club"), source="clubs"),
        Input("team_member_id", _l("Team member"), _l("Who looks after this client."), source="team_members"),
        Input("household_id", _l("Household"), source="households"),
        Input("relationship_to_head", _l("Relationship to the head of the household"), choices=RELATIONSHIPS[1:],
              required=False),
        Input("tags", _l("Tags"), _l("Separate tags with commas."), widget="text"),
        Input("notes", _l("Notes")),
        Input("portal_user_id", _l("Portal account"), _l("The user account with which the client sees their own data."),
              source="portal_users"),
    )
    edit_inputs = (*inputs, Input("archived", _l("Archived"), _l("Hides the client from lists and choices.")))

    def _init_properties(self) -> None:
        parts = client_parts()
        added = tuple(c for p in parts for c in p.columns)
        self.columns = (*self.base_columns, *added)
        self.export_columns = (*self.own_export_columns, *added)
        self.filters = (*CLIENT_FILTERS, *(f for p in parts for f in p.filters))
        self.actions_on_list = tuple(a for p in parts for a in p.actions)
        super()._init_properties()

    def matching(self, applied: Iterable[Applied], search: str) -> Any:
        entries = list(applied)
        return clients_in_use(super().matching(entries, search), entries)

    def search_clause(self, text: str) -> Any:
        return queries.text_clause(self.session, text)

    def prepare(self, items: Sequence[Any]) -> None:
        for part in client_parts():
            if part.prepare:
                part.prepare(items)

    def list_links(self) -> Sequence[Mapping[str, str]]:
        return [link for part in client_parts() if part.links for link in part.links()]

    def trimmed(self, form: Form, item: Client | None = None) -> Form:
        """Who is linked to an account is decided by people who see everything; a household takes reading it.

        The head stays where they are until the household has another head.
        """
        if not self.actor.sees_everything:
            del form.portal_user_id
        heads = item is not None and item.relationship_to_head == Relationship.head
        if heads or not may("read", "EnrollmentHousehold"):
            del form.household_id, form.relationship_to_head
        return form

    def called(self, name: str, held: Any) -> str:
        """A language by its own name, like those that the list offers."""
        return _language(held) if name == "locale" and held else super().called(name, held)

    def typed_in(self, form: Form) -> dict[str, Any]:
        typed = super().typed_in(form)
        typed["tags"] = [tag.strip() for tag in (typed.get("tags") or "").split(",") if tag.strip()]
        return typed

    def fill(self, form: Form, item: Client) -> None:
        form.tags.data = ", ".join(item.tags or ())

    def create(self, **typed: Any) -> Client:
        return service.create_client(self.session, actor=self.actor, **typed)

    def update(self, item: Client, **typed: Any) -> Client:
        if item.household_id is not None and item.household is None and typed.get("household_id", 0) is None:
            typed.pop("household_id")  # of somebody out of reach: the form could not show it, so it says nothing
            typed["relationship_to_head"] = typed["relationship_to_head"] or item.relationship_to_head
        return service.update_client(self.session, id=item.id, actor=self.actor, **typed)

    def remove(self, item: Client) -> None:
        service.delete_client(self.session, id=item.id, actor=self.actor)

    def goes_along(self, item: Client) -> Any:
        names = [participant.name for participant in item.participants]
        return _("Their participants are deleted with them: %(names)s.", names=", ".join(names)) if names else ""

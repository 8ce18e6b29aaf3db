"""REST of people and places."""

from typing import Any

from flask import current_app
from sqlalchemy.orm import selectinload

from ..core.search import matches
from ..core.web.records import writable
from . import queries, service
from .models import Client, Club, Household, Participant, TeamMember
from .parts import client_parts
from .schemas import (
    ClientInput,
    ClientSchema,
    ClubInput,
    ClubSchema,
    HouseholdInput,
    HouseholdSchema,
    HouseholdUpdate,
    ParticipantInput,
    ParticipantSchema,
    TeamMemberInput,
    TeamMemberSchema,
)
from .views import (
    CLIENT_FILTERS,
    ClubView,
    ParticipantView,
    TeamMemberView,
    clients_in_use,
    participants_in_use,
)


class ClubApi(writable(ClubSchema, ClubInput)):  # type: ignore[misc]
    resource = "clubs"
    model = Club
    class_permission_name = "EnrollmentClub"
    openapi_spec_tag = "Clubs"
    filters = ClubView.filters
    orders = {"name": (Club.name,)}

    def create(self, **data: Any) -> Club:
        settings = current_app.extensions["enrollment"].settings
        data = {"timezone": settings.timezone, "currency": settings.currency, **data}
        return service.create_club(self.session, actor=self.actor, **data)

    def change(self, key: int, **data: Any) -> Club:
        return service.update_club(self.session, id=key, actor=self.actor, **data)

    def remove(self, key: int) -> None:
        service.delete_club(self.session, id=key, actor=self.actor)


class ClientApi(writable(ClientSchema, ClientInput)):  # type: ignore[misc]
    resource = "clients"
    model = Client
    class_permission_name = "EnrollmentClient"
    openapi_spec_tag = "Clients"
    orders = {
        "last_name": (Client.last_name, Client.first_name), "first_name": (Client.first_name,),
        "email": (Client.email,), "created_at": (Client.created_at,), "updated_at": (Client.updated_at,),
    }

    def __init__(self) -> None:
        self.filters = (*CLIENT_FILTERS, *(f for p in client_parts() for f in p.filters))
        super().__init__()

    def unless_asked(self, statement: Any, applied: Any) -> Any:
        return clients_in_use(statement, applied)

    def search_clause(self, text: str) -> Any:
        return queries.text_clause(self.session, text)

    def create(self, **data: Any) -> Client:
        return service.create_client(self.session, actor=self.actor, **data)

    def change(self, key: int, **data: Any) -> Client:
        return service.update_client(self.session, id=key, actor=self.actor, **data)

    def remove(self, key: int) -> None:
        service.delete_client(self.session, id=key, actor=self.actor)


class ParticipantApi(writable(ParticipantSchema, ParticipantInput)):  # type: ignore[misc]
    resource = "participants"
    model = Participant
    class_permission_name = "EnrollmentParticipant"
    openapi_spec_tag = "Participants"
    filters = ParticipantView.filters
    orders = {"name": (Participant.name,)}

    def unless_asked(self, statement: Any, applied: Any) -> Any:
        return participants_in_use(statement, applied)

    def create(self, **data: Any) -> Participant:
        return service.create_participant(self.session, actor=self.actor, **data)

    def change(self, key: int, **data: Any) -> Participant:
        return service.update_participant(self.session, id=key, actor=self.actor, **data)

    def remove(self, key: int) -> None:
        service.delete_participant(self.session, id=key, actor=self.actor)


class HouseholdApi(writable(HouseholdSchema, HouseholdInput, HouseholdUpdate)):  # type: ignore[misc]
    resource = "households"
    model = Household
    class_permission_name = "EnrollmentHousehold"
    openapi_spec_tag = "Households"
    orders = {"name": (Household.name,)}

    def search_clause(self, text: str) -> Any:
        return matches(self.session, Household, text)

    def create(self, **data: Any) -> Household:
        return service.create_household(self.session, actor=self.actor, **data)

    def change(self, key: int, **data: Any) -> Household:
        return service.update_household(self.session, id=key, actor=self.actor, **data)

    def remove(self, key: int) -> None:
        service.delete_household(self.session, id=key, actor=self.actor)


class TeamMemberApi(writable(TeamMemberSchema, TeamMemberInput)):  # type: ignore[misc]
    resource = "team_members"
    model = TeamMember
    class_permission_name = "EnrollmentTeamMember"
    openapi_spec_tag = "Team members"
    load = (selectinload(TeamMember.clubs),)
    filters = TeamMemberView.filters
    orders = {"name": (TeamMember.name,)}

    def create(self, **data: Any) -> TeamMember:
        return service.create_team_member(self.session, actor=self.actor, **data)

    def change(self, key: int, **data: Any) -> TeamMember:
        return service.update_team_member(self.session, id=key, actor=self.actor, **data)

    def remove(self, key: int) -> None:
        service.delete_team_member(self.session, id=key, actor=self.actor)

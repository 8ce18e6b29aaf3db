"""REST of people and places."""

from typing import Any

from flask import current_app
from sqlalchemy.orm import selectinload

from ..core.search import matches
from ..core.web.access import MENU, authorize
from ..core.web.api import idempotency_key, key_of, operation
from ..core.web.record_verbs import RecordVerbs
from ..core.web.records import writable
from . import queries, service
from .hooks import plain
from .models import Client, Club, Household, Participant, TeamMember
from .parts import client_parts
from .schemas import (
    ClientDataSchema,
    ClientInput,
    ClientSchema,
    ClubInput,
    ClubSchema,
    EraseInput,
    FormerMemberInput,
    HeadInput,
    HouseholdInput,
    HouseholdSchema,
    HouseholdUpdate,
    MemberInput,
    MemberSchema,
    MergeAnswer,
    MergeInput,
    MergePlanSchema,
    MergePreviewInput,
    ParticipantInput,
    ParticipantSchema,
    TeamMemberInput,
    TeamMemberSchema,
)
from .views import (
    CLIENT_FILTERS,
    ClubView,
    HouseholdView,
    ParticipantView,
    TeamMemberView,
    clients_in_use,
    participants_in_use,
)


class ClubApi(writable(ClubSchema, ClubInput)):  # type: ignore[misc]
    resource = "clubs"
    model = Club
    class_permission_name = "EnrollmentClub"
    verbs = ClubView.verbs
    openapi_spec_tag = "Clubs"
    filters = ClubView.filters
    orders = {"name": (Club.name,)}

    def create(self, **data: Any) -> Any:
        settings = current_app.extensions["enrollment"].settings
        data = {"timezone": settings.timezone, "currency": settings.currency, **data}
        return super().create(**data)


class ClientApi(writable(ClientSchema, ClientInput)):  # type: ignore[misc]
    resource = "clients"
    model = Client
    class_permission_name = "EnrollmentClient"
    verbs = RecordVerbs(service.create_client, service.update_client, service.delete_client)
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

    @operation("/<pk>/merge_preview", "POST", summary="What merging this client into another would do",
               permission="merge_clients", menu=MENU, body=MergePreviewInput, answers={200: MergePlanSchema},
               refusals=(404, 409))
    def merge_preview(self, pk: str, data: dict[str, Any]) -> Any:
        plan = service.merge_plan(self.session, source_id=key_of(pk), **data)
        return self.result({
            "client_id": plan.target.id,
            "differences": [
                {"field": d.field, "source": plain(d.source), "target": plain(d.target), "wins": d.wins}
                for d in plan.differences
            ],
            "participants": [participant.name for participant in plan.participants],
            "moving": [
                {"label": str(row.get("label") or row["event_type"]), "source": row["source"], "after": row["after"]}
                for part in plan.parts.values() for row in part.rows
            ],
            "obstacles": [self.told(error) for error in plan.obstacles],
        })

    @operation("/<pk>/merge", "POST", summary="Merge this client into another who is the same person",
               permission="merge_clients", menu=MENU, body=MergeInput, answers={200: MergeAnswer},
               refusals=(404, 409), idempotent=True)
    def merge(self, pk: str, data: dict[str, Any]) -> Any:
        made = self.work(
            lambda: service.merge_clients(
                self.session, source_id=key_of(pk), actor=self.actor, idempotency_key=idempotency_key(), **data
            )
        )
        return self.result(made)

    @operation("/<pk>/erase", "POST", summary="Replace a client's personal data for good; ledger and money stay",
               permission="erase_client_data", menu=MENU, body=EraseInput, answers={200: ClientSchema},
               refusals=(404, 409))
    def erase(self, pk: str, data: dict[str, Any]) -> Any:
        self.work(lambda: service.erase_client(self.session, client_id=key_of(pk), actor=self.actor, **data))
        item = self.find(pk)
        return self.result(self.dump(item), id=item.id)

    @operation("/<pk>/export", "POST", summary="Everything that is kept about a client; it goes on record",
               permission="export_client_data", menu=MENU, answers={200: ClientDataSchema}, refusals=(404,))
    def export(self, pk: str) -> Any:
        return self.result(
            self.work(lambda: service.export_client_data(self.session, client_id=key_of(pk), actor=self.actor))
        )


class ParticipantApi(writable(ParticipantSchema, ParticipantInput)):  # type: ignore[misc]
    resource = "participants"
    model = Participant
    class_permission_name = "EnrollmentParticipant"
    verbs = ParticipantView.verbs
    openapi_spec_tag = "Participants"
    filters = ParticipantView.filters
    orders = {"name": (Participant.name,)}

    def unless_asked(self, statement: Any, applied: Any) -> Any:
        return participants_in_use(statement, applied)


class HouseholdApi(writable(HouseholdSchema, HouseholdInput, HouseholdUpdate)):  # type: ignore[misc]
    """Households; who is in one is what those learn who may read clients."""

    resource = "households"
    model = Household
    class_permission_name = "EnrollmentHousehold"
    verbs = HouseholdView.verbs
    openapi_spec_tag = "Households"
    orders = {"name": (Household.name,)}

    def search_clause(self, text: str) -> Any:
        return matches(self.session, Household, text)

    @operation("/<pk>/members", summary="Who belongs to a household, the head first", permission="read",
               answers={200: MemberSchema}, many=True)
    def members(self, pk: str) -> Any:
        authorize("read", "EnrollmentClient")
        return self._members(key_of(pk))

    @operation("/<pk>/add_member", "POST", summary="Put a client into a household", permission="edit",
               body=MemberInput, answers={200: MemberSchema}, many=True, refusals=(404, 409))
    def add_member(self, pk: str, data: dict[str, Any]) -> Any:
        authorize("read", "EnrollmentClient")
        key = key_of(pk)
        self.work(lambda: service.add_member(self.session, household_id=key, actor=self.actor, **data))
        return self._members(key)

    @operation("/<pk>/remove_member", "POST", summary="Take a client out of a household", permission="edit",
               body=FormerMemberInput, answers={200: MemberSchema}, many=True, refusals=(404, 409))
    def remove_member(self, pk: str, data: dict[str, Any]) -> Any:
        authorize("read", "EnrollmentClient")
        key = key_of(pk)
        self.work(lambda: service.remove_member(self.session, household_id=key, actor=self.actor, **data))
        return self._members(key)

    @operation("/<pk>/change_head", "POST", summary="Make another member the head", permission="edit",
               body=HeadInput, answers={200: MemberSchema}, many=True, refusals=(404, 409))
    def change_head(self, pk: str, data: dict[str, Any]) -> Any:
        authorize("read", "EnrollmentClient")
        key = key_of(pk)
        related = {each["client_id"]: each["relationship"] for each in data["relationships"]}
        self.work(
            lambda: service.change_head(
                self.session, household_id=key, head_id=data["head_id"], relationships=related, actor=self.actor
            )
        )
        return self._members(key)

    def _members(self, key: int) -> Any:
        rows = [MemberSchema().dump(client) for client in queries.household_members(self.session, key)]
        return self.answer(200, {"count": len(rows), "result": rows})


class TeamMemberApi(writable(TeamMemberSchema, TeamMemberInput)):  # type: ignore[misc]
    resource = "team_members"
    model = TeamMember
    class_permission_name = "EnrollmentTeamMember"
    verbs = TeamMemberView.verbs
    openapi_spec_tag = "Team members"
    load = (selectinload(TeamMember.clubs),)
    filters = TeamMemberView.filters
    orders = {"name": (TeamMember.name,)}

"""What REST takes and gives for people and places. Values are checked by the services."""

from marshmallow import INCLUDE, Schema, fields

from ..core.web.api import ErrorBody
from ..core.web.inputs import Flag, Input, choice_field, key_field
from .models import ParticipantKind, ReachChoice, Relationship

_WHEN = {"created_at": "2026-03-02T09:30:00+00:00", "updated_at": "2026-03-02T09:30:00+00:00"}


class _Tracked(Schema):
    id = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class ClubInput(Input):
    example = {"name": "Riverside", "timezone": "Europe/Berlin", "currency": "EUR"}

    name = fields.String(required=True)
    timezone = fields.String()
    currency = fields.String()
    address = fields.String(allow_none=True)
    active = Flag()


class ClubSchema(_Tracked):
    example = {"id": 1, "address": None, "active": True, **ClubInput.example, **_WHEN}

    name = fields.String(required=True)
    timezone = fields.String(required=True)
    currency = fields.String(required=True)
    address = fields.String(required=True, allow_none=True)
    active = fields.Boolean(required=True)


class ClientSchema(_Tracked):
    example = {
        "id": 7, "first_name": "Maya", "last_name": "Fischer", "email": "maya@example.org", "phone": None,
        "birth_date": "1991-05-17", "locale": "de", "club_id": 1, "team_member_id": 3, "household_id": None,
        "relationship_to_head": None, "tags": ["yoga"], "notes": None, "portal_user_id": None,
        "archived": False, **_WHEN,
    }

    first_name = fields.String(required=True)
    last_name = fields.String(required=True)
    email = fields.String(required=True, allow_none=True)
    phone = fields.String(required=True, allow_none=True)
    birth_date = fields.Date(required=True, allow_none=True)
    locale = fields.String(required=True, allow_none=True)
    club_id = fields.Integer(required=True)
    team_member_id = fields.Integer(required=True, allow_none=True)
    household_id = fields.Integer(required=True, allow_none=True)
    relationship_to_head = fields.String(required=True, allow_none=True)
    tags = fields.List(fields.String(), required=True)
    notes = fields.String(required=True, allow_none=True)
    portal_user_id = fields.Integer(required=True, allow_none=True)
    archived = fields.Boolean(required=True)


class ClientInput(Input):
    example = {"first_name": "Maya", "last_name": "Fischer", "email": "maya@example.org", "club_id": 1}

    first_name = fields.String(required=True)
    last_name = fields.String(required=True)
    email = fields.String(allow_none=True)
    phone = fields.String(allow_none=True)
    birth_date = fields.Date(allow_none=True)
    locale = fields.String(allow_none=True)
    club_id = key_field(required=True)
    team_member_id = key_field(allow_none=True)
    household_id = key_field(allow_none=True)
    relationship_to_head = choice_field(Relationship, allow_none=True)
    tags = fields.List(fields.String())
    notes = fields.String(allow_none=True)
    portal_user_id = key_field(allow_none=True)
    archived = Flag()


class MergePreviewInput(Input):
    example = {"target_id": 8, "keep": {"phone": "source"}}

    target_id = key_field(required=True)
    keep = fields.Dict(
        keys=fields.String(), values=fields.String(),
        metadata={"description": "By field whose value stays, source or target; else the target's where it has one"},
    )


class MergeInput(MergePreviewInput):
    example = {"target_id": 8, "keep": {"phone": "source"}, "reason": "The same person"}

    reason = fields.String(required=True)


class DifferenceSchema(Schema):
    field = fields.String(required=True)
    source = fields.Raw(required=True, allow_none=True)
    target = fields.Raw(required=True, allow_none=True)
    wins = fields.String(required=True)


class MovingSchema(Schema):
    label = fields.String(required=True)
    source = fields.Integer(required=True)
    after = fields.Integer(required=True)


class MergePlanSchema(Schema):
    """What a merge would do; with an obstacle it is refused."""

    example = {
        "client_id": 8, "participants": ["Rocky"], "obstacles": [],
        "differences": [{"field": "phone", "source": "030 1234567", "target": None, "wins": "source"}],
        "moving": [{"label": "Yoga class", "source": 4, "after": 10}],
    }

    client_id = fields.Integer(required=True)
    differences = fields.List(fields.Nested(DifferenceSchema), required=True)
    participants = fields.List(fields.String(), required=True)
    moving = fields.List(fields.Nested(MovingSchema), required=True)
    obstacles = fields.List(fields.Nested(ErrorBody), required=True)


class MergeAnswer(Schema):
    example = {"client_id": 8, "moved": {"participants": 1, "credits.lots": 2, "credits.credits": 4}}

    client_id = fields.Integer(required=True)
    moved = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class EraseInput(Input):
    example = {"typed_name": "Maya Fischer", "reason": "Asked in writing"}

    typed_name = fields.String(required=True, metadata={"description": "The client's full name, to confirm"})
    reason = fields.String(required=True)


class ClientDataSchema(Schema):
    """Everything that is kept about a client: rows by section, some from each part of the add-on."""

    class Meta:
        unknown = INCLUDE

    example = {
        "client": [{"id": 7, "first_name": "Maya"}], "participants": [{"id": 12, "name": "Rocky"}], "household": [],
        "history": [{"verb": "create_client"}],
    }

    client = fields.List(fields.Dict(), required=True)
    participants = fields.List(fields.Dict(), required=True)
    household = fields.List(fields.Dict(), required=True)
    history = fields.List(fields.Dict(), required=True)


class ParticipantSchema(_Tracked):
    example = {
        "id": 12, "client_id": 7, "name": "Rocky", "kind": "pet", "birth_date": None, "species": "dog",
        "breed": "beagle", "notes": None, **_WHEN,
    }

    client_id = fields.Integer(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)
    birth_date = fields.Date(required=True, allow_none=True)
    species = fields.String(required=True, allow_none=True)
    breed = fields.String(required=True, allow_none=True)
    notes = fields.String(required=True, allow_none=True)


class ParticipantInput(Input):
    example = {"client_id": 7, "name": "Rocky", "kind": "pet", "species": "dog"}

    client_id = key_field(required=True)
    name = fields.String(required=True)
    kind = choice_field(ParticipantKind, required=True)
    birth_date = fields.Date(allow_none=True)
    species = fields.String(allow_none=True)
    breed = fields.String(allow_none=True)
    notes = fields.String(allow_none=True)


class MemberInput(Input):
    example = {"client_id": 8, "relationship": "partner"}

    client_id = key_field(required=True)
    relationship = choice_field(Relationship, required=True)


class HouseholdSchema(_Tracked):
    example = {"id": 2, "name": "Fischer family", "head_id": 7, **_WHEN}

    name = fields.String(required=True)
    head_id = fields.Integer(required=True)


class HouseholdInput(Input):
    example = {
        "name": "Fischer family", "head_id": 7, "members": [{"client_id": 8, "relationship": "partner"}],
    }

    name = fields.String(required=True)
    head_id = key_field(required=True)
    members = fields.List(fields.Nested(MemberInput))


class HouseholdUpdate(Input):
    example = {"name": "Fischer and Weber"}

    name = fields.String()


class FormerMemberInput(Input):
    example = {"client_id": 8}

    client_id = key_field(required=True)


class HeadInput(Input):
    example = {"head_id": 8, "relationships": [{"client_id": 7, "relationship": "partner"}]}

    head_id = key_field(required=True)
    relationships = fields.List(
        fields.Nested(MemberInput), required=True,
        metadata={"description": "What every other member is to the new head"},
    )


class MemberSchema(Schema):
    example = {"client_id": 7, "relationship": "head"}

    client_id = fields.Integer(required=True, attribute="id")
    relationship = fields.String(required=True, attribute="relationship_to_head")


class TeamMemberSchema(_Tracked):
    example = {
        "id": 3, "user_id": 5, "name": "Chloé Martin", "scope": "own_clubs", "club_ids": [1], "active": True,
        **_WHEN,
    }

    user_id = fields.Integer(required=True)
    name = fields.String(required=True)
    scope = fields.String(required=True)
    club_ids = fields.List(fields.Integer(), required=True)
    active = fields.Boolean(required=True)


class TeamMemberInput(Input):
    example = {"user_id": 5, "name": "Chloé Martin", "scope": "own_clubs", "club_ids": [1]}

    user_id = key_field(required=True)
    name = fields.String(required=True)
    scope = choice_field(ReachChoice)
    club_ids = fields.List(key_field())
    active = Flag()

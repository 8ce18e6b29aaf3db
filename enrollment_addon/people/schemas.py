"""What REST takes and gives for people and places. Values are checked by the services."""

from typing import Any

from marshmallow import Schema, fields, validate

from ..core.web.api import Input
from .models import ParticipantKind, ReachChoice, Relationship


def _key(**kw: Any) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(min=1, max=2**63 - 1), **kw)


class _Tracked(Schema):
    id = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class ClubSchema(_Tracked):
    name = fields.String(required=True)
    timezone = fields.String(required=True)
    currency = fields.String(required=True)
    address = fields.String(required=True, allow_none=True)
    active = fields.Boolean(required=True)


class ClubInput(Input):
    name = fields.String(required=True)
    timezone = fields.String()
    currency = fields.String()
    address = fields.String(allow_none=True)
    active = fields.Boolean(truthy={True}, falsy={False})


class ClientSchema(_Tracked):
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
    first_name = fields.String(required=True)
    last_name = fields.String(required=True)
    email = fields.String(allow_none=True)
    phone = fields.String(allow_none=True)
    birth_date = fields.Date(allow_none=True)
    locale = fields.String(allow_none=True)
    club_id = _key(required=True)
    team_member_id = _key(allow_none=True)
    household_id = _key(allow_none=True)
    relationship_to_head = fields.String(allow_none=True, validate=validate.OneOf(list(Relationship)))
    tags = fields.List(fields.String())
    notes = fields.String(allow_none=True)
    portal_user_id = _key(allow_none=True)
    archived = fields.Boolean(truthy={True}, falsy={False})


class ParticipantSchema(_Tracked):
    client_id = fields.Integer(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)
    birth_date = fields.Date(required=True, allow_none=True)
    species = fields.String(required=True, allow_none=True)
    breed = fields.String(required=True, allow_none=True)
    notes = fields.String(required=True, allow_none=True)


class ParticipantInput(Input):
    client_id = _key(required=True)
    name = fields.String(required=True)
    kind = fields.String(validate=validate.OneOf(list(ParticipantKind)))
    birth_date = fields.Date(allow_none=True)
    species = fields.String(allow_none=True)
    breed = fields.String(allow_none=True)
    notes = fields.String(allow_none=True)


class MemberInput(Input):
    client_id = _key(required=True)
    relationship = fields.String(required=True, validate=validate.OneOf(list(Relationship)))


class HouseholdSchema(_Tracked):
    name = fields.String(required=True)
    head_id = fields.Integer(required=True)


class HouseholdInput(Input):
    name = fields.String(required=True)
    head_id = _key(required=True)
    members = fields.List(fields.Nested(MemberInput))


class HouseholdUpdate(Input):
    name = fields.String()


class TeamMemberSchema(_Tracked):
    user_id = fields.Integer(required=True)
    name = fields.String(required=True)
    scope = fields.String(required=True)
    club_ids = fields.List(fields.Integer(), required=True)
    active = fields.Boolean(required=True)


class TeamMemberInput(Input):
    user_id = _key(required=True)
    name = fields.String(required=True)
    scope = fields.String(validate=validate.OneOf(list(ReachChoice)))
    club_ids = fields.List(_key())
    active = fields.Boolean(truthy={True}, falsy={False})

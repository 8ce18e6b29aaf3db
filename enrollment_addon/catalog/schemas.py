"""What REST takes and gives for the catalog."""

from marshmallow import Schema, fields

from ..core.web.inputs import Flag, Input, choice_field
from .models import EventKind


class EventTypeSchema(Schema):
    example = {
        "id": 4, "name": "Yoga", "label": "Yoga", "kind": "class", "duration_minutes": 60, "colour": "#1f6feb",
        "active": True, "created_at": "2026-03-02T09:30:00+00:00", "updated_at": "2026-03-02T09:30:00+00:00",
    }

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    label = fields.String(required=True, metadata={"description": "The name in the caller's language"})
    kind = fields.String(required=True)
    duration_minutes = fields.Integer(required=True)
    colour = fields.String(required=True, allow_none=True)
    active = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class EventTypeInput(Input):
    example = {"name": "Yoga", "kind": "class", "duration_minutes": 60, "translations": {"name": {"de": "Joga"}}}

    name = fields.String(required=True)
    kind = choice_field(EventKind)
    duration_minutes = fields.Integer(strict=True)
    colour = fields.String(allow_none=True)
    active = Flag()
    translations = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.String(allow_none=True)),
        metadata={"description": "{\"name\": {language: text}}; an empty text removes a translation"},
    )

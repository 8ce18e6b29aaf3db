"""What REST takes and gives for the catalog."""

from marshmallow import Schema, fields, validate

from ..core.web.api import Input
from .models import EventKind



class EventTypeSchema(Schema):
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
    name = fields.String(required=True)
    kind = fields.String(validate=validate.OneOf(list(EventKind)))
    duration_minutes = fields.Integer(strict=True)
    colour = fields.String(allow_none=True)
    active = fields.Boolean(truthy={True}, falsy={False})
    translations = fields.Dict(
        keys=fields.String(validate=validate.OneOf(["name"])),
        values=fields.Dict(keys=fields.String(), values=fields.String(allow_none=True)),
        metadata={"description": "Field → language → text; an empty text removes a translation"},
    )

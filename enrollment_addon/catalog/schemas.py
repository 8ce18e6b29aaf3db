"""What REST takes and gives for the catalog."""

from marshmallow import Schema, fields

from ..core import money
from ..core.web.inputs import Flag, Input, choice_field, key_field, whole_field
from .models import EventKind
from .name_fields import STAMPS, label_field, told_translations, translations_field


class EventTypeSchema(Schema):
    example = {
        "id": 4, "name": "Yoga", "label": "Yoga", "translations": {"name": {"de": "Joga"}}, "kind": "class",
        "duration_minutes": 60, "colour": "#1f6feb", "active": True, **STAMPS,
    }

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    label = label_field()
    translations = told_translations()
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
    duration_minutes = whole_field(1, 1440)
    colour = fields.String(allow_none=True)
    active = Flag()
    translations = translations_field()


class PackageSchema(Schema):
    example = {
        "id": 2, "name": "Yoga ten", "label": "Yoga ten", "translations": {"name": {"de": "Zehnmal Joga"}},
        "description": None, "event_type_id": 4, "sessions": 10, "price": "150.00", "currency": "EUR",
        "valid_days": 180, "club_ids": [], "active": True, **STAMPS,
    }

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    label = label_field()
    translations = told_translations()
    description = fields.String(required=True, allow_none=True)
    event_type_id = fields.Integer(required=True)
    sessions = fields.Integer(required=True)
    price = fields.Function(
        lambda p: str(money.to_decimal(p.price, p.currency)), required=True, metadata={"type": "string"}
    )
    currency = fields.String(required=True)
    valid_days = fields.Integer(required=True, allow_none=True)
    club_ids = fields.List(fields.Integer(), required=True, metadata={"description": "None: every club"})
    active = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class PackageInput(Input):
    example = {"name": "Yoga ten", "event_type_id": 4, "sessions": 10, "price": "150.00", "valid_days": 180}

    name = fields.String(required=True)
    description = fields.String(allow_none=True)
    event_type_id = key_field(required=True)
    sessions = whole_field(1, 1000, required=True)
    price = fields.String(required=True, metadata={"description": "A decimal number in the package's currency"})
    currency = fields.String(metadata={"description": "ISO 4217; the deployment's own unless given"})
    valid_days = whole_field(1, 3650, allow_none=True)
    club_ids = fields.List(key_field())
    active = Flag()
    translations = translations_field()

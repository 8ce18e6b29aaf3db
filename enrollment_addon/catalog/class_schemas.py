"""What REST takes and gives for class categories, activity levels and semesters."""

from marshmallow import Schema, fields

from ..core.web.inputs import Flag, Input, whole_field
from .name_fields import STAMPS, label_field, told_translations, translations_field


class ClassCategorySchema(Schema):
    example = {
        "id": 1, "name": "Yoga", "label": "Yoga", "translations": {"name": {"de": "Joga"}}, "active": True, **STAMPS,
    }

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    label = label_field()
    translations = told_translations()
    active = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class ClassCategoryInput(Input):
    example = {"name": "Yoga", "translations": {"name": {"de": "Joga"}}}

    name = fields.String(required=True)
    translations = translations_field()
    active = Flag()


class ActivityLevelSchema(Schema):
    example = {
        "id": 2, "name": "Advanced", "label": "Advanced", "translations": {}, "rank": 2, "active": True, **STAMPS,
    }

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    label = label_field()
    translations = told_translations()
    rank = fields.Integer(required=True, metadata={"description": "A higher rank is a higher level"})
    active = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class ActivityLevelInput(Input):
    example = {"name": "Advanced", "rank": 2}

    name = fields.String(required=True)
    translations = translations_field()
    rank = whole_field(1, 1000)
    active = Flag()


class SemesterSchema(Schema):
    example = {
        "id": 1, "name": "Spring 2026", "label": "Spring 2026", "translations": {}, "first_date": "2026-02-01",
        "last_date": "2026-06-30", **STAMPS,
    }

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    label = label_field()
    translations = told_translations()
    first_date = fields.Date(required=True)
    last_date = fields.Date(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class SemesterInput(Input):
    example = {"name": "Spring 2026", "first_date": "2026-02-01", "last_date": "2026-06-30"}

    name = fields.String(required=True)
    translations = translations_field()
    first_date = fields.Date(required=True)
    last_date = fields.Date(required=True)

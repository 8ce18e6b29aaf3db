"""What REST takes and gives for class categories, activity levels and semesters."""

from marshmallow import Schema, fields

from ..core.web.inputs import Flag, Input

STAMPS = {"created_at": "2026-03-02T09:30:00+00:00", "updated_at": "2026-03-02T09:30:00+00:00"}


class ClassCategorySchema(Schema):
    example = {"id": 1, "name": "Yoga", "active": True, **STAMPS}

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    active = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class ClassCategoryInput(Input):
    example = {"name": "Yoga"}

    name = fields.String(required=True)
    active = Flag()


class ActivityLevelSchema(Schema):
    example = {"id": 2, "name": "Advanced", "rank": 2, "active": True, **STAMPS}

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    rank = fields.Integer(required=True, metadata={"description": "A higher rank is a higher level"})
    active = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class ActivityLevelInput(Input):
    example = {"name": "Advanced", "rank": 2}

    name = fields.String(required=True)
    rank = fields.Integer(strict=True)
    active = Flag()


class SemesterSchema(Schema):
    example = {"id": 1, "name": "Spring 2026", "first_date": "2026-02-01", "last_date": "2026-06-30", **STAMPS}

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    first_date = fields.Date(required=True)
    last_date = fields.Date(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class SemesterInput(Input):
    example = {"name": "Spring 2026", "first_date": "2026-02-01", "last_date": "2026-06-30"}

    name = fields.String(required=True)
    first_date = fields.Date(required=True)
    last_date = fields.Date(required=True)

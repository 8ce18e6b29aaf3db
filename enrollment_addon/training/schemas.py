"""What REST takes and gives for training reports and skills."""

from marshmallow import Schema, fields

from ..catalog.schemas import translations_field
from ..core.web.inputs import Flag, Input, key_field, whole_field


class SkillSchema(Schema):
    example = {
        "id": 3, "name": "Balance", "label": "Balance", "active": True,
        "created_at": "2026-03-02T09:30:00+00:00", "updated_at": "2026-03-02T09:30:00+00:00",
    }

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    label = fields.String(required=True, metadata={"description": "The name in the caller's language"})
    active = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class SkillInput(Input):
    example = {"name": "Balance", "translations": {"name": {"de": "Gleichgewicht"}}}

    name = fields.String(required=True)
    active = Flag()
    translations = translations_field()


class RatingSchema(Schema):
    skill_id = fields.Integer(required=True)
    rating = fields.Integer(required=True)


class RatingInput(Input):
    skill_id = key_field(required=True)
    rating = whole_field(1, 5, required=True)


class TrainingReportSchema(Schema):
    example = {
        "id": 8, "client_id": 11, "participant_id": 14, "session_id": 90, "enrollment_id": None, "author_id": 2,
        "held_on": "2026-03-02", "worked_on": "Turning on both sides", "homework": "Ten minutes a day", "goals": None,
        "ratings": [{"skill_id": 3, "rating": 4}], "visible_to_client": True,
        "created_at": "2026-03-02T09:30:00+00:00", "updated_at": "2026-03-02T09:30:00+00:00",
    }

    id = fields.Integer(required=True)
    client_id = fields.Integer(required=True)
    participant_id = fields.Integer(required=True)
    session_id = fields.Integer(required=True, allow_none=True)
    enrollment_id = fields.Integer(required=True, allow_none=True)
    author_id = fields.Integer(required=True, allow_none=True, metadata={"description": "Key of the user who wrote it"})
    held_on = fields.Date(required=True)
    worked_on = fields.String(required=True)
    homework = fields.String(required=True, allow_none=True)
    goals = fields.String(required=True, allow_none=True)
    ratings = fields.List(fields.Nested(RatingSchema), required=True)
    visible_to_client = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class TrainingReportChange(Input):
    """What of a report can be changed: everything but its author and what it is about."""

    example = {"homework": "Ten minutes a day", "visible_to_client": True}

    held_on = fields.Date(metadata={"description": "The session's day, or today, unless given"})
    worked_on = fields.String()
    homework = fields.String(allow_none=True)
    goals = fields.String(allow_none=True)
    ratings = fields.List(fields.Nested(RatingInput), metadata={"description": "All ratings; those left out go"})
    visible_to_client = Flag()


class TrainingReportInput(TrainingReportChange):
    example = {
        "participant_id": 14, "session_id": 90, "worked_on": "Turning on both sides",
        "ratings": [{"skill_id": 3, "rating": 4}],
    }

    participant_id = key_field(required=True)
    session_id = key_field(allow_none=True, metadata={"description": "This, an enrollment, or both"})
    enrollment_id = key_field(allow_none=True)
    worked_on = fields.String(required=True)

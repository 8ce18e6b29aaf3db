"""What REST takes and gives for closures."""

from typing import Any

from flask_babel import gettext
from marshmallow import Schema, fields, validate

from ..core.batches import BatchState
from ..core.web.inputs import Flag, Input, key_field


class ClosureInput(Input):
    example = {"club_id": 1, "first_date": "2026-03-02", "last_date": "2026-03-08", "reason": "Flood", "extend_days": 7}

    session_ids = fields.List(key_field(), validate=validate.Length(min=1, max=2_000))
    club_id = key_field(metadata={"description": "With first_date and last_date, instead of session_ids"})
    first_date = fields.Date()
    last_date = fields.Date()
    extend_days = fields.Integer(
        strict=True, metadata={"description": "How much longer the lots that get a credit back are good for"}
    )
    makeups = Flag(metadata={"description": "Who paid by a charge or a trial gets a credit instead of the money"})
    reason = fields.String(load_default=lambda: gettext("Closed"))
    preview = Flag(load_default=False, metadata={"description": "Only say what it would do"})


class ClosurePlanAnswer(Schema):
    example = {
        "session_ids": [41, 42, 43, 44, 45], "sessions": 5, "booked": 200, "waiting": 3, "clients": 198, "credits": 200,
    }

    session_ids = fields.List(fields.Integer(), required=True)
    sessions = fields.Integer(required=True)
    booked = fields.Integer(required=True)
    waiting = fields.Integer(required=True)
    clients = fields.Integer(required=True)
    credits = fields.Integer(required=True, metadata={"description": "How many credits go back"})


class ClosureAnswer(Schema):
    example = {"batch_id": 31, "job_id": None, "sessions": 5, "booked": 200, "credits": 200}

    batch_id = fields.Integer(required=True)
    job_id = fields.Integer(required=True, allow_none=True)
    sessions = fields.Integer(required=True)
    booked = fields.Integer(required=True)
    credits = fields.Integer(required=True)


def _asked(name: str) -> Any:
    """A number that a closure was opened with."""
    return fields.Function(lambda batch: batch.input.get(name), required=True, metadata={"type": "integer"})


class ClosureSchema(Schema):
    example = {
        "id": 31, "state": "undone", "reason": "Flood", "sessions": 5, "booked": 200, "clients": 198, "credits": 200,
        "created_at": "2026-03-02T09:30:00+00:00", "undone_at": "2026-03-03T09:30:00+00:00",
        "undo_reason": "It dried up",
        "undo_result": {"taken_back": 199, "kept_spent": 1, "clients": 198, "overlaps": 0},
    }

    id = fields.Integer(required=True)
    state = fields.String(required=True, metadata={"enum": [str(state) for state in BatchState]})
    reason = fields.String(required=True, allow_none=True, attribute="note")
    sessions = fields.Integer(required=True, attribute="total")
    booked = _asked("booked")
    clients = _asked("clients")
    credits = _asked("credits")
    created_at = fields.AwareDateTime(required=True)
    undone_at = fields.AwareDateTime(required=True, allow_none=True)
    undo_reason = fields.String(required=True, allow_none=True)
    undo_result = fields.Dict(required=True, allow_none=True)


class ReopenPlanAnswer(Schema):
    example = {"sessions": 5, "over": 0, "bookings": 200, "clients": 198, "taken": 0, "busy": 1}

    sessions = fields.Integer(required=True)
    over = fields.Integer(required=True, metadata={"description": "Sessions whose time is past"})
    bookings = fields.Integer(required=True)
    clients = fields.Integer(required=True)
    taken = fields.Integer(required=True, metadata={"description": "Sessions whose instructor or room is taken by now"})
    busy = fields.Integer(required=True, metadata={"description": "Places of people who are booked elsewhere by now"})


class ReopenInput(Input):
    example = {"reason": "It dried up"}

    reason = fields.String(required=True)


class ReopenAnswer(Schema):
    example = {"taken_back": 199, "kept_spent": 1, "clients": 200, "overlaps": 0, "job_id": None}

    taken_back = fields.Integer(required=True, metadata={"description": "Bookings that came back"})
    kept_spent = fields.Integer(required=True, metadata={"description": "Bookings that could not"})
    clients = fields.Integer(required=True)
    overlaps = fields.Integer(
        required=True, metadata={"description": "Of those that came back: whose participant is booked elsewhere too"}
    )
    job_id = fields.Integer(required=True, allow_none=True)

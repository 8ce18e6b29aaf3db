"""What REST gives for jobs."""

from marshmallow import Schema, fields


class JobErrorSchema(Schema):
    item = fields.Raw(required=True, allow_none=True)
    code = fields.String(required=True)
    message = fields.String(required=True)


_ROW = {
    "id": 90, "kind": "credits.grant", "state": "running", "total": 20000, "done": 10000, "skipped": 0,
    "failed": 0, "created_at": "2026-03-02T09:30:00+00:00", "started_at": "2026-03-02T09:30:01+00:00",
    "finished_at": None, "created_by_id": 3, "created_by": "Nora North",
}


class JobSchema(Schema):
    example = {
        **_ROW, "errors": [], "next_errors": None, "message": None, "rate": 5000.0, "seconds_left": 2,
        "rate_text": "5,000 per second", "left_text": "2 seconds left",
    }

    id = fields.Integer(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    total = fields.Integer(required=True)
    done = fields.Integer(required=True)
    skipped = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    errors = fields.List(fields.Nested(JobErrorSchema), required=True)
    next_errors = fields.Integer(
        required=True, allow_none=True, metadata={"description": "`errors_after` for the next failed items"}
    )
    created_by_id = fields.Integer(required=True, allow_none=True)
    created_by = fields.String(required=True)
    message = fields.String(required=True, allow_none=True)
    rate = fields.Float(required=True, allow_none=True, metadata={"description": "Items per second"})
    seconds_left = fields.Integer(required=True, allow_none=True)
    rate_text = fields.String(required=True)
    left_text = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)


class JobRowSchema(Schema):
    example = _ROW

    id = fields.Integer(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    total = fields.Integer(required=True)
    done = fields.Integer(required=True)
    skipped = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    created_by_id = fields.Integer(required=True, allow_none=True)
    created_by = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)

"""What REST gives for jobs."""

from marshmallow import Schema, fields


class JobErrorSchema(Schema):
    item = fields.Raw(required=True, allow_none=True)
    code = fields.String(required=True)
    message = fields.String(required=True)


class JobSchema(Schema):
    id = fields.Integer(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    total = fields.Integer(required=True)
    done = fields.Integer(required=True)
    skipped = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    errors = fields.List(fields.Nested(JobErrorSchema), required=True)
    message = fields.String(required=True, allow_none=True)
    rate = fields.Float(required=True, allow_none=True, metadata={"description": "Items per second"})
    seconds_left = fields.Integer(required=True, allow_none=True)
    rate_text = fields.String(required=True)
    left_text = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)


class JobRowSchema(Schema):
    id = fields.Integer(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    total = fields.Integer(required=True)
    done = fields.Integer(required=True)
    skipped = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)

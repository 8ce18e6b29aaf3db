"""What REST gives of notices."""

from marshmallow import Schema, fields

from .texts import subject_of, text_of


class NoticeSchema(Schema):
    example = {
        "id": 5, "client_id": 7, "kind": "place_given", "state": "sent", "subject": "You have a place: Evening yoga",
        "text": "A place became free in Evening yoga on Mar 4, 2026, 6:00 PM at Uptown, and it is yours.",
        "created_at": "2026-03-02T09:30:00+00:00", "sent_at": "2026-03-02T09:31:00+00:00",
    }

    id = fields.Integer(required=True)
    client_id = fields.Integer(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    subject = fields.Function(subject_of, required=True, metadata={
        "type": "string", "description": "In the caller's language; the client gets it in theirs",
    })
    text = fields.Function(text_of, required=True, metadata={"type": "string"})
    created_at = fields.AwareDateTime(required=True)
    sent_at = fields.AwareDateTime(required=True, allow_none=True)

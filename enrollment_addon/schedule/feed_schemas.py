"""What REST takes and gives for the links of calendars."""

from marshmallow import Schema, fields

from ..core.web.inputs import Input, key_field


class CalendarLinkSchema(Schema):
    example = {
        "id": 6, "team_member_id": 5, "client_id": None, "class_group_id": None,
        "created_at": "2026-03-02T09:30:00+00:00",
    }

    id = fields.Integer(required=True)
    team_member_id = fields.Integer(required=True, allow_none=True)
    client_id = fields.Integer(required=True, allow_none=True)
    class_group_id = fields.Integer(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class CalendarLinkMade(CalendarLinkSchema):
    example = {**CalendarLinkSchema.example, "url": "https://example.org/enrollment/calendar/3lGq….ics"}

    url = fields.String(required=True, metadata={"description": "Shown now and never again"})


class CalendarLinkInput(Input):
    example = {"team_member_id": 5}

    team_member_id = key_field(metadata={"description": "One of the three says whose calendar it is"})
    client_id = key_field()
    class_group_id = key_field()

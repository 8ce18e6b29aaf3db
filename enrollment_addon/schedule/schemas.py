"""What REST takes and gives for class groups, sessions and bookings."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import Schema, fields

from ..catalog.name_fields import label_field, told_translations, translations_field
from ..core import money
from ..core.errors import InvalidInput
from ..core.fields import is_whole
from ..core.web.inputs import Flag, Input, choice_field, key_field, whole_field
from .calc import BookingState, Pays, PayWith
from .models import ClassGroup

STAMPS = {"created_at": "2026-03-02T09:30:00+00:00", "updated_at": "2026-03-02T09:30:00+00:00"}
PAY_WITH = (
    '"auto" (any credit that is good for it), {"enrollment_id": …}, {"lot_id": …}, {"charge": true, "amount": …} '
    '(the class group\'s own price unless given), "trial" or "nothing"'
)


class SlotSchema(Schema):
    weekday = fields.Integer(required=True, metadata={"description": "0 is Monday"})
    starts_at_time = fields.Time(required=True)
    duration_minutes = fields.Integer(required=True)


def _first(name: str) -> Any:
    """A field of the first weekly time."""

    def read(group: ClassGroup) -> Any:
        value = getattr(group.slots[0], name) if group.slots else None
        return value.isoformat() if isinstance(value, dt.time) else value

    return read


class ClassGroupSchema(Schema):
    example = {
        "id": 3, "name": "Evening yoga", "label": "Evening yoga", "translations": {"name": {"de": "Joga am Abend"}},
        "category_id": 1, "level_id": 2, "club_id": 1, "room": "Hall",
        "team_member_id": 5, "event_type_id": 4, "semester_id": None, "weekday": 2, "starts_at_time": "18:00:00",
        "duration_minutes": 60, "slots": [{"weekday": 2, "starts_at_time": "18:00:00", "duration_minutes": 60}],
        "first_date": "2026-03-02", "last_date": None, "capacity": 12, "dropin_price": "15.00", "currency": "EUR",
        "colour": "#1f6feb", "active": True, **STAMPS,
    }

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    label = label_field()
    translations = told_translations()
    category_id = fields.Integer(required=True, allow_none=True)
    level_id = fields.Integer(required=True, allow_none=True)
    club_id = fields.Integer(required=True)
    room = fields.String(required=True, allow_none=True)
    team_member_id = fields.Integer(required=True, allow_none=True)
    event_type_id = fields.Integer(required=True)
    semester_id = fields.Integer(required=True, allow_none=True)
    weekday = fields.Function(_first("weekday"), required=True, metadata={"type": "integer"})
    starts_at_time = fields.Function(_first("starts_at_time"), required=True, metadata={"type": "string"})
    duration_minutes = fields.Function(_first("duration_minutes"), required=True, metadata={"type": "integer"})
    slots = fields.List(fields.Nested(SlotSchema), required=True)
    first_date = fields.Date(required=True)
    last_date = fields.Date(required=True, allow_none=True)
    capacity = fields.Integer(required=True)
    dropin_price = fields.Function(
        lambda g: None if g.dropin_price is None else str(money.to_decimal(g.dropin_price, g.club.currency)),
        required=True, metadata={"type": "string", "nullable": True},
    )
    currency = fields.Function(lambda g: g.club.currency, required=True, metadata={"type": "string"})
    colour = fields.String(required=True, allow_none=True)
    active = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class SlotInput(Input):
    weekday = whole_field(0, 6, required=True, description="0 is Monday")
    starts_at_time = fields.Time(required=True)
    duration_minutes = whole_field(1, 1440, required=True)


class ClassGroupInput(Input):
    example = {
        "name": "Evening yoga", "club_id": 1, "event_type_id": 4, "weekday": 2, "starts_at_time": "18:00",
        "duration_minutes": 60, "capacity": 12, "dropin_price": "15.00",
    }

    name = fields.String(required=True)
    translations = translations_field()
    category_id = key_field(allow_none=True)
    level_id = key_field(allow_none=True)
    club_id = key_field(required=True)
    room = fields.String(allow_none=True)
    team_member_id = key_field(allow_none=True)
    event_type_id = key_field(required=True)
    semester_id = key_field(allow_none=True)
    weekday = whole_field(0, 6, description="0 is Monday; of the first weekly time")
    starts_at_time = fields.Time()
    duration_minutes = whole_field(1, 1440)
    slots = fields.List(fields.Nested(SlotInput), metadata={"description": "All weekly times, if there are several"})
    first_date = fields.Date()
    last_date = fields.Date(allow_none=True)
    capacity = whole_field(1, 10_000)
    dropin_price = fields.String(
        allow_none=True, metadata={"description": "Of a single class: a decimal number in the club's currency"}
    )
    colour = fields.String(allow_none=True)
    active = Flag()
    confirm_overlap = Flag(metadata={"description": "Double bookings of the instructor or the room are meant"})


class SessionSchema(Schema):
    example = {
        "id": 41, "kind": "class", "class_group_id": 3, "event_type_id": 4, "club_id": 1, "team_member_id": 5,
        "room": "Hall", "name": "Evening yoga", "starts_at": "2026-03-04T17:00:00+00:00",
        "ends_at": "2026-03-04T18:00:00+00:00", "capacity": 12, "booked": 7, "waiting": 0, "status": "scheduled",
        "moved": False, "cancel_reason": None, **STAMPS,
    }

    id = fields.Integer(required=True)
    kind = fields.String(required=True)
    class_group_id = fields.Integer(required=True, allow_none=True)
    event_type_id = fields.Integer(required=True)
    club_id = fields.Integer(required=True)
    team_member_id = fields.Integer(required=True, allow_none=True)
    room = fields.String(required=True, allow_none=True)
    name = fields.String(required=True, attribute="label")
    starts_at = fields.AwareDateTime(required=True)
    ends_at = fields.AwareDateTime(required=True)
    capacity = fields.Integer(required=True)
    booked = fields.Integer(required=True)
    waiting = fields.Integer(required=True)
    status = fields.String(required=True)
    moved = fields.Boolean(required=True)
    cancel_reason = fields.String(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class SessionInput(Input):
    example = {"class_group_id": 3, "starts_at": "2027-03-05T18:00:00+01:00"}

    event_type_id = key_field(metadata={"description": "Not needed for a session of a class group"})
    club_id = key_field(metadata={"description": "Not needed for a session of a class group"})
    team_member_id = key_field(allow_none=True)
    class_group_id = key_field(allow_none=True)
    room = fields.String(allow_none=True)
    starts_at = fields.AwareDateTime(required=True)
    ends_at = fields.AwareDateTime()
    capacity = whole_field(1, 10_000)
    confirm_overlap = Flag(metadata={"description": "A double booking of the instructor or the room is meant"})


class SessionChange(Input):
    example = {"starts_at": "2027-03-05T18:00:00+01:00"}

    team_member_id = key_field(allow_none=True)
    room = fields.String(allow_none=True)
    starts_at = fields.AwareDateTime()
    ends_at = fields.AwareDateTime()
    capacity = whole_field(1, 10_000)
    confirm_overlap = Flag(metadata={"description": "A double booking is meant"})
    confirm_validity = Flag(
        metadata={"description": "It shall move although credits that pay for it are paused or expired that day"}
    )


class BookingSchema(Schema):
    example = {
        "id": 77, "client_id": 7, "participant_id": 9, "session_id": 41, "state": "booked", "pays": "lot",
        "enrollment_id": None, "lot_id": 12, "held_until": None, "returned": None, "cancel_reason": None, **STAMPS,
    }

    id = fields.Integer(required=True)
    client_id = fields.Integer(required=True)
    participant_id = fields.Integer(required=True)
    session_id = fields.Integer(required=True)
    state = fields.String(required=True, metadata={"enum": [str(state) for state in BookingState]})
    pays = fields.String(required=True, allow_none=True)
    enrollment_id = fields.Integer(required=True, allow_none=True)
    lot_id = fields.Integer(required=True, allow_none=True)
    held_until = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "Up to then a freed place waits for the answer"}
    )
    returned = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "Whether what paid came back; empty while it is on"}
    )
    cancel_reason = fields.String(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class BookingInput(Input):
    example = {"client_id": 7, "session_id": 41, "pay_with": "auto"}

    client_id = key_field(required=True)
    participant_id = key_field(allow_none=True, metadata={"description": "The client themself unless given"})
    session_id = key_field(required=True)
    pay_with = fields.Raw(metadata={"description": PAY_WITH})
    confirm_overlap = Flag(metadata={"description": "A double booking of the participant is meant"})


def pay_with_of(given: Any, currency: str) -> PayWith:
    """What a caller wants to pay with. Raises: InvalidInput."""
    if given in (None, "auto"):
        return PayWith()
    if given in (Pays.trial, Pays.nothing):
        return PayWith(Pays(given))
    if isinstance(given, Mapping):
        if set(given) == {"enrollment_id"} and is_whole(given["enrollment_id"]):
            return PayWith(Pays.enrollment, enrollment_id=given["enrollment_id"])
        if set(given) == {"lot_id"} and is_whole(given["lot_id"]):
            return PayWith(Pays.lot, lot_id=given["lot_id"])
        if given.get("charge") is True and set(given) <= {"charge", "amount"}:
            return PayWith(Pays.charge, amount=charge_amount(given.get("amount"), currency))
    raise InvalidInput(
        fields={"pay_with": _l("Choose auto, an enrollment_id, a lot_id, a charge, trial or nothing.")}
    )


def charge_amount(given: Any, currency: str) -> int | None:
    """An amount of a charge in minor units; None for the class group's own price. Raises: InvalidInput."""
    return None if given in (None, "") else money.from_field(given, currency, "amount")


class WalkInInput(Input):
    example = {"client_id": 7, "session_id": 41}

    client_id = key_field(required=True)
    participant_id = key_field(allow_none=True, metadata={"description": "The client themself unless given"})
    session_id = key_field(required=True)
    pay_with = fields.Raw(metadata={"description": PAY_WITH})


class AppointmentInput(Input):
    example = {"client_id": 7, "event_type_id": 4, "starts_at": "2027-03-05T18:00:00+01:00", "pay_with": "auto"}

    client_id = key_field(required=True)
    participant_id = key_field(allow_none=True, metadata={"description": "The client themself unless given"})
    event_type_id = key_field(required=True)
    club_id = key_field(metadata={"description": "The client's club unless given"})
    team_member_id = key_field(allow_none=True)
    room = fields.String(allow_none=True)
    starts_at = fields.AwareDateTime(required=True)
    ends_at = fields.AwareDateTime(metadata={"description": "After the usual time of the event type unless given"})
    pay_with = fields.Raw(metadata={"description": PAY_WITH})
    confirm_overlap = Flag(metadata={"description": "A double booking is meant"})


class TakePlaceInput(Input):
    example = {"confirm_overlap": False}

    confirm_overlap = Flag(metadata={"description": "A double booking of the participant is meant"})


class PresentAnswer(Schema):
    example = {"present": 11}

    present = fields.Integer(required=True, metadata={"description": "How many were booked and are attended now"})


class CancelInput(Input):
    example = {"return_credit": True, "reason": "Ill"}

    return_credit = Flag(allow_none=True, metadata={"description": "Unsaid: by the notice hours"})
    reason = fields.String(allow_none=True)


class CancelAnswer(Schema):
    example = {"booking_id": 77, "state": "cancelled", "returned": True, "credits": 1}

    booking_id = fields.Integer(required=True)
    state = fields.String(required=True)
    returned = fields.Boolean(required=True, metadata={"description": "Whether what paid came back"})
    credits = fields.Integer(required=True)


class AttendanceInput(Input):
    example = {"state": "attended"}

    state = choice_field(BookingState, required=True)
    early = Flag(
        load_default=True, metadata={"description": "False: refuse it for a session whose day has not come"}
    )

"""What REST takes and gives for enrollments."""

from typing import Any

from marshmallow import Schema, fields

from ..core import money
from ..core.web.inputs import Input, choice_field, key_field, whole_field
from .calc import Refund, Unused

_MONEY = {"description": "A decimal number in the enrollment's currency", "type": "string"}


def _amount(name: str) -> fields.Function:
    return fields.Function(
        lambda item: str(money.to_decimal(_value(item, name), _value(item, "currency"))), required=True,
        metadata=_MONEY,
    )


def _value(item: Any, name: str) -> Any:
    return item[name] if isinstance(item, dict) else getattr(item, name)


class EnrollmentSchema(Schema):
    example = {
        "id": 5, "kind": "package", "status": "active", "client_id": 7, "participant_id": None, "club_id": 1,
        "package_id": 2, "event_type_id": 4, "total": 10, "used": 2, "reserved": 1, "remaining": 7,
        "price": "150.00", "paid": "150.00", "refunded": "0.00", "currency": "EUR", "begins_on": "2026-03-02",
        "ends_on": "2026-08-29", "renewed_from_id": None, "deleted_at": None,
        "created_at": "2026-03-02T09:30:00+00:00", "updated_at": "2026-03-02T09:30:00+00:00",
    }

    id = fields.Integer(required=True)
    kind = fields.String(required=True)
    status = fields.String(required=True)
    client_id = fields.Integer(required=True)
    participant_id = fields.Integer(required=True, allow_none=True)
    club_id = fields.Integer(required=True)
    package_id = fields.Integer(required=True, allow_none=True)
    event_type_id = fields.Integer(required=True, allow_none=True)
    total = fields.Integer(required=True)
    used = fields.Integer(required=True)
    reserved = fields.Integer(required=True)
    remaining = fields.Integer(required=True)
    price = _amount("price")
    paid = _amount("paid")
    refunded = _amount("refunded")
    currency = fields.String(required=True)
    begins_on = fields.Date(required=True)
    ends_on = fields.Date(required=True, allow_none=True)
    renewed_from_id = fields.Integer(required=True, allow_none=True)
    deleted_at = fields.AwareDateTime(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class EnrollmentInput(Input):
    example = {"client_id": 7, "package_id": 2, "begins_on": "2026-03-02"}

    client_id = key_field(required=True)
    participant_id = key_field(allow_none=True)
    package_id = key_field(required=True)
    begins_on = fields.Date(allow_none=True)


class SessionsInput(Input):
    example = {"total": 12, "charge": "30.00"}

    total = whole_field(0, 1000, required=True)
    charge = fields.String(allow_none=True, metadata={"description": "What the additional sessions cost"})


class CompleteInput(Input):
    example = {"unused": "keep"}

    unused = choice_field(Unused)
    reason = fields.String(allow_none=True)


class CancelEnrollmentInput(Input):
    example = {"refund": "partial", "amount": "100.00", "reason": "Moves away"}

    refund = choice_field(Refund, required=True)
    amount = fields.String(allow_none=True, metadata={"description": "Instead of the partial refund proposed"})
    reason = fields.String(allow_none=True)


class PauseInput(Input):
    example = {"begins_on": "2026-07-01", "ends_on": "2026-07-14", "reason": "Holiday"}

    begins_on = fields.Date(allow_none=True, metadata={"description": "Today unless given"})
    ends_on = fields.Date(required=True, metadata={"description": "The last day of the pause"})
    reason = fields.String(allow_none=True)


class ResumeInput(Input):
    example: dict[str, Any] = {"reason": "Back early"}

    reason = fields.String(allow_none=True)


class RenewInput(Input):
    example: dict[str, Any] = {"begins_on": "2026-09-01"}

    begins_on = fields.Date(allow_none=True, metadata={"description": "After the present end unless given"})


class EnrollmentReasonInput(Input):
    example = {"reason": "Clicked by mistake"}

    reason = fields.String(required=True)


class QuoteSchema(Schema):
    example = {
        "amount": "105.00", "percentage": "70.00", "paid": "150.00", "refundable": "150.00", "remaining": 7,
        "total": 10, "currency": "EUR",
    }

    amount = _amount("amount")
    percentage = fields.String(required=True, metadata={"description": "Of what was paid, half-up to two decimals"})
    paid = _amount("paid")
    refundable = _amount("refundable")
    remaining = fields.Integer(required=True)
    total = fields.Integer(required=True)
    currency = fields.String(required=True)

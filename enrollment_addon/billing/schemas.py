"""What REST takes and gives for money, and how an amount as typed becomes minor units."""

from decimal import Decimal, InvalidOperation
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import Schema, fields, validate

from ..core import money
from ..core.errors import InvalidInput
from ..core.web.inputs import Input, key_field
from .models import ChargeStatus, Method
from .service.payments import MOST_CHARGES

AMOUNT = {"description": "A decimal number with at most the currency's decimals", "example": "45.00"}


def minor_units(amount: Decimal | str, currency: str) -> int:
    """An amount above nothing, in minor units. Raises: InvalidInput at the field `amount`."""
    try:
        minor = money.to_minor(amount, currency)
    except InvalidInput as error:
        raise InvalidInput(fields={"amount": error}) from None
    if minor <= 0:
        raise InvalidInput(fields={"amount": _l("This must be more than 0.")})
    return minor


def percent(rate: str) -> Decimal:
    """A tax rate as it was sent. Raises: InvalidInput at the field `tax_rate`."""
    try:
        return Decimal(rate)
    except InvalidOperation:
        raise InvalidInput(fields={"tax_rate": _l("This is not a number.")}) from None


def as_decimals(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of a payment with its amounts as decimal strings."""

    def shown(minor: int) -> str:
        return str(money.to_decimal(minor, answer["currency"]))

    return {
        **answer, "on_account": shown(answer["on_account"]),
        "settled": [{**part, "amount": shown(part["amount"])} for part in answer["settled"]],
    }


def _money(name: str) -> fields.Function:
    """A column in minor units as a decimal string."""
    return fields.Function(
        lambda row: str(money.to_decimal(getattr(row, name), row.currency)), required=True,
        metadata={"type": "string", "example": "45.00"},
    )


class ChargeSchema(Schema):
    example = {
        "id": 61, "client_id": 7, "enrollment_id": None, "booking_id": None, "what": "Agility, 3 classes",
        "net": "37.82", "tax": "7.18", "gross": "45.00", "tax_rate": "19", "currency": "EUR",
        "issued_at": "2026-03-02T09:30:00+00:00", "due_on": "2026-03-16", "status": "open", "settled": "20.00",
        "credited": "0.00", "open": "25.00",
    }

    id = fields.Integer(required=True)
    client_id = fields.Integer(required=True)
    enrollment_id = fields.Integer(required=True, allow_none=True)
    booking_id = fields.Integer(required=True, allow_none=True)
    what = fields.String(required=True)
    net = _money("net")
    tax = _money("tax")
    gross = _money("gross")
    tax_rate = fields.Function(
        lambda charge: f"{charge.tax_rate.normalize():f}", required=True,
        metadata={"type": "string", "example": "19", "description": "In percent"},
    )
    currency = fields.String(required=True)
    issued_at = fields.AwareDateTime(required=True)
    due_on = fields.Date(required=True)
    status = fields.String(required=True, metadata={"enum": list(map(str, ChargeStatus))})
    settled = _money("settled")
    credited = _money("credited")
    open = _money("open")


class ChargeInput(Input):
    example = {
        "client_id": 7, "what": "Agility, 3 classes", "amount": "45.00", "tax_rate": "19", "due_on": "2026-03-16"
    }

    client_id = key_field(required=True)
    what = fields.String(required=True)
    amount = fields.String(required=True, metadata={**AMOUNT, "description": "Gross: the tax is included"})
    currency = fields.String(metadata={"description": "ISO 4217; that of the client's club unless told"})
    tax_rate = fields.String(load_default="0", metadata={"description": "In percent", "example": "19"})
    due_on = fields.Date(metadata={"description": "Today unless told"})


class ReasonInput(Input):
    example = {"reason": "Issued twice"}

    reason = fields.String(required=True)


class PaymentSchema(Schema):
    example = {
        "id": 88, "client_id": 7, "amount": "50.00", "currency": "EUR", "method": "cash", "reference": None,
        "paid_on": "2026-03-02", "created_at": "2026-03-02T09:30:00+00:00", "settled": "45.00", "refunded": "0.00",
        "on_account": "5.00",
    }

    id = fields.Integer(required=True)
    client_id = fields.Integer(required=True)
    amount = _money("amount")
    currency = fields.String(required=True)
    method = fields.String(required=True, metadata={"enum": list(map(str, Method))})
    reference = fields.String(required=True, allow_none=True)
    paid_on = fields.Date(required=True)
    created_at = fields.AwareDateTime(required=True)
    settled = _money("settled")
    refunded = _money("refunded")
    on_account = fields.Function(
        lambda payment: str(money.to_decimal(payment.left, payment.currency)), required=True,
        metadata={"type": "string", "example": "5.00"},
    )


class PaymentInput(Input):
    example = {"client_id": 7, "amount": "50.00", "method": "cash", "charge_ids": [61], "reference": "R-1024"}

    client_id = key_field(required=True)
    amount = fields.String(required=True, metadata=AMOUNT)
    method = fields.String(
        required=True,
        metadata={"enum": [*map(str, Method), "account"], "description": "account: use what is on account already"},
    )
    charge_ids = fields.List(
        key_field(), allow_none=True,
        validate=validate.Length(min=1, max=MOST_CHARGES, error=_l("Choose from 1 to %(most)s charges.",
                                                                   most=MOST_CHARGES)),
        metadata={"description": "The oldest open charges first unless told"},
    )
    currency = fields.String(metadata={"description": "ISO 4217; that of the charges or the client's club unless told"})
    reference = fields.String(allow_none=True)
    paid_on = fields.Date(allow_none=True, metadata={"description": "Today unless told"})


class SettledSchema(Schema):
    charge_id = fields.Integer(required=True)
    amount = fields.String(required=True)


class PaymentAnswer(Schema):
    example = {
        "id": 88, "currency": "EUR", "settled": [{"charge_id": 61, "amount": "45.00"}], "on_account": "5.00"
    }

    id = fields.Integer(
        required=True, allow_none=True,
        metadata={"description": "null when what was on account was used: no new money, no new payment"},
    )
    currency = fields.String(required=True)
    settled = fields.List(fields.Nested(SettledSchema), required=True)
    on_account = fields.String(
        required=True, metadata={"description": "All that the client has on account in this currency now"}
    )


class RefundInput(Input):
    example = {"payment_id": 88, "amount": "5.00", "reason": "Paid too much"}

    payment_id = key_field(required=True)
    amount = fields.String(required=True, metadata=AMOUNT)
    reason = fields.String(required=True)


class RefundSchema(Schema):
    example = {
        "id": 12, "client_id": 7, "payment_id": 88, "charge_id": None, "amount": "5.00", "currency": "EUR",
        "reason": "Paid too much", "created_at": "2026-03-02T09:30:00+00:00",
    }

    id = fields.Integer(required=True)
    client_id = fields.Integer(required=True)
    payment_id = fields.Integer(required=True)
    charge_id = fields.Integer(required=True, allow_none=True)
    amount = _money("amount")
    currency = fields.String(required=True)
    reason = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)

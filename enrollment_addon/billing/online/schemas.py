"""What REST takes and gives for online payment."""

from flask_babel import lazy_gettext as _l
from marshmallow import Schema, fields, validate

from ...core import money
from ...core.web.inputs import Input, key_field
from .models import OnlineState
from .service import MOST_CHARGES


class OnlinePaymentSchema(Schema):
    example = {
        "id": 5, "client_id": 7, "charge_ids": [61], "amount": "45.00", "currency": "EUR", "state": "open",
        "url": "https://checkout.stripe.com/c/pay/cs_live_1", "ends_at": "2026-03-03T09:30:00+00:00",
        "created_at": "2026-03-02T09:30:00+00:00", "closed_at": None, "received": None, "payment_id": None,
    }

    id = fields.Integer(required=True)
    client_id = fields.Integer(required=True)
    charge_ids = fields.Function(
        lambda request: [row.charge_id for row in request.charges], required=True,
        metadata={"type": "array", "items": {"type": "integer"}},
    )
    amount = fields.Function(
        lambda request: str(money.to_decimal(request.amount, request.currency)), required=True,
        metadata={"type": "string", "example": "45.00", "description": "What was asked for"},
    )
    currency = fields.String(required=True)
    state = fields.String(required=True, metadata={"enum": list(map(str, OnlineState))})
    url = fields.String(
        required=True, allow_none=True,
        metadata={"description": "The provider’s page for the client; null once it has ended"},
    )
    ends_at = fields.AwareDateTime(required=True)
    created_at = fields.AwareDateTime(required=True)
    closed_at = fields.AwareDateTime(required=True, allow_none=True)
    received = fields.Function(
        lambda request: None if request.payment is None else str(
            money.to_decimal(request.payment.amount, request.payment.currency)
        ),
        required=True, allow_none=True,
        metadata={"type": "string", "example": "45.00", "nullable": True,
                  "description": "What came in, in the currency of the payment; null before"},
    )
    payment_id = fields.Integer(required=True, allow_none=True)


class OnlinePaymentInput(Input):
    example = {"client_id": 7, "charge_ids": [61]}

    client_id = key_field(required=True)
    charge_ids = fields.List(
        key_field(), allow_none=True,
        validate=validate.Length(min=1, max=MOST_CHARGES, error=_l("Choose from 1 to %(most)s charges.",
                                                                   most=MOST_CHARGES)),
        metadata={"description": "All that are open in the currency unless told"},
    )
    currency = fields.String(metadata={"description": "ISO 4217; that of the charges or the client's club unless told"})

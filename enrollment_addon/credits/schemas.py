"""What REST takes and gives for credits."""

from typing import Any

from marshmallow import Schema, fields, validate

from ..core import money
from ..core.web.api import Input

LARGEST_KEY = 2**63 - 1


def _key(**kw: Any) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(min=1, max=LARGEST_KEY), **kw)


class PeriodInput(Input):
    days = fields.Integer(strict=True)
    weeks = fields.Integer(strict=True)
    months = fields.Integer(strict=True)


class GrantInput(Input):
    client_ids = fields.List(fields.Integer(strict=True), validate=validate.Length(max=10_000))
    filter = fields.Raw(
        metadata={"description": "Instead of client_ids: [{col, opr, value}] as in the list of clients, "
                                 "or {filters: […], search: text}, or {column: value}"},
    )
    event_type_id = _key(required=True)
    quantity = fields.Integer(strict=True, required=True)
    expires_on = fields.Date(allow_none=True)
    expires_in = fields.Nested(PeriodInput, allow_none=True)
    priority = fields.Integer(strict=True)
    unit_value = fields.String()
    shared = fields.Boolean(truthy={True}, falsy={False})
    note = fields.String(allow_none=True)


class SkippedSchema(Schema):
    client_id = fields.Integer(required=True)
    reason = fields.String(required=True)


class GrantAnswer(Schema):
    batch_id = fields.Integer(required=True)
    granted = fields.Integer(required=True)
    skipped = fields.List(fields.Nested(SkippedSchema), required=True)
    skipped_count = fields.Integer(required=True)


class GrantJobAnswer(Schema):
    batch_id = fields.Integer(required=True)
    job_id = fields.Integer(required=True)


class VoidInput(Input):
    lot_ids = fields.List(_key(), required=True, validate=validate.Length(min=1, max=2_000))
    reason = fields.String(required=True)


class VoidAnswer(Schema):
    voided = fields.Integer(required=True)


class UndoInput(Input):
    reason = fields.String()
    preview = fields.Boolean(truthy={True}, falsy={False}, load_default=False)


class UndoAnswer(Schema):
    taken_back = fields.Integer(required=True)
    kept_spent = fields.Integer(required=True)
    clients = fields.Integer(required=True)


class UndoJobAnswer(UndoAnswer):
    job_id = fields.Integer(required=True)


class LotSchema(Schema):
    id = fields.Integer(required=True)
    client_id = fields.Integer(required=True)
    event_type_id = fields.Integer(required=True)
    quantity = fields.Integer(required=True)
    available = fields.Integer(required=True)
    reserved = fields.Integer(required=True)
    used = fields.Integer(required=True)
    expired = fields.Integer(required=True)
    voided = fields.Integer(required=True)
    transferred = fields.Integer(required=True)
    expires_on = fields.Date(required=True, allow_none=True)
    granted_at = fields.AwareDateTime(required=True)
    origin = fields.String(required=True)
    priority = fields.Integer(required=True)
    shared = fields.Boolean(required=True)
    unit_value = fields.Function(
        lambda lot: str(money.to_decimal(lot.unit_value, lot.currency)), required=True,
        metadata={"type": "string", "example": "15.00"},
    )
    currency = fields.String(required=True)
    enrollment_id = fields.Constant(None, required=True, allow_none=True)
    batch_id = fields.Integer(required=True, allow_none=True)
    note = fields.String(required=True, allow_none=True)


class BalanceSchema(Schema):
    event_type_id = fields.Integer(required=True)
    available = fields.Integer(required=True)
    reserved = fields.Integer(required=True)
    used = fields.Integer(required=True)
    lapsed = fields.Integer(required=True, metadata={"description": "Past their last day, not yet swept"})
    next_expiry = fields.Date(required=True, allow_none=True)


class ClientCreditsSchema(Schema):
    balances = fields.List(fields.Nested(BalanceSchema), required=True)
    lots = fields.List(fields.Nested(LotSchema), required=True)


class EntrySchema(Schema):
    id = fields.Integer(required=True)
    lot_id = fields.Integer(required=True)
    kind = fields.String(required=True)
    available_change = fields.Integer(required=True)
    reserved_change = fields.Integer(required=True)
    running_available = fields.Integer(required=True)
    running_reserved = fields.Integer(required=True)
    at = fields.AwareDateTime(required=True)
    who = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    booking_id = fields.Integer(required=True, allow_none=True)
    reversal_of_id = fields.Integer(required=True, allow_none=True)
    reversed = fields.Boolean(required=True)


class BatchSchema(Schema):
    id = fields.Integer(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    note = fields.String(required=True, allow_none=True)
    total = fields.Integer(required=True)
    done = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    undone_at = fields.AwareDateTime(required=True, allow_none=True)

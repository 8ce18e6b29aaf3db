"""How REST shows credits: lots, the ledger, batches, and what a client has."""

from marshmallow import Schema, fields

from ..core import money


class LotSchema(Schema):
    example = {
        "id": 501, "client_id": 7, "event_type_id": 4, "quantity": 10, "available": 8, "reserved": 1, "used": 1,
        "expired": 0, "voided": 0, "transferred": 0, "expires_on": "2026-09-02",
        "granted_at": "2026-03-02T09:30:00+00:00", "origin": "manual", "priority": 50, "shared": False,
        "unit_value": "15.00", "currency": "EUR", "enrollment_id": None, "batch_id": 31, "note": None,
        "held": False, "member_cap": None, "participant_ids": [],
    }

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
    enrollment_id = fields.Integer(required=True, allow_none=True)
    batch_id = fields.Integer(required=True, allow_none=True)
    note = fields.String(required=True, allow_none=True)
    held = fields.Boolean(required=True, metadata={"description": "On hold: can't be spent and doesn't expire"})
    member_cap = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Of a shared lot: the most each other member spends"}
    )
    participant_ids = fields.List(
        fields.Integer(), required=True, metadata={"description": "Whom it is restricted to; empty: anyone"}
    )


class ExpiringSchema(Schema):
    example = {
        "id": 501, "client_id": 7, "event_type_id": 4, "available": 8, "expires_on": "2026-09-02",
        "unit_value": "15.00", "forfeited": "120.00", "currency": "EUR",
    }

    id = fields.Integer(required=True)
    client_id = fields.Integer(required=True)
    event_type_id = fields.Integer(required=True)
    available = fields.Integer(required=True)
    expires_on = fields.Date(required=True)
    unit_value = fields.Function(
        lambda lot: str(money.to_decimal(lot.unit_value, lot.currency)), required=True,
        metadata={"type": "string", "example": "15.00"},
    )
    forfeited = fields.Function(
        lambda lot: str(money.to_decimal(lot.available * lot.unit_value, lot.currency)), required=True,
        metadata={"type": "string", "example": "120.00", "description": "What is lost if nobody uses these credits"},
    )
    currency = fields.String(required=True)


class BalanceSchema(Schema):
    example = {
        "event_type_id": 4, "available": 8, "reserved": 1, "used": 1, "lapsed": 0, "next_expiry": "2026-09-02",
    }

    event_type_id = fields.Integer(required=True)
    available = fields.Integer(required=True)
    reserved = fields.Integer(required=True)
    used = fields.Integer(required=True)
    lapsed = fields.Integer(required=True, metadata={"description": "Past their last day, not yet swept"})
    next_expiry = fields.Date(required=True, allow_none=True)


class SharedSchema(Schema):
    example = {"event_type_id": 4, "available": 2, "next_expiry": None, "owner_ids": [8]}

    event_type_id = fields.Integer(required=True)
    available = fields.Integer(required=True, metadata={"description": "As far as this client's cap lets them"})
    next_expiry = fields.Date(required=True, allow_none=True)
    owner_ids = fields.Function(
        lambda row: [key for key, _name in row.owners], required=True,
        metadata={"type": "array", "items": {"type": "integer"}, "description": "The clients who share, if in reach"},
    )


class ClientCreditsSchema(Schema):
    example = {"balances": [BalanceSchema.example], "lots": [LotSchema.example], "shared": [SharedSchema.example]}

    balances = fields.List(fields.Nested(BalanceSchema), required=True)
    lots = fields.List(fields.Nested(LotSchema), required=True)
    shared = fields.List(
        fields.Nested(SharedSchema), required=True,
        metadata={"description": "What others of the household share now; in none of the balances, empty with as_of"},
    )


class OtherSideSchema(Schema):
    lot_id = fields.Integer(required=True)
    client_id = fields.Integer(required=True)
    event_type_id = fields.Integer(required=True)


class EntrySchema(Schema):
    example = {
        "id": 9001, "lot_id": 501, "kind": "grant", "available_change": 10, "reserved_change": 0,
        "running_available": 10, "running_reserved": 0, "at": "2026-03-02T09:30:00+00:00", "who": "Ana Ruiz",
        "reason": None, "booking_id": None, "reversal_of_id": None, "reversed": False,
        "old_expires_on": None, "new_expires_on": None, "member_id": None, "batch_id": None, "others": [],
    }

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
    old_expires_on = fields.Date(required=True, allow_none=True)
    new_expires_on = fields.Date(required=True, allow_none=True)
    member_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Who of the household spent a shared credit"}
    )
    batch_id = fields.Integer(required=True, allow_none=True)
    others = fields.List(
        fields.Nested(OtherSideSchema), required=True, attribute="others_in_reach",
        metadata={"description": "The lots that moved credits went to or came from, as far as they are in reach"},
    )


class LedgerSchema(Schema):
    example = {
        "id": 9001, "client_id": 7, "event_type_id": 4, "lot_id": 501, "kind": "grant", "available_change": 10,
        "reserved_change": 0, "at": "2026-03-02T09:30:00+00:00", "who": "Ana Ruiz", "reason": None,
        "booking_id": None, "reversal_of_id": None, "member_id": None, "batch_id": None,
    }

    id = fields.Integer(required=True)
    client_id = fields.Integer(required=True)
    event_type_id = fields.Integer(required=True)
    lot_id = fields.Integer(required=True)
    kind = fields.String(required=True)
    available_change = fields.Integer(required=True)
    reserved_change = fields.Integer(required=True)
    at = fields.AwareDateTime(required=True)
    who = fields.String(required=True, allow_none=True, metadata={"description": "null: the system"})
    reason = fields.String(required=True, allow_none=True)
    booking_id = fields.Integer(required=True, allow_none=True)
    reversal_of_id = fields.Integer(required=True, allow_none=True)
    member_id = fields.Integer(required=True, allow_none=True)
    batch_id = fields.Integer(required=True, allow_none=True)


class BatchSchema(Schema):
    example = {
        "id": 31, "kind": "credits.grant", "state": "done", "note": "Spring offer", "total": 40, "done": 40,
        "created_at": "2026-03-02T09:30:00+00:00", "undone_at": None,
    }

    id = fields.Integer(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    note = fields.String(required=True, allow_none=True)
    total = fields.Integer(required=True)
    done = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    undone_at = fields.AwareDateTime(required=True, allow_none=True)

"""What REST takes and gives for credits."""

from flask_babel import lazy_gettext as _l
from marshmallow import Schema, fields, validate

from ..core import money
from ..core.web.inputs import Flag, Input, key_field
from .service.terms import MOST_CREDITS


class PeriodInput(Input):
    """One of the three."""

    days = fields.Integer(strict=True)
    weeks = fields.Integer(strict=True)
    months = fields.Integer(strict=True)


class GrantInput(Input):
    example = {
        "client_ids": [7, 8], "event_type_id": 4, "quantity": 10, "expires_in": {"months": 6},
        "unit_value": "15.00", "note": "Spring offer",
    }

    client_ids = fields.List(
        fields.Integer(strict=True),
        validate=validate.Length(max=10_000, error=_l("At most 10,000 clients; use a filter for more.")),
    )
    filter = fields.Raw(
        metadata={"description": "Instead of client_ids: [{col, opr, value}] as in the list of clients, "
                                 "or {filters: […], search: text}, or {column: value}"},
    )
    event_type_id = key_field(required=True)
    quantity = fields.Integer(strict=True, required=True, metadata={"minimum": 1, "maximum": MOST_CREDITS})
    expires_on = fields.Date(allow_none=True, metadata={"description": "The last day; or give expires_in"})
    expires_in = fields.Nested(PeriodInput, allow_none=True)
    priority = fields.Integer(strict=True, metadata={"minimum": 0, "maximum": 100})
    unit_value = fields.String(metadata={"description": "A decimal number in the currency of the clients' club"})
    shared = Flag()
    member_cap = fields.Integer(
        strict=True, allow_none=True, metadata={"minimum": 1, "description": "The most each other member may spend"}
    )
    participant_ids = fields.List(
        key_field(), validate=validate.Length(max=100),
        metadata={"description": "Restricts the credits of a single client to these participants"},
    )
    note = fields.String(allow_none=True)
    preview = Flag(load_default=False, metadata={"description": "Only say whom it would serve; nothing is written"})


class SkippedSchema(Schema):
    client_id = fields.Integer(required=True)
    reason = fields.String(required=True)


class GrantAnswer(Schema):
    example = {
        "batch_id": 31, "granted": 1, "skipped": [{"client_id": 8, "reason": "archived"}], "skipped_count": 1,
    }

    batch_id = fields.Integer(required=True)
    granted = fields.Integer(required=True)
    skipped = fields.List(fields.Nested(SkippedSchema), required=True)
    skipped_count = fields.Integer(required=True)


class GrantPreviewAnswer(Schema):
    example = {
        "clients": 1, "credits": 10, "expires_on": ["2026-09-02"], "currency": "EUR", "skipped_count": 1,
        "skipped": [{"client_id": 8, "reason": "archived"}],
    }

    clients = fields.Integer(required=True)
    credits = fields.Integer(required=True)
    expires_on = fields.List(
        fields.Date(), required=True, attribute="expires",
        metadata={"description": "The last days, by the clocks of the clients' clubs; none when they never expire"},
    )
    currency = fields.String(required=True, allow_none=True, metadata={"description": "null: the clubs' differ"})
    skipped = fields.List(fields.Nested(SkippedSchema), required=True)
    skipped_count = fields.Integer(required=True)


class GrantJobAnswer(Schema):
    example = {"batch_id": 32, "job_id": 90}

    batch_id = fields.Integer(required=True)
    job_id = fields.Integer(required=True)


class LotsInput(Input):
    """Lots by key, or all that match."""

    lot_ids = fields.List(
        key_field(), validate=validate.Length(max=2_000, error=_l("At most 2,000 lots; use a filter for more."))
    )
    filter = fields.Raw(
        metadata={"description": "Instead of lot_ids: [{col, opr, value}] as in the list of lots, or {filters: […]}, "
                                 "or {column: value}"},
    )
    reason = fields.String(required=True)


class VoidInput(LotsInput):
    example = {"lot_ids": [501], "reason": "Sold by mistake"}


class SkippedLotSchema(Schema):
    lot_id = fields.Integer(required=True)
    reason = fields.String(required=True)


class VoidAnswer(Schema):
    example = {
        "batch_id": 33, "voided": 8, "skipped": [{"lot_id": 507, "reason": "not_found"}], "skipped_count": 1,
    }

    batch_id = fields.Integer(required=True)
    voided = fields.Integer(required=True)
    skipped = fields.List(fields.Nested(SkippedLotSchema), required=True)
    skipped_count = fields.Integer(required=True)


class MoveJobAnswer(Schema):
    example = {"batch_id": 33, "job_id": 92}

    batch_id = fields.Integer(required=True)
    job_id = fields.Integer(required=True)


class ExtendInput(LotsInput):
    example = {"lot_ids": [501, 502], "expires_on": "2026-12-31", "reason": "Closed in summer"}

    expires_on = fields.Date(
        allow_none=True, metadata={"description": "The new last day; null: they never expire; or give extend_by"}
    )
    extend_by = fields.Nested(
        PeriodInput, metadata={"description": "Each lot from its own last day; what never expires stays so"}
    )
    reason = fields.String(metadata={"description": "Required unless it is only a preview"})
    preview = Flag(load_default=False)


class ExtendAnswer(Schema):
    example = {"batch_id": 34, "extended": 2, "shortened": 0, "skipped": [], "skipped_count": 0}

    batch_id = fields.Integer(required=True, allow_none=True, metadata={"description": "null: it is only a preview"})
    extended = fields.Integer(required=True, metadata={"description": "Lots; those with nothing left are left out"})
    shortened = fields.Integer(required=True, metadata={"description": "Of these, good for less long than before"})
    skipped = fields.List(fields.Nested(SkippedLotSchema), required=True)
    skipped_count = fields.Integer(required=True)


class TransferInput(Input):
    example = {"from_client_id": 7, "to_client_id": 8, "event_type_id": 4, "quantity": 3, "reason": "For the sister"}

    from_client_id = key_field(required=True)
    to_client_id = key_field(required=True)
    event_type_id = key_field(required=True)
    quantity = fields.Integer(strict=True, required=True, metadata={"minimum": 1, "maximum": MOST_CREDITS})
    reason = fields.String(required=True)


class TransferAnswer(Schema):
    example = {"batch_id": 35, "transferred": 3}

    batch_id = fields.Integer(required=True)
    transferred = fields.Integer(required=True)


class ConvertInput(Input):
    example = {
        "client_id": 7, "from_event_type_id": 4, "to_event_type_id": 5, "quantity": 5, "give": 2, "get": 1,
        "reason": "Group lessons instead",
    }

    client_id = key_field(required=True)
    from_event_type_id = key_field(required=True)
    to_event_type_id = key_field(required=True)
    quantity = fields.Integer(strict=True, required=True, metadata={"minimum": 1, "maximum": MOST_CREDITS})
    give = fields.Integer(strict=True, required=True, metadata={"minimum": 1, "maximum": 100})
    get = fields.Integer(strict=True, required=True, metadata={"minimum": 1, "maximum": 100})
    reason = fields.String(required=True)


class ConvertAnswer(Schema):
    example = {"batch_id": 36, "converted": 4, "received": 2, "left": 1}

    batch_id = fields.Integer(required=True)
    converted = fields.Integer(required=True)
    received = fields.Integer(required=True)
    left = fields.Integer(required=True, metadata={"description": "Below a whole step: they stay as they were"})


class LotTransferInput(LotsInput):
    example = {"lot_ids": [501, 502], "to_client_id": 8, "reason": "For the sister"}

    to_client_id = key_field(required=True)
    reason = fields.String(metadata={"description": "Required unless it is only a preview"})
    preview = Flag(load_default=False)


class LotTransferAnswer(Schema):
    example = {
        "batch_id": 37, "transferred": 10, "lots": 2, "left_out": {}, "skipped": [], "skipped_count": 0,
    }

    batch_id = fields.Integer(required=True, allow_none=True, metadata={"description": "null: it is only a preview"})
    transferred = fields.Integer(required=True, metadata={"description": "Credits"})
    lots = fields.Integer(required=True)
    left_out = fields.Dict(
        keys=fields.String(), values=fields.Integer(), required=True,
        metadata={"description": "Lots by reason: bound (of an enrollment or on hold), lapsed, own, empty, not_found"},
    )
    skipped = fields.List(fields.Nested(SkippedLotSchema), required=True)
    skipped_count = fields.Integer(required=True)


class ConvertManyInput(Input):
    example = {
        "client_ids": [7, 8], "from_event_type_id": 4, "to_event_type_id": 5, "give": 2, "get": 1,
        "reason": "No more group lessons",
    }

    client_ids = fields.List(
        key_field(), validate=validate.Length(max=2_000, error=_l("At most 2,000 clients; use a filter for more."))
    )
    filter = fields.Raw(
        metadata={"description": "Instead of client_ids: [{col, opr, value}] as in the list of clients, or "
                                 "{filters: […], search: text}, or {column: value}"},
    )
    from_event_type_id = key_field(required=True)
    to_event_type_id = key_field(required=True)
    give = fields.Integer(strict=True, required=True, metadata={"minimum": 1, "maximum": 100})
    get = fields.Integer(strict=True, required=True, metadata={"minimum": 1, "maximum": 100})
    quantity = fields.Integer(
        strict=True, allow_none=True, metadata={"minimum": 1, "maximum": MOST_CREDITS,
                                                "description": "At most so many of each client; else all whole steps"},
    )
    reason = fields.String(metadata={"description": "Required unless it is only a preview"})
    preview = Flag(load_default=False)


class ConvertManyAnswer(Schema):
    example = {
        "batch_id": 38, "clients": 2, "converted": 8, "received": 4, "left_out": {"empty": 1}, "skipped": [],
        "skipped_count": 1,
    }

    batch_id = fields.Integer(required=True, allow_none=True, metadata={"description": "null: it is only a preview"})
    clients = fields.Integer(required=True)
    converted = fields.Integer(required=True)
    received = fields.Integer(required=True)
    left_out = fields.Dict(
        keys=fields.String(), values=fields.Integer(), required=True,
        metadata={"description": "Clients by reason: empty (nothing for a whole step), archived, erased, not_found"},
    )
    skipped = fields.List(fields.Nested(SkippedSchema), required=True)
    skipped_count = fields.Integer(required=True)


class UndoInput(Input):
    example = {"reason": "Wrong list", "preview": False}

    reason = fields.String(metadata={"description": "Required unless it is only a preview"})
    preview = Flag(load_default=False)


class UndoAnswer(Schema):
    example = {"taken_back": 76, "kept_spent": 4, "clients": 40, "lapsed": 0, "closed": 0}

    taken_back = fields.Integer(
        required=True, metadata={"description": "Credits taken back; of a void those given back to their lots"}
    )
    kept_spent = fields.Integer(required=True)
    clients = fields.Integer(required=True)
    lapsed = fields.Integer(metadata={"description": "Of these, past their last day then; in a preview"})
    closed = fields.Integer(
        metadata={"description": "Stay voided: client or enrollment gone, or the grant undone; in a preview"}
    )


class UndoJobAnswer(UndoAnswer):
    example = {"taken_back": 0, "kept_spent": 0, "clients": 0, "job_id": 91}

    job_id = fields.Integer(required=True)


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

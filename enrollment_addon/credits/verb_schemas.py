"""What REST takes and gives for the verbs of credits."""

from flask_babel import lazy_gettext as _l
from marshmallow import Schema, fields, validate

from ..core.web.inputs import Flag, Input, key_field, whole_field
from .calc import MOST_CREDITS, MOST_IN_RATIO, MOST_PRIORITY, UNITS


class PeriodInput(Input):
    """One of the three."""

    days = whole_field(1, UNITS["days"])
    weeks = whole_field(1, UNITS["weeks"])
    months = whole_field(1, UNITS["months"])


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
    quantity = whole_field(1, MOST_CREDITS, required=True)
    expires_on = fields.Date(allow_none=True, metadata={"description": "The last day; or give expires_in"})
    expires_in = fields.Nested(PeriodInput, allow_none=True)
    priority = whole_field(0, MOST_PRIORITY)
    unit_value = fields.String(metadata={"description": "A decimal number in the currency of the clients' club"})
    shared = Flag()
    member_cap = whole_field(1, MOST_CREDITS, allow_none=True, description="The most each other member may spend")
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


class BatchJobAnswer(Schema):
    """A large batch is served in the background."""

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
    quantity = whole_field(1, MOST_CREDITS, required=True)
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
    quantity = whole_field(1, MOST_CREDITS, required=True)
    give = whole_field(1, MOST_IN_RATIO, required=True)
    get = whole_field(1, MOST_IN_RATIO, required=True)
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
    give = whole_field(1, MOST_IN_RATIO, required=True)
    get = whole_field(1, MOST_IN_RATIO, required=True)
    quantity = whole_field(
        1, MOST_CREDITS, allow_none=True, description="At most so many of each client; else all whole steps"
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

"""What REST takes and gives for imports. Values are checked by the services."""

from marshmallow import Schema, fields

from ...core.web.inputs import Input, key_field
from .models import ImportState, Outcome


class ImportSchema(Schema):
    example = {
        "id": 3, "name": "clients.csv", "state": "checked", "total": 120, "job_id": None,
        "created_at": "2026-03-02T09:30:00+00:00",
    }

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    state = fields.String(required=True, metadata={"enum": list(map(str, ImportState))})
    total = fields.Integer(required=True)
    job_id = fields.Integer(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class CountsSchema(Schema):
    create = fields.Integer(required=True)
    update = fields.Integer(required=True)
    unchanged = fields.Integer(required=True)
    refused = fields.Integer(required=True)


class ImportDetailSchema(ImportSchema):
    """`columns` are the places of the fields as they were chosen, else as the header says; `counts` are of rows."""

    example = {
        **ImportSchema.example, "header": ["Name", "Surname", "E-mail"],
        "columns": {"first_name": 0, "last_name": 1, "email": 2},
        "counts": {"create": 100, "update": 15, "unchanged": 4, "refused": 1},
    }

    header = fields.List(fields.String(), required=True)
    columns = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    counts = fields.Nested(CountsSchema, required=True)


class CheckInput(Input):
    example = {"columns": {"first_name": 0, "last_name": 1, "email": 2}, "club_id": 1, "dates": "dmy", "decimal": ","}

    columns = fields.Dict(
        keys=fields.String(), values=fields.Integer(strict=True),
        metadata={"description": "The place of each field's column, from 0; as the header says unless given"},
    )
    club_id = key_field(allow_none=True, metadata={"description": "For rows that name no club"})
    dates = fields.String(metadata={"description": "ymd, dmy or mdy"})
    decimal = fields.String(metadata={"description": "The sign before decimals, a point or a comma"})


class ImportJobAnswer(Schema):
    example = {"job_id": 91}

    job_id = fields.Integer(required=True)


class ImportedRowSchema(Schema):
    """What a row would do, or did; the `reason` why it was refused, or what is to be looked at in it."""

    example = {
        "number": 7, "outcome": "refused", "client_id": None, "reason": "There is no active event type “Judo”.",
        "cells": ["Ben", "Kaya", "ben@example.org"],
    }

    number = fields.Integer(required=True)
    outcome = fields.String(required=True, allow_none=True, metadata={"enum": [*map(str, Outcome), None]})
    client_id = fields.Integer(required=True, allow_none=True)
    reason = fields.String(required=True)
    cells = fields.List(fields.String(), required=True)

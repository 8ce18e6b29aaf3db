"""REST of imports: upload a file, name its columns, look at the dry run, write it."""

from collections.abc import Callable
from typing import Any

from flask import current_app, request
from flask_babel import lazy_gettext as _l

from ...core.errors import InvalidInput
from ...core.fields import LARGEST_KEY
from ...core.web.access import MENU
from ...core.web.api import LARGEST_PAGE, RecordApi, idempotency_key, key_of, operation
from ...core.web.inputs import whole_number
from ...core.web.records import LIST_QUERY
from . import queries, service
from .calc import Options, cell_text, guess
from .models import ClientImport, ImportRow, Outcome
from .schemas import CheckInput, ImportDetailSchema, ImportedRowSchema, ImportJobAnswer, ImportSchema
from .upload import upload
from .views import ImportView, reason, refused_file

ROWS_QUERY = (
    ("outcome", "string", "Only rows of this outcome: create, update, unchanged or refused"),
    ("after", "integer", "Only rows behind this number of the file"),
    ("page_size", "integer", "Rows per page, from 1 to 100; 25 unless told"),
)


class ImportApi(RecordApi):
    """Imports of clients with their opening credits."""

    resource = "imports"
    model = ClientImport
    schema = ImportSchema
    class_permission_name = "EnrollmentImport"
    openapi_spec_tag = "Imports"
    filters = ImportView.filters
    orders = {"created_at": (ClientImport.id,)}

    @operation("/", summary="List, filtered and paged", permission="read", answers={200: ImportSchema}, many=True,
               query=LIST_QUERY)
    def get_list(self) -> Any:
        return self.listing()

    @operation("/<pk>", summary="One import and how many rows do what", permission="import_clients", menu=MENU,
               answers={200: ImportDetailSchema})
    def get(self, pk: str) -> Any:
        return self._shown(key_of(pk))

    def _shown(self, key: int, status: int = 200) -> Any:
        item = self.find(str(key))
        columns = (item.options or {"columns": guess(item.header)})["columns"]
        counts = {str(outcome): count for outcome, count in queries.counts(self.session, item.id).items()}
        told = {**ImportSchema().dump(item), "header": item.header, "columns": columns, "counts": counts}
        return self.result(told, status, id=item.id)

    @operation("/", "POST", summary="Upload a CSV or XLSX file; nothing is written before it was checked and started",
               permission="import_clients", menu=MENU, upload="file", answers={201: ImportDetailSchema})
    def post(self) -> Any:
        sent = request.files.get("file")
        if sent is None or not sent.filename:
            raise InvalidInput(fields={"file": _l("Please choose a file.")})
        key = upload(self.session, file=sent.stream, name=sent.filename, actor=self.actor)  # type: ignore[arg-type]
        return self._shown(key, 201)

    @operation("/<pk>/check", "POST", summary="Name the columns and see row by row what would happen",
               permission="import_clients", menu=MENU, body=CheckInput,
               answers={200: ImportDetailSchema, 202: ImportJobAnswer}, refusals=(404, 409))
    def check(self, pk: str, data: dict[str, Any]) -> Any:
        item = self.find(pk)
        options = Options(
            data.get("columns", guess(item.header)), data.get("club_id"), data.get("dates", "ymd"),
            data.get("decimal", "."),
        )
        return self._going_on(
            item.id,
            lambda: service.check_import(
                self.session, import_id=item.id, options=options, actor=self.actor, threshold=_threshold()
            ),
        )

    @operation("/<pk>/start", "POST", summary="Write what the dry run said, now or as a background job",
               permission="import_clients", menu=MENU, answers={200: ImportDetailSchema, 202: ImportJobAnswer},
               refusals=(404, 409), idempotent=True)
    def start(self, pk: str) -> Any:
        key = key_of(pk)
        return self._going_on(
            key,
            lambda: service.start_import(
                self.session, import_id=key, actor=self.actor, threshold=_threshold(),
                idempotency_key=idempotency_key(),
            ),
        )

    def _going_on(self, key: int, do: Callable[[], int | None]) -> Any:
        job_id = self.work(do)
        return self.result({"job_id": job_id}, 202) if job_id is not None else self._shown(key)

    @operation("/<pk>/rows", summary="What the rows would do, or did, and why not", permission="import_clients",
               menu=MENU, answers={200: ImportedRowSchema}, many=True, query=ROWS_QUERY)
    def rows(self, pk: str) -> Any:
        item, asked = self.find(pk), request.args.get("outcome")
        if asked is not None and asked not in set(Outcome):
            raise InvalidInput(fields={"outcome": _l("Please choose one of the list.")})
        outcome = Outcome(asked) if asked is not None else None
        after = whole_number("after", request.args.get("after"), 0, 0, LARGEST_KEY)
        size = whole_number("page_size", request.args.get("page_size"), 25, 1, LARGEST_PAGE)
        found = queries.rows_page(self.session, item.id, outcome=outcome, after=after, size=size)
        count = queries.counts(self.session, item.id)[outcome] if outcome else item.total
        return self.answer(200, {"count": count, "result": [_row(row) for row in found]})

    @operation("/<pk>/refused", summary="The refused rows with their reasons, as a CSV file to correct",
               permission="import_clients", menu=MENU, media="text/csv")
    def refused(self, pk: str) -> Any:
        return refused_file(self.session, self.find(pk))

    @operation("/<pk>", "DELETE", summary="Forget a file that was not imported", permission="import_clients",
               menu=MENU, answers={200: None}, refusals=(404, 409))
    def delete(self, pk: str) -> Any:
        self.work(lambda: service.discard_import(self.session, import_id=key_of(pk), actor=self.actor))
        return self.result({})


def _row(row: ImportRow) -> Any:
    told = {"number": row.number, "outcome": row.outcome, "client_id": row.client_id, "reason": reason(row)}
    return ImportedRowSchema().dump({**told, "cells": [cell_text(cell) for cell in row.cells or ()]})


def _threshold() -> int:
    return int(current_app.extensions["enrollment"].settings.job_threshold)

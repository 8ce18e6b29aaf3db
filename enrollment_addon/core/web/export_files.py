"""Handing out a list as a file: streamed at once, or prepared by a job when it is large."""

import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, redirect, request, send_file, stream_with_context

from .. import clock, exports
from . import lists

if TYPE_CHECKING:
    from .views import RecordView

_large: list[Callable[["RecordView", str, str], str]] = []


def use_background(start: Callable[["RecordView", str, str], str]) -> None:
    """Let the jobs domain take exports that are too large for a request: (view, format, query) → page to watch."""
    _large[:] = [start]


def filename(view: "RecordView", fmt: str) -> str:
    stem = view.route_base.rsplit("/", 1)[-1]
    return f"{stem}-{clock.now():%Y-%m-%d}.{fmt}"


def deliver(view: "RecordView", fmt: str) -> Any:
    """The rows that match the URL's search and filters, limited to what the person reaches."""
    query = request.query_string.decode(errors="replace")[:4000]
    statement = view.matching(view.applied(request.args, strict=True), request.args.get("search", "").strip()[:100])
    bound = current_app.extensions["enrollment"].settings.export_job_rows
    _count, too_many = lists.capped_count(view.session, statement, view.model, bound)
    if too_many and _large:
        return redirect(_large[0](view, fmt, query))
    rows = view.export_rows(statement)
    name = filename(view, fmt)
    if fmt == "csv":
        lines = exports.csv_lines(view.export_header(), rows)
        answer = Response(stream_with_context(line.encode() for line in lines), mimetype="text/csv")
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer
    book = tempfile.TemporaryFile()
    exports.write_xlsx(book, view.export_header(), rows)
    book.seek(0)
    return send_file(
        book, as_attachment=True, download_name=name,
        mimetype="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    )

"""Handing out a list as a file: streamed at once, or prepared by a job when it is large."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, redirect, request, send_file, stream_with_context, url_for
from flask_babel import gettext as _

from .. import clock, exports
from . import forms, lists, render

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
    """The rows that match the URL's search and filters, limited to what the person reaches.

    Reading a file changes nothing; queuing a job does, so a large export asks first.
    """
    query = request.query_string.decode(errors="replace")
    arguments = lists.arguments_from(query)
    statement = view.matching(view.applied(arguments, strict=True), lists.search_of(arguments))
    bound = current_app.extensions["enrollment"].settings.export_job_rows
    _count, too_many = lists.capped_count(view.session, statement, view.model, bound)
    if too_many and _large:
        return redirect(_large[0](view, fmt, query)) if request.method == "POST" else _ask(view, bound, query)
    return send(filename(view, fmt), fmt, view.export_header(), view.export_rows(statement))


def send(name: str, fmt: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """These rows as a file: CSV is streamed, a workbook written to a temporary file first."""
    if fmt == "csv":
        lines = exports.csv_lines(header, rows)
        answer = Response(stream_with_context(line.encode() for line in lines), mimetype="text/csv")
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer
    book = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the response that it is sent in
    exports.write_xlsx(book, header, rows)
    book.seek(0)
    return send_file(
        book, as_attachment=True, download_name=name,
        mimetype="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    )


def _ask(view: "RecordView", bound: int, query: str) -> Any:
    return view.render_template(
        "enrollment_addon/undo.html", title=_("Prepare a large file?"), form=forms.Form(), facts=[],
        sentence=_("More than %(rows)s rows match. The file is prepared in the background; you will see its "
                   "progress.", rows=render.number(bound)),
        crumbs=view.crumbs(), action_url=f"{request.path}?{query}", submit_label=_("Prepare the file"),
        cancel_url=f"{url_for(f'{view.endpoint}.list')}?{query}", danger=False, idempotency_key=None,
    )

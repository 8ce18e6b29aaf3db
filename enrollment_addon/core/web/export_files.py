"""Handing out a list as a file: streamed at once, or prepared by a job when it is large."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from flask import Response, current_app, redirect, request, send_file, stream_with_context, url_for
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from .. import clock, exports
from . import forms, render

PIECE = 1_000
"""Rows of a file per reading."""


class Exportable(Protocol):
    """A page whose rows can be had as a file, piece by piece; `query` is the search and the filters of its URL."""

    route_base: Any
    default_view: Any
    endpoint: Any

    @property
    def session(self) -> Session: ...

    def export_header(self) -> Sequence[str]:
        """The titles of the columns in the reader's language."""

    def export_count(self, query: str, cap: int) -> tuple[int, bool]:
        """How many rows there are, counted up to `cap`; and whether there are more. Raises: InvalidInput."""

    def export_piece(self, query: str, after: Any, size: int) -> tuple[Sequence[Sequence[Any]], Any]:
        """The next `size` rows, and (JSON) behind which one it goes on; `after` is None for the first."""

    def crumbs(self) -> Any:
        """The way back to the page."""

    def render_template(self, template: str, **context: Any) -> Any:
        """A page of the add-on."""


_large: list[Callable[[Exportable, str, str], str]] = []


def use_background(start: Callable[[Exportable, str, str], str]) -> None:
    """Let the jobs domain take exports that are too large for a request: (view, format, query) → page to watch."""
    _large[:] = [start]


def filename(view: Exportable, fmt: str) -> str:
    stem = view.route_base.rsplit("/", 1)[-1]
    return f"{stem}-{clock.now():%Y-%m-%d}.{fmt}"


def rows_of(view: Exportable, query: str) -> Iterator[Sequence[Any]]:
    """All rows, a thousand at a time, so that memory stays bounded however many match."""
    after = None
    while True:
        rows, after = view.export_piece(query, after, PIECE)
        view.session.expunge_all()
        yield from rows
        if len(rows) < PIECE:
            return


def deliver(view: Exportable, fmt: str) -> Any:
    """The rows that match the URL's search and filters, limited to what the person reaches.

    Reading a file changes nothing; queuing a job does, so a large export asks first.
    """
    query = request.query_string.decode(errors="replace")
    bound = current_app.extensions["enrollment"].settings.export_job_rows
    _count, too_many = view.export_count(query, bound)
    if too_many and _large:
        return redirect(_large[0](view, fmt, query)) if request.method == "POST" else _ask(view, bound, query)
    return send(filename(view, fmt), fmt, view.export_header(), rows_of(view, query))


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


def _ask(view: Exportable, bound: int, query: str) -> Any:
    back = url_for(f"{view.endpoint}.{view.default_view}")
    return view.render_template(
        "enrollment_addon/ask.html", title=_("Prepare a large file?"), form=forms.Form(), facts=[],
        sentence=_("More than %(rows)s rows match. The file is prepared in the background; you will see its "
                   "progress.", rows=render.number(bound)),
        crumbs=view.crumbs(), action_url=f"{request.path}?{query}", submit_label=_("Prepare the file"),
        cancel_url=f"{back}?{query}", danger=False, idempotency_key=None,
    )

"""Large exports as jobs: rows go to a file piece by piece, and a killed job goes on at the last whole piece."""

import csv
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from flask import current_app, url_for
from sqlalchemy.orm import Session

from ..core import exports
from ..core.db import unit_of_work
from ..core.errors import NotFound
from ..core.scope import Actor
from ..core.web import access, lists
from ..core.web.export_files import filename
from . import service
from .models import Job, JobState
from .registry import Step, job_kind

KIND = "export"
PIECE = 2_000


def folder() -> Path:
    """Where finished exports are kept, readable by this service only."""
    configured = current_app.extensions["enrollment"].settings.export_folder
    path = Path(configured) if configured else Path(current_app.instance_path) / "enrollment-exports"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def start(view: Any, fmt: str, query: str) -> str:
    """Queue an export of a list as filtered; the page to watch it."""
    session = access.current_session()
    with unit_of_work(session):
        job = service.queue_job(
            session, kind=KIND, actor=access.current_actor(),
            input={"view": type(view).__name__, "format": fmt, "query": query},
        )
        key = job.id
    return url_for("JobView.show", pk=key)


@job_kind(KIND)
def step(session: Session, job: Job) -> Step:
    """Append one piece of rows to the file; at the end make the workbook, if that was asked for."""
    view = current_app.extensions["enrollment"].views.get(job.input["view"])
    if view is None:
        raise NotFound
    position = job.position or {"after": 0, "bytes": 0}
    path = folder() / f"{job.id}.csv"
    arguments = lists.arguments_from(job.input["query"])
    statement = view.matching(view.applied(arguments, strict=True), lists.search_of(arguments))
    total = None
    if not position["bytes"]:
        total, _more = lists.capped_count(session, statement, view.model, 10_000_000)
    key = lists.primary_key(view.model)
    keys = session.scalars(
        statement.with_only_columns(key).where(key > position["after"]).order_by(None).order_by(key).limit(PIECE)
    ).all()
    if not keys:
        return Step(position=position, finished=True, result=_finish(view, job, path), total=total)
    rows = view.export_rows(statement.where(key <= keys[-1], key > position["after"]))
    size = _append(path, position["bytes"], view.export_header(), rows)
    return Step(done=len(keys), position={"after": keys[-1], "bytes": size}, total=total)


def _append(path: Path, size: int, header: Sequence[str], rows: Iterator[Sequence[Any]]) -> int:
    """Write behind what was committed; whatever a killed worker left beyond it is cut off."""
    with path.open("ab") as file:
        file.truncate(size)
        lines = exports.csv_lines(header, rows)
        if size:
            first = next(lines)
            file.write(first.split("\r\n", 1)[1].encode())
        for line in lines:
            file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def _finish(view: Any, job: Job, path: Path) -> dict[str, Any]:
    if not path.exists():
        _append(path, 0, view.export_header(), iter(()))
    if job.input["format"] == "xlsx":
        book = path.with_suffix(".xlsx")
        with path.open(encoding="utf-8-sig", newline="") as source, book.open("wb") as target:
            reader = csv.reader(source)
            header = next(reader)
            exports.write_xlsx(target, header, (list(islice(row, len(header))) for row in reader))
        path.unlink()
        path = book
    return {"file": path.name, "name": filename(view, job.input["format"])}


def finished_file(job: Job, actor: Actor) -> Path | None:
    """The prepared file, for the person who asked for it only: it holds what that person reaches."""
    if job.kind != KIND or job.state != JobState.done or job.created_by_id != actor.user_id:
        return None
    path = folder() / Path(job.result["file"]).name
    return path if path.exists() else None

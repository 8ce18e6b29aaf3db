"""Large exports as jobs: rows are collected piece by piece, then the file is made of them.

Rows are kept as lines of JSON, so that the file has the types, the words and the clock that it would have had at
once. Whoever works on the job writes files of their own name: what two write at a time never mixes, and a job
that was taken over goes on behind the last piece that was committed.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flask import current_app, url_for
from flask_babel import force_locale
from sqlalchemy.orm import Session

from ..core import clock, exports
from ..core.db import unit_of_work
from ..core.errors import NotFound
from ..core.scope import Actor
from ..core.translations import LOCALE
from ..core.web import access, render
from ..core.web.export_files import Exportable, filename
from . import service
from .errors import RowsGone
from .models import Job, JobState
from .registry import Step, job_kind

KIND = "export"
PIECE = 2_000
COUNTED = 10_000_000
"""Rows that are counted at most, for the progress."""

Parts = list[list[Any]]
"""The files that hold the rows, in order: name, and bytes that were committed."""


_OURS = re.compile(r"\d+-[0-9a-f]+\.(rows|csv|xlsx)")


def _place() -> Path:
    configured = current_app.extensions["enrollment"].settings.export_folder
    return Path(configured) if configured else Path(current_app.instance_path) / "enrollment-exports"


def folder() -> Path:
    """Where finished exports are kept, readable by this service only."""
    path = _place()
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def start(view: Exportable, fmt: str, query: str) -> str:
    """Queue an export of a list as filtered, in the reader's language and time zone; the page to watch it."""
    session = access.current_session()
    asked = {
        "view": type(view).__name__, "format": fmt, "query": query, "locale": render.locale_name(),
        "timezone": render.zone().key,
    }
    with unit_of_work(session):
        key = service.queue_job(session, kind=KIND, actor=access.current_actor(), input=asked).id
    return url_for("JobView.show", pk=key)


@job_kind(KIND)
def step(session: Session, job: Job) -> Step:
    """Collect one piece of rows; at the end make the file, outside of the transaction, and hand it out."""
    view: Exportable | None = current_app.extensions["enrollment"].views.get(job.input["view"])
    if view is None:
        raise NotFound
    position = job.position or {"after": None, "parts": [], "complete": False}
    locale: str = job.input["locale"]
    session.info[LOCALE] = lambda: locale
    render.use_timezone(job.input["timezone"])
    with force_locale(locale), access.on_behalf_of(job.created_by_id):
        if position["complete"]:
            return _finish(view, job, position)
        query, total = job.input["query"], None
        if not position["parts"]:
            total, _more = view.export_count(query, COUNTED)
        rows, after = view.export_piece(query, position["after"], PIECE)
        parts = _append(position["parts"], _own(job, "rows"), map(exports.packed, rows))
    position = {"after": after, "parts": parts, "complete": len(rows) < PIECE}
    return Step(done=len(rows), position=position, total=total)


def _own(job: Job, suffix: str) -> str:
    """The name of a file that only this worker writes: a worker's name is new with every claim."""
    assert job.worker is not None, "a chunk is written by a worker"
    return f"{job.id}-{job.worker.rsplit('-', 1)[-1]}.{suffix}"


def _append(parts: Parts, name: str, lines: Iterable[str]) -> Parts:
    """Write behind what was committed; what a chunk that was rolled back left beyond it is cut off."""
    before, size = parts, 0
    if parts and parts[-1][0] == name:
        before, size = parts[:-1], parts[-1][1]
    with (folder() / name).open("ab") as file:
        if file.tell() < size:
            raise RowsGone
        file.truncate(size)
        for line in lines:
            file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())
        return [*before, [name, file.tell()]]


def _finish(view: Exportable, job: Job, position: Any) -> Step:
    """Hand the file out if this worker has made it, else make it first."""
    fmt = job.input["format"]
    path = folder() / _own(job, fmt)
    if path.exists():
        result = {"file": path.name, "name": filename(view, fmt)}
        return Step(position=position, finished=True, result=result, outside=partial(_tidy, path, job.id))
    sources = [(path.with_name(name), size) for name, size in position["parts"]]
    if any(not source.exists() for source, _size in sources):
        raise RowsGone
    return Step(position=position, outside=partial(_make, path, view.export_header(), sources))


def _make(path: Path, header: Sequence[str], sources: Iterable[tuple[Path, int]]) -> None:
    with path.open("wb") as target:
        if path.suffix == ".xlsx":
            exports.write_xlsx(target, header, _collected(sources))
        else:
            target.writelines(line.encode() for line in exports.csv_lines(header, _collected(sources)))


def _collected(sources: Iterable[tuple[Path, int]]) -> Iterator[list[Any]]:
    for path, size in sources:
        with path.open("rb") as file:
            left = size
            for line in file:
                left -= len(line)
                if left < 0:
                    break
                yield exports.unpacked(line)


def _tidy(path: Path, job_id: int) -> None:
    """Delete what the file was made of, now that nobody needs it any more."""
    for other in path.parent.glob(f"{job_id}-*"):
        if other != path:
            other.unlink(missing_ok=True)


@job_kind(service.PURGE_EXPORTS)
def purge(session: Session, job: Job) -> Step:
    """Delete the files that are old enough, in the place that this machine has; queued every night."""
    last = clock.now().timestamp() - job.input["days"] * 86_400
    gone, place = 0, _place()
    for path in place.iterdir() if place.exists() else ():
        if _OURS.fullmatch(path.name) and path.stat().st_mtime <= last:
            path.unlink(missing_ok=True)
            gone += 1
    return Step(done=gone, total=gone, finished=True)


def is_kept(result: Any) -> bool:
    """Whether the file of a finished export is still there."""
    return (_place() / Path(result["file"]).name).exists()


def finished_file(job: Job, actor: Actor) -> Path | None:
    """The prepared file, for the person who asked for it only: it holds what that person reaches."""
    if job.kind != KIND or job.state != JobState.done or job.created_by_id != actor.user_id:
        return None
    return _place() / Path(job.result["file"]).name if is_kept(job.result) else None

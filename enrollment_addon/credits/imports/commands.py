"""An import from the command line: all steps, each transaction as large as a job's, as the system itself."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core.db import unit_of_work
from ...core.errors import InvalidInput
from ...core.scope import SYSTEM
from ...people.models import Club
from . import queries, service
from .calc import FIELDS, Options, guess
from .models import ClientImport, Outcome
from .upload import upload

LISTED = 100
"""How many refused rows are named one by one; the rest is counted."""


class Result(NamedTuple):
    """How many rows did, or would do, what; the first of the refused ones and why."""

    import_id: int
    counts: dict[str, int]
    refused: list[tuple[int, str]]


def run(
    session: Session, *, file: Path, mapping: Iterable[str], club: str | None, dates: str, decimal: str,
    dry_run: bool, progress: Callable[[int, int], Any],
) -> Result:
    """Check a file and, unless it is a dry run, write it; a killed run is simply started again.

    `progress` is told how many rows there are to go through, and how many more were. Raises: InvalidInput.
    """
    with file.open("rb") as content:
        key = upload(session, file=content, name=file.name, actor=SYSTEM)
    with unit_of_work(session):
        item = session.get_one(ClientImport, key)
        columns, total = _columns(item.header, mapping), item.total * (1 if dry_run else 2)
        options = Options(columns, _club(session, club), dates, decimal)
        service.prepare_check(session, import_id=key, options=options, actor=SYSTEM)
    _walk(session, service.check_step, key, lambda rows: progress(total, rows))
    if not dry_run:
        with unit_of_work(session):
            service.prepare_import(session, import_id=key, actor=SYSTEM)
        _walk(session, service.write_step, key, lambda rows: progress(total, rows))
    with unit_of_work(session):
        counts = {str(outcome): count for outcome, count in queries.counts(session, key).items()}
        found = queries.rows_page(session, key, outcome=Outcome.refused, size=LISTED)
        refused = [(row.number, row.message % (row.params or {}) if row.message else "") for row in found]
        if dry_run:
            service.discard_import(session, import_id=key, actor=SYSTEM)
    return Result(key, counts, refused)


def _walk(session: Session, step: Callable[..., service.Stride], key: int, progress: Callable[[int], Any]) -> None:
    position: Any = None
    while True:
        with unit_of_work(session):
            stride = step(session, import_id=key, position=position, actor=SYSTEM)
        progress(stride.done + stride.refused)
        if stride.finished:
            return
        position = stride.position
        session.expunge_all()


def _columns(header: list[str], mapping: Iterable[str]) -> dict[str, int]:
    """The columns by their names, and as the caller says. Raises: InvalidInput."""
    columns = guess(header)
    for text in mapping:
        name, found, title = text.partition("=")
        if not found or name not in FIELDS:
            raise InvalidInput(fields={"map": f"{text}: FIELD is one of {', '.join(FIELDS)}."})
        if title not in header:
            raise InvalidInput(fields={"map": f"{text}: the file has {', '.join(header)}."})
        columns = {key: place for key, place in columns.items() if place != header.index(title)}
        columns[name] = header.index(title)
    return columns


def _club(session: Session, name: str | None) -> int | None:
    """The club with this name; without a name the only one there is. Raises: InvalidInput."""
    clubs = {club.name.casefold(): club.id for club in session.scalars(select(Club).where(Club.active))}
    if name is None:
        return next(iter(clubs.values())) if len(clubs) == 1 else None
    if name.casefold() not in clubs:
        raise InvalidInput(fields={"club": f"There is no club “{name}”."})
    return clubs[name.casefold()]

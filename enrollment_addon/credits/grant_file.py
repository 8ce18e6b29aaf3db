"""A bulk grant from a CSV file, for the command line: read and checked whole before anything is written."""

import csv
import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..catalog.models import EventType
from ..core.errors import InvalidInput
from ..core.scope import Actor
from ..people.models import Client
from .service import grant_credits

COLUMNS = ("client", "event_type", "quantity", "expires_on")
MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Row:
    """One line of the file, understood."""

    line: int
    client_id: int
    event_type_id: int
    quantity: int
    expires_on: dt.date | None


class BadRow(InvalidInput):
    """A line that cannot be used, and why."""

    def __init__(self, line: int, message: Any, **params: Any) -> None:
        super().__init__(message, **params)
        self.line = line


def read_rows(session: Session, file: Path) -> tuple[list[Row], list[BadRow]]:
    """The rows of a file, and those that cannot be used. A byte-order mark and ; or tabs are fine.

    Raises: InvalidInput when it is no CSV in UTF-8 with the four columns.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(_l("The file is not UTF-8 text.")) from None
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    header = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise InvalidInput(_l("The file lacks the columns %(columns)s."), columns=", ".join(missing))
    reader.fieldnames = header
    lines = [(reader.line_num, line) for line in reader]
    if len(lines) > MOST_ROWS:
        raise InvalidInput(_l("A file may have up to %(most)s rows."), most=MOST_ROWS)
    people, types = _clients(session, [_cell(line, "client") for _n, line in lines]), _event_types(session)
    rows, errors = [], []
    for number, line in lines:
        try:
            rows.append(_row(number, line, people, types))
        except BadRow as error:
            errors.append(error)
    return rows, errors


def _cell(line: dict[str, Any], column: str) -> str:
    return (line.get(column) or "").strip()


def _clients(session: Session, texts: Sequence[str]) -> dict[str, int]:
    """Keys by e-mail and by number, for those clients that exist."""
    found: dict[str, int] = {}
    wanted = sorted({text.lower() for text in texts if text})
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        keys = [int(text) for text in part if text.isdecimal() and len(text) < 19]
        for row in session.execute(select(Client.id, Client.email).where(Client.email.in_(part) | Client.id.in_(keys))):
            found[str(row.id)] = row.id
            if row.email:
                found[row.email] = row.id
    return found


def _event_types(session: Session) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in session.execute(select(EventType.id, func.lower(EventType.name).label("name"))):
        found[str(row.id)] = found[row.name] = row.id
    return found


def _row(number: int, line: dict[str, Any], people: dict[str, int], types: dict[str, int]) -> Row:
    client, kind = _cell(line, "client").lower(), _cell(line, "event_type").lower()
    if client not in people:
        raise BadRow(number, _l("There is no client “%(text)s”."), text=client[:80])
    if kind not in types:
        raise BadRow(number, _l("There is no event type “%(text)s”."), text=kind[:80])
    quantity = _cell(line, "quantity")
    if not quantity.isdecimal() or not 1 <= int(quantity[:9]) <= 1000:
        raise BadRow(number, _l("“%(text)s” is not a number of credits from 1 to 1000."), text=quantity[:80])
    expires = _cell(line, "expires_on")
    try:
        day = dt.date.fromisoformat(expires) if expires else None
    except ValueError:
        raise BadRow(number, _l("“%(text)s” is not a date such as 2027-01-31."), text=expires[:80]) from None
    return Row(number, people[client], types[kind], int(quantity), day)


def grant_rows(session: Session, rows: Sequence[Row], *, file: Path, actor: Actor, chunk: int) -> list[int]:
    """Give what the rows say, one batch per event type, quantity and expiry; the batches' keys.

    The file's content is the idempotency key: the same file a second time gives nothing a second time. A
    client who stands in several rows of one kind gets them all, each as a lot of its own.
    """
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    batches = []
    for (event_type_id, quantity, expires_on, turn), clients in _groups(rows):
        terms: dict[str, Any] = {"event_type_id": event_type_id, "quantity": quantity, "expires_on": expires_on}
        made = grant_credits(
            session, clients=clients, actor=actor, threshold=MOST_ROWS, chunk=chunk, note=file.name[:500],
            idempotency_key=f"file:{digest}:{event_type_id}:{quantity}:{expires_on}:{turn}", **terms,
        )
        batches.append(made["batch_id"])
    return batches


def _groups(rows: Sequence[Row]) -> list[tuple[tuple[Any, ...], list[int]]]:
    """Clients by what they get; a repeated client falls into a further turn."""
    turns: dict[tuple[Any, ...], int] = {}
    keyed = []
    for row in rows:
        same = (row.client_id, row.event_type_id, row.quantity, row.expires_on)
        turns[same] = turns.get(same, 0) + 1
        keyed.append(((row.event_type_id, row.quantity, row.expires_on, turns[same]), row.client_id))
    keyed.sort(key=lambda pair: (pair[0][0], pair[0][1], pair[0][2] or dt.date.max, pair[0][3], pair[1]))
    return [(key, [client for _k, client in group]) for key, group in groupby(keyed, key=lambda pair: pair[0])]



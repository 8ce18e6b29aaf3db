"""A bulk grant from a CSV file, for the command line: read and checked whole before anything is written.

A file is read in blocks of rows and kept as bare client keys by what they get (8 bytes a row), so that a
million rows fit in little memory and ten thousand bad ones do too.
"""

import csv
import datetime as dt
import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..catalog.models import EventType
from ..core import clock
from ..core.db import first_result, idempotent
from ..core.errors import InvalidInput
from ..core.scope import Actor
from ..people.models import Client, Club
from .calc import MOST_CREDITS
from .service import grant_credits

COLUMNS = ("client", "event_type", "quantity", "expires_on")
DELIMITERS = ",;\t"
MOST_ROWS = 1_000_000
BLOCK = 500
ERRORS_LISTED = 100
"""How many lines that cannot be used are named one by one; the rest is counted."""
SHOWN = 80
"""How much of a cell an error repeats."""

Gift = tuple[int, int, dt.date | None]
"""Event type, quantity, last day."""


class BadRow(InvalidInput):
    """A line that cannot be used, and why."""

    def __init__(self, line: int, message: Any, **params: Any) -> None:
        super().__init__(message, **params)
        self.line = line


@dataclass
class GrantFile:
    """What a file asks for: keys of clients by gift, and the lines that cannot be used.

    `errors` has the first `ERRORS_LISTED` of the `refused` lines.
    """

    name: str
    digest: str
    rows: int = 0
    credits: int = 0
    gifts: dict[Gift, "array[int]"] = field(default_factory=dict)
    refused: int = 0
    errors: list[BadRow] = field(default_factory=list)

    def add(self, client_id: int, gift: Gift) -> None:
        self.gifts.setdefault(gift, array("q")).append(client_id)
        self.rows += 1
        self.credits += gift[1]

    def refuse(self, error: BadRow) -> None:
        self.refused += 1
        if len(self.errors) < ERRORS_LISTED:
            self.errors.append(error)


class _Person(NamedTuple):
    """A client as far as a row needs them."""

    id: int
    served: bool
    today: dt.date


def read_file(session: Session, file: Path) -> GrantFile:
    """Everything a file asks for. Separated by commas, semicolons or tabs, with or without a byte-order mark.

    Raises: InvalidInput when it is no CSV in UTF-8 with the four columns and at least one row.
    """
    with file.open("rb") as raw:
        asked = GrantFile(file.name, hashlib.file_digest(raw, "sha256").hexdigest())
    types = _event_types(session)
    try:
        for block in _blocks(file):
            if asked.rows + asked.refused + len(block) > MOST_ROWS:
                raise InvalidInput(_l("A file may have up to %(most)s rows."), most=MOST_ROWS)
            people = _people(session, [_cell(line, "client") for _number, line in block])
            for number, line in block:
                try:
                    asked.add(*_row(number, line, people, types))
                except BadRow as error:
                    asked.refuse(error)
    except UnicodeDecodeError:
        raise InvalidInput(_l("The file is not UTF-8 text.")) from None
    except csv.Error as error:
        raise InvalidInput(_l("The file is not a CSV: %(reason)s."), reason=str(error)) from None
    if not asked.rows + asked.refused:
        raise InvalidInput(_l("The file has no rows."))
    return asked


def _blocks(file: Path) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """The file's rows with their line numbers. Raises: InvalidInput when a column is missing."""
    with file.open(encoding="utf-8-sig", newline="") as text:
        first = text.readline()
        text.seek(0)
        reader = csv.DictReader(text, delimiter=max(DELIMITERS, key=first.count))
        header = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise InvalidInput(
                _l("The file lacks the columns %(columns)s. Commas, semicolons or tabs separate columns."),
                columns=", ".join(missing),
            )
        reader.fieldnames = header
        rows = ((reader.line_num, line) for line in reader)
        while block := list(islice(rows, BLOCK)):
            yield block


def _cell(line: dict[str, Any], column: str) -> str:
    return (line.get(column) or "").strip()


def _people(session: Session, texts: Iterable[str]) -> dict[str, _Person]:
    """The clients that exist, by e-mail and by key."""
    wanted = {text.lower() for text in texts if text}
    keys = [int(text) for text in wanted if text.isdecimal() and len(text) < 19]
    found: dict[str, _Person] = {}
    query = (
        select(Client.id, Client.email, Client.archived, Client.erased_at, Club.timezone)
        .join(Club, Club.id == Client.club_id)
        .where(Client.email.in_(wanted) | Client.id.in_(keys))
    )
    for row in session.execute(query):
        person = _Person(row.id, not row.archived and row.erased_at is None, clock.today(row.timezone))
        found[str(row.id)] = person
        if row.email:
            found[row.email] = person
    return found


def _event_types(session: Session) -> dict[str, int]:
    """Keys of the active event types by name, and by key where no name is the same."""
    rows = session.execute(select(EventType.id, EventType.name).where(EventType.active)).all()
    return {**{str(row.id): row.id for row in rows}, **{row.name.casefold(): row.id for row in rows}}


def _row(
    number: int, line: dict[str, Any], people: dict[str, _Person], types: dict[str, int]
) -> tuple[int, Gift]:
    """Who gets what. Raises: BadRow."""
    client, kind = _cell(line, "client"), _cell(line, "event_type")
    quantity, expires = _cell(line, "quantity"), _cell(line, "expires_on")
    if None in line:
        raise BadRow(number, _l("The line has more cells than the file has columns."))
    person = people.get(client.lower())
    if person is None:
        raise BadRow(number, _l("There is no client “%(text)s”."), text=client[:SHOWN])
    if not person.served:
        raise BadRow(number, _l("The client “%(text)s” is archived or erased."), text=client[:SHOWN])
    if kind.casefold() not in types:
        raise BadRow(number, _l("There is no active event type “%(text)s”."), text=kind[:SHOWN])
    if not (quantity.isdecimal() and len(quantity) < 9 and 1 <= int(quantity) <= MOST_CREDITS):
        raise BadRow(
            number, _l("“%(text)s” is not a number of credits from 1 to 1000."), text=quantity[:SHOWN]
        )
    try:
        day = dt.date.fromisoformat(expires) if expires else None
    except ValueError:
        raise BadRow(
            number, _l("“%(text)s” is not a date such as 2027-01-31."), text=expires[:SHOWN]
        ) from None
    if day is not None and day < person.today:
        raise BadRow(number, _l("The expiry %(text)s is in the past."), text=expires[:SHOWN])
    return person.id, (types[kind.casefold()], int(quantity), day)


def grant_from_file(
    session: Session, asked: GrantFile, *, actor: Actor, chunk: int, progress: Callable[[int], Any]
) -> dict[str, Any]:
    """Give what a file asks for, all or nothing; one batch per event type, quantity and expiry.

    The file's content is the idempotency key: the same file a second time gives nothing and answers the
    first result with `again` true. A client who stands in several rows with the same gift gets it as often.
    Answers `{again, credits, skipped, batches}`; skipped are those who were archived while the file was read.
    """
    again = True

    def do() -> dict[str, Any]:
        nonlocal again
        again, credits, skipped, batches = False, 0, 0, []
        for (event_type_id, quantity, expires_on), clients in asked.gifts.items():
            for turn in _turns(clients):
                made = grant_credits(
                    session,
                    clients=turn,
                    event_type_id=event_type_id,
                    quantity=quantity,
                    expires_on=expires_on,
                    note=asked.name[:500],
                    actor=actor,
                    threshold=MOST_ROWS,
                    chunk=chunk,
                )
                credits += made["granted"] * quantity
                skipped += made["skipped_count"]
                batches.append(made["batch_id"])
                progress(len(turn))
        return {"credits": credits, "skipped": skipped, "batches": batches}

    result = idempotent(session, **_request(asked, actor), do=do)
    return {"again": again, **result}


def granted_before(session: Session, asked: GrantFile, *, actor: Actor) -> bool:
    """Whether the same file has given its credits already; it would give nothing now."""
    return first_result(session, **_request(asked, actor)) is not None


def _request(asked: GrantFile, actor: Actor) -> dict[str, Any]:
    """What makes granting a file one request, however often it is made."""
    return {"key": f"file:{asked.digest}", "verb": "grant_from_file", "asked": {"actor": actor.user_id}}


def _turns(clients: Iterable[int]) -> list[list[int]]:
    """The clients in as many lists as the most repeated one needs: each at most once in a list."""
    turns: list[list[int]] = []
    for _client, same in groupby(sorted(clients)):
        for turn, client in enumerate(same):
            if turn == len(turns):
                turns.append([])
            turns[turn].append(client)
    return turns

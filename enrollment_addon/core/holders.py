"""What keeps a record from being deleted or changed, told by the domains above it.

A lower domain asks; the domains above register who holds what. Registering the same finder again, as a
second application in one process does, changes nothing.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from .db import Base
from .errors import InUse

Finder = Callable[[Session, list[int]], set[int]]
"""Given keys, the ones among them that are held."""


def held_in(column: Any) -> Finder:
    """Find the keys that rows of a table hold in this column, whoever reaches those rows."""

    def find(session: Session, keys: list[int]) -> set[int]:
        return set(session.connection().execute(select(column).where(column.in_(keys)).distinct()).scalars())

    return find


class Holders:
    """The kinds of records that may hold one kind of record."""

    def __init__(self) -> None:
        self._labels: dict[Finder, Any] = {}

    def register(self, label: Any, finder: Finder) -> None:
        """Name a holder (translated lazily) and how to find out what it holds."""
        self._labels[finder] = label

    def of(self, session: Session, keys: Iterable[int]) -> list[Any]:
        """The labels of everything that holds one of these records."""
        wanted = list(keys)
        return [label for finder, label in self._labels.items() if finder(session, wanted)]

    def refuse(self, session: Session, key: int) -> None:
        """Raises: InUse naming every holder, if there is one."""
        if refusal := self.refusal(session, key):
            raise refusal

    def refusal(self, session: Session, key: int) -> InUse | None:
        """What a verb would be refused with that needs the record to be held by nothing."""
        labels = self.of(session, [key])
        return InUse(holders=", ".join(str(label) for label in labels)) if labels else None


def delete_unheld(session: Session, item: Base) -> None:
    """Delete a record; what somebody else hung on it since the check is a refusal, not a crash. Raises: InUse."""
    session.delete(item)
    try:
        session.flush()
    except IntegrityError as error:
        raise InUse(holders=_l("something that was added just now")) from error

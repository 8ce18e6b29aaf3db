"""Where the domains above say what credits were spent on and came from.

The ledger keeps the keys of bookings and enrollments and knows nothing else of them: whoever has the records
registers how they are told. Registering again under the same name replaces, so that several applications can
live in one process.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Told:
    """A record in words. `url` is asked for by pages only, and gives nothing where the reader may not open it.

    `forfeited`: credits that this booking used up are lost without a session.
    """

    label: str
    url: Callable[[], str | None]
    forfeited: bool = False


Teller = Callable[[Session, Collection[int]], Mapping[int, Told]]
"""(session, keys of records) → those in reach of the session's actor, by key."""

_tellers: dict[str, Teller] = {}


def register_teller(record: str, teller: Teller) -> None:
    """Let a domain tell its kind of record: “booking” or “enrollment”."""
    _tellers[record] = teller


def told_of(session: Session, record: str, keys: Collection[int]) -> Mapping[int, Told]:
    """These records in words, as far as they are in reach; nothing when no domain knows them."""
    teller = _tellers.get(record)
    return teller(session, keys) if teller and keys else {}

"""Where the domains above say what credits were spent on and came from, and learn what was done to their lots.

The ledger keeps the keys of bookings and enrollments and knows nothing else of them: whoever has the records
registers how they are told. Registering again under the same name replaces, so that several applications can
live in one process.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ColumnElement, false, func, or_, select
from sqlalchemy.orm import Session

from ..core.db import key_list
from ..core.scope import Actor
from .models import lots, something_left


class Told(NamedTuple):
    """A record in words: what it is, when, for whom. `url` is asked for by pages only, and gives nothing where the
    reader may not open it.

    `forfeited`: credits that this booking used up are lost without a session.
    """

    parts: Sequence[str]
    url: Callable[[], str | None]
    forfeited: bool = False

    @property
    def label(self) -> str:
        return " · ".join(self.parts)


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


class AfterExpiryMoved(Protocol):
    """Called when lots of these enrollments, in key order, got a new last day; their balances are locked."""

    def __call__(self, session: Session, enrollment_ids: Sequence[int]) -> None: ...


class AfterVoid(Protocol):
    """Called with how many credits of which enrollments are about to be voided; their balances are locked."""

    def __call__(self, session: Session, voided: Mapping[int, int], actor: Actor, reason: str | None) -> None: ...


class AfterGiveBack(Protocol):
    """Called with how many voided credits of which enrollments came back to their lots; balances are locked."""

    def __call__(self, session: Session, given: Mapping[int, int], actor: Actor, reason: str | None) -> None: ...


class ClosedLots(Protocol):
    """The clause over lots to which no voided credit comes back, because what they are of has ended."""

    def __call__(self) -> ColumnElement[bool]: ...


_after_expiry: dict[str, AfterExpiryMoved] = {}
_after_void: dict[str, AfterVoid] = {}
_after_give_back: dict[str, AfterGiveBack] = {}
_closed: dict[str, ClosedLots] = {}


def register_after_expiry(name: str, react: AfterExpiryMoved) -> None:
    """Let a domain react to new last days of its lots; registering the same name again replaces."""
    _after_expiry[name] = react


def register_after_void(name: str, react: AfterVoid) -> None:
    """Let a domain react to credits voided by hand; registering the same name again replaces."""
    _after_void[name] = react


def register_give_back(name: str, closed: ClosedLots, react: AfterGiveBack) -> None:
    """Let a domain say which of its lots stay voided, and react to what comes back to the others."""
    _closed[name], _after_give_back[name] = closed, react


def is_closed() -> ColumnElement[bool]:
    """The clause over lots to which nothing comes back."""
    return or_(false(), *(closed() for closed in _closed.values()))


def credits_given_back(session: Session, given: Mapping[int, int], actor: Actor, reason: str | None) -> None:
    """Tell whoever wants to know how many voided credits of which enrollments came back."""
    if given:
        for react in _after_give_back.values():
            react(session, given, actor, reason)


def expiry_moved(session: Session, lot_ids: Sequence[int]) -> None:
    """Tell whoever wants to know that these lots have a new last day."""
    if not _after_expiry:
        return
    of_enrollments = (
        select(lots.c.enrollment_id)
        .where(lots.c.id.in_(key_list(session, lot_ids)), lots.c.enrollment_id.is_not(None))
        .distinct()
    )
    wanted = sorted(session.execute(of_enrollments).scalars())
    if wanted:
        for react in _after_expiry.values():
            react(session, wanted)


def credits_voided(session: Session, chosen: Any, actor: Actor, reason: str | None) -> None:
    """Tell whoever wants to know that the rest of the lots `chosen` by a condition is about to be voided."""
    if not _after_void:
        return
    left = (
        select(lots.c.enrollment_id, func.sum(lots.c.available))
        .where(chosen, something_left, lots.c.enrollment_id.is_not(None))
        .group_by(lots.c.enrollment_id)
    )
    voided = {key: int(credits) for key, credits in session.execute(left)}
    if voided:
        for react in _after_void.values():
            react(session, voided, actor, reason)

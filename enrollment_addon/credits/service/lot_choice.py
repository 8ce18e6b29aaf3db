"""Which lots a verb on many is for, and what becomes of their last days; nothing here writes."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.db import key_list
from ...core.errors import InvalidInput, NotFound
from ...core.scope import Actor, reach_of
from ...people.models import Client, Club
from ..calc import later
from ..errors import NothingSelected
from ..models import lots
from .selection import SKIPPED_LISTED
from .terms import wrong_expiry

clients_table: Any = Client.__table__
clubs_table: Any = Club.__table__

Lots = Sequence[int] | Select[Any]
"""Keys of lots, or a query of them."""

in_use = lots.c.available + lots.c.reserved > 0
"""Lots whose last day matters: what was spent, has expired or was taken back stays so."""


@dataclass(frozen=True)
class Choice:
    """The chosen lots in reach, and how many of those named are not; the first of them as a batch lists them."""

    keys: Select[Any]
    skipped: list[dict[str, Any]]
    missing: int

    @property
    def left_out(self) -> dict[str, int]:
        return {"not_found": self.missing} if self.missing else {}


def choose_lots(session: Session, lot_ids: Lots, actor: Actor) -> Choice:
    """Narrow what was chosen to what the actor reaches.

    Of several lots that are named, one that is unknown or out of reach is “not_found”; a search never mentions
    those. Raises: NotFound when none of those named is there, NothingSelected when the search finds none,
    InvalidInput when none is named.
    """
    reached = select(lots.c.id).join_from(lots, clients_table).where(reach_of(actor))
    if isinstance(lot_ids, Select):
        matching = reached.where(lots.c.id.in_(select(lot_ids.subquery().c[0])))
        if session.execute(matching.limit(1)).first() is None:
            raise NothingSelected
        return Choice(matching, [], 0)
    wanted = set(lot_ids)
    if not wanted:
        raise InvalidInput(fields={"lot_ids": _l("Please choose at least one lot.")})
    keys = reached.where(lots.c.id.in_(key_list(session, wanted)))
    missing = sorted(wanted - set(session.execute(keys).scalars()))
    if len(missing) == len(wanted):
        raise NotFound
    listed = [{"lot_id": key, "reason": "not_found"} for key in missing[:SKIPPED_LISTED]]
    return Choice(keys, listed, len(missing))


class NewDay(NamedTuple):
    """What becomes of last days: all get `day` (none: they never expire), or each is later by (unit, count)."""

    day: dt.date | None = None
    by: tuple[str, int] | None = None

    def of(self, lot: Any) -> dt.date | None:
        """The new last day of a lot; of one that never expires there is none that could be later."""
        if self.by is None or lot.expires_on is None:
            return self.day
        return later(lot.expires_on, *self.by)

    @property
    def gets_one(self) -> ColumnElement[bool]:
        """The clause over lots that get a day from this."""
        return and_(in_use, lots.c.expires_on.is_not(None)) if self.by else in_use

    @property
    def shortens(self) -> ColumnElement[bool]:
        """The clause over lots that would be good for less long than now."""
        if self.day is None:
            return literal(False)
        return and_(in_use, or_(lots.c.expires_on.is_(None), lots.c.expires_on > self.day))

    def as_input(self) -> dict[str, Any]:
        """As JSON, for the batch."""
        return {
            "expires_on": self.day.isoformat() if self.day else None,
            "extend_by": dict([self.by]) if self.by else None,
        }

    @classmethod
    def from_input(cls, stored: Mapping[str, Any]) -> "NewDay":
        """Back from the batch."""
        day, by = stored["expires_on"], stored.get("extend_by")
        return cls(dt.date.fromisoformat(day) if day else None, next(iter(by.items())) if by else None)


def check_new_day(session: Session, choice: Choice, expires_on: Any, extend_by: Any) -> NewDay:
    """What was asked for, checked. Raises: InvalidInput, also for a day that is over in a club of these lots."""
    if wrong := wrong_expiry(expires_on, extend_by):
        raise InvalidInput(fields={"extend_by" if k == "expires_in" else k: text for k, text in wrong.items()})
    if extend_by is not None:
        return NewDay(by=next(iter(extend_by.items())))
    if expires_on is not None:
        clubs = session.execute(
            select(clubs_table.c.timezone)
            .join_from(lots, clients_table)
            .join(clubs_table)
            .where(lots.c.id.in_(choice.keys))
            .distinct()
        ).scalars()
        if any(expires_on < clock.today(timezone) for timezone in clubs):
            raise InvalidInput(fields={"expires_on": _l("The expiry must not be in the past.")})
    return NewDay(expires_on)


class ExtensionPlan(NamedTuple):
    """What new last days would do: to how many lots with how many unspent credits.

    `shortened` of the lots would be good for less long than now; `endless` ones never expire and stay so;
    `missing` were named and are not there.
    """

    lots: int
    credits: int
    shortened: int
    endless: int
    missing: int


def plan_extension(
    session: Session,
    *,
    lot_ids: Lots,
    expires_on: dt.date | None = None,
    extend_by: Mapping[str, int] | None = None,
    actor: Actor,
) -> ExtensionPlan:
    """Say what `extend_lots` would do now. Raises: NotFound, NothingSelected, InvalidInput."""
    choice = choose_lots(session, lot_ids, actor)
    return told_plan(session, choice, check_new_day(session, choice, expires_on, extend_by))


def told_plan(session: Session, choice: Choice, new: NewDay) -> ExtensionPlan:
    """What a checked new day would do to what was chosen."""

    def total(clause: ColumnElement[bool], value: Any = 1) -> ColumnElement[Any]:
        return func.coalesce(func.sum(case((clause, value))), 0)

    endless = and_(in_use, lots.c.expires_on.is_(None)) if new.by else literal(False)
    row = session.execute(
        select(
            total(new.gets_one), total(new.gets_one, lots.c.available + lots.c.reserved), total(new.shortens),
            total(endless),
        ).where(lots.c.id.in_(choice.keys))
    ).one()
    count, credits, shortened, without = (int(value) for value in row)
    return ExtensionPlan(count, credits, shortened, without, choice.missing)

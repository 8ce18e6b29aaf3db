"""Decisions of the ledger as plain calculation: values in, values out."""

import calendar
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

UNITS = {"days": 3660, "weeks": 523, "months": 120}
"""The units a period of validity may have, and the most of each (ten years)."""

MOST_CREDITS = 1_000
"""The most credits that one verb gives to, or takes from, a client."""

MOST_IN_RATIO = 100
"""Converting turns at most so many credits into at most so many."""

MOST_PRIORITY = 100

USUAL_PRIORITY = 50
"""Lots with a lower number burn first, those with a higher one last."""


class Change(NamedTuple):
    """What one credit of an entry does to its lot; `counter` is a further column, changed by `counted`."""

    available: int
    reserved: int
    counter: str | None = None
    counted: int = 1


CHANGES: Mapping[str, Change] = {
    "grant": Change(1, 0),
    "transfer_in": Change(1, 0),
    "reserve": Change(-1, 1),
    "consume": Change(0, -1, "used"),
    "release": Change(1, -1),
    "restore": Change(0, 1, "used", -1),
    "expire": Change(-1, 0, "expired"),
    "void": Change(-1, 0, "voided"),
    "transfer_out": Change(-1, 0, "transferred"),
    "extend": Change(0, 0),
}
"""The whole arithmetic of the ledger, by kind of entry."""


@dataclass(frozen=True)
class SpendableLot:
    """What the burn order needs to know of a lot. `expires_on` is the last day it is good for.

    `own`: it belongs to the client who spends; otherwise to somebody of the household who shares it.
    """

    id: int
    available: int
    priority: int
    expires_on: dt.date | None
    unit_value: int
    granted_at: dt.datetime
    own: bool = True


class Take(NamedTuple):
    """So many credits of one lot."""

    lot_id: int
    quantity: int


def is_valid_on(expires_on: dt.date | None, day: dt.date) -> bool:
    """Whether a lot can be spent on a session of this day: the day of expiry is the last one."""
    return expires_on is None or expires_on >= day


def burn_order(lot: SpendableLot) -> tuple[Any, ...]:
    """The sort key of the lot that pays first.

    Own before those of the household, lower priority number, earlier expiry (none last), gifts before paid,
    older, key.
    """
    return (
        not lot.own,
        lot.priority,
        lot.expires_on or dt.date.max,
        lot.expires_on is None,
        lot.unit_value > 0,
        lot.granted_at,
        lot.id,
    )


def burn(lots: Iterable[SpendableLot], quantity: int, on: dt.date) -> list[Take]:
    """Which lots pay for `quantity` credits on a day, in burn order; empty when together they cannot."""
    return _take(sorted((lot for lot in lots if is_valid_on(lot.expires_on, on)), key=burn_order), quantity)


def take_last(lots: Iterable[SpendableLot], quantity: int) -> list[Take]:
    """From which lots `quantity` credits are taken back: those that would be spent last; empty when too few."""
    return _take(sorted(lots, key=burn_order, reverse=True), quantity)


def burn_steps(
    lots: Iterable[SpendableLot], quantity: int, on: dt.date, *, give: int, alike: Mapping[int, Any]
) -> list[Take]:
    """Which lots pay for whole steps of `give` credits each; less than `quantity` when no further step is whole.

    The credits of a step are of lots that are `alike` (something comparable, by key of lot). Lots that are alike
    follow each other, in burn order and in that of the first of them.
    """
    groups: dict[Any, list[SpendableLot]] = {}
    for lot in sorted((lot for lot in lots if is_valid_on(lot.expires_on, on)), key=burn_order):
        groups.setdefault(alike[lot.id], []).append(lot)
    takes: list[Take] = []
    missing = quantity
    for members in groups.values():
        part = min(missing, sum(lot.available for lot in members)) // give * give
        takes += _take(members, part)
        missing -= part
    return takes


def _take(lots: Iterable[SpendableLot], quantity: int) -> list[Take]:
    takes = []
    missing = quantity
    for lot in lots:
        part = min(lot.available, missing)
        if part > 0:
            takes.append(Take(lot.id, part))
            missing -= part
    return [] if missing else takes


@dataclass(frozen=True)
class Portion:
    """So many credits of one lot that leave it, with the lot's last day and value of one credit."""

    lot_id: int
    quantity: int
    expires_on: dt.date | None
    unit_value: int


def convert(portions: Iterable[Portion], give: int, get: int) -> list[Portion]:
    """What `give` → `get` makes of credits, step by step in their order; a rest below a whole step is left out.

    A step takes the earliest last day and the whole value of its credits, rounded down per credit that comes
    out. `lot_id` is the lot of its first credit; neighbours that are alike are one portion.
    """
    credits = [portion for portion in portions for _ in range(portion.quantity)]
    made: list[Portion] = []
    for start in range(0, len(credits) - give + 1, give):
        step = credits[start : start + give]
        days = [credit.expires_on for credit in step if credit.expires_on]
        value = sum(credit.unit_value for credit in step) // get
        portion = Portion(step[0].lot_id, get, min(days, default=None), value)
        if made and replace(made[-1], quantity=get) == portion:
            made[-1] = replace(made[-1], quantity=made[-1].quantity + get)
        else:
            made.append(portion)
    return made


class Arrival(NamedTuple):
    """How many credits came into a lot, and how many of its credits nobody has spent."""

    quantity: int
    available: int


def give_back(left: Iterable[Take], arrived: Iterable[Arrival], give: int, get: int) -> list[list[Take]]:
    """To which lots the credits of each arrival go back, in whole steps of `give` → `get`.

    `left` and `arrived` are in the order of the steps that `convert` made. Where some of an arrival were spent,
    its last steps go back: the first to leave would have been the first to be spent.
    """
    credits = [take.lot_id for take in left for _ in range(take.quantity)]
    result, end = [], 0
    for arrival in arrived:
        end += arrival.quantity // get * give
        back = Counter(credits[end - arrival.available // get * give : end])
        result.append([Take(lot_id, quantity) for lot_id, quantity in back.items()])
    return result


def expiry_after(today: dt.date, unit: str, count: int) -> dt.date:
    """The last day of a period that starts today; a month without that day ends on its own last day."""
    if unit == "months":
        year, month = divmod(today.year * 12 + today.month - 1 + count, 12)
        day = min(today.day, calendar.monthrange(year, month + 1)[1])
        return dt.date(year, month + 1, day)
    return today + dt.timedelta(days=count * 7 if unit == "weeks" else count)


def later(day: dt.date, unit: str, count: int) -> dt.date:
    """A last day moved on by a period; beyond the calendar's end it is its last day."""
    try:
        return expiry_after(day, unit, count)
    except (OverflowError, ValueError):
        return dt.date.max


def grace_date(expires_on: dt.date | None, today: dt.date, days: int) -> dt.date | None:
    """The new last day of a lot that gets a credit back after its expiry; None when it is still valid."""
    return None if is_valid_on(expires_on, today) else today + dt.timedelta(days=days)


@dataclass(frozen=True)
class Sums:
    """What the entries of one lot add up to; a sound ledger has none of them below zero."""

    available: int = 0
    reserved: int = 0
    used: int = 0
    expired: int = 0
    voided: int = 0
    transferred: int = 0

    @property
    def quantity(self) -> int:
        """The quantity such a lot must have been granted with."""
        return sum((self.available, self.reserved, self.used, self.expired, self.voided, self.transferred))


class Correction(NamedTuple):
    """An entry that brings a broken ledger back to a possible state."""

    kind: str
    available_change: int
    reserved_change: int


_LEAVING: Mapping[str, str] = {"expired": "expire", "voided": "void", "transferred": "transfer_out"}


def corrections(sums: Sums) -> tuple[list[Correction], Sums]:
    """The entries that lift every negative sum to zero, and the sums after them.

    Each step moves the shortfall to where it came from (spent more than reserved → reserve more; reserved
    more than there was → grant more), so that one pass in this order leaves nothing negative.
    """
    result = []
    for name, kind in _LEAVING.items():
        if (value := getattr(sums, name)) < 0:
            result.append(Correction(kind, value, 0))
            sums = replace(sums, available=sums.available + value, **{name: 0})
    if (value := sums.used) < 0:
        result.append(Correction("consume", 0, value))
        sums = replace(sums, used=0, reserved=sums.reserved + value)
    if (value := sums.reserved) < 0:
        result.append(Correction("reserve", value, -value))
        sums = replace(sums, reserved=0, available=sums.available + value)
    if (value := sums.available) < 0:
        result.append(Correction("grant", -value, 0))
        sums = replace(sums, available=0)
    return result, sums

"""What may happen to an enrollment, and what it is worth: decided from values alone."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from ..core.money import half_up


class Kind(StrEnum):
    package = "package"
    course = "course"
    program = "program"


class Status(StrEnum):
    active = "active"
    paused = "paused"
    completed = "completed"
    cancelled = "cancelled"
    transferred = "transferred"
    exited = "exited"


CHANGES: Mapping[Status, frozenset[Status]] = {
    Status.active: frozenset({Status.paused, Status.completed, Status.cancelled, Status.transferred, Status.exited}),
    Status.paused: frozenset({Status.active}),
    Status.completed: frozenset(),
    Status.cancelled: frozenset(),
    Status.transferred: frozenset(),
    Status.exited: frozenset(),
}
"""The table of status changes. What undoes a change goes the same way back and is no change of its own."""


def possible_changes(kind: Kind, status: Status) -> list[Status]:
    """What an enrollment may become, in the order of `Status`; only a programme is exited."""
    allowed = CHANGES[status] - (frozenset() if kind is Kind.program else {Status.exited})
    return [change for change in Status if change in allowed]


class Refund(StrEnum):
    """What is given back when an enrollment is cancelled."""

    none = "none"
    partial = "partial"
    full = "full"


class Unused(StrEnum):
    """What happens to the sessions that are left when an enrollment is completed."""

    keep = "keep"
    void = "void"


@dataclass(frozen=True)
class Quote:
    """What a cancellation would give back, in minor units; `refundable` is the most that can be."""

    amount: int
    paid: int
    refundable: int
    remaining: int
    total: int

    @property
    def percentage(self) -> Decimal:
        return percentage(self.amount, self.paid)


def percentage(amount: int, whole: int) -> Decimal:
    """The share of an amount in percent, half-up to two decimals; 0 of nothing."""
    if whole <= 0:
        return Decimal("0.00")
    return (Decimal(amount) * 100 / whole).quantize(Decimal("0.01"), ROUND_HALF_UP)


def quote(kind: Refund, *, paid: int, refunded: int, remaining: int, total: int) -> Quote:
    """What is proposed: nothing, `paid × remaining ÷ total` half-up to the minor unit, or all that is left.

    Never above what was paid and not yet given back, never below 0.
    """
    refundable = max(0, paid - refunded)
    share = {Refund.none: 0, Refund.partial: half_up(paid * max(0, remaining), total), Refund.full: refundable}
    return Quote(min(share[kind], refundable), paid, refundable, remaining, total)


def price_of(sessions: int, *, price: int, total: int) -> int:
    """What so many more sessions cost at the price per session agreed, half-up to the minor unit."""
    return half_up(price * sessions, total)


def end_of(begins_on: dt.date, valid_days: int | None) -> dt.date | None:
    """The last day on which the sessions are good; the first one counts."""
    return None if valid_days is None else begins_on + dt.timedelta(days=valid_days - 1)


def days_in_year(begins_on: dt.date, days: int, year: int) -> int:
    """How many of so many days, from one day on, lie in a calendar year."""
    ends_on = begins_on + dt.timedelta(days=days - 1)
    first, last = max(begins_on, dt.date(year, 1, 1)), min(ends_on, dt.date(year, 12, 31))
    return max(0, (last - first).days + 1)


def days_paused(begins_on: dt.date, ends_on: dt.date, resumed_on: dt.date | None = None) -> int:
    """The days of a pause, both ends included, up to the day before it was resumed."""
    last = ends_on if resumed_on is None else min(ends_on, resumed_on - dt.timedelta(days=1))
    return max(0, (last - begins_on).days + 1)

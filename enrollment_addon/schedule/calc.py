"""Decisions of the schedule as plain calculation: when a pattern takes place, what a booking's end costs."""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo


class SessionKind(StrEnum):
    klass = "class"
    appointment = "appointment"


class SessionStatus(StrEnum):
    scheduled = "scheduled"
    cancelled = "cancelled"
    done = "done"


class BookingState(StrEnum):
    booked = "booked"
    waitlisted = "waitlisted"
    attended = "attended"
    no_show = "no_show"
    late_cancel = "late_cancel"
    cancelled = "cancelled"


class Pays(StrEnum):
    """What pays for a booking."""

    enrollment = "enrollment"
    lot = "lot"
    charge = "charge"
    trial = "trial"
    nothing = "nothing"


class EffectKind(StrEnum):
    """What a closure did to a lot: gave it more days, or made it as a make-up."""

    extended = "extended"
    makeup = "makeup"


TAKING_A_PLACE = frozenset({BookingState.booked, BookingState.attended, BookingState.no_show})
"""The states that count towards a session's capacity; a place held for the waitlist counts as well."""
OFF = frozenset({BookingState.late_cancel, BookingState.cancelled})
"""The states in which a participant may book the session again."""
NEXT = {
    BookingState.booked: (
        BookingState.attended, BookingState.no_show, BookingState.late_cancel, BookingState.cancelled
    ),
    BookingState.waitlisted: (BookingState.booked, BookingState.cancelled),
    BookingState.attended: (BookingState.booked, BookingState.no_show, BookingState.late_cancel),
    BookingState.no_show: (BookingState.booked, BookingState.attended, BookingState.late_cancel),
    BookingState.late_cancel: (BookingState.booked, BookingState.attended, BookingState.no_show),
    BookingState.cancelled: (),
}
"""What may become of a booking, as a refusal names it."""
BY_CREDIT = frozenset({Pays.enrollment, Pays.lot})


@dataclass(frozen=True)
class PayWith:
    """What shall pay for a booking. Without `pays` any credit that is good for it does.

    `amount`: what a charge shall be, in minor units; without it the class group's price of a single class.
    """

    pays: Pays | None = None
    enrollment_id: int | None = None
    lot_id: int | None = None
    amount: int | None = None


AUTO = PayWith()


@dataclass(frozen=True)
class Policy:
    """What the deployment decided: see the settings of the same names."""

    notice_hours: int = 24
    no_show_forfeits: bool = True
    late_cancel_forfeits: bool = True
    waitlist_hold_hours: int = 0
    horizon_weeks: int = 12
    grace_days: int = 14

    def last_moment(self, starts_at: dt.datetime) -> dt.datetime:
        """Up to when a booking is cancelled in time."""
        return starts_at - dt.timedelta(hours=self.notice_hours)

    def is_late(self, starts_at: dt.datetime, now: dt.datetime) -> bool:
        """Whether it is too late to cancel in time."""
        return now > self.last_moment(starts_at)

    def returns(self, starts_at: dt.datetime, now: dt.datetime) -> bool:
        """Whether what paid comes back when a booking is cancelled now and nobody says otherwise."""
        return not (self.late_cancel_forfeits and self.is_late(starts_at, now))

    def spends(self, state: BookingState) -> bool:
        """Whether a booking that ended like this uses its credit up."""
        match state:
            case BookingState.attended:
                return True
            case BookingState.no_show:
                return self.no_show_forfeits
            case BookingState.late_cancel:
                return self.late_cancel_forfeits
            case _:
                return False


class Slot(NamedTuple):
    """A weekly time by a club's clock; weekday 0 is Monday."""

    weekday: int
    starts_at_time: dt.time
    duration_minutes: int


class Occurrence(NamedTuple):
    """One time a slot takes place; `day` is the club's."""

    day: dt.date
    starts_at: dt.datetime
    ends_at: dt.datetime


def occurrences(slots: Sequence[Slot], first: dt.date, last: dt.date, timezone: str) -> Iterator[Occurrence]:
    """Every time these slots take place from `first` to `last`, both inclusive.

    The local start stays the same over a change of the clocks; an hour that is skipped becomes the next one.
    """
    zone = ZoneInfo(timezone)
    for slot in slots:
        day = first + dt.timedelta(days=(slot.weekday - first.weekday()) % 7)
        length = dt.timedelta(minutes=slot.duration_minutes)
        while day <= last:
            starts_at = dt.datetime.combine(day, slot.starts_at_time, zone).astimezone(dt.UTC)
            yield Occurrence(day, starts_at, starts_at + length)
            day += dt.timedelta(days=7)


def missing(
    wanted: Iterable[Occurrence], present: Collection[dt.datetime], kept_days: Iterable[dt.date]
) -> list[Occurrence]:
    """The occurrences to make: those that are not there yet.

    A session of an earlier pattern that stays because people changed it (`kept_days`: the day it was planned
    for) stands for one occurrence of that day, so that nobody's class is there twice.
    """
    stands_for = Counter(kept_days)
    made = []
    for occurrence in sorted(wanted, key=lambda o: o.starts_at):
        if occurrence.starts_at in present:
            continue
        if stands_for[occurrence.day]:
            stands_for[occurrence.day] -= 1
        else:
            made.append(occurrence)
    return made

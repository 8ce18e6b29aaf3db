"""What is granted: the input of a grant, checked and brought to the values that are written."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...catalog.models import EventType
from ...core import clock, money
from ...core.errors import InvalidInput
from ...core.fields import is_whole, not_whole
from ...people.models import Club
from ..calc import MOST_CREDITS, MOST_PRIORITY, UNITS, expiry_after
from ..errors import MixedCurrencies, NobodySelected
from .selection import Selection

NOTE_LENGTH = 500
NO_PERIOD = _l("Please enter a period of days, weeks or months, at most ten years.")


@dataclass(frozen=True)
class Terms:
    """The same for every client of a grant. `unit_value` in minor units of `currency` (empty when it is 0).

    Either `expires_on`, or `by_club` (the last day by club, from a period), or neither: no expiry.
    """

    event_type_id: int
    quantity: int
    priority: int
    unit_value: int
    currency: str | None
    expires_on: dt.date | None
    by_club: Mapping[int, dt.date] = field(default_factory=dict)

    def dates_for(self, clubs: Iterable[int]) -> tuple[dt.date, ...]:
        """The distinct last days among clients of these clubs."""
        if self.expires_on:
            return (self.expires_on,)
        return tuple(sorted({self.by_club[club] for club in clubs})) if self.by_club else ()

    def as_input(self) -> dict[str, Any]:
        """As JSON, for the batch."""
        return {
            "event_type_id": self.event_type_id,
            "quantity": self.quantity,
            "priority": self.priority,
            "unit_value": self.unit_value,
            "currency": self.currency,
            "expires_on": self.expires_on.isoformat() if self.expires_on else None,
            "expires_by_club": {str(club): day.isoformat() for club, day in self.by_club.items()},
        }

    @classmethod
    def from_input(cls, stored: Mapping[str, Any]) -> "Terms":
        """Back from the batch."""
        day = stored["expires_on"]
        return cls(
            stored["event_type_id"],
            stored["quantity"],
            stored["priority"],
            stored["unit_value"],
            stored["currency"],
            dt.date.fromisoformat(day) if day else None,
            {int(club): dt.date.fromisoformat(text) for club, text in stored["expires_by_club"].items()},
        )


def check_terms(
    session: Session,
    selection: Selection,
    *,
    event_type_id: Any,
    quantity: Any,
    expires_on: Any,
    expires_in: Any,
    priority: Any,
    unit_value: Any,
    note: Any,
) -> Terms:
    """Every field against its bounds, then against the clients concerned.

    Raises: InvalidInput with all wrong fields at once, NobodySelected, MixedCurrencies.
    """
    wrong: dict[str, Any] = {}
    if not is_whole(quantity, 1, MOST_CREDITS):
        wrong["quantity"] = not_whole(1, MOST_CREDITS)
    if not is_whole(priority, 0, MOST_PRIORITY):
        wrong["priority"] = not_whole(0, MOST_PRIORITY)
    if note is not None and len(str(note)) > NOTE_LENGTH:
        wrong["note"] = _l("Please use at most 500 characters.")
    if (
        not is_whole(event_type_id)
        or not session.execute(select(EventType.active).where(EventType.id == event_type_id)).scalar()
    ):
        wrong["event_type_id"] = _l("Please choose an active event type.")
    wrong |= wrong_expiry(expires_on, expires_in)
    amount = _amount(unit_value)
    if amount is None or amount < 0:
        wrong["unit_value"] = _l("Please enter an amount of 0 or more.")
    if wrong:
        raise InvalidInput(fields=wrong)
    if not selection.count:
        raise NobodySelected
    if expires_on and expires_on < max(clock.today(share.timezone) for share in selection.shares):
        raise InvalidInput(fields={"expires_on": _l("The expiry must not be in the past.")})
    minor, currency = _money(amount or Decimal(0), selection)
    return Terms(
        event_type_id,
        quantity,
        priority,
        minor,
        currency,
        expires_on,
        _days_by_club(session, expires_in) if expires_in else {},
    )


def check_cap(shared: bool, member_cap: Any) -> None:
    """Raises: InvalidInput for a cap per member that is no number, or without sharing."""
    if member_cap is None:
        return
    if not is_whole(member_cap, 1, MOST_CREDITS):
        raise InvalidInput(fields={"member_cap": not_whole(1, MOST_CREDITS)})
    if not shared:
        raise InvalidInput(fields={"member_cap": _l("Only shared credits can have this.")})


def wrong_expiry(expires_on: Any, expires_in: Any) -> dict[str, Any]:
    """What is wrong with a date or a period of days, weeks or months, by field."""
    if expires_on is not None and expires_in is not None:
        return {"expires_on": _l("Please give a date or a period, not both.")}
    if expires_on is not None and type(expires_on) is not dt.date:
        return {"expires_on": _l("Please enter a date.")}
    if expires_in is not None:
        pair = next(iter(expires_in.items())) if isinstance(expires_in, Mapping) and len(expires_in) == 1 else None
        if pair is None or pair[0] not in UNITS or not is_whole(pair[1], 1, UNITS[pair[0]]):
            return {"expires_in": NO_PERIOD}
    return {}


def _amount(unit_value: Any) -> Decimal | None:
    try:
        amount = Decimal(str(unit_value).strip())
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _money(amount: Decimal, selection: Selection) -> tuple[int, str | None]:
    if not amount:
        return 0, None
    if len(selection.currencies) > 1:
        raise MixedCurrencies(currencies=", ".join(selection.currencies))
    currency = selection.currencies[0]
    return money.from_field(amount, currency, "unit_value"), currency


def _days_by_club(session: Session, expires_in: Mapping[str, int]) -> dict[int, dt.date]:
    """The last day by club, for all clubs: a client may move before their chunk is written."""
    ((unit, count),) = expires_in.items()
    clubs = session.execute(select(Club.id, Club.timezone))
    return {row.id: expiry_after(clock.today(row.timezone), unit, count) for row in clubs}

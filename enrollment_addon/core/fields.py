"""Rules for the fields of an input: each turns a value into the one to store, or says what is wrong with it.

`clean` applies the rules of a record to everything that was given and refuses once, naming every wrong field.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeGuard

from flask_babel import lazy_gettext as _l

from .errors import InvalidInput

LARGEST_KEY = 2**63 - 1

Rule = Callable[[Any], Any]


class Wrong(ValueError):
    """What is wrong with one field, for a reader."""

    def __init__(self, message: Any) -> None:
        super().__init__(message)
        self.message = message


REQUIRED = _l("This field is required.")


def is_whole(value: Any, low: int = 1, high: int = LARGEST_KEY) -> TypeGuard[int]:
    """Whether a value is a whole number within bounds, both inclusive; as they stand: whether it can be a key."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def not_whole(low: int, high: int) -> Any:
    """What is said of anything else than a whole number within bounds, wherever it was given."""
    return _l("This must be a whole number from %(low)s to %(high)s.", low=low, high=high)


def clean(
    given: Mapping[str, Any], rules: Mapping[str, Rule], *, required: Iterable[str] = ()
) -> dict[str, Any]:
    """The values to store.

    Raises: InvalidInput with a message for every field that is unknown, missing or breaks its rule.
    """
    values: dict[str, Any] = {}
    wrong: dict[str, Any] = {name: REQUIRED for name in required if name not in given}
    for name, value in given.items():
        if name not in rules:
            wrong[name] = _l("This field is not known.")
            continue
        try:
            values[name] = rules[name](value)
        except Wrong as error:
            wrong[name] = error.message
    if wrong:
        raise InvalidInput(fields=wrong)
    return values


def text(limit: int, *, required: bool = False, lines: bool = False) -> Rule:
    """Text without surrounding space; empty text is None. `lines`: line breaks are allowed."""

    def rule(value: Any) -> str | None:
        if not isinstance(value, str | None):
            raise Wrong(_l("This must be text."))
        value = (value or "").strip()
        allowed = "\n\r\t" if lines else ""
        if any(unicodedata.category(c) in ("Cc", "Cs") and c not in allowed for c in value):
            raise Wrong(_l("This contains a character that cannot be used here."))
        if len(value) > limit:
            raise Wrong(_l("At most %(limit)s characters.", limit=limit))
        if required and not value:
            raise Wrong(REQUIRED)
        return value or None

    return rule


def flag(value: Any) -> bool:
    """True or False, and nothing that only looks like it."""
    if not isinstance(value, bool):
        raise Wrong(_l("This must be yes or no."))
    return value


def whole(low: int, high: int) -> Rule:
    """A whole number within bounds, both inclusive."""

    def rule(value: Any) -> int:
        if not is_whole(value, low, high):
            raise Wrong(not_whole(low, high))
        return value

    return rule


def key(*, required: bool = False) -> Rule:
    """The key of another record, or None."""

    def rule(value: Any) -> int | None:
        if value is None and not required:
            return None
        if value is None:
            raise Wrong(REQUIRED)
        if not is_whole(value):
            raise Wrong(_l("This is not the key of a record."))
        return value

    return rule


def choice(values: type[StrEnum], *, required: bool = True) -> Rule:
    """One of an enum's values."""

    def rule(value: Any) -> StrEnum | None:
        if value in (None, "") and not required:
            return None
        try:
            return values(value)
        except ValueError:
            raise Wrong(_l("Choose one of: %(choices)s.", choices=", ".join(values))) from None

    return rule


def date(first: dt.date, last: Callable[[], dt.date]) -> Rule:
    """A day from `first` up to what `last` says at the time, or None."""

    def rule(value: Any) -> dt.date | None:
        if value is None:
            return None
        if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
            raise Wrong(_l("This must be a date."))
        latest = last()
        if not first <= value <= latest:
            raise Wrong(_l("This must be a date from %(first)s to %(last)s.", first=first, last=latest))
        return value

    return rule


def colour(value: Any) -> str | None:
    """A colour as browsers send it: # and six hexadecimal digits; or None."""
    shown: str | None = text(7)(value)
    if shown and not re.fullmatch(r"#[0-9a-fA-F]{6}", shown):
        raise Wrong(_l("Write a colour as # and six digits or letters a–f, such as #1f6feb."))
    return shown and shown.lower()


def reason_of(reason: Any) -> str:
    """The reason for a verb that asks for one.

    Raises: InvalidInput when it is empty or longer than 500 characters.
    """
    return str(clean({"reason": reason}, {"reason": text(500, required=True)})["reason"])

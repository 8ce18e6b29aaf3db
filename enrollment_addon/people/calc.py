"""Decisions about people: values in, values out."""

import re
import string
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from babel import Locale, UnknownLocaleError
from flask_babel import lazy_gettext as _l

from ..core.fields import Wrong, text
from ..core.reasons import SystemReason

_EMAIL = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*@[^\W_]([\w-]*\.)+[^\W\d_]{2,}")
_PHONE = re.compile(r"[0-9+() -]+")
_LOCALE = frozenset(string.ascii_letters + string.digits + "_-")
MOST_TAGS = 20
SELF_NAME_LENGTH = 120
ERASED = SystemReason("[erased]", _l("[erased]"))()
"""Stands where free text about an erased client was."""


def email_of(value: Any) -> str | None:
    """An address in lower case. Checked for form only: whether it is reached shows when something is sent."""
    address: str | None = text(254)(value)
    if address is None:
        return None
    address = address.lower()
    if not _EMAIL.fullmatch(address) or len(address.split("@")[0]) > 64:
        raise Wrong(_l("This is not an e-mail address."))
    return address


def phone_of(value: Any) -> str | None:
    """A number as people write it, 7 to 20 digits.

    Only the form is checked: which numbers exist changes by the month, and a wrong refusal at the front desk
    costs more than a wrong digit.
    """
    number: str | None = text(40)(value)
    if number is None:
        return None
    digits = sum(c.isdigit() for c in number)
    if not _PHONE.fullmatch(number) or not 7 <= digits <= 20:
        raise Wrong(_l("A phone number has 7 to 20 digits, and only + ( ) - and spaces between them."))
    return number


def locale_of(value: Any) -> str | None:
    """A language code as Babel writes it: pt-br → pt_BR."""
    code = text(16)(value)
    if code is None:
        return None
    try:
        if not set(code) <= _LOCALE:  # Babel lets encodings and modifiers pass: de.utf8, de@whatever
            raise ValueError
        return str(Locale.parse(code.replace("-", "_")))
    except (ValueError, UnknownLocaleError):
        raise Wrong(_l("This is not a language.")) from None


def tags_of(value: Any) -> list[str]:
    """Tags without repeats, in the order they were given."""
    if value is None:
        return []
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Wrong(_l("This must be a list of tags."))
    tags = list(dict.fromkeys(filter(None, (text(40)(tag) for tag in value))))
    if len(tags) > MOST_TAGS:
        raise Wrong(_l("At most %(most)s tags.", most=MOST_TAGS))
    return tags


def same_name(typed: Any, name: str) -> bool:
    """Whether somebody typed this name, whatever the case and the space around and between."""
    return isinstance(typed, str) and typed.casefold().split() == name.casefold().split()


class FieldDifference(NamedTuple):
    """A field in which two clients differ, and whose value the merged client has: source or target."""

    field: str
    source: Any
    target: Any
    wins: str

    @property
    def value(self) -> Any:
        return self.source if self.wins == "source" else self.target


def differences(
    source: Mapping[str, Any], target: Mapping[str, Any], keep: Mapping[str, str]
) -> list[FieldDifference]:
    """The fields in which two clients differ. Unless told otherwise the target wins where it has a value."""
    return [
        FieldDifference(
            field, source[field], target[field],
            keep.get(field) or ("source" if target[field] is None else "target"),
        )
        for field in target
        if source[field] != target[field]
    ]


def joined_notes(target: str | None, source: str | None) -> str | None:
    """Both clients' notes, the target's first; nothing twice."""
    return "\n\n".join(dict.fromkeys(filter(None, (target, source)))) or None


def redacted(value: Any, needles: Collection[str]) -> Any:
    """A text or JSON value with every needle replaced by a placeholder, whatever its case."""
    if isinstance(value, str):
        return _pattern(needles).sub(ERASED, value) if needles else value
    if isinstance(value, Mapping):
        return {redacted(key, needles): redacted(item, needles) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item, needles) for item in value]
    return value


def _pattern(needles: Iterable[str]) -> re.Pattern[str]:
    """Whole words only: erasing "Ann" leaves "Annual" alone. Longest first: a full name goes as one."""
    longest_first = sorted(needles, key=len, reverse=True)
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)", re.IGNORECASE)

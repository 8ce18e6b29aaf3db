"""Reasons that the system gives itself: kept in English, told in the language of whoever reads them.

The ledger cannot be changed later, so what it keeps must not depend on whoever caused it; and rows that older
versions wrote are told like new ones.
"""

import re
from typing import Any

_known: dict[str, tuple[re.Pattern[str], Any]] = {}


class SystemReason:
    """A reason with numbers in it. `kept` never changes, because rows with it exist; the `message` may.

    Both have the same placeholders, the one as `{number}`, the other as `%(number)s`.
    """

    def __init__(self, kept: str, message: Any) -> None:
        self.kept = kept
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[0-9]+)", re.escape(kept))
        _known[kept] = re.compile(pattern), message

    def __call__(self, **numbers: int) -> str:
        """The text to keep."""
        return self.kept.format(**numbers)


def told(reason: str | None) -> str:
    """A reason in the reader's language: what a person wrote as it is, what the system wrote translated."""
    if not reason:
        return ""
    for pattern, message in _known.values():
        if match := pattern.fullmatch(reason):
            return str(message) % match.groupdict() if match.groupdict() else str(message)
    return reason

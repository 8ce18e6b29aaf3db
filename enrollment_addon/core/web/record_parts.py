"""What domains add to the page of a record below them, as `people.parts` does for the client card.

The page asks for its record's parts and shows them; it knows nothing of who gives them. `sections` are dicts
that name a `template` beside what it shows, `links` have a `label` and a `url`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flask import current_app

from ..extension import Extension

RecordPart = Callable[[Any], Mapping[str, list[Any]]]
"""A record → lists of `sections` or `links`. Links must cost no query: a page may ask for many records."""


def add_record_part(extension: Extension, record: str, part: RecordPart) -> None:
    """Add to the pages of a kind of record, such as “enrollment” or “booking”."""
    extension.record_parts.setdefault(record, []).append(part)


def record_parts(record: str, item: Any) -> dict[str, list[Any]]:
    """What the domains that are switched on add to this record's page: `sections` and `links`."""
    found: dict[str, list[Any]] = {"sections": [], "links": []}
    for part in current_app.extensions["enrollment"].record_parts.get(record, ()):
        for name, given in part(item).items():
            found[name] += given
    return found

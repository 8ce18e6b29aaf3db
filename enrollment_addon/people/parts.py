"""What the domains above people add to the pages of clients: columns, filters, list actions, parts of the card."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import current_app, url_for

from ..core.web.access import may
from ..core.web.filters import Filter
from ..core.web.views import Column, ListAction
from .hooks import TimelineItem
from .models import Client


@dataclass(frozen=True)
class ClientPart:
    """One domain's share. `prepare` loads what its columns need for a page of clients at once; `card` gives
    entries of the card's context (lists of the same name are joined; `sections` and `side_sections` name a
    `template` each, beside what it shows), `tell` the sentence of a timeline item, with a link to undo it where
    there is one, `prepare_story` loads what those sentences need for a whole timeline. `records` says for each
    record of the timeline, and for each of its sources, which menu's records one must be permitted to read to be
    told of it; `card` looks for itself, columns and filters name their menu. `links` gives buttons over the list,
    `label` and `url`, that the person may use; `own` the domain's section of the page that clients have themselves:
    `title`, `rows`, what an `empty` one says, and a `link`, which is a button if it is `primary`."""

    columns: Sequence[Column] = ()
    filters: Sequence[Filter] = ()
    actions: Sequence[ListAction] = ()
    links: Callable[[], Sequence[Mapping[str, str]]] | None = None
    prepare: Callable[[Sequence[Client]], None] | None = None
    prepare_story: Callable[[Sequence[TimelineItem]], None] | None = None
    card: Callable[[Client], Mapping[str, Any]] | None = None
    own: Callable[[Client], Mapping[str, Any]] | None = None
    tell: Callable[[TimelineItem], tuple[Any, str | None] | None] | None = None
    records: Mapping[str, str] = field(default_factory=dict)


def client_parts() -> Sequence[ClientPart]:
    """The parts of the domains that are switched on in this application."""
    found: Sequence[ClientPart] = current_app.extensions["enrollment"].client_parts
    return found


_OWN_RECORDS = {
    "client": "EnrollmentClient", "participant": "EnrollmentParticipant", "household": "EnrollmentHousehold",
}


def told_records() -> frozenset[str]:
    """The records and sources of the timeline that the current person may be told of; no others are."""
    menus = dict(_OWN_RECORDS)
    for part in client_parts():
        menus.update(part.records)
    return frozenset(name for name, menu in menus.items() if may("read", menu))


def client_url(key: int) -> str | None:
    """The way to a client's card, for people who may read clients."""
    return url_for("ClientView.show", pk=key) if may("read", "EnrollmentClient") else None

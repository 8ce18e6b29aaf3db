"""What the domains above people add to the pages of clients: columns, filters, list actions, parts of the card."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import current_app

from ..core.web.filters import Filter
from ..core.web.views import Column, ListAction
from .hooks import TimelineItem
from .models import Client


@dataclass(frozen=True)
class ClientPart:
    """One domain's share. `prepare` loads what its columns need for a page of clients at once; `card` gives
    entries of the card's context (lists of the same name are joined; `sections` and `side_sections` name a
    `template` each, beside what it shows), `tell` the sentence of a timeline item,
    with a link to undo it where there is one."""

    columns: Sequence[Column] = ()
    filters: Sequence[Filter] = ()
    actions: Sequence[ListAction] = ()
    prepare: Callable[[Sequence[Client]], None] | None = None
    card: Callable[[Client], Mapping[str, Any]] | None = None
    tell: Callable[[TimelineItem], tuple[Any, str | None] | None] | None = None


def client_parts() -> Sequence[ClientPart]:
    """The parts of the domains that are switched on in this application."""
    found: Sequence[ClientPart] = current_app.extensions["enrollment"].client_parts
    return found

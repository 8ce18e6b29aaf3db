"""What the pages of credits share."""

from typing import Any

from flask import current_app, url_for
from markupsafe import Markup

from ...core.web import render
from ...core.web.views import RecordView

ROWS = 50
"""Lots on a page."""


def settings() -> Any:
    return current_app.extensions["enrollment"].settings


def client_view() -> RecordView:
    """The list of clients, whose search and filters a selection refers to."""
    view: RecordView = current_app.extensions["enrollment"].views["ClientView"]
    return view


def number_of(text: str | None) -> int | None:
    """A key in the address; None for anything else."""
    return int(text) if text and text.isdecimal() and len(text) < 19 else None


def explained(number: int, client_id: int, event_type_id: int | None = None) -> Markup:
    """A number of credits as a link to how it came about."""
    url = url_for("CreditsView.explain", pk=client_id, event_type_id=event_type_id)
    return linked(render.number(number), url)


def linked(text: Any, url: str | None) -> Markup:
    """A text as a link, where there is something to open."""
    return Markup('<a class="enr-touch" href="{}">{}</a>').format(url, text) if url else Markup("{}").format(text)

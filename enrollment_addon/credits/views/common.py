"""What the pages of credits share."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from flask import current_app, url_for
from flask_babel import gettext as _
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core.web import render
from ...core.web.views import RecordView
from ...people.models import Client
from .. import labels

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


def grace_mark(day: dt.date | None) -> dict[str, Any]:
    """The badge of credits that came back late and can be used a little longer."""
    return {"label": _("Grace until %(date)s", date=render.date(day)), "class": "warn"}


def skipped_by_name(session: Session, skipped: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Who was left out and why; by name where the viewer reaches them."""
    found = session.scalars(select(Client).where(Client.id.in_([s["client_id"] for s in skipped])))
    names = {client.id: client.full_name for client in found}
    return [
        {"name": names.get(s["client_id"], _("Number %(id)s", id=s["client_id"])),
         "reason": labels.SKIP_REASONS.get(s["reason"], s["reason"])}
        for s in skipped
    ]


def explained(number: int, client_id: int, event_type_id: int | None = None) -> Markup:
    """A number of credits as a link to how it came about."""
    url = url_for("CreditsView.explain", pk=client_id, event_type_id=event_type_id)
    return linked(render.number(number), url)


def linked(text: Any, url: str | None) -> Markup:
    """A text as a link, where there is something to open."""
    return Markup('<a class="enr-touch" href="{}">{}</a>').format(url, text) if url else Markup("{}").format(text)

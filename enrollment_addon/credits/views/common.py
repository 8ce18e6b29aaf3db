"""What the pages of credits share."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flask import current_app, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup
from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from ...core.errors import NotFound
from ...core.web import render
from ...core.web.views import RecordView, Selection
from ...people.models import Client
from .. import labels
from ..models import CreditLot

ROWS = 50
"""Lots on a page."""


def settings() -> Any:
    return current_app.extensions["enrollment"].settings


def client_view() -> RecordView:
    """The list of clients, whose search and filters a selection refers to."""
    view: RecordView = current_app.extensions["enrollment"].views["ClientView"]
    return view


def whom(selection: Selection) -> str:
    """Which clients a selection means, in words. Raises: NotFound for a single one out of reach."""
    if selection.query is not None:
        return _("all clients that match the search")
    if len(selection.keys) == 1:
        name: str = client_view().find(str(selection.keys[0])).full_name
        return name
    return ngettext("%(num)s selected client", "%(num)s selected clients", len(selection.keys))


def number_of(text: str | None) -> int | None:
    """A key in the address; None for anything else."""
    return int(text) if text and text.isdecimal() and len(text) < 19 else None


def grace_mark(day: dt.date | None) -> dict[str, Any]:
    """The badge of credits that came back late and can be used a little longer."""
    return {"label": _("Grace until %(date)s", date=render.date(day)), "class": "warn"}


def skipped_by_name(session: Session, skipped: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Who was left out and why; clients by name where the viewer reaches them, lots by number."""
    keys = [s["client_id"] for s in skipped if "client_id" in s]
    names = {c.id: c.full_name for c in session.scalars(select(Client).where(Client.id.in_(keys)))} if keys else {}
    return [
        {"name": names.get(s.get("client_id", 0)) or _("Number %(id)s", id=s.get("client_id", s.get("lot_id"))),
         "reason": labels.SKIP_REASONS.get(s["reason"], s["reason"])}
        for s in skipped
    ]


class Totals(NamedTuple):
    """How much chosen lots hold together, and how much of it is of enrollments."""

    lots: int
    clients: int
    available: int
    of_enrollments: int


def totals_of(session: Session, chosen: Sequence[int] | Select[Any]) -> Totals:
    """What the chosen lots in reach hold. Raises: NotFound when there are none."""
    row = session.execute(
        select(
            func.count(CreditLot.id), func.count(CreditLot.client_id.distinct()),
            func.coalesce(func.sum(CreditLot.available), 0),
            func.coalesce(func.sum(case((CreditLot.enrollment_id.is_not(None), CreditLot.available), else_=0)), 0),
        ).where(CreditLot.id.in_(chosen))
    ).one()
    if not row[0]:
        raise NotFound
    return Totals(*(int(value) for value in row))


def sizes() -> dict[str, Any]:
    """How a verb on many lots is cut."""
    return {"threshold": settings().job_threshold, "chunk": settings().sweep_chunk}


def explained(number: int, client_id: int, event_type_id: int | None = None) -> Markup:
    """A number of credits as a link to how it came about."""
    url = url_for("CreditsView.explain", pk=client_id, event_type_id=event_type_id)
    return linked(render.number(number), url)


def linked(text: Any, url: str | None) -> Markup:
    """A text as a link, where there is something to open."""
    return Markup('<a class="enr-touch" href="{}">{}</a>').format(url, text) if url else Markup("{}").format(text)

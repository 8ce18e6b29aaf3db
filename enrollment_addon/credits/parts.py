"""What credits add to the pages of clients: columns, a filter, the main job, and their part of the card."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from flask import g, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy import ColumnElement, func, select

from ..core import clock
from ..core.web import access, render
from ..core.web.filters import Filter
from ..core.web.views import Column, ListAction
from ..people.hooks import TimelineItem
from ..people.models import Client
from ..people.parts import ClientPart
from . import labels, queries
from .models import CreditBalance, EntryKind, lots, something_left
from .views import add_to_selection
from .views.common import explained
from .views.explain import told_shared
from .views.moves import convert_of_clients, extend_of_clients, void_of_clients

MENU = "EnrollmentCredits"
SOON = dt.timedelta(days=30)
UNDOABLE = (EntryKind.grant, EntryKind.transfer_out, EntryKind.transfer_in, EntryKind.extend, EntryKind.void)
_NOTHING = queries.Summary()


def _summary(client: Client) -> queries.Summary:
    found: queries.Summary = g.get("enrollment_balances", {}).get(client.id, _NOTHING)
    return found


def _figure(name: str) -> Callable[[Client], int]:
    return lambda client: getattr(_summary(client), name)  # type: ignore[no-any-return]


def _explained(name: str) -> Callable[[Client], Any]:
    """The number with the way to its explanation."""
    return lambda client: explained(getattr(_summary(client), name), client.id)


def prepare(clients: Sequence[Client]) -> None:
    """The balances of a page of clients, for the columns."""
    if access.may("read", MENU):
        g.enrollment_balances = queries.balances_for(access.current_session(), [c.id for c in clients])


def _compare(operator: str, value: Any) -> ColumnElement[bool]:
    """By the number that the column shows: what has lapsed is in the balance until the sweep, and in no number."""
    held = (
        select(func.coalesce(func.sum(CreditBalance.available), 0))
        .where(CreditBalance.client_id == Client.id)
        .correlate(Client)
        .scalar_subquery()
    )
    lapsed = (
        select(func.coalesce(func.sum(lots.c.available), 0))
        .where(
            lots.c.client_id == Client.id, something_left,
            queries.is_over(access.current_session(), lots.c.expires_on),
        )
        .correlate(Client)
        .scalar_subquery()
    )
    total = held - lapsed
    return {"lt": total < value, "gt": total > value, "eq": total == value}[operator]


def links() -> list[dict[str, str]]:
    """The way from the list of clients to the import of more."""
    return [{"label": _("Import"), "url": url_for("ImportView.add")}] if access.can("import_clients") else []


def card(client: Client) -> dict[str, Any]:
    """Balances by event type, the figures on top, and where to go from here."""
    if not access.may("read", MENU):
        return {}
    balances = queries.client_balances(access.current_session(), client.id)
    available = sum(b.available for b in balances)
    reserved = sum(b.reserved for b in balances)
    expiring = [b for b in balances if b.next_expiry]
    first = min(expiring, key=lambda b: b.next_expiry or dt.date.max, default=None)
    today = clock.today(client.club.timezone)
    add_url = None
    if access.can("add_session_credits") and not client.archived:
        add_url = url_for("CreditsView.add", pk=client.id)
    stats = [
        {"label": _("Sessions available"), "value": render.number(available),
         "note": ngettext("%(num)s reserved", "%(num)s reserved", reserved),
         "url": url_for("CreditsView.explain", pk=client.id)},
        {"label": _("Next expiry"), "value": render.date(first.next_expiry) if first else "–",
         "note": first.event_type if first else _("nothing expires")},
    ]
    shared = queries.shared_with(access.current_session(), client.id) if client.household_id else []
    return {
        "shared_credits": told_shared(shared), "stats": stats, "add_credits_url": add_url,
        "explain_url": url_for("CreditsView.explain", pk=client.id),
        "lots_url": url_for("LotView.list", _flt_0_client_id=client.id),
        "empty_credits": _("No session credits yet."), "more": _moves(client) if available else [],
        "balances": [
            {
                "event_type": b.event_type, "available": b.available, "reserved": b.reserved, "used": b.used,
                "total": b.available + b.reserved + b.used, "next_expiry": b.next_expiry,
                "grace": b.grace,
                "expiring_soon": b.grace or bool(b.next_expiry and b.next_expiry <= today + SOON),
                "explain_url": url_for("CreditsView.explain", pk=client.id, event_type_id=b.event_type_id),
            }
            for b in balances
        ],
    }


def own(client: Client) -> dict[str, Any]:
    """What a client has, for themselves: each event type with the way to its explanation, and what others share."""
    session = access.current_session()
    shared = queries.shared_with(session, client.id) if client.household_id else []
    rows: list[dict[str, Any]] = [
        {
            "name": b.event_type, "meter": (b.used, b.reserved, b.available + b.reserved + b.used),
            "facts": [
                _("%(number)s used", number=render.number(b.used)),
                _("%(number)s reserved", number=render.number(b.reserved)),
                *([_next_expiry(b.next_expiry)] if b.available else []),
            ],
            "left": {"number": b.available, "label": _("available")},
            "url": url_for("OwnCreditsView.explain", event_type_id=b.event_type_id),
        }
        for b in queries.client_balances(session, client.id)
    ]
    rows += [
        {
            "name": row.event_type, "badge": {"label": _("Shared in the household"), "class": ""},
            "facts": [_next_expiry(row.next_expiry)], "left": {"number": row.available, "label": _("available")},
        }
        for row in shared
    ]
    return {
        "title": _("Session credits"), "rows": rows, "empty": _("No session credits yet."),
        "link": {"label": _("Explain"), "url": url_for("OwnCreditsView.explain")},
    }


def _next_expiry(day: dt.date | None) -> str:
    return _("next expiry %(date)s", date=render.date(day)) if day else _("never expire")


def _moves(client: Client) -> list[dict[str, Any]]:
    """What can be done with the credits that are left, for the card's menu."""
    found = [
        (_("Transfer session credits"), "transfer", "transfer_session_credits"),
        (_("Convert session credits"), "convert", "convert_session_credits"),
        (_("Extend credit expiry"), "extend", "extend_credit_expiry"),
        (_("Void session credits"), "void", "void_session_credits"),
    ]
    return [
        {"label": label, "url": url_for(f"CreditMovesView.{page}", pk=client.id), "danger": page == "void"}
        for label, page, permission in found
        if access.can(permission)
    ]


def tell(item: TimelineItem) -> tuple[Any, str | None] | None:
    """A change of credits as a sentence, with the way to its undo where a batch did it."""
    kind = item.verb.removeprefix("credits_")
    if not item.verb.startswith("credits_") or kind not in dict(labels.ENTRY_KINDS):
        return None
    batch_id = item.details.get("batch_id")
    what = labels.entry_label(kind, 1 if item.details["gives"] else -1, converted=item.details["converted"])
    text = _(
        "%(event_type)s: %(credits)s · %(what)s", event_type=item.details["event_type"],
        credits=ngettext("%(num)s credit", "%(num)s credits", item.details["credits"]), what=what,
    )
    if kind == EntryKind.extend:
        until = item.details["until"]
        text = _(
            "%(event_type)s: new last day %(date)s", event_type=item.details["event_type"],
            date=render.date(dt.date.fromisoformat(until)) if until else _("never"),
        )
    undoable = kind in UNDOABLE and item.details.get("undoable") and access.can("undo_batch")
    undo = url_for("BatchView.show", pk=batch_id) if undoable else None
    return text, undo


PART = ClientPart(
    columns=(
        Column("credits", _l("Credits"), value=_figure("available"), show=_explained("available"), kind="number",
               phone="end", menu=MENU),
        *(
            Column(name, label, value=_figure(name), show=_explained(name), kind="number", phone="hide", menu=MENU)
            for name, label in (("reserved", _l("Reserved")), ("used", _l("Used")))
        ),
        Column("next_expiry", _l("Next expiry"), value=lambda c: _summary(c).next_expiry, kind="date", menu=MENU),
    ),
    filters=(Filter("credits", _l("Credits"), "number", apply=_compare, operators=("lt", "gt", "eq"), menu=MENU),),
    actions=(
        ListAction("add_session_credits", _l("Add session credits"), add_to_selection, primary=True),
        ListAction("extend_credit_expiry", _l("Extend credit expiry"), extend_of_clients),
        ListAction("convert_session_credits", _l("Convert session credits"), convert_of_clients),
        ListAction("void_session_credits", _l("Void session credits"), void_of_clients),
    ),
    links=links,
    prepare=prepare,
    card=card,
    own=own,
    tell=tell,
    records={"credits": MENU},
)

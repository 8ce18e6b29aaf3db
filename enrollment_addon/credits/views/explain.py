"""How lots and their entries are told on the page that explains a balance."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _
from flask_babel import pgettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import reasons
from ...core.batches import Batch
from ...core.web import access, render
from ...people.models import Client
from .. import hooks, labels, queries
from ..calc import USUAL_PRIORITY
from ..forms import AsOfForm
from ..models import CreditEntry, EntryKind
from .common import ROWS, grace_mark, number_of

Link = Mapping[str, Any]
"""A `label` (also in `parts`, where they read in both directions), and a `url` unless there is nothing to open."""


def explanation(session: Session, client: Client, url: Callable[..., str], *, own: bool = False) -> dict[str, Any]:
    """What the page of explanations shows as its URL asks: `url` makes others of it.

    `own`: for the client themselves, without what colleagues note for each other and the ways to their pages.
    """
    render.use_timezone(client.club.timezone)
    form = AsOfForm(request.args, meta={"csrf": False})
    as_of = form.as_of.data if form.validate() else None
    event_type_id = number_of(request.args.get("event_type_id"))
    told = queries.explain(
        session, client.id, event_type_id=event_type_id, as_of=as_of,
        after=number_of(request.args.get("after")) or 0, size=ROWS,
    )
    if as_of:
        balances = queries.client_credits(session, client.id, as_of).balances
    else:
        balances = queries.client_balances(session, client.id)
    arguments: dict[str, Any] = {"as_of": as_of.isoformat()} if as_of else {}
    tabs = [(None, _("All")), *((b.event_type_id, b.event_type) for b in balances)]
    here = {**arguments, **({"event_type_id": event_type_id} if event_type_id else {})}
    return {
        "form": form,
        "filters": [
            {"label": label, "current": key == event_type_id, "url": url(event_type_id=key, **arguments)}
            for key, label in tabs
        ],
        "hidden_args": [("event_type_id", event_type_id)] if event_type_id else [],
        "totals": [b for b in balances if event_type_id in (None, b.event_type_id)],
        "lots": _without_ways(told_lots(session, map(_for_the_client, told.lots))) if own
        else told_lots(session, told.lots),
        "shared": [] if as_of or own or not client.household_id else told_shared(
            [row for row in queries.shared_with(session, client.id) if event_type_id in (None, row.event_type_id)]
        ),
        "next_url": url(**here, after=told.next_after) if told.next_after else None,
    }


def _for_the_client(explained: queries.ExplainedLot) -> queries.ExplainedLot:
    """A lot without notes, reasons and names of those who work here."""
    entries = [replace(entry, who=None, reason=None) for entry in explained.entries]
    return replace(explained, lot=replace(explained.lot, note=None), entries=entries)


def _without_ways(lots: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lots whose links say what they say and lead nowhere."""
    for told in (part for lot in lots for part in (lot, *lot["entries"])):
        told["links"] = [{**link, "url": None} for link in told["links"]]
    return lots


def told_lots(session: Session, explained: Iterable[queries.ExplainedLot]) -> list[dict[str, Any]]:
    """Lots and their entries for the page; a fixed number of queries for all of them."""
    lots = list(explained)
    entries = [entry for lot in lots for entry in lot.entries]
    bookings = hooks.told_of(session, "booking", {e.booking_id for e in entries if e.booking_id})
    enrollments = hooks.told_of(session, "enrollment", {x.lot.enrollment_id for x in lots if x.lot.enrollment_id})
    batches = open_batches(session, {x.lot.batch_id for x in lots} | {e.batch_id for e in entries})
    converted = conversions_among(session, entries)
    return [_lot(lot, bookings, enrollments, batches, converted) for lot in lots]


def conversions_among(session: Session, entries: Iterable[queries.EntryRow | CreditEntry]) -> frozenset[int]:
    """The batches by which credits of these entries were converted."""
    moves = (EntryKind.transfer_in, EntryKind.transfer_out)
    return queries.conversions(session, {e.batch_id for e in entries if e.batch_id and e.kind in moves})


def open_batches(session: Session, keys: Collection[int | None]) -> frozenset[int]:
    """Those of these batches whose page the person may open."""
    wanted = {key for key in keys if key is not None}
    if not wanted or not access.may("read", "EnrollmentBatch"):
        return frozenset()
    return frozenset(session.scalars(select(Batch.id).where(Batch.id.in_(wanted), Batch.kind.in_(labels.BATCH_KINDS))))


def lot_url(client_id: int, event_type_id: int, lot_id: int) -> str:
    """The place on the page of explanations where this lot is told."""
    url = url_for("CreditsView.explain", pk=client_id, event_type_id=event_type_id, after=lot_id - 1)
    return f"{url}#enr-lot-{lot_id}"


def told_shared(rows: Sequence[queries.SharedRow]) -> list[dict[str, Any]]:
    """What the household shares with a client, each with the way to the explanations of its owners."""
    return [
        {
            "event_type": row.event_type, "available": row.available, "next_expiry": row.next_expiry,
            "owners": [
                {"label": name, "url": url_for("CreditsView.explain", pk=key, event_type_id=row.event_type_id)}
                for key, name in row.owners
            ],
        }
        for row in rows
    ]


def _lot(
    explained: queries.ExplainedLot, bookings: Mapping[int, hooks.Told], enrollments: Mapping[int, hooks.Told],
    batches: Collection[int], converted: Collection[int],
) -> dict[str, Any]:
    lot = explained.lot
    facts = [dict(labels.ORIGINS)[lot.origin]]
    if lot.priority != USUAL_PRIORITY:
        facts.append(_("priority %(number)s", number=lot.priority))
    if lot.unit_value:
        facts.append(_("%(amount)s each", amount=render.amount(lot.unit_value, lot.currency)))
    if lot.shared:
        facts.append(_("shared with the household"))
    if lot.participants:
        facts.append(_("only for %(names)s", names=render.listed(name for _key, name in lot.participants)))
    if lot.held:
        facts.append(_("on hold"))
    if lot.note:
        facts.append(lot.note)
    links = []
    if lot.enrollment_id and lot.enrollment_id in enrollments:
        links.append(_link(enrollments[lot.enrollment_id]))
    if lot.batch_id in batches:
        links.append({"label": _("Batch"), "url": url_for("BatchView.show", pk=lot.batch_id)})
    return {
        "id": lot.id, "title": f"{lot.event_type} · {render.number(lot.quantity)}",
        "badge": _badge(lot),
        "facts": render.joined(facts),
        "expires": _("until %(date)s", date=render.date(lot.expires_on)) if lot.expires_on else _("never expires"),
        "links": links, "entries": [_entry(lot, entry, bookings, batches, converted) for entry in explained.entries],
    }


def _badge(lot: queries.LotRow) -> dict[str, Any] | None:
    if lot.grace and not lot.lapsed:
        return grace_mark(lot.expires_on)
    gone = lot.expired and not (lot.available or lot.reserved)
    return {"label": _("Expired"), "class": "bad"} if lot.lapsed or gone else None


def _link(told: hooks.Told) -> Link:
    return {"label": told.label, "parts": told.parts, "url": told.url()}


def _entry(
    lot: queries.LotRow, entry: queries.EntryRow, bookings: Mapping[int, hooks.Told], batches: Collection[int],
    converted: Collection[int],
) -> dict[str, Any]:
    booking = bookings.get(entry.booking_id) if entry.booking_id else None
    links = [_link(booking)] if booking else []
    links += [_other(lot, entry, side) for side in entry.others]
    if entry.batch_id in batches:
        links.append({"label": _("Batch"), "url": url_for("BatchView.show", pk=entry.batch_id)})
    return {
        "at": entry.at, "kind_label": _what(entry, booking, entry.batch_id in converted),
        "available_change": entry.available_change,
        "reserved_change": entry.reserved_change, "available_after": entry.running_available,
        "reserved_after": entry.running_reserved, "who": entry.who, "reason": _reason(entry), "links": links,
        "reversed": entry.reversed,
    }


def _what(entry: queries.EntryRow, booking: hooks.Told | None, converted: bool) -> Any:
    """What happened, with the word for a credit that was lost without a session."""
    if entry.kind == EntryKind.consume and booking and booking.forfeited and not entry.reversed:
        return pgettext("ledger entry", "Forfeited")
    return labels.entry_label(entry.kind, entry.available_change, converted=converted)


def _other(lot: queries.LotRow, entry: queries.EntryRow, side: queries.OtherSide) -> Link:
    """The way to the other end of a move: another client's ledger, or another event type's of the same."""
    came = entry.kind == EntryKind.transfer_in
    url = lot_url(side.client_id, side.event_type_id, side.lot_id) if side.client else None
    if side.client_id == lot.client_id:
        return {"label": side.event_type, "url": url}
    what = {"name": side.client or _("another client"), "event_type": side.event_type}
    words = _("from %(name)s: %(event_type)s", **what) if came else _("to %(name)s: %(event_type)s", **what)
    return {"label": words, "url": url}


def _reason(entry: queries.EntryRow) -> str:
    facts = []
    if entry.kind == EntryKind.extend:
        facts.append(
            _("from %(before)s to %(after)s", before=_last_day(entry.old_expires_on),
              after=_last_day(entry.new_expires_on))
        )
    elif entry.new_expires_on:
        facts.append(_("usable until %(date)s", date=render.date(entry.new_expires_on)))
    if entry.member_id:
        facts.append(_("for %(name)s", name=entry.member or _("another member of the household")))
    return render.joined((*facts, reasons.told(entry.reason)))


def _last_day(day: Any) -> str:
    return render.date(day) if day else _("never")

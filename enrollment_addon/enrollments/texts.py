"""What a step of an enrollment did or would do, in short sentences with numbers."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from ..core.web.render import amount, date, joined
from .service import UndoPlan


def details_of(details: Mapping[str, Any]) -> list[str]:
    """The sentences for what was noted of a step."""
    told = []
    currency = details.get("currency", "")
    if "total_before" in details:
        told.append(_("%(before)s → %(after)s sessions", before=details["total_before"], after=details["total"]))
    if details.get("charged"):
        told.append(_("%(amount)s charged", amount=amount(details["charged"], currency)))
    if details.get("refunded"):
        told.append(_("%(amount)s refunded", amount=amount(details["refunded"], currency)))
    if details.get("withdrawn"):
        told.append(_("%(amount)s no longer due", amount=amount(details["withdrawn"], currency)))
    if details.get("voided"):
        told.append(ngettext("%(num)s session voided", "%(num)s sessions voided", details["voided"]))
    if details.get("sessions"):
        told.append(ngettext("%(num)s session is back", "%(num)s sessions are back", details["sessions"]))
    if details.get("bookings"):
        told.append(ngettext("%(num)s booking cancelled", "%(num)s bookings cancelled", details["bookings"]))
    told.extend(_("pause %(days)s given up", days=span(pause)) for pause in details.get("pauses", []))
    if "begins_on" in details:
        told.append(span(details))
    if details.get("days"):
        told.append(ngettext("%(num)s day", "%(num)s days", details["days"]))
    return told


def span(details: Mapping[str, Any]) -> str:
    """The first and the last day of a pause that was noted."""
    first, last = (date(dt.date.fromisoformat(details[name])) for name in ("begins_on", "ends_on"))
    return f"{first} – {last}"


def undo_sentence(plan: UndoPlan, currency: str) -> str:
    """What comes back with an undo, and what does not."""
    told = details_of({"sessions": plan.sessions, "charged": plan.owed, "currency": currency})
    if plan.sessions and plan.until:
        told.append(_("good until %(date)s", date=date(plan.until)))
    lost = [_("Cancelled bookings are not made again.")] if plan.bookings else []
    lost += [_("The pause %(days)s is not brought back.", days=span(pause)) for pause in plan.pauses]
    return " ".join(filter(None, (joined(told), *lost)))


def cancel_sentence(left: int, bookings: int) -> str:
    """What a cancellation does besides the refund, in figures."""
    sentences = [ngettext("%(num)s session is voided.", "%(num)s sessions are voided.", left)]
    if bookings:
        sentences.append(ngettext("%(num)s booking is cancelled.", "%(num)s bookings are cancelled.", bookings))
    return " ".join(sentences)

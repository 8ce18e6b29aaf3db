"""What the page of a cancellation says before it is done: notice, what paid and what comes back, who gets the place."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from ..billing.models import Charge
from ..core import clock
from ..core.web import render
from ..credits.models import CreditLot
from . import queries
from .calc import BY_CREDIT, BookingState, SessionKind
from .hooks import policy
from .labels import PAYS
from .models import Booking, ScheduledSession


def comes_back(booking: Booking) -> bool:
    """Whether what paid for a booking comes back when it is cancelled now and nobody says otherwise."""
    return policy().returns(booking.session.starts_at, clock.now())


def cancel_facts(session: Session, booking: Booking) -> list[dict[str, Any]]:
    """The facts to know before a booking is cancelled."""
    item = booking.session
    if booking.state == BookingState.waitlisted:
        facts = [(_("What comes back"), _("Nothing was paid yet; the place in line is given up."))]
        is_held = booking.held_until is not None and booking.held_until > clock.now()
        facts += _place(session, item) if is_held else []
    else:
        paid = queries.paid_with(session, booking)
        facts = [
            (_("Notice"), _notice(item)), (_("Paid by"), _payer(booking, paid)),
            (_("What comes back"), _returned(booking, paid)), *_place(session, item),
        ]
    return [{"label": label, "value": value, "wide": True} for label, value in facts]


def _notice(item: ScheduledSession) -> str:
    until = policy().last_moment(item.starts_at)
    at = render.moment(until)
    return _("Too late since %(at)s", at=at) if clock.now() > until else _("In time until %(at)s", at=at)


def _payer(booking: Booking, paid: CreditLot | Charge | None) -> str:
    """What paid, so far that staff know it again."""
    name = str(dict(PAYS)[booking.pays]) if booking.pays else ""
    if booking.enrollment_id is not None:
        name = _("Enrollment %(number)s", number=booking.enrollment_id)
    if isinstance(paid, Charge):
        return f"{name} · {render.amount(paid.gross, paid.currency)}"
    if paid is not None and paid.expires_on:
        return f"{name} · {_('until %(date)s', date=render.date(paid.expires_on))}"
    return name


def _returned(booking: Booking, paid: CreditLot | Charge | None) -> str:
    back = comes_back(booking)
    if booking.pays in BY_CREDIT:
        return _("The credit comes back.") if back else _("Nothing: the credit is forfeited.")
    if isinstance(paid, Charge):
        amount = render.amount(paid.gross, paid.currency)
        if not back:
            return _("Nothing: the charge of %(amount)s stays.", amount=amount)
        if paid.settled:
            settled = render.amount(paid.settled, paid.currency)
            return _(
                "The charge of %(amount)s is withdrawn; the %(settled)s paid go on account.",
                amount=amount, settled=settled,
            )
        return _("The charge of %(amount)s is withdrawn.", amount=amount)
    return _("Nothing: it was not paid with a credit or a charge.")


def _place(session: Session, item: ScheduledSession) -> list[tuple[str, str]]:
    """Who gets the place; an appointment has none to give and goes with its booking."""
    if item.starts_at <= clock.now():
        return []
    if item.kind == SessionKind.appointment:
        return [(_("The appointment"), _("It is cancelled too."))]
    line = queries.line_of(session, item.id)
    if not line.waiting:
        text = _("It is free again; nobody waits for it.")
    elif line.first:
        text = _("It is offered to %(name)s, the first in line.", name=line.first.participant.name)
    else:
        text = ngettext(
            "It is offered to the %(num)s person in line.", "It is offered to the first of %(num)s people in line.",
            line.waiting,
        )
    return [(_("The place"), text)]

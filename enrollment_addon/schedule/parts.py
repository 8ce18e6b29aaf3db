"""What the schedule adds to the client card: the next bookings, and sentences of the timeline."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from flask import g, url_for
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..core.web import access
from ..credits.hooks import Told
from ..people.hooks import TimelineItem
from ..people.models import Client
from ..people.parts import ClientPart
from . import queries
from .forms import when
from .labels import BOOKING_CLASSES, BOOKING_STATES
from .models import Booking, BookingState


def card(client: Client) -> dict[str, Any]:
    """The next bookings with what may be done about them, and the ways to a new one."""
    if not access.may("read", "EnrollmentBooking"):
        return {}
    books = access.can("book_sessions") and not client.archived and not client.merged_into_id
    section = {
        "template": "enrollment_addon/_client_bookings.html",
        "bookings": [_row(booking) for booking in queries.next_bookings(access.current_session(), client.id)],
        "all_url": url_for("BookingView.list", _flt_0_client_id=client.id),
        "book_url": url_for("SessionView.where", pk=client.id) if books else None,
        "appointment_url": url_for("SessionView.appointment", pk=client.id) if books else None,
    }
    return {"sections": [section]}


def _row(booking: Booking) -> dict[str, Any]:
    state = BookingState(booking.state)
    live = state in (BookingState.booked, BookingState.waitlisted)
    return {
        "label": booking.session.label, "when": when(booking.session), "participant": booking.participant.name,
        "url": url_for("SessionView.show", pk=booking.session_id) if access.may("read", "EnrollmentSession") else None,
        "state_label": dict(BOOKING_STATES)[state], "state_class": BOOKING_CLASSES.get(state, ""),
        "cancel_url": url_for("SessionView.cancel_booking", pk=booking.id)
        if live and access.can("cancel_bookings") else None,
    }


def own(client: Client) -> dict[str, Any]:
    """The next bookings of a client, for themselves."""
    rows = [
        {
            "name": row["label"], "facts": [row["when"], row["participant"]],
            "badge": {"label": row["state_label"], "class": row["state_class"]},
        }
        for row in map(_row, queries.next_bookings(access.current_session(), client.id))
    ]
    return {"title": _("Next bookings"), "rows": rows, "empty": _("Nothing is booked.")}


_SENTENCES: dict[str, Callable[[], str]] = {
    "book": lambda: _("Session booked"),
    "promote_booking": lambda: _("Got a place from the waitlist"),
    "hold_place": lambda: _("A free place is held"),
    "lapse_hold": lambda: _("The held place was not taken in time"),
    "cancel_booking": lambda: _("Booking cancelled"),
    "close_booking": lambda: _("Booking cancelled by a closure"),
    "reopen_booking": lambda: _("Booking back after a closure was undone"),
    "rotate_calendar_link": lambda: _("Calendar link made"),
    "end_calendar_link": lambda: _("Calendar link ended"),
}


def prepare_story(items: Sequence[TimelineItem]) -> None:
    """Which class and when, for the sentences of a timeline: one query."""
    keys = {item.details["session_id"] for item in items if item.record == "booking" and "session_id" in item.details}
    found = queries.sessions_by_key(access.current_session(), keys) if keys else {}
    g.enrollment_told_sessions = {key: f"{item.label} · {when(item)}" for key, item in found.items()}


def tell(item: TimelineItem) -> tuple[Any, str | None] | None:
    """A verb on a booking as a sentence, with its class."""
    if item.verb == "record_attendance" and "state" in item.details:
        sentence = _("Attendance: %(state)s", state=dict(BOOKING_STATES)[BookingState(item.details["state"])])
    elif item.verb in _SENTENCES:
        sentence = _SENTENCES[item.verb]()
    else:
        return None
    session = g.get("enrollment_told_sessions", {}).get(item.details.get("session_id"))
    return (f"{sentence} · {session}" if session else sentence), None


def told_bookings(session: Session, keys: Collection[int]) -> dict[int, Told]:
    """Bookings for the ledger of credits: which class, when, and who came."""
    return {key: _told(booking) for key, booking in queries.bookings_by_key(session, keys).items()}


def _told(booking: Booking) -> Told:
    def url() -> str | None:
        readable = access.may("read", "EnrollmentSession")
        return url_for("SessionView.show", pk=booking.session_id) if readable else None

    words = (booking.session.label, when(booking.session), booking.participant.name)
    return Told(words, url, forfeited=booking.state in _WITHOUT_A_SESSION)


_WITHOUT_A_SESSION = (BookingState.no_show, BookingState.late_cancel, BookingState.cancelled)

PART = ClientPart(
    card=card, own=own, prepare_story=prepare_story, tell=tell, records={"booking": "EnrollmentBooking"}
)

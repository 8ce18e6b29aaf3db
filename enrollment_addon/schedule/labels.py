"""How the fixed words of the schedule are called."""

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

from .calc import BookingState, Pays, SessionKind, SessionStatus

SESSION_KINDS = (
    (SessionKind.klass, _l("Class")),
    (SessionKind.appointment, _l("Appointment")),
)
SESSION_STATES = (
    (SessionStatus.scheduled, _l("Scheduled")),
    (SessionStatus.cancelled, lazy_pgettext("session", "Cancelled")),
    (SessionStatus.done, lazy_pgettext("session", "Done")),
)
SESSION_CLASSES = {SessionStatus.scheduled: "active", SessionStatus.cancelled: "bad"}
BOOKING_STATES = (
    (BookingState.booked, _l("Booked")),
    (BookingState.waitlisted, _l("On the waitlist")),
    (BookingState.attended, _l("Attended")),
    (BookingState.no_show, _l("No-show")),
    (BookingState.late_cancel, _l("Late cancellation")),
    (BookingState.cancelled, lazy_pgettext("booking", "Cancelled")),
)
BOOKING_CLASSES = {
    BookingState.booked: "active", BookingState.attended: "active", BookingState.waitlisted: "warn",
    BookingState.no_show: "bad", BookingState.late_cancel: "bad",
}
PAYS = (
    (Pays.enrollment, _l("Enrollment")),
    (Pays.lot, _l("Session credit")),
    (Pays.charge, _l("Charge")),
    (Pays.trial, _l("Trial")),
    (Pays.nothing, lazy_pgettext("payment", "Nothing")),
)
WEEKDAYS = (
    ("0", _l("Monday")),
    ("1", _l("Tuesday")),
    ("2", _l("Wednesday")),
    ("3", _l("Thursday")),
    ("4", _l("Friday")),
    ("5", _l("Saturday")),
    ("6", _l("Sunday")),
)

"""How the fixed words of enrollments are called."""

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

from .calc import Kind, Refund, Status, Unused

KINDS = ((Kind.package, _l("Package")), (Kind.course, _l("Course")), (Kind.program, _l("Programme")))
STATUSES = (
    (Status.active, lazy_pgettext("enrollment", "Active")),
    (Status.paused, lazy_pgettext("enrollment", "Paused")),
    (Status.completed, lazy_pgettext("enrollment", "Completed")),
    (Status.cancelled, lazy_pgettext("enrollment", "Cancelled")),
    (Status.transferred, lazy_pgettext("enrollment", "Transferred")),
    (Status.exited, lazy_pgettext("enrollment", "Exited")),
)
STATUS_CLASSES = {Status.active: "active", Status.paused: "warn", Status.cancelled: "bad"}
REFUNDS = (
    (Refund.none, _l("No refund")),
    (Refund.partial, _l("Partial: the share of the sessions that are left")),
    (Refund.full, _l("Full: all that was paid")),
)
UNUSED = (
    (Unused.keep, _l("Keep them: they can be booked until they expire")),
    (Unused.void, _l("Void them")),
)
VERBS = {
    "create_enrollment": _l("Enrolled"),
    "renew_enrollment": _l("Renewed"),
    "update_sessions": _l("Number of sessions changed"),
    "complete_enrollment": _l("Completed"),
    "auto_complete_enrollment": _l("Completed: all sessions are used"),
    "reopen_enrollment": _l("Open again: a session was taken back"),
    "cancel_enrollment": _l("Enrollment cancelled"),
    "pause_enrollment": _l("Paused"),
    "resume_enrollment": _l("Resumed"),
    "delete_enrollment": _l("Enrollment deleted"),
    "restore_enrollment": _l("Restored"),
    "undo_enrollment": _l("Last step undone"),
    "void_session_credits": _l("Session credits voided"),
    "undo_void_session_credits": _l("Voided session credits given back"),
    "void_returned_sessions": _l("A session came back after the end"),
}

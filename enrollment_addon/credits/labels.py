"""How the fixed words of the ledger are called."""

from flask_babel import lazy_gettext as _l

from ..core.batches import BatchState
from .models import EntryKind, Origin

ORIGINS = (
    (Origin.manual, _l("Given by staff")),
    (Origin.purchase, _l("Purchase")),
    (Origin.enrollment, _l("Enrollment")),
    (Origin.makeup, _l("Make-up")),
    (Origin.transfer, _l("Transfer")),
    (Origin.imported, _l("Import")),
)
ENTRY_KINDS = (
    (EntryKind.grant, _l("Added")),
    (EntryKind.transfer_in, _l("Received by transfer")),
    (EntryKind.reserve, _l("Reserved for a booking")),
    (EntryKind.consume, _l("Used")),
    (EntryKind.release, _l("Returned")),
    (EntryKind.restore, _l("Attendance taken back")),
    (EntryKind.expire, _l("Expired")),
    (EntryKind.void, _l("Taken back")),
    (EntryKind.transfer_out, _l("Given away by transfer")),
    (EntryKind.extend, _l("New last day")),
)
BATCH_STATES = (
    (BatchState.open, _l("In progress")),
    (BatchState.done, _l("Done")),
    (BatchState.undoing, _l("Being undone")),
    (BatchState.undone, _l("Undone")),
)
BATCH_CLASSES = {BatchState.done: "active", BatchState.open: "warn", BatchState.undoing: "warn"}
SKIP_REASONS = {
    "archived": _l("Archived"),
    "erased": _l("Personal data erased"),
    "not_found": _l("Not found"),
    "empty": _l("Nothing left"),
}
PERIODS = (("days", _l("days")), ("weeks", _l("weeks")), ("months", _l("months")))
EXPIRIES = (("none", _l("Never")), ("date", _l("On a date")), ("period", _l("After a while")))
BATCH_KINDS = {
    "credits.grant": _l("Session credits added"),
    "credits.transfer": _l("Session credits transferred"),
    "credits.convert": _l("Session credits converted"),
    "credits.extend": _l("New last day"),
    "credits.void": _l("Session credits voided"),
}

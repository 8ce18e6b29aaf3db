"""How the fixed words of the ledger are called."""

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

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
    (EntryKind.grant, lazy_pgettext("ledger entry", "Added")),
    (EntryKind.transfer_in, lazy_pgettext("ledger entry", "Received by transfer")),
    (EntryKind.reserve, lazy_pgettext("ledger entry", "Reserved for a booking")),
    (EntryKind.consume, lazy_pgettext("ledger entry", "Used")),
    (EntryKind.release, lazy_pgettext("ledger entry", "Returned")),
    (EntryKind.restore, lazy_pgettext("ledger entry", "Attendance taken back")),
    (EntryKind.expire, lazy_pgettext("ledger entry", "Expired")),
    (EntryKind.void, lazy_pgettext("ledger entry", "Taken back")),
    (EntryKind.transfer_out, lazy_pgettext("ledger entry", "Given away by transfer")),
    (EntryKind.extend, lazy_pgettext("ledger entry", "New last day")),
)
_GIVEN_BACK = {
    EntryKind.transfer_out: lazy_pgettext("ledger entry", "Transfer undone"),
    EntryKind.void: lazy_pgettext("ledger entry", "Given back"),
}
_CONVERTED = {
    EntryKind.transfer_in: lazy_pgettext("ledger entry", "Received by conversion"),
    EntryKind.transfer_out: lazy_pgettext("ledger entry", "Converted"),
}
_CONVERTED_BACK = {EntryKind.transfer_out: lazy_pgettext("ledger entry", "Conversion undone")}


def entry_label(kind: str, available_change: int, *, converted: bool = False) -> Any:
    """What an entry did: one that gives back what its kind takes away has words of its own.

    So has a conversion, which the ledger keeps as a transfer to another event type.
    """
    gives = available_change > 0
    found = ((_CONVERTED_BACK, converted and gives), (_CONVERTED, converted), (_GIVEN_BACK, gives))
    words = next((words for words, fits in found if fits and kind in words), dict(ENTRY_KINDS))
    return words[EntryKind(kind)]


BATCH_STATES = (
    (BatchState.open, lazy_pgettext("batch", "In progress")),
    (BatchState.done, lazy_pgettext("batch", "Done")),
    (BatchState.undoing, lazy_pgettext("batch", "Being undone")),
    (BatchState.undone, lazy_pgettext("batch", "Undone")),
)
BATCH_CLASSES = {BatchState.done: "active", BatchState.open: "warn", BatchState.undoing: "warn"}
SKIP_REASONS = {
    "archived": _l("Archived"),
    "erased": _l("Personal data erased"),
    "not_found": _l("Not found"),
    "empty": _l("Nothing left"),
    "endless": _l("Never expires"),
    "currency": _l("Another currency"),
    "bound": _l("Of an enrollment or on hold"),
    "lapsed": _l("Past their last day"),
    "own": _l("Theirs already"),
}
PERIODS = (("days", _l("days")), ("weeks", _l("weeks")), ("months", _l("months")))
EXPIRIES = (("none", _l("Never")), ("date", _l("On a date")), ("period", _l("After a while")))
BATCH_KINDS = {
    "credits.grant": _l("Session credits added"),
    "credits.transfer": _l("Session credits transferred"),
    "credits.convert": _l("Session credits converted"),
    "credits.convert_many": _l("Session credits converted"),
    "credits.extend": _l("New last day"),
    "credits.void": _l("Session credits voided"),
}

"""Refusals of the credit verbs."""

from flask_babel import lazy_gettext as _l

from ..core.errors import Conflict, InvalidInput


class NotEnoughCredits(Conflict):
    code = "not_enough_credits"
    message = _l("There are no credits left for this.")


class NobodySelected(InvalidInput):
    code = "nobody_selected"
    message = _l("Nobody matches: no client would get credits.")


class NothingSelected(InvalidInput):
    code = "nothing_selected"
    message = _l("Nothing matches: no lot would change.")


class MixedCurrencies(InvalidInput):
    code = "mixed_currencies"
    message = _l("A unit value needs clients of one currency; the selection has %(currencies)s.")


class MixedLots(Conflict):
    code = "mixed_lots"
    message = _l(
        "Credits of different currencies or for different participants are not put together: whole steps can be "
        "made of %(count)s of these."
    )


class BatchStateConflict(Conflict):
    code = "state_conflict"
    message = _l("This batch is “%(state)s”; only a finished batch can be undone.")


class NotUndoable(Conflict):
    code = "not_undoable"
    message = _l("This batch cannot be undone.")


class OutOfReach(Conflict):
    code = "out_of_reach"
    message = _l(
        "Clients of this batch whom you do not reach: %(count)s. Somebody who reaches all of them can undo it."
    )


class NothingToExtend(Conflict):
    code = "nothing_to_extend"
    message = _l("Nothing is left in these lots: what has expired, been spent or taken back cannot be extended.")


class NothingToTransfer(Conflict):
    code = "nothing_to_transfer"
    message = _l(
        "Nothing in these lots can be given away: what is spent, past its last day, of an enrollment, on hold or the "
        "receiver’s already stays."
    )


class NothingToConvert(Conflict):
    code = "nothing_to_convert"
    message = _l("None of these clients has enough unspent credits of this event type.")


class NothingExpires(Conflict):
    code = "nothing_expires"
    message = _l("These credits never expire: there is no last day to move.")


class BookingStateConflict(Conflict):
    code = "state_conflict"
    message = _l("The credits of this booking do not allow this: “%(state)s”.")


class ReservedCredits(Conflict):
    code = "reserved_credits"
    message = _l("Credits reserved for bookings: %(count)s. Complete or cancel these bookings first.")

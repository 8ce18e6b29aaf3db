"""Refusals of the enrollment verbs."""

from flask_babel import lazy_gettext as _l

from ..core.errors import Conflict, InvalidInput


class StatusConflict(Conflict):
    code = "state_conflict"
    message = _l("This enrollment is “%(status)s”. From there it can become: %(possible)s.")


class StatusIsFinal(Conflict):
    code = "state_conflict"
    message = _l("This enrollment is “%(status)s” and cannot change any more.")


class EnrollmentDeleted(Conflict):
    code = "enrollment_deleted"
    message = _l("This enrollment was deleted. Restore it first.")


class NotDeleted(Conflict):
    code = "not_deleted"
    message = _l("This enrollment is not deleted.")


class RestoreTooLate(Conflict):
    code = "restore_too_late"
    message = _l("A deleted enrollment can be restored for %(days)s days; that time is over.")


class MoneySettled(Conflict):
    code = "money_settled"
    message = _l("%(amount)s %(currency)s is settled against this enrollment. Refund it before deleting.")


class NotSold(InvalidInput):
    code = "package_not_sold"
    message = _l("This package is not sold at the client’s club, or no longer.")


class TotalBelowFloor(InvalidInput):
    code = "total_below_floor"
    message = _l("At least %(floor)s: %(used)s are used and %(reserved)s are reserved.")


class HasEnded(Conflict):
    code = "enrollment_ended"
    message = _l("This enrollment ended on %(day)s: more sessions would be expired at once. Renew it instead.")


class RefundTooHigh(InvalidInput):
    code = "refund_above_paid"
    message = _l("At most %(most)s %(currency)s can be refunded: that is what was paid and not yet given back.")


class PauseOverlaps(Conflict):
    code = "pause_overlaps"
    message = _l("There is already a pause from %(first)s to %(last)s.")


class PauseLimit(Conflict):
    code = "pause_limit"
    message = _l("At most %(pauses)s pauses and %(days)s days of pause in a year; in %(year)s it would be more.")


class NothingPaused(Conflict):
    code = "not_paused"
    message = _l("This enrollment is not paused, and no pause is planned.")


class NothingToUndo(Conflict):
    code = "nothing_to_undo"
    message = _l("The last step of this enrollment was no cancellation or completion, so there is nothing to undo.")


class StillNeeded(Conflict):
    code = "later_depends"
    message = _l("This cannot be undone because something later depends on it: %(what)s.")


class NotBookable(Conflict):
    code = "enrollment_not_bookable"
    message = _l("This enrollment is “%(status)s” and cannot pay for a booking.")


class PausedThatDay(Conflict):
    code = "enrollment_paused"
    message = _l("This enrollment is paused from %(first)s to %(last)s.")


class RestsNow(Conflict):
    code = "enrollment_paused"
    message = _l("This enrollment rests from %(first)s to %(last)s; later days can be booked once it goes on.")


class NotYetBegun(Conflict):
    code = "enrollment_not_begun"
    message = _l("This enrollment begins on %(day)s.")


class OtherParticipant(Conflict):
    code = "other_participant"
    message = _l("This enrollment is for another participant.")

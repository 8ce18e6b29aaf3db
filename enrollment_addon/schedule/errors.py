"""Refusals of the schedule."""

from flask_babel import lazy_gettext as _l

from ..core.errors import Conflict, InvalidInput, NotFound


class SessionCancelled(Conflict):
    code = "session_cancelled"
    message = _l("This session is cancelled.")


class SessionOver(Conflict):
    code = "session_over"
    message = _l("This session has already begun.")


class SessionNotBegun(Conflict):
    code = "session_not_begun"
    message = _l("Attendance can be taken from the day of the session on.")


class AlreadyBooked(Conflict):
    code = "already_booked"
    message = _l("%(name)s is already booked in this session.")


class Overlap(Conflict):
    """A double booking; goes through when the caller confirms it."""

    code = "overlap"
    confirm = "confirm_overlap"
    message = _l("This overlaps with another session of %(who)s on %(at)s. Confirm to go on.")


class GroupOverlap(Overlap):
    """Sessions of a class group would be double bookings."""

    message = _l(
        "Sessions that overlap with others of %(who)s: %(number)s, the first on %(at)s. Confirm to go on."
    )


class CreditsNotValid(Conflict):
    """A session would move to a day on which what pays for places in it is paused or expired."""

    code = "credits_not_valid"
    confirm = "confirm_validity"
    message = _l(
        "Bookings whose credit is paused or expired on the new day: %(number)s (%(names)s). Confirm to go on."
    )


class CapacityExceeded(Conflict):
    code = "capacity_exceeded"
    message = _l("There is no free place in this session.")


class PlaceTaken(CapacityExceeded):
    """The session was not full when a place in it was asked for."""

    message = _l("The last place has just been taken. Book again to put %(name)s on the waitlist.")


class BookingStateConflict(Conflict):
    code = "state_conflict"
    message = _l("This booking is “%(state)s”; possible from there: %(possible)s.")


class TrialUsed(Conflict):
    code = "trial_used"
    message = _l("%(name)s has already had a trial of %(event_type)s.")


class ClientArchived(Conflict):
    code = "client_archived"
    message = _l("This client is archived. Bring them back before you book for them.")


class ParticipantNotFound(NotFound):
    """There is no such participant, or not among those of the client who shall be booked."""

    message = _l("The participant was not found among those of this client.")


class PriceMissing(InvalidInput):
    code = "price_missing"
    message = _l("This class has no price of its own. Say what the charge shall be.")


class GeneratedSession(Conflict):
    code = "generated_session"
    message = _l("This session comes from its class group and would be made again. Cancel it instead.")


class NothingToClose(InvalidInput):
    code = "nothing_to_close"
    message = _l("No session that is still to take place matches: there is nothing to close.")


class ClosureStateConflict(Conflict):
    code = "state_conflict"
    message = _l("This closure is “%(state)s”; only a finished closure can be undone.")

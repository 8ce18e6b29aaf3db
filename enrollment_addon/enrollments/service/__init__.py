"""The verbs on enrollments: the only writer of their tables."""

from .attendance import guard_booking, settle_attendance
from .create import create_enrollment, renew_enrollment
from .finish import cancel_enrollment, complete_enrollment
from .lots import follow_expiry, have_ended, tell_given_back, tell_voided
from .pauses import (
    PauseLimits,
    count_pauses,
    next_pause,
    pause_enrollment,
    resume_enrollment,
    turn_pause,
    turn_pauses,
)
from .remove import UndoPlan, delete_enrollment, restore_enrollment, restore_plan
from .sessions import update_sessions
from .undo import undo_enrollment, undo_plan

__all__ = [
    "PauseLimits",
    "UndoPlan",
    "cancel_enrollment",
    "complete_enrollment",
    "count_pauses",
    "create_enrollment",
    "delete_enrollment",
    "follow_expiry",
    "guard_booking",
    "have_ended",
    "next_pause",
    "pause_enrollment",
    "renew_enrollment",
    "restore_enrollment",
    "restore_plan",
    "resume_enrollment",
    "settle_attendance",
    "tell_given_back",
    "tell_voided",
    "turn_pause",
    "turn_pauses",
    "undo_enrollment",
    "undo_plan",
    "update_sessions",
]

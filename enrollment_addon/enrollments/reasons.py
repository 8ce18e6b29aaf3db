"""What the ledger keeps as the reason where nobody gave one."""

from flask_babel import lazy_gettext as _l

from ..core.reasons import SystemReason

COMPLETED = SystemReason("Enrollment {number} completed", _l("Enrollment %(number)s completed"))
CANCELLED = SystemReason("Enrollment {number} cancelled", _l("Enrollment %(number)s cancelled"))
PAUSED = SystemReason("Enrollment {number} paused", _l("Enrollment %(number)s paused"))
RESUMED = SystemReason("Enrollment {number} resumed", _l("Enrollment %(number)s resumed"))
ENDED = SystemReason("Enrollment {number} has ended", _l("Enrollment %(number)s has ended"))
UPDATED = SystemReason(
    "Enrollment {number}: {before} → {after}", _l("Enrollment %(number)s: %(before)s → %(after)s sessions")
)

"""How the states of jobs are called."""

from flask_babel import lazy_gettext as _l

from .models import JobState

STATES = (
    (JobState.queued, _l("Waiting")),
    (JobState.running, _l("Running")),
    (JobState.done, _l("Done")),
    (JobState.failed, _l("Failed")),
    (JobState.cancelled, _l("Cancelled")),
)

"""Jobs in words."""

from flask_babel import format_timedelta
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from ..core.web import render
from .models import JobState
from .queries import JobView

KINDS = {
    "credits.grant": _l("Add session credits"),
    "credits.undo": _l("Undo batch"),
    "credits.import_check": _l("Check a file of clients"),
    "credits.import": _l("Import clients"),
    "export": _l("Export a list"),
    "schedule.close": _l("Close sessions"),
    "schedule.reopen": _l("Undo a closure"),
    "schedule.horizon": _l("Make sessions of class groups"),
    "schedule.holds": _l("End held places of waitlists"),
}
STATE_CLASSES = {JobState.done: "active", JobState.running: "warn", JobState.failed: "bad"}


def kind_label(kind: str) -> str:
    return str(KINDS.get(kind, kind))


def rate_text(job: JobView) -> str:
    if job.rate is None:
        return ""
    rate = round(job.rate) if job.rate >= 1 else round(job.rate, 2)
    return _("%(rate)s per second", rate=render.number(rate))


def left_text(job: JobView) -> str:
    if job.seconds_left is None:
        return ""
    return _("about %(time)s left", time=format_timedelta(max(1, job.seconds_left), threshold=1.2))

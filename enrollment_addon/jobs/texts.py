"""Jobs in words."""

from collections.abc import Mapping
from typing import Any

from flask_babel import format_timedelta
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from ..core.web import render
from .models import JobState
from .queries import JobView

KINDS = {
    "credits.grant": _l("Add session credits"),
    "credits.void": _l("Void session credits"),
    "credits.extend": _l("Extend credit expiry"),
    "credits.transfer": _l("Transfer session credits"),
    "credits.convert_many": _l("Convert session credits"),
    "credits.expire": _l("Expire session credits"),
    "credits.undo": _l("Undo batch"),
    "credits.import_check": _l("Check a file of clients"),
    "credits.import": _l("Import clients"),
    "export": _l("Export a list"),
    "export.purge": _l("Delete files of exports"),
    "schedule.close": _l("Close sessions"),
    "schedule.reopen": _l("Undo a closure"),
    "schedule.horizon": _l("Make sessions of class groups"),
    "schedule.holds": _l("End held places of waitlists"),
    "enrollments.pauses": _l("Begin and end pauses"),
    "notices.send": _l("Send notices"),
    "billing.online_payments": _l("Ask what became of online payments"),
    "billing.online_refunds": _l("Send refunds back online"),
}
ITEMS = {
    "credits.grant": _l("Client %(number)s"),
    "credits.void": _l("Lot %(number)s"),
    "credits.extend": _l("Lot %(number)s"),
    "credits.transfer": _l("Lot %(number)s"),
    "credits.convert_many": _l("Client %(number)s"),
    "credits.expire": _l("Lot %(number)s"),
    "credits.import_check": _l("Row %(number)s"),
    "credits.import": _l("Row %(number)s"),
    "schedule.close": _l("Session %(number)s"),
    "schedule.reopen": _l("Session %(number)s"),
    "schedule.holds": _l("Session %(number)s"),
    "schedule.horizon": _l("Class group %(number)s"),
    "enrollments.pauses": _l("Pause %(number)s"),
    "notices.send": _l("Notice %(number)s"),
}
"""What the failed items of a kind are called, with their key."""
STATE_CLASSES = {JobState.done: "active", JobState.running: "warn", JobState.failed: "bad"}


def kind_label(kind: str) -> str:
    return str(KINDS.get(kind, kind))


def item_text(kind: str, item: Any) -> str:
    """A failed item in words."""
    return str(ITEMS[kind]) % {"number": item} if kind in ITEMS else str(item)


def owner_text(job: Any, names: Mapping[int | None, str]) -> str:
    """Who started a job; `names` by key of the user."""
    return _("The system") if job.by_system else names.get(job.created_by_id, "")


def rate_text(job: JobView) -> str:
    if job.rate is None:
        return ""
    rate = round(job.rate) if job.rate >= 1 else round(job.rate, 2)
    return _("%(rate)s per second", rate=render.number(rate))


def left_text(job: JobView) -> str:
    if job.seconds_left is None:
        return ""
    return _("about %(time)s left", time=format_timedelta(max(1, job.seconds_left), threshold=1.2))

"""Refusals of the job verbs, and the reasons a job ends early."""

from typing import Any

from flask_babel import force_locale
from flask_babel import lazy_gettext as _l

from ..core.errors import AddonError, Conflict


class JobStateConflict(Conflict):
    code = "state_conflict"
    message = _l("This job is “%(state)s”; this is no longer possible.")


class RetryUnsupported(Conflict):
    code = "state_conflict"
    message = _l("The failed items of this kind of job cannot be done again.")


class UnknownJobKind(AddonError):
    code = "unknown_job_kind"
    http_status = 409
    message = _l("This kind of job is not known here. Is its module switched off?")


class OwnerGone(AddonError):
    code = "owner_gone"
    http_status = 403
    message = _l("The person who started this job is no longer active.")


class GaveUp(AddonError):
    code = "gave_up"
    http_status = 500
    message = _l("This job stopped without progress several times in a row and was given up.")


class RowsGone(AddonError):
    code = "rows_gone"
    http_status = 410
    message = _l("The rows that were collected for this file are no longer there. Please export the list again.")


class ItemFailed(AddonError):
    code = "unexpected"
    http_status = 500
    message = _l("An unexpected error (%(error)s); nothing was changed here. The log says more.")


class NoDatabase(AddonError):
    code = "busy"
    http_status = 503
    message = _l("The database was busy or full for too long. What was finished before it is kept.")


class Unexpected(AddonError):
    code = "unexpected"
    http_status = 500
    message = _l("An unexpected error stopped this job. What was finished before it is kept.")


class LeaseLost(Exception):
    """The job is no longer this worker's: another one took it over, or it was ended. No person sees it."""


def untranslated(message: Any) -> str:
    """The English text of a lazy message, placeholders left open; at most what the column holds."""
    with force_locale("en"):
        return str(message)[:500]

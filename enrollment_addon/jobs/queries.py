"""Reads over jobs: lists, one job with its progress, and what waits for a worker."""

import datetime as dt
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Table, func, or_, select
from sqlalchemy.orm import Session

from ..core import clock
from ..core.errors import NotFound
from .models import ENDED, Job, JobError, JobState
from .registry import retry_handler

jobs: Table = Job.__table__  # type: ignore[assignment]
errors: Table = JobError.__table__  # type: ignore[assignment]


class ErrorView(NamedTuple):
    """A failed item with its reason in the reader's language."""

    id: int
    item: Any
    code: str
    message: str


class JobView(NamedTuple):
    """A job as a person sees it. `rate` is items per second; `seconds_left` None when nobody can know.

    `next_errors` is the key to ask the next page of errors with, None on the last page.
    """

    id: int
    kind: str
    state: JobState
    created_by_id: int | None
    by_system: bool
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    total: int
    done: int
    skipped: int
    failed: int
    rate: float | None
    seconds_left: int | None
    code: str | None
    message: str | None
    result: Any
    cancel_requested: bool
    can_cancel: bool
    can_retry: bool
    errors: tuple[ErrorView, ...]
    next_errors: int | None


def job_view(session: Session, job_id: int, *, errors_after: int = 0, errors_limit: int = 50) -> JobView:
    """One job with its progress and a page of its failed items.

    Raises: NotFound when there is none in the session's reach.
    """
    job = session.scalars(
        select(Job).where(Job.id == job_id).execution_options(populate_existing=True)
    ).one_or_none()
    if job is None:
        raise NotFound
    page = _error_page(session, job.id, errors_after, errors_limit + 1)
    return JobView(
        id=job.id,
        kind=job.kind,
        state=JobState(job.state),
        created_by_id=job.created_by_id,
        by_system=job.by_system,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        total=job.total,
        done=job.done,
        skipped=job.skipped,
        failed=job.failed,
        rate=job.rate,
        seconds_left=_seconds_left(session, job),
        code=job.code,
        message=_shown(job.message, job.params) if job.message else None,
        result=job.result,
        cancel_requested=job.cancel_requested,
        can_cancel=job.state not in ENDED and not job.cancel_requested,
        can_retry=can_retry(job),
        errors=tuple(page[:errors_limit]),
        next_errors=page[errors_limit - 1].id if len(page) > errors_limit else None,
    )


def can_retry(job: Job) -> bool:
    """Whether there is something to go on with: the rest of an early end, or failed items."""
    if job.state in (JobState.failed, JobState.cancelled):
        return True
    return job.state == JobState.done and job.failed > 0 and retry_handler(job.kind) is not None


def _error_page(session: Session, job_id: int, after: int, limit: int) -> list[ErrorView]:
    rows = session.execute(
        select(errors)
        .where(errors.c.job_id == job_id, errors.c.id > after)
        .order_by(errors.c.id)
        .limit(limit)
    )
    return [ErrorView(row.id, row.item, row.code, _shown(row.message, row.params)) for row in rows]


def _shown(message: str, params: dict[str, Any] | None) -> str:
    """A stored English message in the reader's language, placeholders filled."""
    text = str(_l(message))
    return text % params if params else text


def _seconds_left(session: Session, job: Job) -> int | None:
    """Whole seconds at the present rate; None unless it is running and has shown a rate and a total."""
    if job.state != JobState.running or not job.rate or not job.total:
        return None
    left = job.total - job.done - job.skipped - job.failed
    if job.retry_upto is not None:
        left = session.execute(
            select(func.count()).where(errors.c.job_id == job.id, errors.c.id <= job.retry_upto)
        ).scalar_one()
    return max(0, round(left / job.rate))


def started_by(user_id: int | None, *, whether: bool) -> ColumnElement[bool]:
    """The clause for the jobs that a person started; or for all others, those of the system among them."""
    return Job.created_by_id == user_id if whether else Job.created_by_id.is_distinct_from(user_id)


def claimable() -> ColumnElement[bool]:
    """The clause for jobs that a worker may take: waiting, or left behind by a worker that fell silent."""
    return or_(
        jobs.c.state == JobState.queued,
        (jobs.c.state == JobState.running) & (jobs.c.lease_until < clock.now()),
    )


def claimable_ids(session: Session, *, limit: int) -> list[int]:
    """Keys of the jobs that a worker may take, oldest first."""
    return list(session.scalars(select(jobs.c.id).where(claimable()).order_by(jobs.c.id).limit(limit)))


def unsent() -> ColumnElement[bool]:
    """The clause for jobs that no living worker has and no message to the broker is on its way for."""
    return jobs.c.state.in_((JobState.queued, JobState.running)) & or_(
        jobs.c.lease_until.is_(None), jobs.c.lease_until < clock.now()
    )


def errors_to_retry(session: Session, *, job_id: int, upto: int, limit: int) -> list[tuple[int, Any]]:
    """The next failed items that a retry does again: key of the error and the item."""
    rows = session.execute(
        select(errors.c.id, errors.c.item)
        .where(errors.c.job_id == job_id, errors.c.id <= upto)
        .order_by(errors.c.id)
        .limit(limit)
    )
    return [(row.id, row.item) for row in rows]

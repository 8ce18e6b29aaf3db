"""The only writer of jobs: people queue, cancel and retry; workers claim, record chunks and end.

What a worker writes is guarded by its name and the state, so that a worker whose lease was taken over
writes nothing. A worker's name is unique per claim. Leases compare the clocks of the machines: a clock that
is wrong by more than a lease wastes work, but never does it twice.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Update, delete, func, insert, literal, select, update
from sqlalchemy.orm import Session

from ..core import clock
from ..core.audit import record_event
from ..core.db import UtcDateTime
from ..core.errors import AddonError, NotFound
from ..core.scope import Actor
from .errors import JobStateConflict, LeaseLost, RetryUnsupported, untranslated
from .labels import STATES
from .models import ENDED, Job, JobState
from .queries import can_retry, claimable, errors, jobs, unsent
from .registry import Failure, Step

QUEUED = "enrollment_queued_jobs"
"""Key in `session.info`: jobs to announce once the transaction has committed."""

PURGE_EXPORTS = "export.purge"
"""Kind of job: the files of exports that are as many `days` old are deleted, of all people."""

RATE_SMOOTHING = 0.3
"""Share of the newest chunk in the shown rate."""


def queue_job(
    session: Session,
    *,
    kind: str,
    input: Mapping[str, Any],
    actor: Actor,
    total: int = 0,
    request_id: str | None = None,
) -> Job:
    """Write a job in the caller's transaction; a worker takes it once that has committed.

    Without `request_id` the one bound to the log context is kept, so that the job's lines can be found.
    """
    from structlog.contextvars import get_contextvars  # only now: see core/log.py

    assert actor.user_id is not None or actor.sees_everything, "a job runs as a person or as the system"
    job = Job(
        kind=kind,
        input=dict(input),
        total=total,
        created_by_id=actor.user_id,
        by_system=actor.user_id is None,
        request_id=request_id or get_contextvars().get("request_id"),
    )
    session.add(job)
    session.flush()
    _announce(session, job)
    record_event(
        session, actor=actor, verb="queue_job", record="job", record_id=job.id, kind=kind, total=total
    )
    return job


def queue_due(session: Session, *, due: Mapping[str, Mapping[str, Any]], actor: Actor) -> list[Job]:
    """Queue the periodic jobs (input by kind), except those of which one still waits or runs."""
    unfinished = set(
        session.scalars(select(Job.kind).where(Job.kind.in_(due), Job.state.not_in(ENDED)).distinct())
    )
    return [
        queue_job(session, kind=kind, input=input, actor=actor)
        for kind, input in due.items()
        if kind not in unfinished
    ]


def _announce(session: Session, job: Job) -> None:
    session.info.setdefault(QUEUED, []).append(job.id)


def _locked(session: Session, job_id: int) -> Job:
    """The job, its row locked. Raises: NotFound when there is none in the session's reach."""
    query = select(Job).where(Job.id == job_id).with_for_update().execution_options(populate_existing=True)
    job = session.scalars(query).one_or_none()
    if job is None:
        raise NotFound
    return job


def cancel_job(session: Session, *, job_id: int, actor: Actor) -> Job:
    """Stop a job: at once when it waits, else after the chunk it is at. What is finished stays.

    Raises: NotFound; JobStateConflict when it has ended already.
    """
    job = _locked(session, job_id)
    if job.state in ENDED:
        raise JobStateConflict(state=dict(STATES)[JobState(job.state)])
    job.cancel_requested = True
    if job.state == JobState.queued:
        job.state, job.finished_at, job.lease_until = JobState.cancelled, clock.now(), None
    session.flush()
    record_event(session, actor=actor, verb="cancel_job", record="job", record_id=job.id, done=job.done)
    return job


def retry_job(session: Session, *, job_id: int, actor: Actor) -> Job:
    """Queue a job again: after an early end from its position, after its end the failed items only.

    Raises: NotFound; JobStateConflict when there is nothing to do again; RetryUnsupported.
    """
    job = _locked(session, job_id)
    if not can_retry(job):
        if job.state == JobState.done and job.failed:
            raise RetryUnsupported
        raise JobStateConflict(state=dict(STATES)[JobState(job.state)])
    if job.state == JobState.done:
        job.retry_upto = session.execute(
            select(func.max(errors.c.id)).where(errors.c.job_id == job.id)
        ).scalar_one()
    job.state, job.cancel_requested, job.attempts = JobState.queued, False, 0
    job.code = job.message = job.params = job.rate = None
    job.worker = job.lease_until = job.finished_at = None
    session.flush()
    _announce(session, job)
    record_event(session, actor=actor, verb="retry_job", record="job", record_id=job.id, failed=job.failed)
    return job


def claim_job(session: Session, *, job_id: int, worker: str, lease_seconds: int) -> bool:
    """Make the job this worker's until its lease ends. False when someone else has it or it has ended."""
    now = clock.now()
    return _hit(
        session,
        update(jobs)
        .where(jobs.c.id == job_id, claimable())
        .values(
            state=JobState.running,
            worker=worker,
            lease_until=now + dt.timedelta(seconds=lease_seconds),
            attempts=jobs.c.attempts + 1,
            started_at=func.coalesce(jobs.c.started_at, literal(now, UtcDateTime)),
        ),
    )


def held_job(session: Session, *, job_id: int, worker: str) -> Job:
    """The job, if it is this worker's. Raises: LeaseLost."""
    job = session.scalars(
        select(Job).where(Job.id == job_id, Job.worker == worker, Job.state == JobState.running)
    ).one_or_none()
    if job is None:
        raise LeaseLost
    return job


def record_step(
    session: Session,
    *,
    job: Job,
    worker: str,
    step: Step,
    seconds: float,
    lease_seconds: int,
    retried: Iterable[int] = (),
) -> None:
    """Write what a chunk did into the job, in the chunk's own transaction, and renew the lease.

    `retried` are the keys of the errors whose items the chunk did again; they are replaced by its failures.
    Raises: LeaseLost, and then the chunk must be rolled back.
    """
    gone, now = list(retried), clock.now()
    if step.failures:
        session.execute(insert(errors), [_error_row(job.id, failure) for failure in step.failures])
    if gone:  # only now: SQLite would give the keys of deleted rows to the new ones
        session.execute(delete(errors).where(errors.c.id.in_(gone)))
    values: dict[str, Any] = {
        "done": jobs.c.done + step.done,
        "skipped": jobs.c.skipped + step.skipped,
        "failed": jobs.c.failed + len(step.failures) - len(gone),
        "position": step.position,
        "rate": _rate(job.rate, step.done + step.skipped + len(step.failures), seconds),
        "attempts": 0,
        "lease_until": now + dt.timedelta(seconds=lease_seconds),
    }
    if step.total is not None:
        values["total"] = step.total
    if step.result is not None:
        values["result"] = step.result
    if step.finished:
        values |= _ended(JobState.done, now)
    if not _hit(session, _held(job.id, worker).values(values)):
        raise LeaseLost


def renew_lease(session: Session, *, job_id: int, worker: str, lease_seconds: int) -> None:
    """Keep a job for its worker while it works outside of a transaction. Raises: LeaseLost."""
    until = clock.now() + dt.timedelta(seconds=lease_seconds)
    if not _hit(session, _held(job_id, worker).values(lease_until=until)):
        raise LeaseLost


def end_job(
    session: Session, *, job_id: int, worker: str, state: JobState, error: AddonError | None = None
) -> None:
    """End a job early, as cancelled or for a reason. Raises: LeaseLost."""
    values = _ended(state, clock.now())
    if error is not None:
        values |= {
            "code": error.error_code,
            "message": untranslated(error.message),
            "params": _plain(error.params),
        }
    if not _hit(session, _held(job_id, worker).values(values)):
        raise LeaseLost


def release_job(session: Session, *, job_id: int, worker: str) -> None:
    """Hand a job back before its lease ends, because this worker stops. Raises: LeaseLost."""
    values = {"state": JobState.queued, "worker": None, "lease_until": None, "attempts": 0}
    if not _hit(session, _held(job_id, worker).values(values)):
        raise LeaseLost


def take_unsent(session: Session, *, trust_seconds: int, limit: int) -> list[int]:
    """Keys of jobs to send to the broker (again); each is left alone for `trust_seconds` from now.

    A job whose worker fell silent goes back to the queue here.
    """
    until = clock.now() + dt.timedelta(seconds=trust_seconds)
    waiting = unsent()
    keys = session.scalars(select(jobs.c.id).where(waiting).order_by(jobs.c.id).limit(limit)).all()
    return [
        key
        for key in keys
        if _hit(
            session,
            update(jobs)
            .where(jobs.c.id == key, waiting)
            .values(state=JobState.queued, worker=None, lease_until=until),
        )
    ]


def _held(job_id: int, worker: str) -> Update:
    return update(jobs).where(jobs.c.id == job_id, jobs.c.worker == worker, jobs.c.state == JobState.running)


def _hit(session: Session, statement: Update) -> bool:
    return bool(session.execute(statement).rowcount == 1)  # type: ignore[attr-defined]


def _ended(state: JobState, now: dt.datetime) -> dict[str, Any]:
    values: dict[str, Any] = {"state": state, "finished_at": now, "worker": None, "lease_until": None}
    if state == JobState.done:
        values["retry_upto"] = None
    return values


def _rate(before: float | None, items: int, seconds: float) -> float | None:
    if not items or seconds <= 0:
        return before
    now = items / seconds
    return now if before is None else (1 - RATE_SMOOTHING) * before + RATE_SMOOTHING * now


def _error_row(job_id: int, failure: Failure) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "item": failure.item,
        "code": failure.code,
        "message": untranslated(failure.message),
        "params": _plain(failure.params),
    }


def _plain(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Placeholders' values as JSON can hold them."""
    return {name: value if isinstance(value, int) else str(value) for name, value in params.items()} or None

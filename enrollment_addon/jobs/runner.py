"""The chunk loop: claims a job and works on it, one transaction per chunk, until it ends.

Everything that a chunk writes commits together with the job's counters, position and lease. Whatever kills
the process in between, the next worker goes on from the last committed position.
"""

import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from os import getpid
from typing import TypeVar

from sqlalchemy.orm import Session

from ..core.db import dialect_of, unit_of_work
from ..core.errors import AddonError, Busy
from ..core.log import logger
from ..core.scope import SYSTEM, Actor, acting_as, set_actor
from . import queries, service
from .errors import GaveUp, LeaseLost, NoDatabase, OwnerGone, Unexpected, UnknownJobKind
from .items import ChunkBroke, Items, Width, do_chunk, job_items
from .models import Job, JobState
from .registry import Failure, Step, job_kind, job_retry, retry_handler, step_handler

__all__ = [
    "Failure", "Items", "Step", "job_items", "job_kind", "job_retry", "run_job", "run_waiting", "use_actor_resolver",
]

OpenSession = Callable[[], AbstractContextManager[Session]]
"""Gives a fresh session per call, closed at the end of its block."""

ActorResolver = Callable[[Session, int], Actor | None]
"""The actor that a user is now; None when the user is gone or inactive."""

Watch = Callable[[str, int, int], None]
"""Told after every chunk: the kind of job, how many items are done, and of how many."""

RETRY_CHUNK = 200
"""Failed items done again per transaction."""

ATTEMPTS_MAX = 5
"""Claims in a row without a committed chunk before a job is given up: none kills workers for ever."""

SQLITE_PAUSE = 0.25
"""Pause after a chunk on SQLite, as a share of the chunk's time. Its only write lock has no queue: whoever
waits looks ten times a second, and would find the lock taken for as long as chunks follow at once.
Measured with chunks of 0.2 s: a request waited 2.5 s in the median and often failed; with it, 0.2 s."""

BUSY_TRIES = 5
BUSY_WAIT_SECONDS = 0.2

log = logger("enrollment_addon.jobs")
_Result = TypeVar("_Result")
_resolve: ActorResolver | None = None


def use_actor_resolver(resolver: ActorResolver) -> None:
    """Tell the runner how to find the actor of whoever started a job; the entry layer calls it once."""
    global _resolve
    _resolve = resolver


def run_waiting(
    open_session: OpenSession, *, lease_seconds: int, stop: Callable[[], bool] = lambda: False,
    watch: Watch = lambda kind, done, total: None,
) -> int:
    """Work on every job that waits or was left behind, oldest first, until none is left. Returns how many."""
    ran = 0
    while not stop():
        with open_session() as session:
            waiting = queries.claimable_ids(session, limit=10)
        taken = [
            job_id
            for job_id in waiting
            if not stop() and run_job(open_session, job_id, lease_seconds=lease_seconds, stop=stop, watch=watch)
        ]
        if not taken:
            break
        ran += len(taken)
    return ran


def run_job(
    open_session: OpenSession, job_id: int, *, lease_seconds: int, stop: Callable[[], bool] = lambda: False,
    watch: Watch = lambda kind, done, total: None,
) -> bool:
    """Claim a job and work on it until it ends, is taken over, or `stop` says so between two chunks.

    False when it was not to be had. Errors of the job end up in the job; what is raised here means that
    even that could not be written, and the job is taken over when its lease ends.
    """
    worker = f"{socket.gethostname()[:40]}-{getpid()}-{secrets.token_hex(6)}"

    def claim() -> Job | None:
        with open_session() as session, unit_of_work(session):
            set_actor(session, SYSTEM)
            if not service.claim_job(session, job_id=job_id, worker=worker, lease_seconds=lease_seconds):
                return None
            job = service.held_job(session, job_id=job_id, worker=worker)
            session.expunge(job)
            return job

    job = _patiently(claim)
    if job is None:
        return False
    from structlog.contextvars import bound_contextvars  # only now: see core/log.py

    with bound_contextvars(job_id=job_id, kind=job.kind, request_id=job.request_id):
        log.info("job_started", total=job.total, done=job.done, attempt=job.attempts)
        began = time.monotonic()
        try:
            ended = _work(open_session, job, worker, lease_seconds, stop, watch)
        except LeaseLost:
            log.warning("job_lease_lost", seconds=_since(began))
        else:
            log.info("job_ended", state=ended, seconds=_since(began))
    return True


def _work(
    open_session: OpenSession, job: Job, worker: str, lease_seconds: int, stop: Callable[[], bool], watch: Watch
) -> JobState:
    """Chunk after chunk. Returns the state the job is left in."""
    try:
        if job.attempts > ATTEMPTS_MAX:
            raise GaveUp
        width, done, total = Width(), job.done, job.total
        while not stop():
            try:
                state, step = _patiently(lambda: _chunk(open_session, job.id, worker, lease_seconds, width.most))
            except ChunkBroke as broke:
                if not width.narrow(job.kind):
                    raise broke.error from broke
                log.warning("job_chunk_broke", error=type(broke.error).__name__, items=width.most)
                continue
            done, total = done + step.done, total if step.total is None else step.total
            watch(job.kind, done, total)
            if state is JobState.running:
                width.passed(step)
            if step.outside is not None:
                with _lease_kept(open_session, job.id, worker, lease_seconds):
                    step.outside()
            if state is not JobState.running:
                return state
    except LeaseLost:
        raise
    except Busy:
        return _fail(open_session, job.id, worker, NoDatabase())
    except AddonError as error:
        return _fail(open_session, job.id, worker, error)
    except Exception:
        log.exception("job_crashed")
        return _fail(open_session, job.id, worker, Unexpected())

    def release() -> None:
        with open_session() as session, unit_of_work(session):
            service.release_job(session, job_id=job.id, worker=worker)

    _patiently(release)
    return JobState.queued


@contextmanager
def _lease_kept(open_session: OpenSession, job_id: int, worker: str, lease_seconds: int) -> Iterator[None]:
    """Renew the lease from a thread of its own meanwhile. That it was lost is seen by the next chunk."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(lease_seconds / 3):
            try:
                with open_session() as session, unit_of_work(session):
                    service.renew_lease(session, job_id=job_id, worker=worker, lease_seconds=lease_seconds)
            except LeaseLost:
                return
            except Exception as error:  # the next turn may succeed, well before the lease ends
                log.warning("job_lease_not_renewed", job_id=job_id, error=type(error).__name__)

    thread = threading.Thread(target=renew, name="enrollment-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _chunk(
    open_session: OpenSession, job_id: int, worker: str, lease_seconds: int, most: int | None
) -> tuple[JobState, Step]:
    """One chunk of at most so many items and its record, in one transaction. Also: the job's state after it."""
    began = time.monotonic()
    with open_session() as session, unit_of_work(session):
        set_actor(session, SYSTEM)
        job = service.held_job(session, job_id=job_id, worker=worker)
        if job.cancel_requested:
            service.end_job(session, job_id=job_id, worker=worker, state=JobState.cancelled)
            return JobState.cancelled, Step()
        step, retried = _step(session, job, most)
        service.record_step(
            session,
            job=job,
            worker=worker,
            step=step,
            seconds=time.monotonic() - began,
            lease_seconds=lease_seconds,
            retried=retried,
        )
        one_writer = dialect_of(session) == "sqlite"
    log.info(
        "job_chunk", done=step.done, skipped=step.skipped, failed=len(step.failures), seconds=_since(began)
    )
    if step.finished:
        return JobState.done, step
    if one_writer:
        time.sleep((time.monotonic() - began) * SQLITE_PAUSE * random.uniform(0.5, 1.5))  # noqa: S311
    return JobState.running, step


def _step(session: Session, job: Job, most: int | None) -> tuple[Step, list[int]]:
    """Let the handler do its next chunk as whoever started the job. Also: keys of the errors done again.

    Raises: UnknownJobKind, OwnerGone, ChunkBroke.
    """
    handler, retry = step_handler(job.kind), retry_handler(job.kind)
    if handler is None:
        raise UnknownJobKind
    actor = _actor_for(session, job)
    if job.retry_upto is None:
        with acting_as(session, actor):
            return do_chunk(session, job, handler, most), []
    failed = queries.errors_to_retry(session, job_id=job.id, upto=job.retry_upto, limit=RETRY_CHUNK)
    if not failed:
        return Step(position=job.position, finished=True), []
    assert retry is not None, "only kinds that can do items again are queued for it"
    with acting_as(session, actor):
        step = retry(session, job, [item for _, item in failed])
        session.flush()
    counted = step.done + step.skipped + len(step.failures)
    assert counted == len(failed), "every item done again is counted once"
    return replace(step, position=job.position, finished=False), [key for key, _ in failed]


def _actor_for(session: Session, job: Job) -> Actor:
    """Who the job runs as. Raises: OwnerGone when the person was deleted or is inactive."""
    if job.by_system:
        return SYSTEM
    assert _resolve is not None, "the entry layer calls use_actor_resolver"
    actor = _resolve(session, job.created_by_id) if job.created_by_id is not None else None
    if actor is None:
        raise OwnerGone
    return actor


def _fail(open_session: OpenSession, job_id: int, worker: str, error: AddonError) -> JobState:
    log.warning("job_failed", code=error.error_code)

    def end() -> None:
        with open_session() as session, unit_of_work(session):
            service.end_job(session, job_id=job_id, worker=worker, state=JobState.failed, error=error)

    _patiently(end)
    return JobState.failed


def _patiently(do: Callable[[], _Result]) -> _Result:
    """Do it, and again a little later while the database is busy. Raises: Busy when it stays so."""
    for attempt in range(BUSY_TRIES - 1):
        try:
            return do()
        except Busy:
            log.info("job_waits_for_database", attempt=attempt + 1)
            time.sleep(BUSY_WAIT_SECONDS * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311
    return do()


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)

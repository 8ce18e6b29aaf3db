"""Queueing, cancelling, retrying and claiming jobs."""

import datetime as dt
import threading
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session, sessionmaker
from structlog.contextvars import bound_contextvars

from enrollment_addon.core import clock
from enrollment_addon.core.audit import AuditEvent
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import NotFound
from enrollment_addon.core.scope import SYSTEM, Actor, Reach, set_actor
from enrollment_addon.jobs import service
from enrollment_addon.jobs.errors import JobStateConflict, LeaseLost
from enrollment_addon.jobs.models import Job, JobState
from tests.factories import make_user_row


def queued(session: Session, **over: Any) -> int:
    with unit_of_work(session):
        return service.queue_job(session, kind="test.mark", input={"items": 10}, actor=SYSTEM, **over).id


def now_is_later(session: Session, job_id: int) -> None:
    """Let the lease of a job run out."""
    past = clock.now() - dt.timedelta(seconds=1)
    with unit_of_work(session):
        session.execute(update(Job).where(Job.id == job_id).values(lease_until=past))


def claimed(session: Session, job_id: int, worker: str) -> bool:
    with unit_of_work(session):
        return service.claim_job(session, job_id=job_id, worker=worker, lease_seconds=30)


def test_a_job_is_written_with_its_cause_or_not_at_all(session: Session) -> None:
    def queue_and_break() -> None:
        with unit_of_work(session):
            service.queue_job(session, kind="test.mark", input={}, actor=SYSTEM)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        queue_and_break()
    assert session.scalar(select(func.count()).select_from(Job)) == 0


def test_a_job_keeps_the_request_and_the_person_it_came_from(session: Session) -> None:
    user = make_user_row(session)
    with bound_contextvars(request_id="r-1"), unit_of_work(session):
        job = service.queue_job(session, kind="test.mark", input={}, actor=Actor(user.id, Reach.own_clubs))
    assert (job.request_id, job.created_by_id, job.by_system) == ("r-1", user.id, False)
    assert session.scalar(select(AuditEvent.actor_id).where(AuditEvent.verb == "queue_job")) == user.id


def test_a_waiting_job_is_cancelled_at_once_and_can_be_queued_again(session: Session) -> None:
    job_id = queued(session)
    with unit_of_work(session):
        service.cancel_job(session, job_id=job_id, actor=SYSTEM)
    assert session.get_one(Job, job_id).state == JobState.cancelled
    assert not claimed(session, job_id, "a")
    with pytest.raises(JobStateConflict) as refusal, unit_of_work(session):
        service.cancel_job(session, job_id=job_id, actor=SYSTEM)
    assert refusal.value.error_code == "state_conflict"
    with unit_of_work(session):
        service.retry_job(session, job_id=job_id, actor=SYSTEM)
    assert claimed(session, job_id, "a")


@pytest.mark.parametrize("state", [JobState.queued, JobState.running, JobState.done])
def test_a_job_that_goes_on_or_went_well_is_not_queued_again(session: Session, state: JobState) -> None:
    job_id = queued(session)
    with unit_of_work(session):
        session.execute(update(Job).where(Job.id == job_id).values(state=state))
    with pytest.raises(JobStateConflict), unit_of_work(session):
        service.retry_job(session, job_id=job_id, actor=SYSTEM)


def test_other_peoples_jobs_cannot_be_touched(session: Session) -> None:
    job_id, someone = queued(session), make_user_row(session)
    session.commit()
    actor = Actor(someone.id, Reach.own_clients)
    set_actor(session, actor)
    for verb in (service.cancel_job, service.retry_job):
        with pytest.raises(NotFound), unit_of_work(session):
            verb(session, job_id=job_id, actor=actor)


@pytest.mark.all_databases
def test_many_workers_want_one_job_and_one_gets_it(session_factory: sessionmaker[Session]) -> None:
    with session_factory() as session:
        job_id = queued(session)
    start, winners = threading.Barrier(8), []

    def race(number: int) -> None:
        with session_factory() as session:
            start.wait()
            if claimed(session, job_id, f"worker {number}"):
                winners.append(f"worker {number}")

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with session_factory() as session:
        assert [session.get_one(Job, job_id).worker] == winners


@pytest.mark.all_databases
def test_only_a_lease_that_ran_out_is_taken_over_and_the_first_worker_notices(
    session: Session, engine: Engine
) -> None:
    job_id = queued(session)
    assert claimed(session, job_id, "a")
    assert not claimed(session, job_id, "b")
    now_is_later(session, job_id)
    assert claimed(session, job_id, "b")
    with pytest.raises(LeaseLost), unit_of_work(session):
        service.end_job(session, job_id=job_id, worker="a", state=JobState.done)
    session.expire_all()
    job = session.get_one(Job, job_id)
    assert (job.state, job.worker, job.attempts) == (JobState.running, "b", 2)


@pytest.mark.all_databases
def test_a_sweep_sends_each_job_once_per_while(session: Session) -> None:
    waiting, held, left_behind = queued(session), queued(session), queued(session)
    assert claimed(session, held, "a")
    assert claimed(session, left_behind, "killed")
    now_is_later(session, left_behind)

    def sweep() -> list[int]:
        with unit_of_work(session):
            return service.take_unsent(session, trust_seconds=60, limit=10)

    assert sweep() == [waiting, left_behind]
    assert sweep() == []
    assert claimed(session, waiting, "b")
    assert claimed(session, left_behind, "b")
    now_is_later(session, held)
    assert sweep() == [held]

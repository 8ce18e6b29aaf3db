"""The chunk loop: progress, cancel, failures, retry, and whom a job works for."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, delete, select, update
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.core.db import unit_of_work, write_lock
from enrollment_addon.core.scope import SYSTEM, Actor, Reach, set_actor
from enrollment_addon.jobs import registry, runner, service
from enrollment_addon.jobs.errors import NoDatabase, RetryUnsupported, Unexpected
from enrollment_addon.jobs.models import Job, JobError, JobState
from enrollment_addon.jobs.queries import job_view
from tests.factories import make_user_row
from tests.jobs.host import job_of, logged, process, wait_for
from tests.jobs.kinds import CHUNK, build_scratch, marked, marks, refuse

LEASE_SECONDS = 2
GONE = 999_999
"""The key of somebody who is no longer there."""


@pytest.fixture(autouse=True)
def _scratch(engine: Engine) -> None:
    build_scratch(engine)
    runner.use_actor_resolver(
        lambda session, user_id: None if user_id == GONE else Actor(user_id, Reach.own_clients, 7)
    )


@pytest.fixture
def start(session_factory: sessionmaker[Session]) -> Callable[..., int]:
    """Queue a job and commit."""

    def queue(kind: str = "test.mark", actor: Actor = SYSTEM, **input: Any) -> int:
        with session_factory() as session, unit_of_work(session):
            return service.queue_job(session, kind=kind, input=input, actor=actor).id

    return queue


@pytest.fixture
def run(session_factory: sessionmaker[Session]) -> Callable[..., Job]:
    """Work on a job as one worker does; the job as it is afterwards."""

    def work(job_id: int, **options: Any) -> Job:
        assert runner.run_job(session_factory, job_id, lease_seconds=LEASE_SECONDS, **options)
        return job_of(session_factory, job_id)

    return work


def after_chunks(count: int) -> Callable[[], bool]:
    """A worker's `stop`: lets so many chunks pass."""
    asked = iter([False] * count)
    return lambda: next(asked, True)


@pytest.mark.all_databases
def test_a_job_is_done_in_chunks_each_item_once(start: Any, run: Any, session: Session) -> None:
    job_id = start(items=12)
    with logged() as lines:
        job = run(job_id)
    assert (job.state, job.total, job.done, job.failed) == (JobState.done, 12, 12, 0)
    assert (job.position, job.result) == (12, {"reached": 12})
    assert job.started_at <= job.finished_at
    assert marked(session) == list(range(12))
    assert [line["event"] for line in lines] == ["job_started", *["job_chunk"] * 3, "job_ended"]


def test_a_worker_that_stops_hands_the_job_back_and_another_goes_on(
    start: Any, run: Any, session: Session
) -> None:
    job_id = start(items=12)
    job = run(job_id, stop=after_chunks(2))
    assert (job.state, job.worker, job.position, job.done) == (JobState.queued, None, 10, 10)
    assert run(job_id).state == JobState.done
    assert marked(session) == list(range(12))


def test_a_cancelled_job_stops_between_chunks_and_goes_on_when_queued_again(
    start: Any, run: Any, session: Session
) -> None:
    job_id = start(items=12)
    run(job_id, stop=after_chunks(1))
    with unit_of_work(session):
        assert service.claim_job(session, job_id=job_id, worker="killed", lease_seconds=-1)
        job = service.cancel_job(session, job_id=job_id, actor=SYSTEM)
    assert (job.state, job.cancel_requested) == (JobState.running, True)
    job = run(job_id)
    assert (job.state, job.done) == (JobState.cancelled, CHUNK)
    assert marked(session) == list(range(CHUNK))
    with unit_of_work(session):
        service.retry_job(session, job_id=job_id, actor=SYSTEM)
    assert run(job_id).state == JobState.done
    assert marked(session) == list(range(12))


def test_a_cancel_while_a_chunk_is_written_stops_after_it(
    start: Any, run: Any, session_factory: sessionmaker[Session], session: Session
) -> None:
    job_id = start(items=500, pause=0.05)

    def cancel() -> None:
        wait_for(lambda: job_of(session_factory, job_id).done > 0)
        with session_factory() as other, unit_of_work(other):
            service.cancel_job(other, job_id=job_id, actor=SYSTEM)

    thread = threading.Thread(target=cancel)
    thread.start()
    job = run(job_id)
    thread.join()
    assert job.state == JobState.cancelled
    assert 0 < job.done < 500
    assert marked(session) == list(range(job.done))


@pytest.mark.databases("sqlite")
def test_slow_work_on_files_keeps_the_lease_and_holds_up_nobody(
    start: Any, session_factory: sessionmaker[Session], session: Session
) -> None:
    job_id = start("test.outside", seconds=1.9)
    worker = threading.Thread(target=runner.run_job, args=(session_factory, job_id), kwargs={"lease_seconds": 1.2})
    worker.start()
    wait_for(lambda: job_of(session_factory, job_id).done == 1)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        began = time.monotonic()
        with unit_of_work(session):
            assert not service.claim_job(session, job_id=job_id, worker="other", lease_seconds=1)
        assert time.monotonic() - began < 0.5
        time.sleep(0.1)
    worker.join()
    assert job_of(session_factory, job_id).state == JobState.done


@pytest.mark.all_databases
def test_failed_items_are_listed_and_only_they_are_done_again(start: Any, run: Any, session: Session) -> None:
    with unit_of_work(session):
        refuse(session, 3, 7, 8)
    job_id = start(items=12)
    job = run(job_id)
    assert (job.state, job.done, job.failed) == (JobState.done, 9, 3)
    view = job_view(session, job_id)
    assert [(error.item, error.code, error.message) for error in view.errors] == [
        (item, "refused", f"Item {item} is refused.") for item in (3, 7, 8)
    ]
    session.rollback()

    with unit_of_work(session):
        refuse(session, 7)
        service.retry_job(session, job_id=job_id, actor=SYSTEM)
    job = run(job_id, stop=after_chunks(9))
    assert (job.state, job.done, job.failed, job.result) == (JobState.done, 11, 1, {"reached": 12})
    assert [error.item for error in job_view(session, job_id).errors] == [7]
    session.rollback()

    with unit_of_work(session):
        refuse(session)
        service.retry_job(session, job_id=job_id, actor=SYSTEM)
    job = run(job_id)
    assert (job.done, job.failed) == (12, 0)
    assert marked(session) == list(range(12))


def test_what_cannot_do_items_again_says_so(start: Any, run: Any, session: Session) -> None:
    job_id = start("test.once")
    assert run(job_id).failed == 1
    assert not job_view(session, job_id).can_retry
    session.rollback()
    with pytest.raises(RetryUnsupported), unit_of_work(session):
        service.retry_job(session, job_id=job_id, actor=SYSTEM)


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ({"refused_at": 7}, "stopped", "Stopped at 5."),
        ({"broken_at": 7}, "unexpected", str(Unexpected.message)),
        ({"busy_at": 7}, "busy", str(NoDatabase.message)),
    ],
)
def test_an_error_undoes_its_chunk_and_retry_goes_on_from_there(
    start: Any, run: Any, session: Session, monkeypatch: pytest.MonkeyPatch, fault: dict[str, int], code: str,
    message: str,
) -> None:
    monkeypatch.setattr(runner, "BUSY_WAIT_SECONDS", 0.01)
    job_id = start(items=12, **fault)
    job = run(job_id)
    assert (job.state, job.code, job.position) == (JobState.failed, code, CHUNK)
    assert job_view(session, job_id).message == message
    assert marked(session) == list(range(CHUNK))
    session.rollback()

    with unit_of_work(session):
        service.retry_job(session, job_id=job_id, actor=SYSTEM)
        session.execute(update(Job).values(input={"items": 12}))
    job = run(job_id)
    assert (job.state, job.code, job.message) == (JobState.done, None, None)
    assert marked(session) == list(range(12))


def test_a_kind_whose_module_is_off_fails_with_a_reason(start: Any, run: Any) -> None:
    job = run(start("test.unknown"))
    assert (job.state, job.code) == (JobState.failed, "unknown_job_kind")


def test_a_job_works_as_the_person_who_started_it(start: Any, run: Any, session: Session) -> None:
    user = make_user_row(session)
    session.commit()
    job = run(start(actor=Actor(user.id, Reach.own_clients, team_member_id=7), items=3))
    assert job.state == JobState.done
    assert set(session.scalars(select(marks.c.user_id))) == {user.id}


@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "inactive"])
def test_the_job_of_a_person_who_is_gone_does_nothing(
    start: Any, run: Any, session: Session, deleted: bool
) -> None:
    user = make_user_row(session, id=GONE)
    session.commit()
    job_id = start(actor=Actor(GONE, Reach.everything), items=3)
    if deleted:
        session.execute(update(Job).values(created_by_id=None))
        session.execute(delete(type(user)).where(type(user).id == GONE))
        session.commit()
    job = run(job_id)
    assert (job.state, job.code) == (JobState.failed, "owner_gone")
    assert marked(session) == []


def test_a_job_that_kills_its_workers_is_given_up(start: Any, run: Any, session: Session) -> None:
    job_id = start(items=3)
    for _ in range(runner.ATTEMPTS_MAX):
        with unit_of_work(session):
            assert service.claim_job(session, job_id=job_id, worker="killed", lease_seconds=-1)
    job = run(job_id)
    assert (job.state, job.code) == (JobState.failed, "gave_up")
    with unit_of_work(session):
        service.retry_job(session, job_id=job_id, actor=SYSTEM)
    assert run(job_id).state == JobState.done


@pytest.mark.databases("postgresql", "mariadb")
def test_a_worker_that_lost_its_lease_in_a_chunk_writes_nothing(
    start: Any, session_factory: sessionmaker[Session], session: Session
) -> None:
    job_id = start(items=3)

    @registry.job_kind("test.slow")
    def slow(chunk: Session, job: Job) -> registry.Step:
        """Takes so long that somebody else does the whole job meanwhile."""
        step = registry.step_handler("test.mark")(chunk, job)  # type: ignore[misc]
        with session_factory() as other, unit_of_work(other):
            other.execute(update(Job).values(kind="test.mark", lease_until=job.started_at))
        assert runner.run_job(session_factory, job_id, lease_seconds=LEASE_SECONDS)
        return step

    with unit_of_work(session):
        session.execute(update(Job).values(kind="test.slow"))
    with logged() as lines:
        assert runner.run_job(session_factory, job_id, lease_seconds=LEASE_SECONDS)
    assert "job_lease_lost" in [line["event"] for line in lines]
    assert job_of(session_factory, job_id).done == 3
    assert marked(session) == [0, 1, 2]


@pytest.fixture
def impatient(database_url: str) -> Iterator[sessionmaker[Session]]:
    """Sessions that wait for a lock for a moment only."""
    engine = create_engine(database_url, connect_args={"timeout": 0.05})
    yield sessionmaker(engine)
    engine.dispose()


@pytest.mark.databases("sqlite")
def test_a_busy_database_is_waited_for(
    start: Any, session_factory: sessionmaker[Session], impatient: sessionmaker[Session], session: Session
) -> None:
    job_id = start(items=12)
    locked = threading.Event()

    def hold_the_lock() -> None:
        with session_factory() as other, unit_of_work(other):
            other.execute(update(write_lock).values(turn=0))
            locked.set()
            time.sleep(0.4)

    thread = threading.Thread(target=hold_the_lock)
    thread.start()
    locked.wait()
    with logged() as lines:
        assert runner.run_job(impatient, job_id, lease_seconds=LEASE_SECONDS)
    thread.join()
    assert "job_waits_for_database" in [line["event"] for line in lines]
    assert job_of(session_factory, job_id).state == JobState.done
    assert marked(session) == list(range(12))


@pytest.mark.all_databases
def test_a_killed_worker_is_replaced_when_its_lease_ends_and_each_item_is_done_once(
    start: Any, session_factory: sessionmaker[Session], database_url: str, session: Session
) -> None:
    job_id = start(items=20 * CHUNK, pause=0.1)
    with process(database_url, "embedded"):
        wait_for(lambda: job_of(session_factory, job_id).done >= 3 * CHUNK)
    job = job_of(session_factory, job_id)
    assert job.state == JobState.running
    assert job.done < job.total
    wait_for(lambda: runner.run_waiting(session_factory, lease_seconds=LEASE_SECONDS) == 1)
    job = job_of(session_factory, job_id)
    assert (job.state, job.done) == (JobState.done, 20 * CHUNK)
    assert marked(session) == list(range(20 * CHUNK))


def test_two_workers_share_the_jobs_and_none_is_done_twice(
    start: Any, session_factory: sessionmaker[Session], session: Session
) -> None:
    job_ids = [start(items=7) for _ in range(6)]
    ran: list[int] = []

    def work() -> None:
        ran.append(runner.run_waiting(session_factory, lease_seconds=LEASE_SECONDS))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(ran) == len(job_ids)
    assert {job_of(session_factory, job_id).state for job_id in job_ids} == {JobState.done}
    assert marked(session) == sorted(list(range(7)) * len(job_ids))


def test_errors_of_a_deleted_job_go_with_it(start: Any, run: Any, session: Session) -> None:
    job_id = start("test.once")
    run(job_id)
    session.execute(delete(Job).where(Job.id == job_id))
    session.commit()
    assert session.scalars(select(JobError)).all() == []


def test_a_person_sees_their_own_jobs_only(start: Any, session: Session) -> None:
    user = make_user_row(session)
    session.commit()
    start(items=1)
    mine = start(actor=Actor(user.id, Reach.own_clubs), items=1)
    set_actor(session, Actor(user.id, Reach.own_clubs))
    assert session.scalars(select(Job.id)).all() == [mine]

"""The worker thread of a web process."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM, set_actor
from enrollment_addon.jobs import dispatch
from enrollment_addon.jobs.models import JobState
from enrollment_addon.jobs.service import queue_job
from tests.jobs.host import dispose, job_of, make_app, process, request_queues_a_job, wait_for
from tests.jobs.kinds import CHUNK, build_scratch, marked


@pytest.fixture(autouse=True)
def _scratch(engine: Engine) -> None:
    build_scratch(engine)


@pytest.fixture
def host(database_url: str) -> Iterator[Flask]:
    app = make_app(database_url)
    yield app
    dispose(app)


def worker_of(app: Flask) -> dispatch.EmbeddedWorker:
    worker: dispatch.EmbeddedWorker = app.extensions[dispatch.EXTENSION]
    return worker


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "enrollment-jobs"]


def test_a_job_starts_as_soon_as_its_request_has_committed(
    host: Flask, session_factory: sessionmaker[Session], session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "POLL_SECONDS", 3600)
    first = request_queues_a_job(host, items=3)
    wait_for(lambda: job_of(session_factory, first).state == JobState.done, 10)
    second = request_queues_a_job(host, items=2)
    wait_for(lambda: job_of(session_factory, second).state == JobState.done, 10)
    assert marked(session) == [0, 0, 1, 1, 2]


def test_nothing_is_announced_before_the_commit_nor_after_a_rollback(
    host: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced: list[int] = []
    monkeypatch.setattr(worker_of(host), "notify", announced.append)

    def queue_and_break(session: Session) -> None:
        with unit_of_work(session):
            queue_job(session, kind="test.mark", input={}, actor=SYSTEM)
            raise RuntimeError

    with host.app_context():
        session = host.appbuilder.session()  # type: ignore[attr-defined]
        set_actor(session, SYSTEM)
        with pytest.raises(RuntimeError):
            queue_and_break(session)
        with unit_of_work(session):
            with session.begin_nested():
                job = queue_job(session, kind="test.mark", input={"items": 1}, actor=SYSTEM)
            assert announced == []
        assert announced == [job.id]


def test_one_thread_is_started_however_often_it_is_asked_for(host: Flask) -> None:
    before = len(threads())
    askers = [threading.Thread(target=worker_of(host).ensure_running) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(threads()) == before + 1


def test_a_worker_that_is_stopped_hands_its_job_back_and_can_start_again(
    host: Flask, session_factory: sessionmaker[Session], session: Session
) -> None:
    job_id = request_queues_a_job(host, items=20 * CHUNK, pause=0.05)
    wait_for(lambda: job_of(session_factory, job_id).done > 0)
    worker_of(host).stop()
    job = job_of(session_factory, job_id)
    assert (job.state, job.worker) == (JobState.queued, None)
    assert 0 < job.done < 20 * CHUNK
    worker_of(host).ensure_running()
    wait_for(lambda: job_of(session_factory, job_id).state == JobState.done)
    assert marked(session) == list(range(20 * CHUNK))


@pytest.mark.databases("sqlite")
def test_a_forked_process_gets_a_thread_of_its_own(host: Flask) -> None:
    worker = worker_of(host)
    worker.ensure_running()
    worker._starting.acquire()  # as when another thread is just asking for it
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        running = bool(threads())
        worker.ensure_running()
        os._exit(0 if not running and len(threads()) == 1 else 1)
    worker._starting.release()
    assert os.waitpid(child, 0)[1] == 0


def test_a_restarted_process_finishes_what_a_killed_one_left(
    database_url: str, session_factory: sessionmaker[Session], session: Session
) -> None:
    with session_factory() as other, unit_of_work(other):
        job_id = queue_job(
            other, kind="test.mark", input={"items": 20 * CHUNK, "pause": 0.1}, actor=SYSTEM
        ).id
    with process(database_url, "embedded"):
        wait_for(lambda: job_of(session_factory, job_id).done >= 2 * CHUNK)
    assert job_of(session_factory, job_id).state == JobState.running
    with process(database_url, "embedded"):
        wait_for(lambda: job_of(session_factory, job_id).state == JobState.done)
    assert marked(session) == list(range(20 * CHUNK))


@pytest.mark.databases("sqlite")
def test_requests_can_write_while_a_long_job_runs(
    host: Flask, session_factory: sessionmaker[Session]
) -> None:
    """SQLite has one write lock without a queue; a job must not keep it."""
    job_id = request_queues_a_job(host, items=500 * CHUNK, pause=0.2)
    wait_for(lambda: job_of(session_factory, job_id).done > 0)
    began = time.monotonic()
    for _ in range(5):
        request_queues_a_job(host, items=1)
    assert time.monotonic() - began < 5
    assert job_of(session_factory, job_id).state == JobState.running


@pytest.mark.databases("sqlite")
def test_without_a_worker_of_its_own_a_process_leaves_jobs_to_others(
    database_url: str, session_factory: sessionmaker[Session]
) -> None:
    app = make_app(database_url, ENROLLMENT_WORKER=False)
    before = len(threads())
    job_id = request_queues_a_job(app, items=1)
    app.extensions[dispatch.EXTENSION].ensure_running()
    assert len(threads()) == before
    assert job_of(session_factory, job_id).state == JobState.queued
    dispose(app)

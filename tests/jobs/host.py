"""A small host application, in this process or as a process of its own that can be killed.

`python -m tests.jobs.host DATABASE_URL embedded` works on jobs in a thread; `… celery BROKER_URL` is a
Celery worker.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from flask_appbuilder import AppBuilder
from flask_appbuilder.models.sqla.base import SQLA
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.core import scope
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.credits.imports import jobs as import_jobs  # noqa: F401 - registers the kinds of imports
from enrollment_addon.jobs import celery, dispatch, runner
from enrollment_addon.jobs.models import Job
from enrollment_addon.jobs.service import queue_job
from enrollment_addon.settings import load_settings
from tests.jobs import kinds  # noqa: F401 - registers the kinds in a process of its own
from tests.servers import load_models

LEASE_SECONDS = 2


def make_app(url: str, **settings: Any) -> Flask:
    load_models()
    app = Flask(__name__)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        SECRET_KEY="for tests only",
        FAB_UPDATE_PERMS=False,
        ENROLLMENT_JOB_LEASE_SECONDS=LEASE_SECONDS,
        **settings,
    )
    db = SQLA(app)
    with app.app_context():
        AppBuilder(app, db.session)
        scope.install(db.session)
        dispatch.setup(app, load_settings(app.config))
    runner.use_actor_resolver(lambda session, user_id: scope.Actor(user_id, scope.Reach.everything))
    return app


def dispose(app: Flask) -> None:
    """Stop the application's worker and close its connections."""
    app.extensions[dispatch.EXTENSION].stop()
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


def request_queues_a_job(app: Flask, **input: Any) -> int:
    """What a request does: queue a job in a unit of work of the host's session."""
    with app.app_context():
        session = app.appbuilder.session()  # type: ignore[attr-defined]
        scope.set_actor(session, scope.SYSTEM)
        with unit_of_work(session):
            job_id: int = queue_job(session, kind="test.mark", input=input, actor=scope.SYSTEM).id
        return job_id


def job_of(sessions: sessionmaker[Session], job_id: int) -> Job:
    """The job as it is now."""
    with sessions() as session:
        job = session.get_one(Job, job_id)
        session.expunge(job)
        return job


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    last = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < last, "it happened in time"
        time.sleep(0.02)


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """This module as a process group of its own, killed at the end."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.host", *arguments],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        kill(child)


def kill(child: subprocess.Popen[bytes]) -> None:
    """`kill -9` for the process and what it started."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def main(url: str, where: str, broker: str = "", pool: str = "solo", beat: str = "") -> None:
    app = make_app(url, ENROLLMENT_BROKER_URL=broker)
    if where == "celery":
        celery.run_worker(app, beat=bool(beat), concurrency=1, pool=pool)
    else:
        app.extensions[dispatch.EXTENSION].ensure_running()
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])


@contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    """The structured log lines that are written meanwhile."""
    lines: list[dict[str, Any]] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(json.loads(record.getMessage()))  # type: ignore[method-assign]
    target = logging.getLogger("enrollment_addon")
    before = target.level
    target.addHandler(handler)
    target.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        target.removeHandler(handler)
        target.setLevel(before)

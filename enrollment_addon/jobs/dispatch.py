"""Where jobs run: in a worker thread of this process, on Celery, or elsewhere.

The job row is all that has to be written. What is here only makes a worker look sooner than it would by
itself: after each commit that queued a job the dispatcher is told.
"""

import atexit
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import Session

from ..core.log import logger
from ..settings import Settings
from .runner import OpenSession, run_waiting
from .service import QUEUED

EXTENSION = "enrollment_jobs"
"""Key in `app.extensions`: the dispatcher of the application."""

POLL_SECONDS = 2.0
ERROR_PAUSE_SECONDS = 30.0
"""How long the thread rests after an error of its own, for instance before the tables exist."""

STOP_WAIT_SECONDS = 10.0

log = logger("enrollment_addon.jobs")


class Dispatcher:
    """Runs nothing itself: other processes on the same database do."""

    def notify(self, job_id: int) -> None:
        """A job was queued, and its transaction has committed. Never raises."""

    def ensure_running(self) -> None:
        """Start what has to run in this process, unless it does."""

    def stop(self) -> None:
        """Stop after the chunk at hand; an unfinished job goes back to the queue."""

    def resend(self) -> int:
        """Send the jobs that nobody has taken and no message is on its way for; how many. Nothing without a broker."""
        return 0

    def broker_reachable(self) -> bool | None:
        """Whether the broker answers; None without one."""
        return None


class EmbeddedWorker(Dispatcher):
    """One thread of this process that works on jobs; started on first use, and again in a forked child."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._open_session = session_for(app)
        self._lease_seconds = settings.job_lease_seconds
        self._reset()
        reset = weakref.WeakMethod(self._reset)
        os.register_at_fork(after_in_child=lambda: (reset() or (lambda: None))())

    def _reset(self) -> None:
        """Begin without a thread: a fork leaves it behind in the parent, and its locks in any state."""
        self._starting = threading.Lock()
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def notify(self, job_id: int) -> None:
        self.ensure_running()
        self._wake.set()

    def ensure_running(self) -> None:
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            self._stopping.clear()
            self._thread = threading.Thread(target=self._loop, name="enrollment-jobs", daemon=True)
            self._thread.start()
            atexit.register(self.stop)

    def stop(self) -> None:
        thread = self._thread
        self._stopping.set()
        self._wake.set()
        if thread is not None:
            thread.join(STOP_WAIT_SECONDS)
        atexit.unregister(self.stop)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            pause = POLL_SECONDS
            try:
                run_waiting(self._open_session, lease_seconds=self._lease_seconds, stop=self._stopping.is_set)
            except Exception:
                log.exception("job_worker_error")
                pause = ERROR_PAUSE_SECONDS
            self._wake.wait(pause)
            self._wake.clear()


def setup(app: Flask, settings: Settings) -> Dispatcher:
    """Choose where jobs run and listen to the host's session for commits that queued some.

    Raises: SettingsError when a broker is set and Celery is not installed.
    """
    dispatcher: Dispatcher
    if settings.broker_url:
        from .celery import CeleryDispatcher  # an optional extra

        dispatcher = CeleryDispatcher(app, settings)
    elif settings.worker:
        dispatcher = EmbeddedWorker(app, settings)
    else:
        dispatcher = Dispatcher()
    app.extensions[EXTENSION] = dispatcher
    announce_commits(app.appbuilder.session, dispatcher)  # type: ignore[attr-defined]
    return dispatcher


def session_for(app: Flask) -> OpenSession:
    """Sessions of the host's own database outside requests, each in an application context of its own."""

    @contextmanager
    def open_session() -> Iterator[Session]:
        with app.app_context():
            session = app.appbuilder.session()  # type: ignore[attr-defined]
            try:
                yield session
            finally:
                session.close()

    return open_session


def announce_commits(session_factory: Any, dispatcher: Dispatcher) -> None:
    """Tell the dispatcher about the jobs that a session queued, once its transaction has committed."""

    def committed(session: Session) -> None:
        if session.in_nested_transaction():  # a savepoint ended; the transaction may still roll back
            return
        for job_id in session.info.pop(QUEUED, ()):
            dispatcher.notify(job_id)

    def rolled_back(session: Session) -> None:
        session.info.pop(QUEUED, None)

    event.listen(session_factory, "after_commit", committed)
    event.listen(session_factory, "after_rollback", rolled_back)

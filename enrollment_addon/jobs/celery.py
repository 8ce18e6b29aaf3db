"""Jobs on Celery, with Redis or RabbitMQ as the broker.

A message only says "look at this job": the claim in the database decides who works on it. So a message may
come twice, late or never. What has no message on its way is found and sent by a periodic sweep.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask

from ..core.db import unit_of_work
from ..core.extension import Extension
from ..core.log import logger
from ..core.scope import SYSTEM
from ..settings import Settings, SettingsError
from . import service
from .dispatch import EXTENSION, Dispatcher, session_for
from .runner import run_job

try:
    from celery import Celery, signals
    from celery.schedules import crontab
    from celery.worker import state as worker_state
except ImportError as error:
    raise SettingsError(
        "ENROLLMENT_BROKER_URL needs Celery, which is not installed: pip install 'enrollment-addon[celery]'"
    ) from error

RUN_JOB, SWEEP, DUE, OFTEN = "enrollment.run_job", "enrollment.sweep", "enrollment.due", "enrollment.often"
OFTEN_SECONDS = 300
"""So long what cannot wait for the night waits at most."""
CONNECT_SECONDS = 2
SWEEP_LIMIT = 500
RESEND_SECONDS = 60
"""A job is sent again when nobody has taken it this long after its message."""

log = logger("enrollment_addon.jobs")


class CeleryDispatcher(Dispatcher):
    """Sends a message per job; a broker that is away only delays the job until a sweep."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._open_session, self._lease_seconds = session_for(app), settings.job_lease_seconds
        self.celery = make_celery(app, settings, self.resend)

    def notify(self, job_id: int) -> None:
        try:
            self.celery.tasks[RUN_JOB].apply_async((job_id,), retry=False)
        except Exception as error:  # the job is committed: whatever the broker has, the request succeeded
            log.warning("job_not_sent", job_id=job_id, error=type(error).__name__)

    def resend(self) -> int:
        trust = max(RESEND_SECONDS, self._lease_seconds)
        with self._open_session() as session, unit_of_work(session):
            unsent = service.take_unsent(session, trust_seconds=trust, limit=SWEEP_LIMIT)
        for job_id in unsent:
            self.notify(job_id)
        return len(unsent)

    def broker_reachable(self) -> bool | None:
        try:
            with self.celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=0, timeout=CONNECT_SECONDS)
        except Exception:
            return False
        return True


def make_celery(app: Flask, settings: Settings, resend: Callable[[], int]) -> Celery:
    """A Celery application of the add-on's own, beside one that the host may have."""
    celery = Celery("enrollment", broker=settings.broker_url, set_as_current=False)
    celery.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_default_queue="enrollment",
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_timeout=CONNECT_SECONDS,
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options=_transport_options(settings.broker_url),
        beat_scheduler="celery.beat:Scheduler",
        beat_schedule={
            SWEEP: {"task": SWEEP, "schedule": float(settings.job_lease_seconds)},
            DUE: {"task": DUE, "schedule": crontab(hour="2", minute="30")},
            OFTEN: {"task": OFTEN, "schedule": float(OFTEN_SECONDS)},
        },
    )
    _register_tasks(celery, app, settings, resend)
    return celery


def _transport_options(broker_url: str) -> dict[str, Any]:
    """Let a request that finds no broker go on at once, instead of waiting for one."""
    options: dict[str, Any] = {"max_retries": 0}
    if broker_url.startswith(("redis", "sentinel")):
        options["socket_connect_timeout"] = CONNECT_SECONDS
    return options


def _register_tasks(celery: Celery, app: Flask, settings: Settings, resend: Callable[[], int]) -> None:
    open_session = session_for(app)

    @celery.task(name=RUN_JOB, acks_late=True, reject_on_worker_lost=True, shared=False)  # type: ignore[untyped-decorator]
    def run(job_id: int) -> None:
        run_job(
            open_session,
            job_id,
            lease_seconds=settings.job_lease_seconds,
            stop=lambda: worker_state.should_stop is not None,
        )

    @celery.task(name=SWEEP, shared=False, expires=settings.job_lease_seconds)  # type: ignore[untyped-decorator]
    def sweep() -> None:
        resend()

    def queue(*, often: bool) -> None:
        extension: Extension = app.extensions["enrollment"]
        with open_session() as session, unit_of_work(session):
            service.queue_due(session, due=extension.due_now(session, often=often), actor=SYSTEM)

    @celery.task(name=DUE, shared=False)  # type: ignore[untyped-decorator]
    def queue_due() -> None:
        queue(often=False)

    @celery.task(name=OFTEN, shared=False, expires=OFTEN_SECONDS)  # type: ignore[untyped-decorator]
    def queue_often() -> None:
        queue(often=True)


def run_worker(app: Flask, *, beat: bool, concurrency: int, pool: str = "prefork") -> None:
    """Work on the broker's messages until stopped. With `beat`, exactly one worker also sends the sweeps."""
    dispatcher = app.extensions[EXTENSION]
    if not isinstance(dispatcher, CeleryDispatcher):
        raise SettingsError("A worker of its own needs ENROLLMENT_BROKER_URL.")

    def forget_connections(**_: object) -> None:
        """A forked child must not talk over the parent's connections."""
        with app.app_context():
            app.appbuilder.session.get_bind().dispose(close=False)  # type: ignore[attr-defined]

    signals.worker_process_init.connect(forget_connections, weak=False)
    arguments = ["worker", "--loglevel=INFO", f"--concurrency={concurrency}", f"--pool={pool}"]
    dispatcher.celery.worker_main([*arguments, "--beat"] if beat else arguments)

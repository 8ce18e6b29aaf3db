"""Work in the background: what is due, and a worker."""

import signal
import threading

import click

from ..core.db import unit_of_work
from ..core.scope import SYSTEM
from .common import Line, as_json, enrollment, get_app, get_extension, get_session, say, working


@enrollment.command("run-due")
@click.option("--often", is_flag=True, help="Only what cannot wait for the night, such as places for those who wait.")
@as_json
@working("people")
def run_due(often: bool, as_json: bool) -> None:
    """Do what is due, and jobs that were left behind. For cron, where no Celery beat runs: once a night, and with
    --often every few minutes."""
    from ..jobs.dispatch import session_for
    from ..jobs.runner import run_waiting
    from ..jobs.service import queue_due

    extension = get_extension()
    sent = extension.dispatcher.resend()
    with unit_of_work(get_session()) as session:
        queued = queue_due(session, due=extension.due_now(session, often=often), actor=SYSTEM)
    ran = 0
    if not extension.settings.broker_url:
        line = Line(hidden=as_json)
        ran = run_waiting(
            session_for(get_app()), lease_seconds=extension.settings.job_lease_seconds, watch=line.count
        )
        line.clear()
    told = f"{len(queued)} jobs queued, {sent} sent again, {ran} jobs run."
    say(as_json, {"queued": len(queued), "sent": sent, "ran": ran}, told)


@enrollment.command()
@click.option("--beat", is_flag=True, help="This worker also sends the periodic work; exactly one may.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--pool", default="prefork", show_default=True)
@working("people")
def worker(beat: bool, concurrency: int, pool: str) -> None:
    """Work on background jobs until stopped: with Celery when a broker is set, else in this process."""
    settings = get_extension().settings
    if settings.broker_url:
        from ..jobs.celery import run_worker

        run_worker(get_app(), beat=beat, concurrency=concurrency, pool=pool)
        return
    from ..jobs.dispatch import POLL_SECONDS, session_for
    from ..jobs.runner import run_waiting

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    while not stopped.is_set():
        run_waiting(session_for(get_app()), lease_seconds=settings.job_lease_seconds, stop=stopped.is_set)
        stopped.wait(POLL_SECONDS)

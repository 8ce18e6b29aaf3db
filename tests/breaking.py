"""Letting one row of a table break whatever writes it, and running the jobs that meet it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.jobs import queries, runner
from enrollment_addon.jobs.service import retry_job


@contextmanager
def broken(session: Session, event: str, table: str, row: str) -> Iterator[None]:
    """Let an INSERT or UPDATE of these rows (SQL over NEW) fail meanwhile, as only SQLite can be told to."""
    with unit_of_work(session):
        session.execute(
            text(f"CREATE TRIGGER broken BEFORE {event} ON {table} WHEN {row} BEGIN SELECT RAISE(ABORT, 'no'); END")
        )
    try:
        yield
    finally:
        with unit_of_work(session):
            session.execute(text("DROP TRIGGER broken"))


def run(session_factory: sessionmaker[Session], job_id: int, *, again: bool = False) -> queries.JobView:
    """Work on a job to its end, or on its failed items again; the job as a person sees it."""
    with session_factory() as session:
        if again:
            with unit_of_work(session):
                retry_job(session, job_id=job_id, actor=SYSTEM)
        runner.run_job(session_factory, job_id, lease_seconds=30)
        return queries.job_view(session, job_id)

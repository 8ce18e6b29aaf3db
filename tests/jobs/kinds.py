"""Kinds of jobs for tests. Each writes one row per item into a scratch table that refuses nothing: an item
that was done twice or left out shows."""

import functools
import time
from typing import Any

from sqlalchemy import Column, Engine, Integer, MetaData, Table, delete, insert, select
from sqlalchemy.orm import Session

from enrollment_addon.core.errors import Busy, InvalidInput
from enrollment_addon.core.scope import actor_of
from enrollment_addon.jobs.models import Job
from enrollment_addon.jobs.registry import Failure, Step, job_kind, job_retry

scratch = MetaData()
marks = Table(
    "test_mark",
    scratch,
    Column("id", Integer, primary_key=True),
    Column("item", Integer),
    Column("user_id", Integer),
)
refused = Table("test_refused", scratch, Column("item", Integer, primary_key=True, autoincrement=False))

CHUNK = 5


def build_scratch(engine: Engine) -> None:
    scratch.create_all(engine)


def marked(session: Session) -> list[int]:
    """The items that were done, in order, as often as they were done."""
    return sorted(session.scalars(select(marks.c.item)))


def refuse(session: Session, *items: int) -> None:
    """Let these items fail from now on, and no others."""
    session.execute(delete(refused))
    for item in items:
        session.execute(insert(refused).values(item=item))


def _do(session: Session, items: list[int]) -> Step:
    failing = set(session.scalars(select(refused.c.item)))
    failures = [
        Failure.of(item, InvalidInput("Item %(item)s is refused.", code="refused", item=item))
        for item in items
        if item in failing
    ]
    rows = [{"item": item, "user_id": actor_of(session).user_id} for item in items if item not in failing]
    if rows:
        session.execute(insert(marks), rows)
    return Step(done=len(rows), failures=failures)


@job_kind("test.mark")
def mark(session: Session, job: Job) -> Step:
    """Marks the items 0 … input["items"] - 1; an item may cost time or break the chunk it is in."""
    begin, end = job.position or 0, job.input["items"]
    items = list(range(begin, min(begin + CHUNK, end)))
    step = _do(session, items)
    time.sleep(job.input.get("pause", 0))
    if job.input.get("busy_at") in items:
        raise Busy
    if job.input.get("broken_at") in items:
        raise RuntimeError("a bug")
    if job.input.get("refused_at") in items:
        raise InvalidInput("Stopped at %(item)s.", code="stopped", item=items[0])
    reached = begin + len(items)
    return Step(
        done=step.done,
        failures=step.failures,
        position=reached,
        finished=reached == end,
        result={"reached": reached},
        total=end,
    )


@job_retry("test.mark")
def mark_again(session: Session, job: Job, items: list[Any]) -> Step:
    return _do(session, items)


@job_kind("test.once")
def once(session: Session, job: Job) -> Step:
    """Fails its only item, and cannot do it again."""
    return Step(failures=[Failure(1, "no", "No.")], finished=True, total=1)


@job_kind("test.outside")
def outside(session: Session, job: Job) -> Step:
    """Works as long as asked once its first chunk has committed."""
    if job.position:
        return Step(position=1, finished=True)
    return Step(done=1, position=1, total=1, outside=functools.partial(time.sleep, job.input["seconds"]))

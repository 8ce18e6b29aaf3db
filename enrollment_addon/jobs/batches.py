"""Batches in the background: a large one is left to a job, whose chunks serve its targets."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from ..core.batches import Batch, Chunk, skip_target
from ..core.scope import Actor, actor_of
from .items import Items, job_items
from .models import Job
from .registry import Step
from .service import queue_job

ServeNext = Callable[..., Chunk]
"""A domain's verb for the next targets of a batch: takes the session, `batch_id`, `size` and `actor`."""

ServeOne = Callable[..., bool]
"""A domain's verb for a target that was skipped: takes the session, `batch_id`, `key` and `actor`."""


def batch_items(kind: str, serve_next: ServeNext, serve_one: ServeOne, *, size: int | None = None) -> None:
    """Register the kind of job that serves batches of that kind; `size` as of `Items`."""

    def step(session: Session, job: Job, most: int) -> Step:
        batch_id = job.input["batch_id"]
        chunk = serve_next(session, batch_id=batch_id, size=most, actor=actor_of(session))
        return Step(
            done=chunk.done, skipped=chunk.skipped, finished=chunk.finished,
            result={"batch_id": batch_id} if chunk.finished else None,
        )

    def again(session: Session, job: Job, key: Any) -> bool:
        return serve_one(session, batch_id=job.input["batch_id"], key=key, actor=actor_of(session))

    job_items(kind, Items(step, _skip, again, size))


def _skip(session: Session, job: Job) -> tuple[int, Step] | None:
    key = skip_target(session, job.input["batch_id"])
    return (key, Step()) if key is not None else None


def serve_or_queue(
    session: Session, batch: Batch, serve_next: ServeNext, *, actor: Actor, threshold: int, chunk: int
) -> int | None:
    """Serve a batch that was just opened, or leave one of more than `threshold` targets to a job; the job's key."""
    job_id = None
    if batch.total > threshold:
        input = {"batch_id": batch.id, "chunk": chunk}
        job_id = queue_job(session, kind=batch.kind, input=input, actor=actor, total=batch.total).id
        batch.input = {**batch.input, "job_id": job_id}
        session.flush()
    else:
        while not serve_next(session, batch_id=batch.id, size=chunk, actor=actor).finished:
            pass
    session.refresh(batch)
    return job_id

"""The background jobs of credits: each step is one chunk of a service verb."""

import datetime as dt

from sqlalchemy.orm import Session

from ..core.batches import batches
from ..core.scope import actor_of
from ..jobs.models import Job
from ..jobs.runner import Step, job_kind
from .service import Chunk, expire_lots, grant_chunk, lot_chunk, undo_chunk
from .service.grant import KIND as GRANT
from .service.lot_batches import EXTEND, VOID
from .service.undo import KIND as UNDO

EXPIRE = "credits.expire"


@job_kind(GRANT)
def grant_step(session: Session, job: Job) -> Step:
    """The next clients of a bulk grant."""
    batch_id = job.input["batch_id"]
    chunk = grant_chunk(session, batch_id=batch_id, size=job.input["chunk"], actor=actor_of(session))
    return _step(chunk, {"batch_id": batch_id})


@job_kind(EXTEND)
@job_kind(VOID)
def lot_step(session: Session, job: Job) -> Step:
    """The next lots of a bulk extension or voiding."""
    batch_id = job.input["batch_id"]
    chunk = lot_chunk(session, batch_id=batch_id, size=job.input["chunk"], actor=actor_of(session))
    return _step(chunk, {"batch_id": batch_id})


@job_kind(UNDO)
def undo_step(session: Session, job: Job) -> Step:
    """The next lots of a batch that is being undone."""
    batch_id = job.input["batch_id"]
    chunk = undo_chunk(session, batch_id=batch_id, size=job.input["chunk"], actor=actor_of(session))
    result = session.execute(batches.select().where(batches.c.id == batch_id)).one().undo_result
    return _step(chunk, {"batch_id": batch_id, **result})


@job_kind(EXPIRE)
def expire_step(session: Session, job: Job) -> Step:
    """The next lots that are past their day; queued by the nightly sweep."""
    before = job.result or {}
    day, key = before.get("after") or (None, 0)
    after = (dt.date.fromisoformat(day), key) if day else None
    swept = expire_lots(session, size=job.input["chunk"], after=after, actor=actor_of(session))
    result = {"credits": before.get("credits", 0) + swept.credits}
    if swept.last:
        result["after"] = (swept.last[0].isoformat(), swept.last[1])
    return Step(done=swept.lots, finished=swept.finished, total=job.done + swept.lots, result=result)


def _step(chunk: Chunk, result: dict[str, int]) -> Step:
    return Step(
        done=chunk.done,
        skipped=chunk.skipped,
        finished=chunk.finished,
        result=result if chunk.finished else None,
    )

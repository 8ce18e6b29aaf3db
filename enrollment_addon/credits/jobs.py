"""The background jobs of credits: each step is one chunk of a service verb."""

import datetime as dt
from typing import Any

from sqlalchemy.orm import Session

from ..core.batches import batches
from ..core.scope import actor_of
from ..jobs.batches import batch_items
from ..jobs.models import Job
from ..jobs.runner import Items, Step, job_items
from . import service
from .service.grant import KIND as GRANT
from .service.lot_batches import EXTEND, VOID
from .service.moves import CONVERT_MANY, MOVED_AT_ONCE, TRANSFER
from .service.undo import KIND as UNDO

EXPIRE = "credits.expire"


def undo_step(session: Session, job: Job, most: int) -> Step:
    """The next lots of a batch that is being undone."""
    batch_id = job.input["batch_id"]
    chunk = service.undo_chunk(session, batch_id=batch_id, size=most, actor=actor_of(session))
    result = session.execute(batches.select().where(batches.c.id == batch_id)).one().undo_result
    return Step(
        done=chunk.done, finished=chunk.finished, result={"batch_id": batch_id, **result} if chunk.finished else None
    )


def _skip_undo(session: Session, job: Job) -> tuple[int, Step] | None:
    key = service.skip_undo(session, batch_id=job.input["batch_id"], actor=actor_of(session))
    return (key, Step()) if key is not None else None


def _undo_again(session: Session, job: Job, key: Any) -> bool:
    return service.undo_skipped(session, batch_id=job.input["batch_id"], key=key, actor=actor_of(session))


def expire_step(session: Session, job: Job, most: int) -> Step:
    """The next lots that are past their day; queued by the nightly sweep."""
    total = service.count_due(session) if job.position is None else job.total
    swept = service.expire_lots(session, size=most, after=_reached(job), actor=actor_of(session))
    credits = (job.result or {}).get("credits", 0) + swept.credits
    so_far = job.done + job.failed + swept.lots
    return Step(
        done=swept.lots, finished=swept.finished, result={"credits": credits},
        position=_place(swept.last) if swept.last else job.position,
        total=so_far if swept.finished else max(total, so_far),
    )


def _reached(job: Job) -> tuple[dt.date, int] | None:
    """The day and key of the last lot that the sweep looked at."""
    return (dt.date.fromisoformat(job.position[0]), job.position[1]) if job.position else None


def _place(last: tuple[dt.date, int]) -> tuple[str, int]:
    return last[0].isoformat(), last[1]


def _skip_lot(session: Session, job: Job) -> tuple[int, Step] | None:
    last = service.next_due(session, after=_reached(job))
    return (last[1], Step(position=_place(last))) if last else None


def _expire_again(session: Session, job: Job, key: Any) -> bool:
    return service.expire_lot(session, lot_id=key, actor=actor_of(session))


batch_items(GRANT, service.grant_chunk, service.grant_skipped)
batch_items(EXTEND, service.lot_chunk, service.serve_skipped_lot)
batch_items(VOID, service.lot_chunk, service.serve_skipped_lot)
batch_items(TRANSFER, service.lot_chunk, service.serve_skipped_lot, size=MOVED_AT_ONCE)
batch_items(CONVERT_MANY, service.convert_chunk, service.convert_skipped, size=MOVED_AT_ONCE)
job_items(UNDO, Items(undo_step, _skip_undo, _undo_again))
job_items(EXPIRE, Items(expire_step, _skip_lot, _expire_again))

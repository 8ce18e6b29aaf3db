"""The background jobs of the schedule."""

from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from ..core.batches import batches
from ..core.scope import actor_of
from ..jobs.batches import batch_items
from ..jobs.models import Job
from ..jobs.runner import Items, Step, job_items
from . import service
from .models import ClassGroup
from .service.close import KIND as CLOSE
from .service.close import SESSIONS_AT_ONCE
from .service.reopen import UNDO as REOPEN

HORIZON = "schedule.horizon"
HOLDS = "schedule.holds"
GROUPS_AT_ONCE = 100


def _groups_after(key: int) -> Select[int]:
    return select(ClassGroup.id).where(ClassGroup.active, ClassGroup.id > key).order_by(ClassGroup.id)


def horizon_step(session: Session, job: Job, most: int) -> Step:
    """The sessions of the next class groups up to the planning horizon; at last those that are over are done.

    Nobody is there to be asked about double bookings: the result says how many there are.
    """
    after, total = job.position or 0, job.total
    if job.position is None:
        total = session.execute(select(func.count()).select_from(_groups_after(0).subquery())).scalar_one()
    keys = list(session.scalars(_groups_after(after).limit(most)))
    if keys:
        service.generate_sessions(session, actor=actor_of(session), class_group_ids=keys)
        return Step(done=len(keys), position=keys[-1], total=total)
    finished = service.finish_sessions(session, size=job.input["chunk"]) < job.input["chunk"]
    result = _double_booked(session) if finished else None
    return Step(position=after, finished=finished, total=job.done + job.failed, result=result)


def _double_booked(session: Session) -> dict[str, int]:
    return {"overlaps": service.count_double_booked(session)}


def _skip_group(session: Session, job: Job) -> tuple[int, Step] | None:
    key = session.scalar(_groups_after(job.position or 0).limit(1))
    return (key, Step(position=key)) if key is not None else None


def _group_again(session: Session, job: Job, key: Any) -> bool:
    service.generate_sessions(session, actor=actor_of(session), class_group_ids=[key])
    return True


def holds_step(session: Session, job: Job, most: int) -> Step:
    """The next session in which a held place was not confirmed in time, or one is free for somebody who waits."""
    total = service.count_queues(session) if job.position is None else job.total
    session_id = service.serve_queues(session, after=job.position or 0, actor=actor_of(session))
    if session_id is None:
        return Step(finished=True, position=job.position, total=job.done + job.failed)
    return Step(done=1, position=session_id, total=max(total, job.done + job.failed + 1))


def _skip_queue(session: Session, job: Job) -> tuple[int, Step] | None:
    key = service.next_queue(session, after=job.position or 0)
    return (key, Step(position=key)) if key is not None else None


def _queue_again(session: Session, job: Job, key: Any) -> bool:
    service.serve_queue(session, session_id=key, actor=actor_of(session))
    return True


def reopen_step(session: Session, job: Job, most: int) -> Step:
    """The next session of a closure that is being undone."""
    batch_id = job.input["batch_id"]
    finished = service.reopen_chunk(session, batch_id=batch_id, actor=actor_of(session))
    result = session.execute(select(batches.c.undo_result).where(batches.c.id == batch_id)).scalar_one()
    return Step(done=0 if finished else 1, finished=finished, result={"batch_id": batch_id, **result})


def _skip_reopening(session: Session, job: Job) -> tuple[int, Step] | None:
    key = service.skip_reopening(session, batch_id=job.input["batch_id"])
    return (key, Step()) if key is not None else None


def _reopen_again(session: Session, job: Job, key: Any) -> bool:
    return service.reopen_skipped(
        session, batch_id=job.input["batch_id"], session_id=key, actor=actor_of(session)
    )


job_items(HORIZON, Items(horizon_step, _skip_group, _group_again, size=GROUPS_AT_ONCE, result=_double_booked))
job_items(HOLDS, Items(holds_step, _skip_queue, _queue_again, size=1))
batch_items(CLOSE, service.close_chunk, service.close_skipped, size=SESSIONS_AT_ONCE)
job_items(REOPEN, Items(reopen_step, _skip_reopening, _reopen_again, size=1))

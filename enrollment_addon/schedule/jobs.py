"""The background jobs of the schedule."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..core.batches import batches
from ..core.scope import actor_of
from ..jobs.models import Job
from ..jobs.runner import Step, job_kind
from .models import ClassGroup
from .service import close_chunk, finish_sessions, generate_sessions, reopen_chunk, serve_queues
from .service.close import KIND as CLOSE
from .service.reopen import UNDO as REOPEN

HORIZON = "schedule.horizon"
HOLDS = "schedule.holds"
GROUPS_AT_ONCE = 100


@job_kind(HORIZON)
def horizon_step(session: Session, job: Job) -> Step:
    """The sessions of the next class groups up to the planning horizon; at last those that are over are done."""
    after = job.position or 0
    keys = list(
        session.scalars(
            select(ClassGroup.id)
            .where(ClassGroup.active, ClassGroup.id > after)
            .order_by(ClassGroup.id)
            .limit(GROUPS_AT_ONCE)
        )
    )
    if keys:
        made = generate_sessions(session, actor=actor_of(session), class_group_ids=keys)
        total = (job.result or {}).get("made", 0) + made.made
        return Step(done=len(keys), position=keys[-1], total=job.done + len(keys), result={"made": total})
    finished = finish_sessions(session, size=job.input["chunk"])
    return Step(position=after, finished=finished < job.input["chunk"], total=job.done, result=job.result)


@job_kind(HOLDS)
def holds_step(session: Session, job: Job) -> Step:
    """The next session in which a held place was not confirmed in time, or one is free for somebody who waits."""
    session_id = serve_queues(session, after=job.position or 0, actor=actor_of(session))
    if session_id is None:
        return Step(finished=True, total=job.done)
    return Step(done=1, position=session_id, total=job.done + 1)


@job_kind(CLOSE)
def close_step(session: Session, job: Job) -> Step:
    """The next sessions of a closure."""
    batch_id = job.input["batch_id"]
    chunk = close_chunk(session, batch_id=batch_id, actor=actor_of(session))
    return Step(done=chunk.done, finished=chunk.finished, result={"batch_id": batch_id})


@job_kind(REOPEN)
def reopen_step(session: Session, job: Job) -> Step:
    """The next session of a closure that is being undone."""
    batch_id = job.input["batch_id"]
    finished = reopen_chunk(session, batch_id=batch_id, actor=actor_of(session))
    result = session.execute(select(batches.c.undo_result).where(batches.c.id == batch_id)).scalar_one()
    return Step(done=0 if finished else 1, finished=finished, result={"batch_id": batch_id, **result})

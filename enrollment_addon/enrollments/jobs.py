"""The background job of enrollments: pauses begin and end on their days."""

from typing import Any

from sqlalchemy.orm import Session

from ..core.scope import actor_of
from ..jobs.models import Job
from ..jobs.runner import Items, Step, job_items
from .service import count_pauses, next_pause, turn_pause, turn_pauses

PAUSES = "enrollments.pauses"


def pause_step(session: Session, job: Job, most: int) -> Step:
    """The next pauses whose day has come; queued every night."""
    after, total = job.position or 0, job.total
    if job.position is None:
        total = count_pauses(session)
    done, going_on = turn_pauses(session, size=most, actor=actor_of(session), after=after)
    finished, so_far = going_on is None, job.done + job.failed + done
    return Step(done=done, finished=finished, position=going_on, total=so_far if finished else max(total, so_far))


def _skip(session: Session, job: Job) -> tuple[int, Step] | None:
    key = next_pause(session, after=job.position or 0)
    return (key, Step(position=key)) if key is not None else None


def _again(session: Session, job: Job, key: Any) -> bool:
    return turn_pause(session, pause_id=key, actor=actor_of(session))


job_items(PAUSES, Items(pause_step, _skip, _again))

"""The background job of enrollments: pauses begin and end on their days."""

from sqlalchemy.orm import Session

from ..core.scope import actor_of
from ..jobs.models import Job
from ..jobs.runner import Step, job_kind
from .service import turn_pauses

PAUSES = "enrollments.pauses"


@job_kind(PAUSES)
def pause_step(session: Session, job: Job) -> Step:
    """The next pauses whose day has come; queued every night."""
    after = (job.result or {}).get("after", 0)
    done, going_on = turn_pauses(session, size=job.input["chunk"], actor=actor_of(session), after=after)
    return Step(
        done=done, finished=going_on is None, total=job.done + done,
        result={"after": after if going_on is None else going_on},
    )

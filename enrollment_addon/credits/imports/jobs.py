"""The background jobs of imports: the dry run and the import itself, so many people per transaction."""

from sqlalchemy.orm import Session

from ...core.scope import actor_of
from ...jobs.models import Job
from ...jobs.runner import Step, job_kind
from .service import CHECK, WRITE, Stride, check_step, write_step


@job_kind(CHECK)
def check(session: Session, job: Job) -> Step:
    """The next rows of a dry run."""
    key = job.input["import_id"]
    return _step(check_step(session, import_id=key, position=job.position, actor=actor_of(session)), key)


@job_kind(WRITE)
def write(session: Session, job: Job) -> Step:
    """The next people of an import."""
    key = job.input["import_id"]
    return _step(write_step(session, import_id=key, position=job.position, actor=actor_of(session)), key)


def _step(stride: Stride, import_id: int) -> Step:
    return Step(
        done=stride.done, skipped=stride.refused, position=stride.position, finished=stride.finished,
        result={"import_id": import_id} if stride.finished else None,
    )

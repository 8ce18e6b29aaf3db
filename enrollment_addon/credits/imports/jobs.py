"""The background jobs of imports: the dry run and the import itself, so many people per transaction."""

from typing import Any

from sqlalchemy.orm import Session

from ...core.scope import actor_of
from ...jobs.models import Job
from ...jobs.runner import Items, Step, job_items
from .service import CHECK, PEOPLE, WRITE, check_step, do_person_again, skip_person, write_step


def _step(session: Session, job: Job, most: int) -> Step:
    key = job.input["import_id"]
    do = check_step if job.kind == CHECK else write_step
    stride = do(session, import_id=key, position=job.position, actor=actor_of(session), people=most)
    return Step(
        done=stride.done, skipped=stride.refused, position=stride.position, finished=stride.finished,
        result={"import_id": key} if stride.finished else None,
    )


def _skip(session: Session, job: Job) -> tuple[int, Step] | None:
    skipped = skip_person(session, import_id=job.input["import_id"], position=job.position)
    return (skipped[0], Step(position=skipped[1])) if skipped else None


def _again(session: Session, job: Job, number: Any) -> bool:
    return do_person_again(
        session, import_id=job.input["import_id"], number=number, write=job.kind == WRITE, actor=actor_of(session)
    )


job_items(CHECK, Items(_step, _skip, _again, size=PEOPLE))
job_items(WRITE, Items(_step, _skip, _again, size=PEOPLE))

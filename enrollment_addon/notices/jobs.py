"""The background job of notices: it sends what is queued."""

from typing import Any

from flask import current_app
from flask_babel import force_locale
from sqlalchemy.orm import Session

from ..jobs.models import Job
from ..jobs.runner import Items, Step, job_items
from . import queries, service
from .mail import Message, deliver
from .models import Notice
from .texts import letter_of, subject_of

SEND = "notices.send"


def _send(notice: Notice) -> None:
    with force_locale(notice.client.locale or current_app.config["BABEL_DEFAULT_LOCALE"]):
        message = Message(notice.id, notice.client.email or "", subject_of(notice), letter_of(notice))
    deliver(message)


def send_step(session: Session, job: Job, most: int) -> Step:
    """The next notice, in a transaction of its own: what was sent is never sent again because of another one."""
    total = queries.count_queued(session) if job.position is None else job.total
    key = queries.next_notice(session, after=job.position or 0)
    if key is None:
        return Step(finished=True, position=job.position, total=job.done + job.failed)
    service.send_notice(session, notice_id=key, send=_send)
    return Step(done=1, position=key, total=max(total, job.done + job.failed + 1))


def _skip(session: Session, job: Job) -> tuple[int, Step] | None:
    key = queries.next_notice(session, after=job.position or 0)
    return (key, Step(position=key)) if key is not None else None


def _again(session: Session, job: Job, key: Any) -> bool:
    return service.send_notice(session, notice_id=key, send=_send)


job_items(SEND, Items(send_step, _skip, _again, size=1))

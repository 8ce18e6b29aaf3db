"""The job record and its list of failed items."""

import datetime as dt
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..core import clock
from ..core.db import Base, Document, Key, UtcDateTime, one_of, user_key
from ..core.scope import scoped


class JobState(StrEnum):
    queued = "queued"
    running = "running"
    done = "done"
    failed = "failed"
    cancelled = "cancelled"


ENDED = (JobState.done, JobState.failed, JobState.cancelled)


@scoped
class Job(Base):
    """One piece of background work: what (`kind`, `input`), for whom, how far (`position`), and how it ended.

    `done + skipped + failed` never exceed `total` once the handler knows it. `message` is the untranslated
    English text with placeholders for `params`, so that each reader sees it in their own language.
    `by_system` tells a job of the system from one whose owner was deleted, which must not run any more.
    While failed items are done again, `retry_upto` is the key of the last `JobError` to do.
    `attempts` counts the claims since the last committed chunk, `rate` is items per second, smoothed.
    `lease_until` of a queued job is until when its message to the broker is taken to be on its way.
    """

    __tablename__ = "enrollment_job"
    __table_args__ = (one_of("state", JobState), Index(None, "state", "lease_until"))
    __scope__ = "created_by_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(60), index=True)
    state: Mapped[JobState] = mapped_column(String(20), default=JobState.queued)
    input: Mapped[Any] = mapped_column(Document)
    position: Mapped[Any] = mapped_column(Document, nullable=True)
    result: Mapped[Any] = mapped_column(Document, nullable=True)
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    rate: Mapped[float | None]
    code: Mapped[str | None] = mapped_column(String(60))
    message: Mapped[str | None] = mapped_column(String(500))
    params: Mapped[Any] = mapped_column(Document, nullable=True)
    retry_upto: Mapped[int | None] = mapped_column(Key)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    created_by_id: Mapped[int | None] = user_key()  # type: ignore[assignment]
    by_system: Mapped[bool] = mapped_column(default=False)
    request_id: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)


class JobError(Base):
    """An item of a job that failed, with the reason; `item` is enough to do it again.

    `message` is untranslated English with placeholders for `params`.
    """

    __tablename__ = "enrollment_job_error"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("enrollment_job.id", ondelete="CASCADE"), index=True)
    item: Mapped[Any] = mapped_column(Document)
    code: Mapped[str] = mapped_column(String(60))
    message: Mapped[str] = mapped_column(String(500))
    params: Mapped[Any] = mapped_column(Document, nullable=True)

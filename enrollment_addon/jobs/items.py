"""Getting past an item that breaks its chunk: smaller chunks, then item by item, the bad one listed with its reason.

A chunk that breaks is rolled back whole. Its items are gone through again in smaller chunks, at last one by one,
each in a savepoint: what breaks alone is skipped and kept as a failure. So many in a row are not the fault of the
items, and end the job.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from ..core.db import PASSING_ERRORS, is_passing
from ..core.errors import AddonError, Busy
from ..core.log import logger
from .errors import ItemFailed, LeaseLost
from .models import Job
from .registry import Failure, Step, StepHandler, job_kind, job_retry

SMALL_CHUNK = 100
CHUNKS_BEFORE_WIDER = {SMALL_CHUNK: 10, 1: 100}
"""Chunks of a size that pass before the next larger size is tried again."""
FAILURES_IN_A_ROW = 100

log = logger("enrollment_addon.jobs")


class Items(NamedTuple):
    """How the items of a kind of job are done in chunks of any size.

    `step` does at most so many; `skip` goes past the next one without doing it: what names it (JSON) and the step
    that does so, None when there is none. `again` does one that was skipped; False when it is no longer to be done.
    `size` items are a whole chunk; None: as many as the job's input says. `result` tells the job's result anew
    after some were done again; None: they do not change it.
    """

    step: Callable[[Session, Job, int], Step]
    skip: Callable[[Session, Job], tuple[Any, Step] | None]
    again: Callable[[Session, Job, Any], bool]
    size: int | None = None
    result: Callable[[Session], Any] | None = None

    def whole(self, session: Session, job: Job, most: int | None = None) -> Step:
        """A whole chunk, or what is smaller: at most so many items."""
        size: int = job.input["chunk"] if self.size is None else self.size
        return self.step(session, job, size if most is None else min(most, size))


_items: dict[str, Items] = {}


def job_items(kind: str, items: Items) -> None:
    """Register a kind of job that gets past items that break, and does them again."""
    _items[kind] = items
    job_kind(kind)(items.whole)
    job_retry(kind)(partial(_do_again, items))


class ChunkBroke(Exception):
    """The code of a kind of job broke in this chunk, by `error`; the chunk must be rolled back."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Width:
    """How many items the next chunk has at most; None: as many as the kind likes."""

    def __init__(self) -> None:
        self.most: int | None = None
        self._chunks = 0
        self._failed_in_a_row = 0

    def narrow(self, kind: str) -> bool:
        """After a chunk broke: whether a smaller one can be tried."""
        if kind not in _items or self.most == 1:
            return False
        self.most, self._chunks = SMALL_CHUNK if self.most is None else 1, 0
        return True

    def passed(self, step: Step) -> None:
        """After a chunk that was committed. Raises: ItemFailed when too many in a row broke."""
        if self.most is None:
            return
        self._failed_in_a_row = self._failed_in_a_row + 1 if step.failures and self.most == 1 else 0
        if self._failed_in_a_row >= FAILURES_IN_A_ROW:
            raise ItemFailed(error=step.failures[0].params.get("error", step.failures[0].code))
        self._chunks += 1
        if self._chunks >= CHUNKS_BEFORE_WIDER[self.most]:
            self.most, self._chunks = SMALL_CHUNK if self.most == 1 else None, 0


def do_chunk(session: Session, job: Job, handler: StepHandler, most: int | None) -> Step:
    """The next chunk of at most so many items. Raises: ChunkBroke."""
    items = _items.get(job.kind)
    if items is not None and most == 1:
        return _do_one(session, job, items)
    try:
        step = handler(session, job) if items is None else items.whole(session, job, most)
        session.flush()
    except Exception as error:
        if _is_of_the_whole(error):
            raise
        raise ChunkBroke(error) from error
    return step


def _do_one(session: Session, job: Job, items: Items) -> Step:
    try:
        with session.begin_nested():
            return items.step(session, job, 1)
    except Exception as error:
        if _is_of_the_whole(error):
            raise
        skipped = items.skip(session, job)
        if skipped is None:
            raise ChunkBroke(error) from error
        item, step = skipped
        return replace(step, failures=[_failure(item, error)])


def _do_again(items: Items, session: Session, job: Job, wanted: list[Any]) -> Step:
    """Failed items, each in a savepoint of its own."""
    done, failures = 0, []
    for item in wanted:
        try:
            with session.begin_nested():
                done += items.again(session, job, item)
        except Exception as error:
            if _is_of_the_whole(error):
                raise
            failures.append(_failure(item, error))
    return Step(
        done=done, skipped=len(wanted) - done - len(failures), failures=failures,
        result=items.result(session) if items.result else None,
    )


def _is_of_the_whole(error: Exception) -> bool:
    """Whether it is no item's fault: a busy database, or a job that is somebody else's by now."""
    return isinstance(error, (Busy, LeaseLost)) or (isinstance(error, PASSING_ERRORS) and is_passing(error))


def _failure(item: Any, error: Exception) -> Failure:
    if isinstance(error, AddonError):
        return Failure.of(item, error)
    log.error("job_item_failed", item=item, exc_info=error)
    return Failure.of(item, ItemFailed(error=type(error).__name__))

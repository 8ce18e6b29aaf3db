"""Which code does which kind of job: handlers register here, the runner looks them up.

A handler does one chunk per call, inside the transaction that the runner opened and commits together with
the job's position. It works as `scope.actor_of(session)`, the person who started the job.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from ..core.errors import AddonError
from .models import Job


@dataclass(frozen=True)
class Failure:
    """An item that was refused. `item` is JSON and enough to do it again; `message` may be lazy."""

    item: Any
    code: str
    message: Any
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, item: Any, error: AddonError) -> "Failure":
        """The failure of an item by a refusal."""
        return cls(item, error.error_code, error.message, error.params)


@dataclass(frozen=True)
class Step:
    """What one chunk did. Numbers are of this chunk; `position` (JSON) is where the next one begins.

    `total` corrects the job's total when it is known only now; `result` (JSON) replaces the job's result.
    `outside` is slow work on files, done once the chunk has committed: no transaction is open meanwhile, and
    the lease is kept.
    """

    done: int = 0
    skipped: int = 0
    failures: Sequence[Failure] = ()
    position: Any = None
    finished: bool = False
    result: Any = None
    total: int | None = None
    outside: Callable[[], None] | None = None


StepHandler = Callable[[Session, Job], Step]
RetryHandler = Callable[[Session, Job, list[Any]], Step]

_steps: dict[str, StepHandler] = {}
_retries: dict[str, RetryHandler] = {}


def job_kind(kind: str) -> Callable[[StepHandler], StepHandler]:
    """Register the decorated `step(session, job)` for a kind of job."""

    def register(handler: StepHandler) -> StepHandler:
        _steps[kind] = handler
        return handler

    return register


def job_retry(kind: str) -> Callable[[RetryHandler], RetryHandler]:
    """Register the decorated `retry_items(session, job, items)`: it does failed items again.

    Every item it is given is counted in the step as done, skipped or failed.
    """

    def register(handler: RetryHandler) -> RetryHandler:
        _retries[kind] = handler
        return handler

    return register


def step_handler(kind: str) -> StepHandler | None:
    """The code for a kind of job, if its module is switched on."""
    return _steps.get(kind)


def retry_handler(kind: str) -> RetryHandler | None:
    """The code that does failed items of a kind of job again, if there is any."""
    return _retries.get(kind)

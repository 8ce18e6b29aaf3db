"""Structured log lines: one JSON object each, through Python's own logging, so that the host decides where they go.

Nothing of structlog's global configuration is touched: that is the host's. What is bound to the log context
(request id, job) is in every line; personal data is in none. structlog is imported with the first line: it brings
along what only terminals need, which a start would wait for.
"""

import functools
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .errors import AddonError

NAME = "enrollment_addon"


class _Logger:
    """A structured logger on top of the standard logger of a name."""

    def __init__(self, name: str) -> None:
        self._name = name

    @functools.cached_property
    def _structured(self) -> Any:
        import structlog

        return structlog.wrap_logger(
            logging.getLogger(self._name),
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(default=str),
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
        )

    def __getattr__(self, level: str) -> Any:
        return getattr(self._structured, level)


def logger(name: str = NAME) -> Any:
    """A structured logger on top of the standard logger of this name."""
    return _Logger(name)


_log = logger()
_told: ContextVar[list[tuple[str, dict[str, Any]]] | None] = ContextVar("enrollment_told_verbs", default=None)


def tell_verb(verb: str, **facts: Any) -> None:
    """Log a business verb, in a unit of work at its end: only then it is known whether it was kept."""
    if not logging.getLogger(NAME).isEnabledFor(logging.INFO):
        return
    told = _told.get()
    if told is None:
        _log.info(verb, **facts)
    else:
        told.append((verb, facts))


@contextmanager
def timed_verbs() -> Iterator[None]:
    """Around one unit of work: what is told in it is logged at its end, with the seconds and how it ended.

    A refusal before any verb came to its record is a line of its own.
    """
    told: list[tuple[str, dict[str, Any]]] = []
    token, began = _told.set(told), time.monotonic()
    outcome: dict[str, Any] = {"result": "ok"}
    try:
        yield
    except BaseException as error:
        outcome = {"result": "failed", "error": type(error).__name__}
        if isinstance(error, AddonError):
            outcome = {"result": "refused", "code": error.error_code}
            if not told:
                told.append(("verb", {}))
        raise
    finally:
        _told.reset(token)
        seconds = round(time.monotonic() - began, 3)
        for verb, facts in told:
            _log.info(verb, **{**facts, **outcome, "seconds": seconds})

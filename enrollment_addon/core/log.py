"""Structured log lines: one JSON object each, through Python's own logging, so that the host decides where they go.

Nothing of structlog's global configuration is touched: that is the host's. What is bound to the log context
(request id, job) is in every line; personal data is in none. structlog is imported with the first line: it brings
along what only terminals need, which a start would wait for.
"""

import functools
import logging
from typing import Any


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


def logger(name: str = "enrollment_addon") -> Any:
    """A structured logger on top of the standard logger of this name."""
    return _Logger(name)

"""Structured log lines: one JSON object each, through Python's own logging, so that the host decides where they go.

Nothing of structlog's global configuration is touched: that is the host's. What is bound to the log context
(request id, job) is in every line; personal data is in none.
"""

import logging
from typing import Any

import structlog


def logger(name: str = "enrollment_addon") -> Any:
    """A structured logger on top of the standard logger of this name."""
    return structlog.wrap_logger(
        logging.getLogger(name),
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

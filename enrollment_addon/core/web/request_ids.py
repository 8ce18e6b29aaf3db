"""An id for every request to the add-on: in its log lines, in its answer, and in the jobs that it started."""

import re
import uuid
from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, g, request

HEADER = "X-Request-ID"
_USABLE = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def give_ids(blueprint: Blueprint) -> None:
    """Let the requests of a blueprint have the id that the caller or a proxy sent, else a new one."""
    blueprint.before_request(_begin)
    blueprint.after_request(_tell)
    blueprint.teardown_request(_end)


def _begin() -> None:
    from structlog.contextvars import bind_contextvars  # only now: see core/log.py

    sent = request.headers.get(HEADER, "")
    g.enrollment_request_id = sent if _USABLE.fullmatch(sent) else uuid.uuid4().hex
    g.enrollment_log_tokens = bind_contextvars(request_id=g.enrollment_request_id, endpoint=request.endpoint)


def _tell(answer: Response) -> Response:
    if "enrollment_request_id" in g:
        answer.headers[HEADER] = g.enrollment_request_id
    return answer


def _end(_error: Any) -> None:
    """Forget it: the next request of this thread has another one, and may be the host's own."""
    if tokens := g.pop("enrollment_log_tokens", None):
        from structlog.contextvars import reset_contextvars

        with suppress(ValueError):  # the answer was streamed from another context, which has ended
            reset_contextvars(**tokens)

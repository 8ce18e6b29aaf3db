"""The background jobs of online payment: what no event told of is asked for, and refunds are sent.

A chunk only finds out about what; the provider is talked to behind it, when no transaction is open. What could not be
done is found again by the next job.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from flask import Flask, current_app
from sqlalchemy import Select
from sqlalchemy.orm import Session

from ...core.errors import AddonError
from ...core.log import logger
from ...core.scope import SYSTEM
from ...jobs.dispatch import session_for
from ...jobs.models import Job
from ...jobs.registry import Step, job_kind
from . import desk, queries
from .errors import OnlineOff, ProviderAway, ProviderMisconfigured
from .provider import switched_on
from .service import SEND_REFUNDS

ASK_PROVIDER = "billing.online_payments"
AT_ONCE = 20

log = logger()


@job_kind(ASK_PROVIDER)
def ask_step(session: Session, job: Job) -> Step:
    """The next requests that the provider has told nothing of for an hour."""
    return _step(session, job, queries.to_ask, _ask)


@job_kind(SEND_REFUNDS)
def send_step(session: Session, job: Job) -> Step:
    """The next refunds that other verbs recorded."""
    return _step(session, job, queries.to_send, _send)


def has_to_ask(session: Session) -> bool:
    return switched_on() and session.scalar(queries.to_ask().limit(1)) is not None


def has_to_send(session: Session) -> bool:
    return switched_on() and session.scalar(queries.to_send().limit(1)) is not None


def _ask(session: Session, key: int) -> None:
    desk.ask_provider(session, online_payment_id=key, actor=SYSTEM)


def _send(session: Session, key: int) -> None:
    desk.send_refund(session, online_refund_id=key)


def _step(
    session: Session, job: Job, found: Callable[[int], Select[int]], do: Callable[[Session, int], None]
) -> Step:
    keys = list(session.scalars(found(job.position or 0).limit(AT_ONCE)))
    done = job.done + len(keys)
    if not keys:
        return Step(position=job.position, finished=True, total=done)
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return Step(
        done=len(keys), position=keys[-1], total=done, finished=len(keys) < AT_ONCE,
        outside=partial(_each, app, keys, do),
    )


def _each(app: Any, keys: Sequence[int], do: Callable[[Session, int], None]) -> None:
    for key in keys:
        try:
            with session_for(app)() as session:
                do(session, key)
        except (OnlineOff, ProviderAway, ProviderMisconfigured) as error:  # no use to go on with the others
            log.warning("provider_not_asked", code=error.error_code)
            return
        except AddonError as error:
            log.warning("provider_not_asked", code=error.error_code, record_id=key)

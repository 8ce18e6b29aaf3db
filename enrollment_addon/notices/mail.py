"""Where notices go: the mailer that the host has set, or the log."""

from collections.abc import Callable
from typing import NamedTuple

from ..core.log import logger

log = logger("enrollment_addon.notices")


class Message(NamedTuple):
    """A notice as a mailer takes it, in the client's language; `notice_id` is the same when it is tried again."""

    notice_id: int
    to: str
    subject: str
    text: str


Mailer = Callable[[Message], None]


def _to_log(message: Message) -> None:
    """Say that a notice was due; whom it is for and what it says stay on the page of notices."""
    log.info("notice %s: no mailer is set, it was not mailed", message.notice_id)


_mailer: Mailer = _to_log


def use_mailer(mailer: Mailer | None) -> None:
    """Let the host send notices; what it raises leaves the notice queued. None: back to the log."""
    global _mailer
    _mailer = mailer or _to_log


def deliver(message: Message) -> None:
    """Hand a message to the mailer. Raises: what it raises."""
    _mailer(message)

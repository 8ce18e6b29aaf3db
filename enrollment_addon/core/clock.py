"""The only place that reads the clock. Instants are aware UTC; a day is a club's own day."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_frozen: ContextVar[dt.datetime | None] = ContextVar("enrollment_frozen_clock", default=None)


def now() -> dt.datetime:
    """This instant, aware, in UTC."""
    return _frozen.get() or dt.datetime.now(dt.UTC)


@contextmanager
def frozen(at: dt.datetime) -> Iterator[None]:
    """Let the clock stand at an instant, in this thread: how the demo's past comes about through the verbs."""
    assert at.tzinfo is not None, "instants are aware"
    token = _frozen.set(at)
    try:
        yield
    finally:
        _frozen.reset(token)


def today(timezone: str) -> dt.date:
    """The date it is now in the IANA time zone of a club."""
    return now().astimezone(ZoneInfo(timezone)).date()


@cache
def timezones() -> frozenset[str]:
    """The IANA names a club may choose from."""
    return frozenset(name for name in available_timezones() if "/" in name or name == "UTC")

"""The only place that reads the clock. Instants are aware UTC; a day is a club's own day."""

import datetime as dt
from functools import cache
from zoneinfo import ZoneInfo, available_timezones


def now() -> dt.datetime:
    """This instant, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


def today(timezone: str) -> dt.date:
    """The date it is now in the IANA time zone of a club."""
    return now().astimezone(ZoneInfo(timezone)).date()


@cache
def timezones() -> frozenset[str]:
    """The IANA names a club may choose from."""
    return frozenset(name for name in available_timezones() if "/" in name or name == "UTC")

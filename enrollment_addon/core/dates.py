"""Days and times as a language writes them."""

import datetime as dt

from babel import Locale
from babel.dates import format_date, format_time, get_datetime_format


def apart(text: str, locale: str) -> str:
    """Where text runs right to left, keep a date or a name together beside one in Latin letters (Unicode isolates)."""
    return f"\u2068{text}\u2069" if Locale.parse(locale).text_direction == "rtl" else text


def day(value: dt.date, locale: str, pattern: str = "medium") -> str:
    """A day; `pattern` is one of the CLDR's names or letters."""
    return apart(format_date(value, pattern, locale=locale), locale)


def moment(value: dt.datetime, locale: str, pattern: str = "medium") -> str:
    """A day and a time, by the clock that the value has."""
    time = format_time(value, "short", tzinfo=value.tzinfo, locale=locale)
    whole = str(get_datetime_format("medium", locale=locale)).format(time, format_date(value, pattern, locale=locale))
    return apart(whole.replace("'", ""), locale)

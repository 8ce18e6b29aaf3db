"""What templates need: the reader's language and direction, permissions, tokens, formats."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from flask import Flask, url_for
from flask_babel import get_locale
from flask_wtf.csrf import generate_csrf

from .. import money
from . import access


def locale_name() -> str:
    """The reader's language as Babel names it; English when none is chosen."""
    return str(get_locale() or "en")


def date(value: dt.date | None, pattern: str = "medium") -> str:
    return format_date(value, pattern, locale=locale_name()) if value else ""


def moment(value: dt.datetime | None, timezone: str = "UTC", pattern: str = "short") -> str:
    """An instant as a clock in this time zone shows it."""
    if value is None:
        return ""
    return format_datetime(value, pattern, tzinfo=ZoneInfo(timezone), locale=locale_name())


def number(value: Any) -> str:
    return "" if value is None else format_decimal(value, locale=locale_name())


def amount(minor: int | None, currency: str) -> str:
    """Minor units as money in the reader's format."""
    return "" if minor is None else money.show(minor, currency, locale_name())


class Page:
    """`enr` in every template of the add-on."""

    @property
    def locale(self) -> str:
        return locale_name().replace("_", "-")

    @property
    def dir(self) -> str:
        return Locale.parse(locale_name()).text_direction

    @property
    def csrf_token(self) -> str:
        return str(generate_csrf())

    @staticmethod
    def can(verb: str) -> bool:
        return access.can(verb)

    @staticmethod
    def may(menu: str, permission: str) -> bool:
        return access.may(permission, menu)

    @staticmethod
    def static(filename: str) -> str:
        return url_for("enrollment_static.static", filename=filename)


def install(app: Flask) -> None:
    """Register the filters, under names of the add-on's own, and the `enr` object."""
    app.jinja_env.filters.update(
        enr_date=date, enr_datetime=moment, enr_number=number, enr_money=amount,
    )
    app.jinja_env.globals["enr"] = Page()

"""What templates need: the reader's language and direction, permissions, tokens, formats."""

import datetime as dt
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.numbers import format_decimal
from flask import Flask, current_app, g, url_for
from flask_babel import get_locale, pgettext
from flask_login import current_user
from flask_wtf.csrf import generate_csrf

from .. import dates, money
from . import access


def locale_name() -> str:
    """The reader's language as Babel names it; English when none is chosen."""
    return str(get_locale() or "en")


def direction() -> str:
    """ltr or rtl, as the reader's language is written."""
    return Locale.parse(locale_name()).text_direction


def apart(text: str) -> str:
    """Where text runs right to left, keep a date or a name together beside one in Latin letters (Unicode isolates)."""
    return dates.apart(text, locale_name())


def date(value: dt.date | None, pattern: str = "medium") -> str:
    return dates.day(value, locale_name(), pattern) if value else ""


def _row(parts: Iterable[Any], between: str) -> str:
    """Parts in their own directions; a mark says which way all of it runs, also where it becomes a part itself."""
    text = between.join(apart(str(part)) for part in parts)
    return f"\u200f{text}" if text and direction() == "rtl" else text


def joined(parts: Iterable[Any]) -> str:
    """Facts in one line with dots between them, each read in its own direction; empty ones are left out."""
    return _row((part for part in parts if part), " · ")


def listed(names: Iterable[Any]) -> str:
    """Names with the reader's comma between them."""
    return _row(names, pgettext("between the items of a list", ", "))


def use_timezone(name: str) -> None:
    """Show this request's instants by the clock of a club; without it the deployment's own time zone is used."""
    g.enrollment_timezone = name


def zone(timezone: str | None = None) -> ZoneInfo:
    """The time zone named, else the page's club's, else the deployment's."""
    return ZoneInfo(
        timezone or g.get("enrollment_timezone") or current_app.extensions["enrollment"].settings.timezone
    )


def moment(value: dt.datetime | None, timezone: str | None = None, pattern: str = "medium") -> str:
    """An instant by the clock of a time zone: the one given, the page's club's, or the deployment's."""
    return "" if value is None else dates.moment(value.astimezone(zone(timezone)), locale_name(), pattern)


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
        return direction()

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
    original = app.jinja_env.filters["is_menu_visible"]

    def is_menu_visible(item: Any) -> bool:
        """On the add-on's pages, without the query per entry of the menu that the framework makes."""
        ours = g.get("enrollment_page") and current_user.is_authenticated
        return access.may_enter(item.name) if ours else bool(original(item))

    app.jinja_env.filters["is_menu_visible"] = is_menu_visible


def begin_page() -> None:
    """What is rendered from here on is a page of the add-on."""
    g.enrollment_page = True

"""Exact money: integer minor units beside an ISO 4217 currency. No floats anywhere."""

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache

from babel.core import get_global
from babel.numbers import format_currency, get_currency_precision
from flask_babel import lazy_gettext as _l

from .errors import InvalidInput

LARGEST_MINOR = 10**15
"""Bound on any amount, in minor units: far below the 64-bit limit of the column, far above any price."""

_LETTER_AT_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_LTR_SIGN = re.compile(r"(?<=[A-Za-z])\$")


@cache
def currencies() -> frozenset[str]:
    """The ISO 4217 codes that Babel knows."""
    return frozenset(get_global("all_currencies"))


def to_minor(amount: Decimal | str | int, currency: str) -> int:
    """The amount in minor units (cents for EUR, whole yen for JPY).

    Raises: InvalidInput for text that is no number, more decimals than the currency has, or out of bounds.
    """
    try:
        value = Decimal(str(amount).strip())
    except InvalidOperation:
        raise InvalidInput(_l("“%(amount)s” is not an amount of money."), amount=str(amount)[:40]) from None
    if not value.is_finite() or abs(value) > LARGEST_MINOR:
        raise InvalidInput(_l("“%(amount)s” is not an amount of money."), amount=str(amount)[:40])
    minor = value.scaleb(get_currency_precision(currency))
    if minor != minor.to_integral_value():
        raise InvalidInput(
            _l("%(amount)s has more decimals than %(currency)s allows."), amount=str(value), currency=currency
        )
    if abs(minor) > LARGEST_MINOR:
        raise InvalidInput(_l("“%(amount)s” is too large an amount."), amount=str(value))
    return int(minor)


def from_field(value: Decimal | str | int, currency: str, field: str) -> int:
    """An amount of 0 or more that was entered in a field, in minor units. Raises: InvalidInput at the field."""
    try:
        minor = to_minor(value, currency)
    except InvalidInput as error:
        raise InvalidInput(fields={field: error.text()}) from None
    if minor < 0:
        raise InvalidInput(fields={field: _l("Please enter an amount of 0 or more.")})
    return minor


def to_decimal(minor: int, currency: str) -> Decimal:
    """The amount as a decimal with exactly the currency's digits: 1500, "EUR" → Decimal("15.00")."""
    digits = get_currency_precision(currency)
    return Decimal(minor).scaleb(-digits).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


def half_up(numerator: int, denominator: int) -> int:
    """A quotient of whole numbers ≥ 0, rounded half-up; 0 where nothing divides."""
    return (2 * numerator + denominator) // (2 * denominator) if denominator > 0 else 0


def show(minor: int, currency: str, locale: str) -> str:
    """The amount as a person of this locale writes it: 1500, "EUR", "de" → "15,00 €".

    Beside digits, letters get the space that CLDR asks for ("AED 15.00"). Where text runs right to left, marks keep a
    minus and the sign of "US$" on the side where they are read.
    """
    text = _LETTER_AT_DIGIT.sub("\u00a0", format_currency(to_decimal(minor, currency), currency, locale=locale))
    return _LTR_SIGN.sub("\\g<0>\u200e", text).replace("-", "\u200e-") if "\u200f" in text else text

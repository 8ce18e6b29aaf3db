"""Decisions about money as plain calculation, in whole minor units."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

RATE_DIGITS = 3
"""Decimals of a tax rate in percent."""


class Split(NamedTuple):
    """A gross amount as its net part and the tax in it; together they are the gross amount."""

    net: int
    tax: int


class Part(NamedTuple):
    """So much of one source that goes to one use."""

    source: int
    use: int
    amount: int


def split_tax(gross: int, rate: Decimal) -> Split:
    """The tax contained in a gross amount at `rate` percent.

    tax = gross × rate ÷ (100 + rate), rounded half up to a whole minor unit; net = gross − tax.
    """
    tax = (gross * rate / (100 + rate)).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return Split(gross - int(tax), int(tax))


def match(
    sources: Iterable[tuple[int, int]], uses: Iterable[tuple[int, int]], most: int | None = None
) -> list[Part]:
    """How much of each source goes to each use, both (key, amount) and served in their order, up to `most`."""
    left = list(sources)
    parts: list[Part] = []
    budget = sum(amount for _, amount in left) if most is None else most
    place = 0
    for use, wanted in uses:
        missing = min(wanted, budget)
        while missing and place < len(left):
            source, held = left[place]
            amount = min(held, missing)
            if amount:
                parts.append(Part(source, use, amount))
            missing, budget = missing - amount, budget - amount
            left[place] = (source, held - amount)
            if held == amount:
                place += 1
    return parts


def take(sources: Iterable[tuple[int, int]], amount: int) -> list[tuple[int, int]]:
    """How much to take of each source, in order, to get `amount` together, or all there is."""
    return [(part.source, part.amount) for part in match(sources, [(0, amount)])]

"""Arithmetic of money: tax, and which source pays for what."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrollment_addon.billing import calc

amounts = st.integers(min_value=0, max_value=10**15)
rates = st.decimals(min_value=0, max_value=100, places=3)


@pytest.mark.parametrize(
    ("gross", "rate", "tax"),
    [
        (11900, "19", 1900),
        (1, "100", 1),  # half a cent is rounded up
        (3, "100", 2),
        (1000, "0", 0),
        (0, "19", 0),
        (1999, "8.1", 150),  # 149.787…
        (10**15, "0.001", 9_999_900_001),
    ],
)
def test_tax_is_contained_in_the_gross_amount_rounded_half_up(gross: int, rate: str, tax: int) -> None:
    assert calc.split_tax(gross, Decimal(rate)) == calc.Split(gross - tax, tax)


@given(amounts, rates)
def test_net_and_tax_are_the_gross_amount_and_the_tax_is_within_half_a_unit(gross: int, rate: Decimal) -> None:
    split = calc.split_tax(gross, rate)
    assert split.net + split.tax == gross
    assert split.net >= 0
    assert split.tax >= 0
    assert abs(split.tax * (100 + rate) - gross * rate) * 2 <= 100 + rate


rows = st.lists(st.integers(min_value=0, max_value=1000), max_size=8).map(lambda found: list(enumerate(found)))


@given(rows, rows, st.none() | st.integers(min_value=0, max_value=3000))
def test_matching_gives_as_much_as_there_is_and_is_wanted_in_order(
    sources: list[tuple[int, int]], uses: list[tuple[int, int]], most: int | None
) -> None:
    parts = calc.match(sources, uses, most)
    possible = [sum(amount for _, amount in side) for side in (sources, uses)]
    assert sum(part.amount for part in parts) == min(*possible, *([] if most is None else [most]))
    assert all(part.amount > 0 for part in parts)
    for side, name in ((sources, "source"), (uses, "use")):
        held = dict(side)
        for key in held:
            assert sum(p.amount for p in parts if getattr(p, name) == key) <= held[key]
        served = [getattr(part, name) for part in parts]
        assert served == sorted(served), "the first come first"
        for key in served[:-1]:  # whoever comes after one waits until it is used up
            if key != served[-1]:
                assert sum(p.amount for p in parts if getattr(p, name) == key) == held[key]


@given(rows, st.integers(min_value=0, max_value=3000))
def test_taking_stops_at_the_amount(sources: list[tuple[int, int]], amount: int) -> None:
    taken = calc.take(sources, amount)
    assert sum(part for _, part in taken) == min(amount, sum(held for _, held in sources))

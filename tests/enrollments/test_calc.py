"""What an enrollment is worth and what it may become, for any numbers."""

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrollment_addon.enrollments.calc import (
    Kind,
    Refund,
    Status,
    days_in_year,
    days_paused,
    end_of,
    percentage,
    possible_changes,
    price_of,
    quote,
)

money = st.integers(0, 10**9)
count = st.integers(0, 1000)


@given(paid=money, refunded=money, remaining=count, total=count)
def test_a_refund_is_never_above_what_is_left_of_the_money(
    paid: int, refunded: int, remaining: int, total: int
) -> None:
    for kind in Refund:
        found = quote(kind, paid=paid, refunded=refunded, remaining=remaining, total=total)
        assert 0 <= found.amount <= max(0, paid - refunded) == found.refundable
    assert quote(Refund.none, paid=paid, refunded=refunded, remaining=remaining, total=total).amount == 0
    partial = quote(Refund.partial, paid=paid, refunded=0, remaining=min(remaining, total), total=total)
    if total:
        exact = Fraction(paid * min(remaining, total), total)
        assert abs(partial.amount - exact) <= Fraction(1, 2)
    else:
        assert partial.amount == 0, "nothing divides by no sessions"


@pytest.mark.parametrize(
    ("paid", "refunded", "remaining", "total", "amount"),
    [
        (15000, 0, 7, 10, 10500), (10000, 0, 1, 3, 3333), (10000, 0, 2, 3, 6667), (100, 0, 1, 8, 13),
        (15000, 6000, 10, 10, 9000), (0, 0, 10, 10, 0), (15000, 0, 0, 0, 0), (1, 0, 1, 2, 1),
    ],
)
def test_a_partial_refund_is_the_share_that_is_left_half_up(
    paid: int, refunded: int, remaining: int, total: int, amount: int
) -> None:
    found = quote(Refund.partial, paid=paid, refunded=refunded, remaining=remaining, total=total)
    assert found.amount == amount
    assert found.percentage == percentage(amount, paid)


def test_prices_percentages_and_pauses() -> None:
    assert price_of(2, price=15000, total=10) == 3000
    assert price_of(1, price=10000, total=3) == 3333
    assert price_of(5, price=10000, total=0) == 0
    assert percentage(10500, 15000) == Decimal("70.00")
    assert percentage(5, 0) == 0
    first, last = dt.date(2026, 12, 20), dt.date(2027, 1, 2)
    assert days_paused(first, last) == 14
    assert days_paused(first, last, dt.date(2026, 12, 25)) == 5
    assert days_paused(first, last, first) == 0
    assert days_paused(first, last, dt.date(2027, 3, 1)) == 14
    assert [days_in_year(first, 14, year) for year in (2025, 2026, 2027, 2028)] == [0, 12, 2, 0]
    assert days_in_year(first, 400, 2027) == 365
    assert end_of(first, 1) == first, "valid for one day: that day"
    assert end_of(first, None) is None


def test_only_these_changes_are_possible() -> None:
    ends = [Status.completed, Status.cancelled, Status.transferred]
    assert possible_changes(Kind.package, Status.active) == [Status.paused, *ends]
    assert possible_changes(Kind.program, Status.active) == [Status.paused, *ends, Status.exited]
    assert possible_changes(Kind.package, Status.paused) == [Status.active]
    assert {tuple(possible_changes(Kind.program, status)) for status in (*ends, Status.exited)} == {()}

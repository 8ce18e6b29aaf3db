"""The pure decisions of the ledger."""

import datetime as dt
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrollment_addon.credits import calc
from enrollment_addon.credits.calc import (
    Portion,
    SpendableLot,
    Sums,
    Take,
    burn,
    convert,
    corrections,
    expiry_after,
    grace_date,
    take_last,
)

TODAY = dt.date(2025, 3, 10)
LONG_AGO = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def lot(key, available=5, *, priority=50, expires=None, value=0, age=0):
    granted = LONG_AGO - dt.timedelta(days=age)
    expires_on = None if expires is None else TODAY + dt.timedelta(days=expires)
    return SpendableLot(key, available, priority, expires_on, value, granted)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lot(2, priority=10), lot(1, priority=20)),
        (lot(2, priority=10), lot(1, priority=20, expires=1)),
        (lot(2, expires=5), lot(1, expires=6)),
        (lot(2, expires=3000), lot(1)),
        (lot(2, expires=(dt.date.max - TODAY).days), lot(1)),
        (lot(2, expires=5), lot(1, expires=5, value=1)),
        (lot(2, value=0), lot(1, value=900, age=90)),
        (lot(2, age=2), lot(1, age=1)),
        (lot(1), lot(2)),
    ],
    ids=["priority", "priority before expiry", "earlier expiry", "never expires last",
         "never after the last day of all", "gift before paid", "gift before older", "older", "lower key"],
)
def test_burn_order(first, second):
    assert burn([second, first], 6, TODAY) == [Take(first.id, 5), Take(second.id, 1)]


@pytest.mark.parametrize(("expires", "usable"), [(-1, False), (0, True), (1, True), (None, True)])
def test_the_last_day_is_a_good_day(expires, usable):
    assert bool(burn([lot(1, expires=expires)], 1, TODAY)) is usable


def test_a_lot_must_be_good_on_the_day_of_the_session_not_only_today():
    assert burn([lot(1, expires=3), lot(2, expires=9)], 1, TODAY + dt.timedelta(days=5)) == [Take(2, 1)]


def test_too_few_credits_take_nothing():
    assert burn([lot(1, 2), lot(2, 2)], 5, TODAY) == []


def test_own_lots_pay_before_those_of_the_household():
    shared = replace(lot(1, priority=0, expires=0), own=False)
    assert burn([shared, lot(2, priority=100)], 6, TODAY) == [Take(2, 5), Take(1, 1)]


def test_the_last_to_be_spent_is_taken_back_first():
    soon, later, expired = lot(1, expires=1), lot(2), lot(3, expires=-1)
    assert take_last([soon, later, expired], 7) == [Take(2, 5), Take(1, 2)]
    assert take_last([soon, later, expired], 15) == [Take(2, 5), Take(1, 5), Take(3, 5)]
    assert take_last([soon, later], 11) == []


def portion(key, quantity, expires=None, value=0):
    return Portion(key, quantity, None if expires is None else TODAY + dt.timedelta(days=expires), value)


@pytest.mark.parametrize(
    ("portions", "give", "get", "made"),
    [
        ([portion(1, 5, value=100)], 2, 1, [portion(1, 2, value=200)]),
        ([portion(1, 7)], 2, 1, [portion(1, 3)]),
        ([portion(1, 2, value=100)], 2, 3, [portion(1, 3, value=66)]),
        ([portion(1, 3, expires=9, value=100), portion(2, 3, expires=2, value=50)], 2, 1,
         [portion(1, 1, expires=9, value=200), portion(1, 1, expires=2, value=150),
          portion(2, 1, expires=2, value=100)]),
        ([portion(1, 1), portion(2, 1, expires=3)], 2, 1, [portion(1, 1, expires=3)]),
        ([portion(1, 2), portion(2, 2)], 2, 1, [portion(1, 1), portion(2, 1)]),
        ([portion(1, 1), portion(2, 2)], 1, 1, [portion(1, 1), portion(2, 2)]),
        ([portion(1, 1)], 2, 1, []),
    ],
    ids=["a rest is left out", "three alike", "rounded down", "steps across lots", "earliest last day", "by lot",
         "one to one", "too little"],
)
def test_a_conversion_goes_step_by_step(portions, give, get, made):
    assert convert(portions, give, get) == made


def test_steps_are_made_of_lots_that_are_alike():
    mixed = [lot(1, 3), lot(2, 2), lot(3, 2), lot(4, 1), lot(5, 9, expires=-1)]
    alike = {1: "EUR", 2: "JPY", 3: "EUR", 4: "JPY", 5: "EUR"}
    asked = {"on": TODAY, "give": 2, "alike": alike}
    assert calc.burn_steps(mixed, 4, **asked) == [Take(1, 3), Take(3, 1)]
    assert calc.burn_steps(mixed, 6, **asked) == [Take(1, 3), Take(3, 1), Take(2, 2)]
    assert calc.burn_steps(mixed, 8, **asked) == [Take(1, 3), Take(3, 1), Take(2, 2)], "no third yen makes a step"


@pytest.mark.parametrize(
    ("arrived", "give", "get", "back"),
    [
        ([(2, 2), (1, 1)], 2, 1, [[Take(1, 3), Take(2, 1)], [Take(2, 2)]]),
        ([(2, 1), (1, 0)], 2, 1, [[Take(1, 1), Take(2, 1)], []]),
        ([(3, 3), (1, 1), (2, 1)], 1, 1, [[Take(1, 3)], [Take(2, 1)], [Take(2, 1)]]),
        ([(6, 5), (3, 3)], 2, 3, [[Take(1, 1), Take(2, 1)], [Take(2, 2)]]),
    ],
    ids=["all", "the last step of two", "one to one", "only whole steps"],
)
def test_what_goes_back_goes_to_the_lots_it_left(arrived, give, get, back):
    assert calc.give_back([Take(1, 3), Take(2, 3)], [calc.Arrival(*pair) for pair in arrived], give, get) == back


lots_strategy = st.lists(
    st.builds(
        lot,
        st.integers(1, 10**6),
        st.integers(0, 20),
        priority=st.integers(0, 100),
        expires=st.none() | st.integers(-5, 5),
        value=st.integers(0, 2),
        age=st.integers(0, 3),
    ),
    max_size=12,
    unique_by=lambda item: item.id,
)


@given(lots_strategy, st.integers(1, 60))
def test_burning_takes_exactly_what_is_asked_from_usable_lots(found, quantity):
    takes = burn(found, quantity, TODAY)
    by_id = {item.id: item for item in found}
    usable = sum(item.available for item in found if calc.is_valid_on(item.expires_on, TODAY))
    assert sum(take.quantity for take in takes) == (quantity if usable >= quantity else 0)
    assert len({take.lot_id for take in takes}) == len(takes)
    for take in takes:
        assert 0 < take.quantity <= by_id[take.lot_id].available
        assert calc.is_valid_on(by_id[take.lot_id].expires_on, TODAY)
    for take in takes[:-1]:
        assert take.quantity == by_id[take.lot_id].available, "a lot is used up before the next is touched"


@given(lots_strategy, st.integers(1, 60), st.randoms())
def test_the_order_of_the_rows_does_not_matter(found, quantity, random):
    mixed = list(found)
    random.shuffle(mixed)
    assert burn(mixed, quantity, TODAY) == burn(found, quantity, TODAY)


@pytest.mark.parametrize(
    ("today", "unit", "count", "expected"),
    [
        ("2025-01-31", "months", 1, "2025-02-28"),
        ("2024-01-31", "months", 1, "2024-02-29"),
        ("2025-01-31", "months", 3, "2025-04-30"),
        ("2025-12-15", "months", 1, "2026-01-15"),
        ("2025-11-30", "months", 3, "2026-02-28"),
        ("2024-02-29", "months", 12, "2025-02-28"),
        ("2025-03-10", "months", 120, "2035-03-10"),
        ("2025-12-31", "days", 1, "2026-01-01"),
        ("2025-03-10", "weeks", 2, "2025-03-24"),
    ],
)
def test_a_period_ends_on(today, unit, count, expected):
    assert expiry_after(dt.date.fromisoformat(today), unit, count) == dt.date.fromisoformat(expected)


def test_beyond_the_end_of_the_calendar_there_is_no_later():
    assert calc.later(TODAY, "months", 1) == dt.date(2025, 4, 10)
    for unit in calc.UNITS:
        assert calc.later(dt.date(9999, 12, 31), unit, 1) == dt.date.max


@given(st.dates(dt.date(2000, 1, 1), dt.date(2100, 1, 1)), st.integers(1, 120))
def test_months_never_end_later_than_the_same_day_number(today, count):
    last = expiry_after(today, "months", count)
    assert (last.year * 12 + last.month) - (today.year * 12 + today.month) == count
    assert last.day <= today.day
    if last.day < today.day:
        assert (last + dt.timedelta(days=1)).day == 1


@pytest.mark.parametrize(
    ("expires_on", "expected"),
    [
        (None, None),
        (TODAY, None),
        (TODAY + dt.timedelta(days=1), None),
        (TODAY - dt.timedelta(days=1), TODAY + dt.timedelta(days=14)),
    ],
)
def test_grace_is_given_only_to_a_lot_that_has_expired(expires_on, expected):
    assert grace_date(expires_on, TODAY, 14) == expected


numbers = st.integers(-1000, 1000)


@given(st.builds(Sums, numbers, numbers, numbers, numbers, numbers, numbers))
def test_corrections_make_any_ledger_possible(sums):
    entries, after = corrections(sums)
    assert all(value >= 0 for value in asdict(after).values())
    shift = {"available": 0, "reserved": 0, "used": 0, "expired": 0, "voided": 0, "transferred": 0}
    for entry in entries:
        shift["available"] += entry.available_change
        shift["reserved"] += entry.reserved_change
        counter = calc.CHANGES[entry.kind].counter
        if counter:
            shift[counter] -= entry.available_change + entry.reserved_change
    assert {name: getattr(sums, name) + change for name, change in shift.items()} == asdict(after)
    if all(value >= 0 for value in asdict(sums).values()):
        assert entries == []


def test_every_kind_keeps_the_sum_of_a_lot():
    for kind, change in calc.CHANGES.items():
        moved = change.available + change.reserved + (change.counted if change.counter else 0)
        assert moved == (1 if kind in ("grant", "transfer_in") else 0), kind

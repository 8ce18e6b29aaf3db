"""Reserving, consuming, releasing and restoring credits."""

import datetime as dt
import itertools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import sessionmaker

from enrollment_addon.core import clock, scope
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import NotFound
from enrollment_addon.core.scope import SYSTEM, Actor, Reach
from enrollment_addon.credits import queries, service
from enrollment_addon.credits.calc import SpendableLot, Take, burn
from enrollment_addon.credits.errors import BookingStateConflict, NotEnoughCredits
from enrollment_addon.credits.models import entries, lots
from tests import factories
from tests.servers import connect

DAY = dt.timedelta(days=1)
everywhere = pytest.mark.all_databases


@pytest.fixture
def client(studio):
    return studio.clients(1)[0]


def expire(studio, lot_id, days=1):
    """Let a lot's last day be in the past, as time would."""
    with unit_of_work(studio.session):
        studio.session.execute(
            update(lots).where(lots.c.id == lot_id).values(expires_on=studio.today - days * DAY)
        )


@everywhere
def test_a_booking_reserves_completing_consumes(studio, client, sound):
    studio.grant([client], 2)
    assert studio.reserve(client, 1) == [Take(studio.lots()[0].id, 1)]
    assert studio.balance(client) == (1, 1, 0)
    studio.act("consume", 1)
    assert studio.balance(client) == (1, 0, 1)
    assert studio.kinds(client) == ["grant", "reserve", "consume"]
    assert sound()


@everywhere
def test_attendance_taken_back_and_given_again(studio, client, sound):
    studio.grant([client], 1)
    studio.reserve(client, 1)
    for _ in range(2):
        studio.act("consume", 1)
        assert studio.balance(client) == (0, 0, 1)
        studio.act("restore", 1)
        assert studio.balance(client) == (0, 1, 0)
    studio.release(1)
    assert studio.balance(client) == (1, 0, 0)
    assert sound()


@everywhere
def test_credits_go_back_to_the_lots_they_came_from(studio, client, sound):
    studio.grant([client], 2, priority=60)
    studio.grant([client], 1, priority=10)
    late, early = (lot.id for lot in studio.lots())
    assert studio.reserve(client, 1, quantity=2) == [Take(early, 1), Take(late, 1)]
    studio.release(1)
    assert [lot.available for lot in studio.lots()] == [2, 1]
    assert studio.reserve(client, 1, quantity=2) == [Take(early, 1), Take(late, 1)], "booked again"
    assert studio.balance(client) == (1, 2, 0)
    assert sound()


@everywhere
def test_the_lot_that_expires_first_on_the_day_of_the_session_pays(studio, client):
    for days in (20, 5, 10):
        studio.grant([client], 1, expires_on=studio.today + days * DAY)
    last, first, second = (lot.id for lot in studio.lots())
    assert studio.reserve(client, 1, on=studio.today + 6 * DAY) == [Take(second, 1)]
    assert studio.reserve(client, 2, on=studio.today + 11 * DAY) == [Take(last, 1)]
    with pytest.raises(NotEnoughCredits):
        studio.reserve(client, 3, on=studio.today + 6 * DAY)
    assert studio.reserve(client, 4) == [Take(first, 1)]


@pytest.mark.databases("sqlite")
def test_of_lots_alike_the_one_that_was_granted_first_pays(studio, client):
    with unit_of_work(studio.session):
        owner = studio.session.get(factories.Client, client)
        _, older = (
            factories.make_lot(studio.session, owner, studio.event_type, granted_at=clock.now() - days * DAY).id
            for days in (1, 2)
        )
    assert studio.reserve(client, 1) == [Take(older, 1)]


@everywhere
def test_an_expired_lot_is_not_spent_even_before_the_sweep(studio, client, sound):
    studio.grant([client], 1)
    expire(studio, studio.lots()[0].id)
    with pytest.raises(NotEnoughCredits):
        studio.reserve(client, 1)
    assert studio.balance(client) == (1, 0, 0)
    assert sound()


@everywhere
def test_a_refusal_writes_nothing_even_if_the_transaction_goes_on(studio, client, sound):
    studio.grant([client], 1)
    expire(studio, studio.lots()[0].id)
    with unit_of_work(studio.session), pytest.raises(NotEnoughCredits):
        studio.reserve(client, 1)
    assert studio.balance(client) == (1, 0, 0)
    assert sound()


@everywhere
def test_staff_may_pick_the_lot(studio, client):
    studio.grant([client], 1, priority=1)
    studio.grant([client], 1, priority=90)
    _, second = (lot.id for lot in studio.lots())
    assert studio.reserve(client, 1, lot_id=second) == [Take(second, 1)]
    with pytest.raises(NotEnoughCredits):
        studio.reserve(client, 2, lot_id=second)
    assert studio.balance(client) == (1, 1, 0)


@everywhere
def test_another_clients_lot_or_event_type_pays_for_nothing(studio, client):
    other = studio.clients(1)[0]
    studio.grant([client, other], 1)
    foreign = studio.lots(other)[0].id
    with pytest.raises(NotEnoughCredits):
        studio.reserve(client, 1, lot_id=foreign)
    with unit_of_work(studio.session):
        yoga = factories.make_event_type(studio.session).id
    with pytest.raises(NotEnoughCredits):
        studio.reserve(client, 2, event_type_id=yoga)


@everywhere
def test_a_client_out_of_reach_does_not_exist(studio, client):
    studio.grant([client], 1)
    stranger = Actor(user_id=None, reach=Reach.own_clubs, club_ids=(studio.club_id + 1000,))
    with pytest.raises(NotFound):
        studio.reserve(client, 1, actor=stranger)
    near = Actor(user_id=None, reach=Reach.own_clubs, club_ids=(studio.club_id,))
    assert studio.reserve(client, 1, actor=near) == [Take(studio.lots(client)[0].id, 1)]
    for verb in ("consume", "release", "restore"):
        with pytest.raises(BookingStateConflict):
            studio.release(1, actor=stranger) if verb == "release" else studio.act(verb, 1, actor=stranger)
    for verb in ("consume", "restore"):
        studio.act(verb, 1, actor=near)
    assert studio.balance(client) == (0, 1, 0)


REACH = {"nothing": [], "reserved": ["reserve"], "consumed": ["reserve", "consume"],
         "released": ["reserve", "release"], "restored": ["reserve", "consume", "restore"]}
ALLOWED = {("nothing", "reserve"), ("reserved", "consume"), ("reserved", "release"), ("consumed", "restore"),
           ("released", "reserve"), ("restored", "consume"), ("restored", "release")}
AGAIN = {("reserved", "reserve"), ("consumed", "consume"), ("released", "release"), ("restored", "restore"),
         ("restored", "reserve")}


@pytest.mark.parametrize("verb", ["reserve", "consume", "release", "restore"])
@pytest.mark.parametrize("state", REACH)
def test_what_each_state_of_a_booking_allows(studio, client, sound, state, verb):
    studio.grant([client], 1)

    def do(name):
        return {"reserve": lambda: studio.reserve(client, 1), "release": lambda: studio.release(1)}.get(
            name, lambda: studio.act(name, 1)
        )()

    for step in REACH[state]:
        do(step)
    before = studio.kinds(client)
    if (state, verb) in ALLOWED:
        do(verb)
        assert studio.kinds(client) == [*before, verb]
    elif (state, verb) in AGAIN:
        assert do(verb) == [Take(studio.lots()[0].id, 1)]
        assert studio.kinds(client) == before, "asked again, it changes nothing"
    else:
        with pytest.raises(BookingStateConflict):
            do(verb)
        assert studio.kinds(client) == before
    assert sound()


@everywhere
def test_the_same_booking_with_other_wishes_is_a_conflict(studio, client):
    studio.grant([client], 3)
    studio.reserve(client, 1)
    for over in ({"quantity": 2}, {"quantity": 3}):
        with pytest.raises(BookingStateConflict) as refusal:
            studio.reserve(client, 1, **over)
        assert str(refusal.value.params["state"]) == "Reserved for a booking"
    assert studio.reserve(client, 1) == [Take(studio.lots()[0].id, 1)], "the same wish again takes nothing more"
    with pytest.raises(AssertionError, match="at least one"):
        studio.reserve(client, 2, quantity=0)
    assert studio.balance(client) == (2, 1, 0)


@everywhere
def test_a_credit_that_comes_back_after_its_expiry_has_days_of_grace(studio, client, sound):
    studio.grant([client], 3)
    lot = studio.lots()[0].id
    studio.reserve(client, 1)
    expire(studio, lot)
    studio.release(1, reason="ill")
    until = studio.today + 14 * DAY
    row = studio.lots()[0]
    assert (row.available, row.expired, row.expires_on) == (1, 2, until), "only what came back has the new days"
    last = queries.lot_entries(studio.session, lot)[-1]
    assert (last.kind, last.reason, last.new_expires_on) == ("release", "ill", until)
    assert last.old_expires_on == studio.today - DAY
    (held,) = queries.client_balances(studio.session, client)
    assert (held.next_expiry, held.grace) == (until, True)
    assert queries.client_credits(studio.session, client).balances == [held]
    assert queries.in_grace(studio.session, [lot]) == {lot}
    studio.session.rollback()
    assert studio.reserve(client, 2, on=until) == [Take(lot, 1)]
    assert sound()


@pytest.mark.databases("sqlite")
def test_what_else_is_left_in_several_lots_lapses_when_credits_come_back(studio, client, sound):
    for _ in range(2):
        studio.grant([client], 3)
    first, second = (lot.id for lot in studio.lots())
    studio.reserve(client, 1, quantity=2)
    assert studio.reserve(client, 2, quantity=2) == [Take(first, 1), Take(second, 1)]
    studio.release(1)
    expire(studio, first)
    expire(studio, second)
    studio.release(2)
    assert [(lot.available, lot.expired) for lot in studio.lots()] == [(1, 2), (1, 2)]
    assert studio.balance(client) == (2, 0, 0)
    studio.grant([client], 3, priority=1)
    paused = studio.lots()[-1].id
    studio.reserve(client, 3)
    expire(studio, paused)
    with unit_of_work(studio.session):
        service.hold_lots(studio.session, lot_ids=[paused], held=True, actor=SYSTEM)
    studio.release(3)
    row = studio.lots()[-1]
    assert (row.available, row.expired, row.expires_on) == (3, 0, studio.today - DAY), "on hold no time passes"
    assert sound()


@everywhere
def test_a_credit_that_comes_back_in_time_keeps_its_expiry(studio, client):
    studio.grant([client], 2, expires_on=studio.today)
    studio.reserve(client, 1)
    studio.release(1)
    assert [(lot.available, lot.expires_on) for lot in studio.lots()] == [(2, studio.today)]


@everywhere
def test_a_reversal_names_what_it_reverses(studio, client):
    studio.grant([client], 1)
    studio.reserve(client, 1)
    studio.act("consume", 1)
    studio.act("restore", 1)
    rows = queries.lot_entries(studio.session, studio.lots()[0].id)
    consumed = next(row for row in rows if row.kind == "consume")
    assert consumed.reversed
    assert next(row for row in rows if row.kind == "restore").reversal_of_id == consumed.id


lots_of_a_client = st.lists(
    st.fixed_dictionaries(
        {
            "quantity": st.integers(1, 4),
            "priority": st.sampled_from([10, 50]),
            "expires_on": st.none() | st.integers(-1, 2),
            "unit_value": st.sampled_from([0, 700]),
            "granted_at": st.integers(0, 1),
        }
    ),
    min_size=1,
    max_size=6,
)


def test_every_database_takes_in_the_order_of_the_calculation(studio, sound):
    bookings = itertools.count(1)

    @settings(max_examples=20, deadline=None)
    @given(lots_of_a_client, st.integers(1, 12))
    def check(found, quantity):
        with unit_of_work(studio.session):
            client = factories.make_client(studio.session, club_id=studio.club_id)
            for item in found:
                days = item["expires_on"]
                item = {
                    **item,
                    "expires_on": None if days is None else studio.today + days * DAY,
                    "granted_at": dt.datetime(2024, 1, 1 + item["granted_at"], tzinfo=dt.UTC),
                }
                factories.make_lot(studio.session, client, studio.event_type, **item)
            key = client.id
        expected = burn(
            [
                SpendableLot(
                    lot.id, lot.available, lot.priority, lot.expires_on, lot.unit_value, lot.granted_at
                )
                for lot in studio.lots(key)
            ],
            quantity,
            studio.today,
        )
        if expected:
            assert studio.reserve(key, next(bookings), quantity=quantity) == expected
        else:
            with pytest.raises(NotEnoughCredits):
                studio.reserve(key, next(bookings), quantity=quantity)

    check()
    assert sound()


def race(open_session, workers, do):
    """Let all workers do it at the same moment; what each got."""
    ready, results = threading.Barrier(workers), [None] * workers

    def work(number):
        with open_session() as session:
            ready.wait()
            try:
                with unit_of_work(session):
                    results[number] = do(session, number)
            except Exception as error:
                results[number] = error

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def many_sessions(database_url):
    """Sessions for fifty workers at once."""
    engine = connect(database_url, pool_size=60)
    factory = sessionmaker(engine, info={"enrollment_actor": SYSTEM})
    scope.install(factory)
    yield factory
    engine.dispose()


def test_fifty_want_the_last_credit_and_one_gets_it(studio, client, many_sessions, sound):
    studio.grant([client], 1)
    results = race(
        many_sessions,
        50,
        lambda session, number: service.reserve_credits(
            session, client_id=client, event_type_id=studio.type_id, booking_id=number, on=studio.today,
            actor=scope.SYSTEM,
        ),
    )
    assert sum(isinstance(result, list) for result in results) == 1
    assert sum(isinstance(result, NotEnoughCredits) for result in results) == 49
    assert studio.balance(client) == (0, 1, 0)
    assert sound()


@everywhere
def test_the_same_booking_at_once_reserves_once(studio, client, many_sessions, sound):
    studio.grant([client], 5)
    results = race(
        many_sessions,
        8,
        lambda session, number: service.reserve_credits(
            session, client_id=client, event_type_id=studio.type_id, booking_id=7, on=studio.today, actor=SYSTEM
        ),
    )
    assert results == [[Take(studio.lots()[0].id, 1)]] * 8
    assert studio.balance(client) == (4, 1, 0)
    assert sound()


@everywhere
def test_consume_and_release_at_once_do_one_of_the_two(studio, client, many_sessions, sound):
    studio.grant([client], 1)
    studio.reserve(client, 1)

    def do(session, number):
        if number % 2:
            return service.consume_credits(session, booking_id=1, actor=SYSTEM)
        return service.release_credits(session, booking_id=1, actor=SYSTEM, today=studio.today, grace_days=0)

    results = race(many_sessions, 6, do)
    assert sum(isinstance(result, BookingStateConflict) for result in results) == 3
    assert studio.balance(client) in {(0, 0, 1), (1, 0, 0)}
    with unit_of_work(studio.session):
        count = studio.session.execute(select(func.count()).where(entries.c.booking_id == 1)).scalar()
    assert count == 2
    assert sound()

"""The expiry sweep."""

import contextvars
import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text, update

from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits import queries, service
from enrollment_addon.credits.jobs import EXPIRE
from enrollment_addon.credits.models import balances
from enrollment_addon.jobs.service import queue_job
from tests import factories
from tests.breaking import run

pytestmark = pytest.mark.all_databases

TODAY = dt.date(2025, 3, 10)


@pytest.fixture(autouse=True)
def that_day():
    """The clock stands at noon of that day."""
    with clock.frozen(dt.datetime.combine(TODAY, dt.time(12), dt.UTC)):
        yield


def lot(studio, client_id, expires_on, quantity=3):
    with unit_of_work(studio.session):
        client = studio.session.get(factories.Client, client_id)
        return factories.make_lot(
            studio.session, client, studio.event_type, quantity=quantity, expires_on=expires_on
        ).id


def chunks(studio, size, today=lambda _: TODAY):
    swept, last = [], None
    while not swept or not swept[-1].finished:
        with unit_of_work(studio.session):
            swept.append(service.expire_lots(studio.session, size=size, after=last, actor=SYSTEM, today=today))
        last = swept[-1].last
    return swept


def sweep(studio, **over):
    swept = chunks(studio, **{"size": 100, **over})
    return sum(part.lots for part in swept), sum(part.credits for part in swept)


def test_only_lots_past_their_last_day_expire(studio, sound):
    client = studio.clients(1)[0]
    for days in (-400, -1, 0, 1, None):
        lot(studio, client, None if days is None else TODAY + dt.timedelta(days=days))
    assert sweep(studio) == (2, 6)
    assert [(row.available, row.expired) for row in studio.lots()] == [(0, 3), (0, 3), (3, 0), (3, 0), (3, 0)]
    assert studio.balance(client) == (9, 0, 0)
    assert sweep(studio) == (0, 0)
    assert sound()


def test_booked_credits_stay_booked(studio, sound):
    client = studio.clients(1)[0]
    lot(studio, client, TODAY)
    studio.reserve(client, 1, on=TODAY)
    assert sweep(studio, today=lambda _: TODAY + dt.timedelta(days=1)) == (1, 2)
    assert studio.balance(client) == (0, 1, 0)
    studio.act("consume", 1)
    assert studio.balance(client) == (0, 0, 1)
    assert sound()


def test_a_credit_comes_back_to_a_swept_lot_with_grace(studio, sound):
    client = studio.clients(1)[0]
    key = lot(studio, client, TODAY)
    studio.reserve(client, 1, on=TODAY)
    tomorrow = TODAY + dt.timedelta(days=1)
    sweep(studio, today=lambda _: tomorrow)
    studio.release(1, today=tomorrow, grace_days=14)
    row = studio.lots()[0]
    assert (row.id, row.available, row.expired) == (key, 1, 2)
    assert row.expires_on == tomorrow + dt.timedelta(days=14)
    assert sound()


def test_a_corrupt_balance_does_not_stop_the_others(studio, session_factory):
    clients = studio.clients(3)
    keys = [lot(studio, client, TODAY - dt.timedelta(days=1)) for client in clients]
    with unit_of_work(studio.session):
        studio.session.execute(update(balances).where(balances.c.client_id == clients[0]).values(available=0))
        job_id = queue_job(studio.session, kind=EXPIRE, input={"chunk": 1_000}, actor=SYSTEM).id
    view = run(session_factory, job_id)
    assert (view.done, [e.item for e in view.errors]) == (2, [keys[0]])
    assert [studio.balance(client) for client in clients[1:]] == [(0, 0, 0)] * 2
    assert studio.findings(repair=True)
    assert run(session_factory, job_id, again=True).failed == 0
    assert studio.balance(clients[0]) == (0, 0, 0)


def test_small_chunks_get_through_everything(studio, sound):
    days = (TODAY - dt.timedelta(days=days) for days in (2, 1, 2, 1, 2))
    due = sorted((day, lot(studio, client, day)) for client, day in zip(studio.clients(5), days, strict=True))
    walked = [None]
    with unit_of_work(studio.session):
        for _ in range(6):
            walked.append(service.next_due(studio.session, after=walked[-1]))
        assert service.count_due(studio.session) == 5
    assert walked == [None, *due, None]
    assert chunks(studio, 2) == [
        service.Swept(2, 6, finished=False, last=due[1]), service.Swept(2, 6, finished=False, last=due[3]),
        service.Swept(1, 3, finished=True, last=due[4]),
    ]
    with unit_of_work(studio.session):
        assert service.count_due(studio.session) == 0
    assert sound()


def test_each_club_has_its_own_day(studio, sound):
    with unit_of_work(studio.session):
        early = factories.make_club(studio.session, timezone="Pacific/Kiritimati")
        late = factories.make_club(studio.session, timezone="Pacific/Pago_Pago")
        clients = [factories.make_client(studio.session, club=club).id for club in (early, late)]
    last_day = clock.today("Pacific/Pago_Pago")
    for client in clients:
        lot(studio, client, last_day)
    assert sweep(studio, today=clock.today) == (1, 3)
    assert [studio.balance(client)[0] for client in clients] == [0, 3]
    assert sound()


@pytest.mark.databases("postgresql")
def test_what_happens_to_a_lot_while_the_sweep_waits_for_its_balance_counts(studio, session_factory, sound):
    """Of lots that were found already two are spent, in whole and in part, one is extended and one is held."""
    yesterday = TODAY - dt.timedelta(days=1)
    first, second = studio.clients(2)
    spent, part = lot(studio, first, yesterday, 1), lot(studio, first, yesterday)
    paused, longer, rest = (lot(studio, second, yesterday) for _ in range(3))
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def sweep_once():
        with session_factory() as session, unit_of_work(session):
            return service.expire_lots(session, size=100, actor=SYSTEM, today=lambda _: TODAY)

    with ThreadPoolExecutor(1) as pool, session_factory() as session:
        with unit_of_work(session):
            service.reserve_credits(
                session, client_id=first, event_type_id=studio.type_id, booking_id=1, on=yesterday, quantity=2,
                actor=SYSTEM,
            )
            swept, until = pool.submit(contextvars.copy_context().run, sweep_once), time.monotonic() + 10
            while not studio.session.execute(waiting).scalar():
                studio.session.rollback()
                assert time.monotonic() < until, "the sweep waits for the balance of the booking"
            service.extend_lots(session, lot_ids=[longer], expires_on=TODAY, reason="ill", actor=SYSTEM)
            service.hold_lots(session, lot_ids=[paused], held=True, actor=SYSTEM)
        assert swept.result() == service.Swept(2, 5, finished=True, last=(yesterday, rest))
    studio.session.rollback()
    by_lot = {row.id: (row.available, row.reserved, row.expired) for row in studio.lots()}
    as_it_was = (3, 0, 0)
    assert by_lot == {spent: (0, 1, 0), part: (0, 1, 2), paused: as_it_was, longer: as_it_was, rest: (0, 0, 3)}
    assert studio.kinds(first) == ["grant", "grant", "reserve", "reserve", "expire"]
    assert [studio.balance(client) for client in (first, second)] == [(0, 2, 0), (6, 0, 0)]
    assert sweep(studio) == (0, 0)
    assert sound()


def test_before_the_sweep_lapsed_credits_are_shown_apart(studio):
    client = studio.clients(1)[0]
    yesterday, tomorrow = (studio.today + dt.timedelta(days=days) for days in (-1, 1))
    lot(studio, client, yesterday, 5)
    lot(studio, client, tomorrow, 2)
    credits = queries.client_credits(studio.session, client)
    (row,) = credits.balances
    assert (row.available, row.lapsed, row.next_expiry) == (2, 5, tomorrow)
    assert [(item.available, item.lapsed) for item in credits.lots] == [(2, False), (5, True)]
    summary = queries.balances_for(studio.session, [client])[client]
    assert (summary.available, summary.lapsed, summary.next_expiry) == (2, 5, tomorrow)
    studio.session.rollback()
    sweep(studio, today=clock.today)
    (row,) = queries.client_credits(studio.session, client).balances
    assert (row.available, row.lapsed) == (2, 0)

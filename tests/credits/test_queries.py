"""What is shown of credits: balances, explanations, batches."""

import datetime as dt

import pytest
import time_machine
from sqlalchemy import event, select

from enrollment_addon.core import scope
from enrollment_addon.core.batches import Batch
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import NotFound
from enrollment_addon.core.scope import NOBODY, Actor, Reach
from enrollment_addon.credits import people_hooks, queries
from enrollment_addon.people.models import Client
from tests import factories

pytestmark = pytest.mark.all_databases


@pytest.fixture
def count_statements(engine):
    """Statements that were sent since the fixture was made or asked."""
    sent = []
    event.listen(engine, "before_cursor_execute", lambda conn, cursor, statement, *_: sent.append(statement))

    def take():
        number = len(sent)
        sent.clear()
        return number

    return take


def test_a_clients_credits_by_event_type(studio):
    client = studio.clients(1)[0]
    with unit_of_work(studio.session):
        yoga = factories.make_event_type(studio.session, name="Aqua Yoga").id
    soon, later = (studio.today + dt.timedelta(days=days) for days in (10, 20))
    studio.grant([client], 3, expires_on=later)
    studio.grant([client], 2, expires_on=soon)
    studio.grant([client], 1, event_type_id=yoga)
    studio.reserve(client, 1)
    studio.reserve(client, 2)
    studio.act("consume", 2)
    credits = queries.client_credits(studio.session, client)
    assert queries.client_balances(studio.session, client) == credits.balances
    assert [
        (row.event_type_id, row.available, row.reserved, row.used, row.next_expiry) for row in credits.balances
    ] == [(yoga, 1, 0, 0, None), (studio.type_id, 3, 1, 1, later)]
    assert len(credits.lots) == 3
    summary = queries.balances_for(studio.session, [client])[client]
    assert (summary.available, summary.reserved, summary.used, summary.next_expiry) == (4, 1, 1, later)


def test_a_list_page_asks_two_queries(studio, count_statements):
    clients = studio.clients(6)
    studio.grant(clients[:5], 2, expires_in={"days": 5})
    count_statements()
    found = queries.balances_for(studio.session, clients)
    assert count_statements() == 2
    assert [found[key].available for key in clients] == [2, 2, 2, 2, 2, 0]
    assert queries.balances_for(studio.session, []) == {}


def test_out_of_reach_there_is_nothing_to_see(studio):
    client = studio.clients(1)[0]
    batch_id = studio.grant([client])["batch_id"]
    lot = studio.lots()[0].id
    staff = Actor(user_id=None, reach=Reach.own_clubs, club_ids=(studio.club_id + 1,))
    for actor in (staff, NOBODY):
        with scope.acting_as(studio.session, actor):
            for ask in (queries.client_credits, queries.explain):
                with pytest.raises(NotFound):
                    ask(studio.session, client)
            with pytest.raises(NotFound):
                queries.lot_entries(studio.session, lot)
            assert queries.balances_for(studio.session, [client])[client] == queries.Summary()
            if batch_is_visible := actor.user_id is not None:
                assert batch_is_visible
    foreign = Actor(user_id=77, reach=Reach.own_clubs, club_ids=(studio.club_id + 1,))
    with scope.acting_as(studio.session, foreign):
        for ask in (queries.batch_summary, queries.batch_rows):
            with pytest.raises(NotFound):
                ask(studio.session, batch_id)


def test_a_batch_is_seen_and_undone_by_who_reaches_all_its_clients(studio):
    people_hooks.plug_in()
    mine = studio.clients(1)[0]
    with unit_of_work(studio.session):
        elsewhere, user = factories.make_club(studio.session).id, factories.make_user_row(studio.session).id
    other = studio.clients(1, club_id=elsewhere)[0]
    own, both = studio.grant([mine], 4)["batch_id"], studio.grant([mine, other])["batch_id"]
    lots = [lot.id for lot in studio.lots(mine)]
    given = studio.move(
        "transfer_credits", from_client_id=mine, to_client_id=other, event_type_id=studio.type_id, quantity=1
    )["batch_id"]
    extended = studio.move("extend_lots", lot_ids=lots, expires_on=studio.today)["batch_id"]
    mixed = studio.move("void_lots", lot_ids=[lot.id for lot in studio.lots(other)])["batch_id"]
    boss = Actor(user_id=user, reach=Reach.own_clubs, club_ids=(studio.club_id,))
    with scope.acting_as(studio.session, boss):
        seen = set(studio.session.scalars(select(Batch.id)))
        assert seen == {own, extended}, "not the one that gives to, or moved to, somebody out of reach"
        assert queries.batch_summary(studio.session, own).credits == 4
        for key in (both, given, mixed):
            with pytest.raises(NotFound):
                queries.batch_summary(studio.session, key)
        told = people_hooks.told_entries(studio.session, [mine], 20)
        assert {item.details["batch_id"] for item in told if item.details["undoable"]} == seen
        studio.session.rollback()
        assert studio.undo(extended, actor=boss)["taken_back"] == 5
        assert studio.undo(own, actor=boss)["taken_back"] == 3
    with unit_of_work(studio.session):
        private = factories.make_event_type(studio.session).id
    studio.grant([mine, other], 8)
    ratio = {"from_event_type_id": studio.type_id, "to_event_type_id": private, "give": 2, "get": 1, "quantity": 2}
    own, both = (
        studio.move("convert_for_clients", clients=keys, **ratio, threshold=500, chunk=10)["batch_id"]
        for keys in ([mine], [mine, other])
    )
    with scope.acting_as(studio.session, boss):
        seen = set(studio.session.scalars(select(Batch.id)))
        assert (own in seen, both in seen) == (True, False), "a conversion is for clients, not for lots"
        studio.session.rollback()
        assert studio.undo(own, actor=boss)["taken_back"] == 1
    portal = Actor(user_id=78, reach=Reach.portal)
    with scope.acting_as(studio.session, portal):
        assert studio.session.scalars(select(Batch.id)).all() == []


def test_every_credit_is_explained_by_its_entries(studio):
    with unit_of_work(studio.session):
        user = factories.make_user_row(studio.session, first_name="Ada", last_name="Boss").id
    client = studio.clients(1)[0]
    ada = Actor(user_id=user, reach=Reach.everything)
    batch_id = studio.grant([client], 3, actor=ada, note="welcome")["batch_id"]
    studio.reserve(client, 9, quantity=2)
    studio.act("consume", 9, reason="came")
    studio.act("restore", 9, actor=ada)
    studio.release(9)
    (told,) = queries.explain(studio.session, client).lots
    assert (told.lot.batch_id, told.lot.note, told.lot.available) == (batch_id, "welcome", 3)
    assert [
        (row.kind, row.available_change, row.reserved_change, row.running_available, row.running_reserved)
        for row in told.entries
    ] == [
        ("grant", 3, 0, 3, 0), ("reserve", -2, 2, 1, 2), ("consume", 0, -2, 1, 0), ("restore", 0, 2, 1, 2),
        ("release", 2, -2, 3, 0),
    ]
    assert [row.who for row in told.entries] == ["Ada Boss", None, None, "Ada Boss", None]
    assert [row.reversed for row in told.entries] == [False, False, True, True, False]
    assert told.entries[2].reason == "came"
    assert {row.booking_id for row in told.entries} == {None, 9}


def test_explaining_many_lots_takes_few_queries_and_pages(studio, count_statements):
    client, other = studio.clients(2)
    names = {item.id: item.full_name for item in studio.session.scalars(select(Client))}
    for number in range(7):
        studio.grant([client], 2)
        studio.reserve(client, number)
    for giver, taker in ((client, other), (other, client)):
        studio.move(
            "transfer_credits", from_client_id=giver, to_client_id=taker, event_type_id=studio.type_id, quantity=2
        )
    count_statements()
    first = queries.explain(studio.session, client, size=5)
    assert count_statements() <= 7
    second = queries.explain(studio.session, client, size=5, after=first.next_after)
    assert [len(first.lots), len(second.lots), second.next_after] == [5, 4, None]
    shown = [entry for told in (*first.lots, *second.lots) for entry in told.entries]
    assert {(side.client_id, side.client) for entry in shown for side in entry.others} == {(other, names[other])}
    keys = [told.lot.id for told in (*first.lots, *second.lots)]
    assert keys == sorted(set(keys))


def test_as_of_a_past_day_later_entries_do_not_count(studio):
    with time_machine.travel("2025-03-10T12:00:00+00:00", tick=False):
        client = studio.clients(1)[0]
        studio.grant([client], 3)
    with time_machine.travel("2025-03-12T22:30:00+00:00", tick=False):
        studio.reserve(client, 1)
    with time_machine.travel("2025-03-14T12:00:00+00:00", tick=False):
        studio.act("consume", 1)
    day = {number: dt.date(2025, 3, number) for number in (9, 10, 12, 13, 14)}
    assert queries.client_credits(studio.session, client, day[9]).balances == []

    def numbers(as_of):
        (row,) = queries.client_credits(studio.session, client, as_of).balances
        return row.available, row.reserved, row.used

    assert numbers(day[10]) == (3, 0, 0)
    assert numbers(day[12]) == (2, 1, 0), "23:30 in Berlin is still the 12th"
    assert numbers(day[14]) == (2, 0, 1)
    (told,) = queries.explain(studio.session, client, as_of=day[13]).lots
    assert [row.kind for row in told.entries] == ["grant", "reserve"]
    assert (told.lot.available, told.lot.reserved) == (2, 1)
    assert queries.explain(studio.session, client, as_of=day[9]).lots == []


def test_explain_narrows_to_one_event_type(studio):
    client = studio.clients(1)[0]
    with unit_of_work(studio.session):
        yoga = factories.make_event_type(studio.session).id
    studio.grant([client], 1)
    studio.grant([client], 1, event_type_id=yoga)
    (told,) = queries.explain(studio.session, client, event_type_id=yoga).lots
    assert told.lot.event_type_id == yoga


def test_a_batch_tells_who_got_what_and_what_became_of_it(studio):
    anna = studio.clients(1, first_name="Anna", last_name="Abel")[0]
    others = studio.clients(3)
    gone = studio.clients(1, archived=True)[0]
    batch_id = studio.grant([anna, *others, gone], 2, note="spring")["batch_id"]
    studio.reserve(anna, 1)
    studio.undo(batch_id)
    summary = queries.batch_summary(studio.session, batch_id)
    assert (summary.clients, summary.credits, summary.reserved + summary.used, summary.taken_back) == (4, 8, 1, 7)
    assert (summary.note, summary.by_reason, summary.skipped) == (
        "spring", {"archived": 1}, [{"client_id": gone, "reason": "archived"}]
    )
    rows = queries.batch_rows(studio.session, batch_id, size=3)
    assert [row.client_id for row in rows] == [anna, *others[:2]]
    spent = rows[0].reserved + rows[0].used
    assert (rows[0].client, spent, rows[0].taken_back, rows[0].available) == ("Anna Abel", 1, 1, 0)
    rest = queries.batch_rows(studio.session, batch_id, after=rows[-1].lot_id)
    assert [row.client_id for row in rest] == others[2:]


def test_what_expires_soon_by_currency_in_the_time_of_the_clubs(studio):
    today = studio.today
    first, second = studio.clients(2)
    with unit_of_work(studio.session):
        overseas = factories.make_club(studio.session, timezone="America/New_York", currency="USD")
        third = factories.make_client(studio.session, club=overseas)
        third_id = third.id
        for client, days, currency, over in (
            (first, 0, "EUR", {}), (first, 30, "EUR", {}), (second, 31, "EUR", {}), (first, 5, "EUR", {"held": True}),
            (first, -1, "EUR", {}), (second, None, "EUR", {}), (third.id, 9, "USD", {"unit_value": 700}),
        ):
            expires_on = None if days is None else today + dt.timedelta(days=days)
            factories.make_lot(
                studio.session, studio.session.get(factories.Client, client), studio.event_type, quantity=2,
                **{"expires_on": expires_on, "unit_value": 500, "currency": currency, **over},
            )
    told = {days: queries.forfeited(studio.session, days) for days in (30, 60)}
    assert told == {
        30: [queries.Forfeit("EUR", 4, 2000), queries.Forfeit("USD", 2, 1400)],
        60: [queries.Forfeit("EUR", 6, 3000), queries.Forfeit("USD", 2, 1400)],
    }
    by_client = queries.forfeited_by_client(studio.session, [first, second, third_id], 30)
    assert {key: (row.available, row.next_expiry, row.values) for key, row in by_client.items()} == {
        first: (4, today, {"EUR": 2000}), third_id: (2, today + dt.timedelta(days=9), {"USD": 1400}),
    }
    staff = Actor(user_id=None, reach=Reach.own_clubs, club_ids=(studio.club_id,))
    with scope.acting_as(studio.session, staff):
        assert queries.forfeited(studio.session, 30) == told[30][:1]
        assert set(queries.forfeited_by_client(studio.session, [first, third_id], 30)) == {first}
    studio.session.rollback()
    with unit_of_work(studio.session):
        studio.session.get(factories.Client, third_id).archived = True
    assert queries.forfeited(studio.session, 30) == told[30][:1], "nobody calls those who are archived"
    assert set(queries.forfeited_by_client(studio.session, [first, third_id], 30)) == {first}

"""Lots of a household, of an enrollment and of certain participants; single lots for other domains."""

import datetime as dt

import pytest
from sqlalchemy import event, select

from enrollment_addon.core import scope
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import InUse, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM, Actor, Reach
from enrollment_addon.credits import people_hooks, queries, service
from enrollment_addon.credits.calc import Take
from enrollment_addon.credits.errors import BookingStateConflict, NotEnoughCredits
from enrollment_addon.credits.models import Origin, entries
from enrollment_addon.people.service import delete_participant
from tests import factories
from tests.credits.test_booking import many_sessions, race

__all__ = ["many_sessions"]

everywhere = pytest.mark.all_databases
DAY = dt.timedelta(days=1)


@pytest.fixture
def home(studio):
    """A household of three; the second shares four credits, the others have none."""
    clients = studio.clients(3)
    with unit_of_work(studio.session):
        factories.make_household(
            studio.session, *(studio.session.get(factories.Client, key) for key in clients)
        )
    studio.grant(clients[1:2], 4, shared=True, member_cap=2)
    return clients


def open_lot(studio, client, quantity=2, **over):
    values = {
        "event_type_id": studio.type_id, "expires_on": None, "origin": Origin.enrollment, "unit_value": 1000,
        "currency": "EUR", "actor": SYSTEM,
    }
    with unit_of_work(studio.session):
        return service.open_lot(studio.session, client_id=client, quantity=quantity, **{**values, **over})


def do(studio, verb, **over):
    with unit_of_work(studio.session):
        return getattr(service, verb)(studio.session, **{"actor": SYSTEM, **over})


@everywhere
def test_members_spend_shared_credits_up_to_their_cap_and_give_them_back(studio, home, sound):
    first, owner, third = home
    shared = studio.lots(owner)[0].id
    own = open_lot(studio, first, 1)
    assert studio.reserve(first, 1) == [Take(own, 1)], "own credits first"
    assert studio.reserve(first, 2) == [Take(shared, 1)]
    assert studio.reserve(first, 2) == [Take(shared, 1)], "asked again, the same"
    spendable = {client: [row.available for row in queries.shared_with(studio.session, client)] for client in home}
    assert spendable == {first: [1], owner: [], third: [2]}, "what the cap leaves; the owner has them as their own"
    studio.session.rollback()
    assert studio.reserve(first, 3) == [Take(shared, 1)]
    with pytest.raises(NotEnoughCredits):
        studio.reserve(first, 4)
    assert studio.balance(owner) == (2, 2, 0)
    studio.act("consume", 2)
    studio.act("restore", 2)
    studio.release(2)
    assert studio.reserve(first, 2) == [Take(shared, 1)], "what was given back may be spent again"
    assert studio.reserve(owner, 5, quantity=2) == [Take(shared, 2)], "the owner has no cap"
    with pytest.raises(NotEnoughCredits):
        studio.reserve(third, 6)
    assert studio.balance(owner) == (0, 4, 0)
    told = queries.lot_entries(studio.session, shared)
    assert [row.member_id for row in told if row.booking_id == 2] == [first] * 5
    assert [row.member_id for row in told if row.booking_id == 5] == [None]
    assert told[1].member
    studio.session.rollback()
    assert sound()


@everywhere
def test_own_and_shared_credits_pay_together(studio, home, sound):
    first, owner, third = home
    own, shared = open_lot(studio, first, 1), studio.lots(owner)[0].id
    with unit_of_work(studio.session):
        other = factories.make_event_type(studio.session).id
    studio.grant([first, owner], 5, event_type_id=other, shared=True, priority=1)
    assert studio.reserve(first, 1, quantity=3) == [Take(own, 1), Take(shared, 2)]
    assert (studio.balance(first), studio.balance(owner)) == ((0, 1, 0), (2, 2, 0))
    studio.act("consume", 1)
    assert (studio.balance(first), studio.balance(owner)) == ((0, 0, 1), (2, 0, 2))
    studio.act("restore", 1)
    studio.release(1)
    assert (studio.balance(first), studio.balance(owner)) == ((1, 0, 0), (4, 0, 0))
    do(studio, "hold_lots", lot_ids=[own], held=True)
    assert studio.reserve(first, 2) == [Take(shared, 1)], "an own credit on hold is passed over"
    studio.grant([third], 9, shared=True)
    uncapped = studio.lots(third)[0].id
    assert studio.reserve(first, 3, quantity=4) == [Take(shared, 1), Take(uncapped, 3)]
    assert sound()


def test_whoever_reaches_the_member_may_book_with_shared_credits(studio, home, sound):
    first, owner, _ = home
    with unit_of_work(studio.session):
        trainer = factories.make_team_member(studio.session).id
        studio.session.get(factories.Client, first).team_member_id = trainer
    staff = Actor(reach=Reach.own_clients, team_member_id=trainer)
    with scope.acting_as(studio.session, staff):
        (row,) = queries.shared_with(studio.session, first)
        assert (row.available, row.owners) == (2, []), "how many there are, not whose"
        assert queries.shared_with(studio.session, owner) == []
    studio.session.rollback()
    assert studio.reserve(first, 1, actor=staff)
    studio.act("consume", 1, actor=staff)
    with pytest.raises(NotFound):
        studio.reserve(owner, 2, actor=staff)
    studio.reserve(owner, 3)
    with pytest.raises(BookingStateConflict):
        studio.act("consume", 3, actor=staff)
    outside = studio.clients(1)[0]
    with pytest.raises(NotEnoughCredits):
        studio.reserve(outside, 4)
    assert sound()


@pytest.mark.databases("postgresql")
def test_members_at_once_spend_every_shared_credit_once(studio, home, many_sessions, sound):
    studio.grant(home[:1], 1, shared=True)

    def book(session, number):
        return service.reserve_credits(
            session, client_id=home[number % 3], event_type_id=studio.type_id, booking_id=number, on=studio.today,
            actor=SYSTEM,
        )

    results = race(many_sessions, 18, book)
    assert all(isinstance(result, (list, NotEnoughCredits)) for result in results), results
    booked = [result for result in results if isinstance(result, list)]
    assert len(booked) == 5
    assert [studio.balance(client)[:2] for client in home[:2]] == [(0, 1), (0, 4)]
    with unit_of_work(studio.session):
        spent = list(studio.session.execute(select(entries.c.member_id).where(entries.c.kind == "reserve")).scalars())
    assert spent.count(home[2]) <= 3
    assert sound()


@pytest.mark.databases("postgresql")
def test_transfers_in_both_directions_at_once(studio, many_sessions, sound):
    pair = studio.clients(2)
    studio.grant(pair, 8)

    def send(session, number):
        source, target = (pair, pair[::-1])[number % 2]
        return service.transfer_credits(
            session, from_client_id=source, to_client_id=target, event_type_id=studio.type_id, quantity=1,
            reason="race", actor=SYSTEM,
        )

    results = race(many_sessions, 8, send)
    assert [result["transferred"] for result in results] == [1] * 8
    assert sum(studio.balance(client)[0] for client in pair) == 16
    assert sound()


@everywhere
def test_a_restricted_lot_pays_only_for_its_participants(studio, sound):
    client, other = studio.clients(2)
    people_hooks.plug_in()
    with unit_of_work(studio.session):
        kim, ben, stranger = (
            factories.make_participant(studio.session, studio.session.get(factories.Client, key)).id
            for key in (client, client, other)
        )
    lot = open_lot(studio, client, 2, participant_ids=[kim], enrollment_id=7)
    for who in (ben, None):
        with pytest.raises(NotEnoughCredits):
            studio.reserve(client, 1, participant_id=who)
    assert studio.balance(client) == (2, 0, 0)
    with pytest.raises(NotEnoughCredits):
        studio.reserve(client, 1, participant_id=kim, enrollment_id=8)
    assert studio.reserve(client, 1, participant_id=kim, enrollment_id=7) == [Take(lot, 1)]
    assert studio.reserve(client, 2, participant_id=kim) == [Take(lot, 1)], "also without naming the enrollment"
    with pytest.raises(InvalidInput):
        open_lot(studio, client, participant_ids=[stranger])
    with pytest.raises(InUse), unit_of_work(studio.session):
        delete_participant(studio.session, id=kim, actor=SYSTEM)
    studio.grant([client], 1, participant_ids=[ben])
    with pytest.raises(InvalidInput):
        studio.grant([client, other], 1, participant_ids=[ben])
    for over in ({"member_cap": 2}, {"member_cap": 0, "shared": True}):
        with pytest.raises(InvalidInput):
            studio.grant([client], 1, **over)
    told = queries.client_credits(studio.session, client).lots
    assert {row.id: row.participant_ids for row in told} == {lot: [kim], max(row.id for row in told): [ben]}
    studio.session.rollback()
    assert sound()


@pytest.mark.databases("sqlite")
def test_others_spend_only_what_is_shared_and_may_pay(studio, home, sound):
    _, owner, third = home
    shared = studio.lots(owner)[0].id
    studio.grant([owner], 9, priority=1)
    studio.grant(studio.clients(1), 9, shared=True, priority=1)
    mine = open_lot(studio, third, 1, enrollment_id=7)
    with unit_of_work(studio.session):
        over, theirs = (
            factories.make_lot(
                studio.session, studio.session.get(factories.Client, owner), studio.event_type, quantity=2, shared=True,
                priority=1, **values,
            ).id
            for values in ({"expires_on": studio.today - DAY}, {"enrollment_id": 8})
        )
    asked = []
    for booking, (may_pay, lot) in enumerate(((asked.append, shared), ((8).__eq__, theirs), ((7).__eq__, mine))):
        assert studio.reserve(third, booking, may_pay=may_pay) == [Take(lot, 1)]
    assert set(asked) == {7, 8}
    assert studio.reserve(third, 3, may_pay=asked.append) == [Take(shared, 1)], "the cap is of each lot"
    with pytest.raises(NotEnoughCredits):
        studio.reserve(third, 4, lot_id=over)
    assert studio.reserve(third, 4, lot_id=theirs) == [Take(theirs, 1)]
    with pytest.raises(NotEnoughCredits):
        studio.reserve(third, 5)
    assert (studio.balance(third), studio.balance(owner)) == ((0, 1, 0), (13, 4, 0))
    with unit_of_work(studio.session):
        assert set(studio.session.execute(select(entries.c.turn)).scalars()) == {0}
    assert sound()


@pytest.mark.databases("sqlite")
def test_a_shared_lot_may_be_for_children_of_the_household(studio, home, sound):
    _, owner, third = home
    outside = studio.clients(1)[0]
    with unit_of_work(studio.session):
        kim, stranger = (
            factories.make_participant(studio.session, studio.session.get(factories.Client, key)).id
            for key in (third, outside)
        )
    for over in ({"shared": True, "participant_ids": [stranger]}, {"participant_ids": [kim]}):
        with pytest.raises(InvalidInput) as refusal:
            studio.grant([owner], 1, **over)
        assert set(refusal.value.fields) == {"participant_ids"}
    with pytest.raises(InvalidInput):
        open_lot(studio, owner, participant_ids=[kim])
    studio.grant([outside], 1, shared=True, participant_ids=[stranger])
    studio.grant([owner], 1, shared=True, participant_ids=[kim], priority=1)
    lot = studio.lots(owner)[-1].id
    assert studio.reserve(third, 1, participant_id=kim) == [Take(lot, 1)]
    assert sound()


@everywhere
def test_lots_of_an_enrollment_are_taken_back_shifted_held_and_moved(studio, sound):
    client = studio.clients(1)[0]
    soon, later = studio.today + 5 * DAY, studio.today + 9 * DAY
    first = open_lot(studio, client, 3, expires_on=soon, enrollment_id=7)
    last = open_lot(studio, client, 3, expires_on=later, enrollment_id=7)
    keys = [first, last]
    studio.reserve(client, 1, lot_id=last)
    assert [do(studio, "take_back", lot_ids=keys, quantity=n, reason="smaller package") for n in (0, 3)] == [0, 3]
    assert [(lot.available, lot.voided) for lot in studio.lots()] == [(2, 1), (0, 2)], "the last to burn goes first"
    with pytest.raises(NotEnoughCredits):
        do(studio, "take_back", lot_ids=keys, quantity=3, reason="too many")
    do(studio, "shift_expiry", lot_ids=keys, days=10, reason="pause")
    assert [lot.expires_on for lot in studio.lots()] == [soon + 10 * DAY, later + 10 * DAY]
    do(studio, "shift_expiry", lot_ids=keys, days=-10, reason="no pause")
    do(studio, "hold_lots", lot_ids=keys, held=True)
    with pytest.raises(NotEnoughCredits):
        studio.reserve(client, 2)
    swept = do(studio, "expire_lots", size=10, today=lambda _: later + DAY)
    assert swept.lots == 0, "time stands still for a lot on hold"
    do(studio, "hold_lots", lot_ids=keys, held=False)
    assert do(studio, "move_restriction", from_enrollment_id=7, to_enrollment_id=8) == 2
    with pytest.raises(NotEnoughCredits):
        studio.reserve(client, 2, enrollment_id=7)
    assert studio.reserve(client, 2, enrollment_id=8) == [Take(first, 1)]
    staff = Actor(reach=Reach.own_clubs, club_ids=(studio.club_id + 1,))
    for verb, over in (
        ("take_back", {"quantity": 1, "reason": "r"}), ("shift_expiry", {"days": 1, "reason": "r"}),
        ("hold_lots", {"held": True}),
    ):
        with pytest.raises(NotFound):
            do(studio, verb, lot_ids=keys, actor=staff, **over)
    with pytest.raises(NotFound):
        open_lot(studio, client, actor=staff)
    assert do(studio, "move_restriction", from_enrollment_id=8, to_enrollment_id=9, actor=staff) == 0
    assert sound()


@pytest.mark.databases("postgresql")
def test_the_usual_booking_is_one_call_also_with_an_enrollment_and_a_participant(studio, engine):
    client = studio.clients(1)[0]
    with unit_of_work(studio.session):
        kim = factories.make_participant(studio.session, studio.session.get(factories.Client, client)).id
    lot = open_lot(studio, client, 5, participant_ids=[kim], enrollment_id=7)
    studio.grant([client], 5)
    sent = []
    event.listen(engine, "before_cursor_execute", lambda conn, cursor, statement, *_: sent.append(statement))
    for number, over in enumerate(({}, {"participant_id": kim, "enrollment_id": 7})):
        sent.clear()
        with unit_of_work(studio.session):
            service.reserve_credits(
                studio.session, client_id=client, event_type_id=studio.type_id, booking_id=number, on=studio.today,
                actor=SYSTEM, **over,
            )
        assert [statement.split("(")[0] for statement in sent] == ["SELECT enrollment_reserve_at_once"]
    assert {row.id: row.reserved for row in studio.lots(client)}[lot] == 1

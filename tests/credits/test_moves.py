"""Transferring, converting, extending and voiding credits, and taking that back."""

import datetime as dt

import pytest

from enrollment_addon.core import clock
from enrollment_addon.core.batches import Chunk
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import IdempotencyMismatch, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM, Actor, Reach
from enrollment_addon.credits import queries, service
from enrollment_addon.credits.calc import Take
from enrollment_addon.credits.errors import (
    BatchStateConflict,
    MixedLots,
    NotEnoughCredits,
    NothingExpires,
    NothingToConvert,
    NothingToExtend,
    NothingToTransfer,
    NotUndoable,
)
from enrollment_addon.credits.models import lots
from enrollment_addon.credits.service import undo_moves
from tests import factories

pytestmark = pytest.mark.all_databases

DAY = dt.timedelta(days=1)


@pytest.fixture
def pair(studio):
    """Two clients; the first has 2 credits of 15.00 until soon, and 3 given ones that never expire."""
    clients = studio.clients(2)
    studio.grant(clients[:1], 3, note="gift")
    studio.grant(clients[:1], 2, expires_on=studio.today + 5 * DAY, unit_value="15.00", priority=40, shared=True)
    return clients


def transfer(studio, pair, quantity, **over):
    ends = {"from_client_id": pair[0], "to_client_id": pair[1], "event_type_id": studio.type_id}
    return studio.move("transfer_credits", **{**ends, "quantity": quantity, **over})


def test_a_transfer_keeps_terms_links_both_ledgers_and_can_be_undone(studio, pair, sound):
    made = transfer(studio, pair, 4, idempotency_key="k")
    assert made["transferred"] == 4
    assert transfer(studio, pair, 4, idempotency_key="k") == made
    with pytest.raises(IdempotencyMismatch):
        transfer(studio, pair, 3, idempotency_key="k")
    assert [studio.balance(client) for client in pair] == [(1, 0, 0), (4, 0, 0)]
    sent, got = studio.lots(pair[0]), studio.lots(pair[1])
    terms = ("expires_on", "origin", "priority", "shared", "unit_value", "currency", "note", "granted_at")
    by_value = {lot.unit_value: lot for lot in sent}
    assert {lot.quantity for lot in got} == {2}
    for lot in got:
        assert all(getattr(lot, name) == getattr(by_value[lot.unit_value], name) for name in terms)
    came = queries.lot_entries(studio.session, got[0].id)[0]
    left = [entry for lot in sent for entry in queries.lot_entries(studio.session, lot.id)]
    assert came.kind == "transfer_in"
    assert came.reversal_of_id in {entry.id for entry in left if entry.kind == "transfer_out"}
    assert came.batch_id == made["batch_id"]
    studio.session.rollback()

    studio.reserve(pair[1], 1)
    with unit_of_work(studio.session):
        plan = service.undo_plan(studio.session, batch_id=made["batch_id"], actor=SYSTEM)
    assert plan == service.UndoPlan(
        clients=1, credits=4, taken_back=3, kept_spent=1, clients_spent=1, reserved=1
    )
    assert studio.undo(made["batch_id"]) == {"taken_back": 3, "kept_spent": 1, "clients": 1, "job_id": None}
    assert [studio.balance(client) for client in pair] == [(4, 0, 0), (0, 1, 0)]
    with pytest.raises(BatchStateConflict):
        studio.undo(made["batch_id"])
    summary = queries.batch_summary(studio.session, made["batch_id"])
    assert (summary.kind, summary.state, summary.note) == ("credits.transfer", "undone", "as agreed")
    assert (summary.total, summary.done) == (2, 2), "lots"
    assert summary.input == {
        "from_client_id": pair[0], "to_client_id": pair[1], "event_type_id": studio.type_id, "quantity": 4,
        "left_out": {},
    }
    studio.session.rollback()
    assert sound()


def test_what_cannot_be_transferred(studio, pair, sound):
    elsewhere = studio.clients(1, archived=True)[0]
    with unit_of_work(studio.session):
        stranger = factories.make_client(studio.session).id
        (gift,) = (lot.id for lot in studio.lots(pair[0]) if lot.note == "gift")
        service.hold_lots(studio.session, lot_ids=[gift], held=True, actor=SYSTEM)
    with pytest.raises(NotEnoughCredits):
        transfer(studio, pair, 3)
    for over in ({"to_client_id": pair[0]}, {"to_client_id": elsewhere}, {"quantity": 0}, {"quantity": True},
                 {"quantity": 1_001}, {"reason": " "}, {"event_type_id": 9_999}):
        with pytest.raises(InvalidInput) as refusal:
            transfer(studio, pair, **{"quantity": 1, **over})
        assert set(refusal.value.fields) == set(over)
    staff = Actor(reach=Reach.own_clubs, club_ids=(studio.club_id,))
    for over in ({"to_client_id": stranger}, {"from_client_id": stranger}):
        with pytest.raises(NotFound):
            transfer(studio, pair, 1, actor=staff, **over)
    assert studio.balance(pair[0]) == (5, 0, 0)
    assert studio.balance(pair[1]) is None
    assert sound()


def test_a_conversion_makes_whole_credits_says_what_is_left_and_goes_back_in_whole_steps(studio, pair, sound):
    with unit_of_work(studio.session):
        private = factories.make_event_type(studio.session).id
        retired = factories.make_event_type(studio.session, active=False).id
    asked = {"client_id": pair[0], "from_event_type_id": studio.type_id, "to_event_type_id": private}
    ratio = {"quantity": 5, "give": 2, "get": 1}
    made = studio.move("convert_credits", **asked, **ratio, idempotency_key="k")
    assert studio.move("convert_credits", **asked, **ratio, idempotency_key="k") == made
    with pytest.raises(IdempotencyMismatch):
        studio.move("convert_credits", **asked, **{**ratio, "get": 2}, idempotency_key="k")
    summary = queries.batch_summary(studio.session, made["batch_id"])
    assert summary.input == {**asked, **ratio, "left_out": {}}
    assert (summary.note, summary.state, summary.clients, summary.credits) == ("as agreed", "done", 1, 2)
    studio.session.rollback()
    assert {k: made[k] for k in ("converted", "received", "left")} == {"converted": 4, "received": 2, "left": 1}
    assert studio.balance(pair[0]) == (1, 0, 0)
    new = sorted((lot for lot in studio.lots(pair[0]) if lot.event_type_id == private), key=lambda lot: lot.id)
    soon = studio.today + 5 * DAY
    assert [(lot.quantity, lot.expires_on, lot.unit_value) for lot in new] == [(1, soon, 3000), (1, None, 0)]
    studio.reserve(pair[0], 1, event_type_id=private)
    assert studio.undo(made["batch_id"])["taken_back"] == 1
    assert studio.balance(pair[0]) == (3, 0, 0)
    archived = studio.clients(1, archived=True)[0]
    for wrong in ({"quantity": 1}, {"give": 0}, {"get": 101}, {"to_event_type_id": studio.type_id}, {"give": True},
                  {"to_event_type_id": retired}, {"from_event_type_id": 9_999}, {"to_event_type_id": 9_999},
                  {"reason": ""}, {"client_id": archived}, {"give": 0, "get": 0}):
        with pytest.raises(InvalidInput) as refusal:
            studio.move("convert_credits", **{**asked, "quantity": 2, "give": 2, "get": 1, **wrong})
        assert set(refusal.value.fields) == set(wrong)
    with pytest.raises(NotEnoughCredits):
        studio.move("convert_credits", **asked, quantity=4, give=2, get=1)
    assert sound()


@pytest.mark.databases("sqlite")
def test_unlike_credits_are_not_put_together_and_an_undo_gives_every_lot_its_own_back(studio, pair, sound):
    with unit_of_work(studio.session):
        giver = studio.session.get(factories.Client, pair[0])
        private = factories.make_event_type(studio.session).id
        kim, ben = (factories.make_participant(studio.session, giver).id for _ in range(2))
        yen = factories.make_lot(
            studio.session, giver, studio.event_type, quantity=3, unit_value=500, currency="JPY", priority=45
        ).id
    studio.grant(pair[:1], 3, participant_ids=[kim, ben], priority=30)
    asked = {"client_id": pair[0], "from_event_type_id": studio.type_id, "to_event_type_id": private}
    before = {lot.id: lot for lot in studio.lots(pair[0])}
    with pytest.raises(MixedLots) as refusal:
        studio.move("convert_credits", **asked, quantity=10, give=2, get=1)
    assert refusal.value.params == {"count": 8}, "3 of Kim’s, 5 in euros, 3 in yen"
    with pytest.raises(NotEnoughCredits):
        studio.move("convert_credits", **asked, quantity=12, give=2, get=1)
    made = studio.move("convert_credits", **asked, quantity=8, give=2, get=1)
    new = [lot for lot in studio.lots(pair[0]) if lot.event_type_id == private]
    assert [(lot.quantity, lot.unit_value, lot.currency) for lot in new] == [
        (1, 0, "EUR"), (1, 3000, "EUR"), (1, 0, "EUR"), (1, 1000, "JPY"),
    ]
    told = {lot.id: lot.participant_ids for lot in queries.client_credits(studio.session, pair[0]).lots}
    assert [told[lot.id] for lot in new] == [[kim, ben], [], [], []], "the restriction goes along"
    studio.session.rollback()
    assert studio.undo(made["batch_id"])["taken_back"] == 4
    after = {lot.id: lot for lot in studio.lots(pair[0]) if lot.event_type_id == studio.type_id}
    assert after == before, "every lot has its own credits back, on its own terms"
    last = queries.lot_entries(studio.session, yen)
    assert [(entry.kind, entry.available_change, entry.reversed) for entry in last[-2:]] == [
        ("transfer_out", -2, True), ("transfer_out", 2, False),
    ]
    assert (last[-1].reversal_of_id, last[-1].reason) == (last[-2].id, "wrong list")
    studio.session.rollback()

    moved = transfer(studio, pair, 4)
    assert all(not lot.participant_ids for lot in queries.client_credits(studio.session, pair[1]).lots)
    studio.session.rollback()
    studio.undo(moved["batch_id"])
    assert {lot.id: lot for lot in studio.lots(pair[0]) if lot.id in before} == before
    assert studio.balance(pair[0]) == (11, 0, 0)

    studio.grant(pair[:1], 1, expires_on=studio.today, priority=60)
    made = studio.move("convert_credits", **asked, quantity=6, give=6, get=2)
    assert (made["received"], studio.balance(pair[0])) == (2, (6, 0, 0)), "of three lots together"
    assert studio.lots(pair[0])[-1].expires_on == studio.today, "the earliest day, whose ever it is"
    assert studio.undo(made["batch_id"])["taken_back"] == 2
    assert {lot.id: lot for lot in studio.lots(pair[0]) if lot.id in before} == before
    assert sound()


def test_extending_one_or_many_is_in_the_ledger_and_can_be_undone(studio, pair, sound):
    first, second = (lot.id for lot in studio.lots(pair[0]))
    soon, later = studio.today + 5 * DAY, studio.today + 90 * DAY
    studio.grant(pair[1:], 1, expires_on=studio.today)
    empty = studio.lots(pair[1])[0].id
    studio.void([empty])
    made = studio.move("extend_lots", lot_ids=[first, second, empty], expires_on=later)
    assert (made["extended"], made["left_out"], made["job_id"]) == (2, {"empty": 1}, None)
    assert [lot.expires_on for lot in studio.lots(pair[0])] == [later, later]
    last = queries.lot_entries(studio.session, second)[-1]
    assert (last.kind, last.old_expires_on, last.new_expires_on, last.reason) == ("extend", soon, later, "as agreed")
    studio.session.rollback()
    assert studio.reserve(pair[0], 1, on=later, lot_id=second) == [Take(second, 1)]
    with pytest.raises(NotEnoughCredits):
        studio.reserve(pair[0], 2, on=later + DAY)
    studio.move("extend_lots", lot_ids=[first], expires_on=None)
    with unit_of_work(studio.session):
        plan = service.undo_plan(studio.session, batch_id=made["batch_id"], actor=SYSTEM)
    assert plan == service.UndoPlan(clients=1, credits=5, taken_back=1, kept_spent=1, clients_spent=1, reserved=1)
    done = {"taken_back": 1, "kept_spent": 1, "clients": 1, "job_id": None}
    assert studio.undo(made["batch_id"]) == done, "the first lot got yet another day since"
    assert [lot.expires_on for lot in studio.lots(pair[0])] == [None, soon]
    assert studio.kinds(pair[0]).count("extend") == 4
    for key in (empty, 999_999):
        with pytest.raises((NothingToExtend, NotFound)):
            studio.move("extend_lots", lot_ids=[key], expires_on=later)
    for wrong in ({"expires_on": studio.today - DAY}, {"expires_on": "soon"}, {"extend_by": {"weeks": 0}},
                  {"extend_by": {"days": 1, "weeks": 1}}, {"extend_by": {"years": 1}}):
        with pytest.raises(InvalidInput) as refusal:
            studio.move("extend_lots", lot_ids=[first], **wrong)
        assert set(refusal.value.fields) == set(wrong)
    assert sound()


@pytest.mark.databases("sqlite")
def test_each_lot_is_good_for_so_much_longer_than_it_was(studio, pair, sound):
    gift, paid = (lot.id for lot in studio.lots(pair[0]))
    studio.grant(pair[1:], 1, expires_on=studio.today + 20 * DAY)
    other = studio.lots(pair[1])[0].id
    asked = {"lot_ids": [gift, paid, other], "extend_by": {"weeks": 2}}
    with unit_of_work(studio.session):
        plan = service.plan_extension(studio.session, **asked, actor=SYSTEM)
    assert plan == service.ExtensionPlan(lots=2, credits=3, shortened=0, endless=1, missing=0)
    made = studio.move("extend_lots", **asked, idempotency_key="k")
    assert (made["extended"], made["shortened"], made["left_out"]) == (2, 0, {"endless": 1})
    assert studio.move("extend_lots", **asked, idempotency_key="k") == made
    with pytest.raises(IdempotencyMismatch):
        studio.move("extend_lots", **{**asked, "extend_by": {"weeks": 3}}, idempotency_key="k")
    assert [lot.expires_on for lot in studio.lots()] == [None, studio.today + 19 * DAY, studio.today + 34 * DAY]
    with pytest.raises(NothingExpires):
        studio.move("extend_lots", lot_ids=[gift], extend_by={"days": 1})
    with unit_of_work(studio.session):
        plan = service.plan_extension(
            studio.session, lot_ids=asked["lot_ids"], expires_on=studio.today + 25 * DAY, actor=SYSTEM
        )
    assert plan == service.ExtensionPlan(lots=3, credits=6, shortened=2, endless=0, missing=0)
    result = studio.undo(made["batch_id"], chunk=1)
    assert (result["clients"], result["taken_back"], result["kept_spent"]) == (2, 3, 0)
    last = queries.lot_entries(studio.session, other)[-1]
    assert (last.kind, last.reason, last.new_expires_on) == ("extend", "wrong list", studio.today + 20 * DAY)
    studio.session.rollback()
    assert [lot.expires_on for lot in studio.lots()] == [None, studio.today + 5 * DAY, studio.today + 20 * DAY]
    studio.grant(pair[:1], 1)
    more = studio.lots(pair[0])[-1].id
    voided = studio.move("void_lots", lot_ids=[gift, paid, other, more])
    for merged_into in (None, pair[0]):
        with unit_of_work(studio.session):
            studio.session.get(factories.Client, pair[1]).merged_into_id = merged_into
        with clock.frozen(clock.now() + 30 * DAY):
            plan = plan_of(studio, voided["batch_id"])
            closed = 1 if merged_into else 0
            assert (plan.taken_back, plan.lapsed, plan.closed) == (7 - closed, 3 - closed, closed)
    result = studio.undo(voided["batch_id"], chunk=1)
    assert (result["clients"], result["taken_back"]) == (2, 6), "who has three lots is one client"
    both = studio.move("extend_lots", lot_ids=[gift, paid], expires_on=studio.today + 30 * DAY)
    assert studio.undo(both["batch_id"], chunk=1)["clients"] == 1
    assert sound()


def test_many_lots_are_a_job_whose_batch_goes_on_where_it_stopped(studio, sound):
    clients = studio.clients(5)
    studio.grant(clients, 2, expires_on=studio.today + DAY)
    chosen = lots.select().with_only_columns(lots.c.id).where(lots.c.available > 0)
    day = studio.today + 30 * DAY
    extended = studio.move("extend_lots", lot_ids=chosen, expires_on=day, threshold=4, chunk=2)
    voided = studio.move("void_lots", lot_ids=chosen, threshold=4, chunk=2)
    assert (extended["extended"], voided["voided"]) == (0, 0)
    assert extended["job_id"]
    for batch_id in (extended["batch_id"], voided["batch_id"]):
        finished = False
        while not finished:
            with unit_of_work(studio.session):
                part = service.lot_chunk(studio.session, batch_id=batch_id, size=2, actor=SYSTEM)
                finished = part.finished
    assert {lot.expires_on for lot in studio.lots()} == {day}
    assert [studio.balance(client) for client in clients] == [(0, 0, 0)] * 5
    assert studio.undo(voided["batch_id"], threshold=4, chunk=2)["job_id"]
    assert undo_in_chunks(studio, voided["batch_id"], 2) == [
        Chunk(2, 0, finished=False), Chunk(2, 0, finished=False), Chunk(1, 0, finished=True),
    ]
    assert [studio.balance(client) for client in clients] == [(2, 0, 0)] * 5
    with unit_of_work(studio.session):
        plan = service.undo_plan(studio.session, batch_id=extended["batch_id"], actor=SYSTEM)
    assert plan == service.UndoPlan(clients=5, credits=10, taken_back=10, kept_spent=0, clients_spent=0, reserved=0)
    job = studio.undo(extended["batch_id"], threshold=2, chunk=2)["job_id"]
    assert job
    undo_in_chunks(studio, extended["batch_id"], 2)
    summary = queries.batch_summary(studio.session, voided["batch_id"])
    assert (summary.clients, summary.taken_back, summary.undo_result["taken_back"]) == (5, 0, 10)
    studio.session.rollback()
    assert sound()


def undo_in_chunks(studio, batch_id, size):
    """What each chunk of an undo that is a job answers."""
    parts = []
    while not (parts and parts[-1].finished):
        with unit_of_work(studio.session):
            parts.append(service.undo_chunk(studio.session, batch_id=batch_id, size=size, actor=SYSTEM))
    return parts


def plan_of(studio, batch_id):
    with unit_of_work(studio.session):
        return service.undo_plan(studio.session, batch_id=batch_id, actor=SYSTEM)


def test_a_void_gives_the_credits_back_to_their_lots_unless_something_depends_on_it(studio, pair, sound):
    grant = studio.grant(pair[1:], 2)
    gift, paid, other = studio.lots()
    studio.reserve(pair[0], 1, lot_id=paid.id)
    made = studio.move("void_lots", lot_ids=[gift.id, paid.id, other.id])
    one = studio.move("void_lots", lot_ids=[gift.id])
    assert (made["voided"], one["voided"]) == (6, 0)
    studio.undo(grant["batch_id"])
    with clock.frozen(clock.now() + 8 * DAY):
        assert plan_of(studio, made["batch_id"]) == service.UndoPlan(
            clients=2, credits=6, taken_back=4, kept_spent=0, clients_spent=0, reserved=0, lapsed=1, closed=2
        ), "one is past its day; two were granted by what is undone itself"
    with pytest.raises(InvalidInput):
        studio.undo(made["batch_id"], reason=" ")
    result = studio.undo(made["batch_id"], idempotency_key="k", chunk=2)
    assert (result["taken_back"], result["clients"]) == (4, 2)
    assert studio.undo(made["batch_id"], idempotency_key="k", chunk=2) == result
    with pytest.raises(BatchStateConflict):
        studio.undo(made["batch_id"])
    assert [studio.balance(client) for client in pair] == [(4, 1, 0), (0, 0, 0)]
    void, back = queries.lot_entries(studio.session, gift.id)[-2:]
    assert [(e.kind, e.available_change, e.reason) for e in (void, back)] == [
        ("void", -3, "as agreed"), ("void", 3, "wrong list"),
    ]
    assert (back.reversal_of_id, back.batch_id, void.reversed) == (void.id, made["batch_id"], True)
    studio.session.rollback()
    step = studio.move("void_lots", lot_ids=[gift.id], part_of="import_clients")
    with pytest.raises(NotUndoable, match="An import took these credits back"):
        studio.undo(step["batch_id"])
    assert sound()


@pytest.mark.databases("sqlite")
def test_what_is_undone_after_its_last_day_is_told_to_lapse(studio, pair, sound):
    gift, paid = (lot.id for lot in studio.lots(pair[0]))
    extended = studio.move("extend_lots", lot_ids=[gift, paid], expires_on=studio.today + 90 * DAY)
    moved = transfer(studio, pair, 4)
    with clock.frozen(clock.now() + 8 * DAY):
        plan = plan_of(studio, extended["batch_id"])
        assert (plan.taken_back, plan.lapsed) == (1, 0), "what is left of the gift never expired"
        assert plan_of(studio, moved["batch_id"]).lapsed == 0
        with clock.frozen(clock.now() + 90 * DAY):
            assert plan_of(studio, moved["batch_id"]).lapsed == 4, "all that goes back, to both lots"
        studio.undo(moved["batch_id"])
        assert plan_of(studio, extended["batch_id"]).lapsed == 2, "the day of the paid ones is over"
        service.hold_lots(studio.session, lot_ids=[paid], held=True, actor=SYSTEM)
        assert plan_of(studio, extended["batch_id"]).lapsed == 0, "what is on hold does not expire"
        service.hold_lots(studio.session, lot_ids=[paid], held=False, actor=SYSTEM)
        studio.move("extend_lots", lot_ids=[paid], expires_on=studio.today + 120 * DAY)
        assert plan_of(studio, extended["batch_id"]).lapsed == 0, "nor what keeps a later day"
    with unit_of_work(studio.session):
        studio.session.get(factories.Client, pair[0]).merged_into_id = pair[1]
    with unit_of_work(studio.session):
        other = factories.make_event_type(studio.session).id
    changed = studio.move(
        "convert_credits", client_id=pair[0], from_event_type_id=studio.type_id, to_event_type_id=other, quantity=2,
        give=2, get=1,
    )
    for made in (transfer(studio, pair, 1), changed):
        with pytest.raises(NotUndoable, match="was merged or erased"):
            studio.undo(made["batch_id"])
    assert sound()


def test_explained_as_of_a_day_before_a_new_last_day(studio, pair):
    second = next(lot for lot in studio.lots(pair[0]) if lot.expires_on)
    studio.move("extend_lots", lot_ids=[second.id], expires_on=studio.today + 90 * DAY)
    told = {lot.id: lot for lot in queries.client_credits(studio.session, pair[0], studio.today).lots}
    assert told[second.id].expires_on == studio.today + 90 * DAY, "at the end of the day it has the new one"
    before = queries.client_credits(studio.session, pair[0], studio.today - DAY)
    assert before.lots == [], "the day before there was nothing"


def test_lots_of_several_clients_go_to_one_and_back(studio, pair, sound, monkeypatch):
    giver, taker = pair
    other, gone, archived = *studio.clients(2), *studio.clients(1, archived=True)
    studio.grant([other, gone, taker], 2)
    with unit_of_work(studio.session):
        owner = studio.session.get(factories.Client, other)
        factories.make_lot(studio.session, owner, studio.event_type, quantity=4, enrollment_id=7)
        factories.make_lot(studio.session, owner, studio.event_type, quantity=1, expires_on=studio.today - DAY)
    before = {lot.id: lot for lot in studio.lots()}
    with unit_of_work(studio.session):
        plan = service.plan_transfer(studio.session, lot_ids=[*before, 99_999], to_client_id=taker, actor=SYSTEM)
    assert (plan.lots, plan.clients, plan.credits, plan.missing) == (4, 3, 9, 1)
    assert plan.left_out == {"own": 1, "bound": 1, "lapsed": 1}
    assert len(plan.givers) == 3
    asked = {"lot_ids": [*before, 99_999], "to_client_id": taker}
    made = studio.move("transfer_lots", **asked, idempotency_key="k")
    assert studio.move("transfer_lots", **asked, idempotency_key="k") == made
    with pytest.raises(IdempotencyMismatch):
        studio.move("transfer_lots", **{**asked, "to_client_id": other}, idempotency_key="k")
    assert {name: made[name] for name in ("transferred", "lots", "left_out", "skipped_count")} == {
        "transferred": 9, "lots": 4, "left_out": {"not_found": 1, "bound": 1, "lapsed": 1, "own": 1},
        "skipped_count": 1,
    }
    assert [studio.balance(key)[0] for key in (giver, other, gone, taker)] == [0, 5, 0, 11]
    assert sorted(lot.unit_value for lot in studio.lots(taker)) == [0, 0, 0, 0, 1500], "each keeps its terms"
    with pytest.raises(NothingToTransfer):
        studio.move("transfer_lots", lot_ids=[lot.id for lot in studio.lots(taker)], to_client_id=taker)
    for over, refused in (({"to_client_id": archived}, InvalidInput), ({"to_client_id": 99_999}, NotFound),
                          ({"reason": " "}, InvalidInput), ({"lot_ids": [99_999]}, NotFound)):
        with pytest.raises(refused):
            studio.move("transfer_lots", **{"lot_ids": [*before], "to_client_id": taker, **over})
    assert sound()

    studio.reserve(taker, 1)
    with unit_of_work(studio.session):
        studio.session.get(factories.Client, gone).merged_into_id = other
    monkeypatch.setattr(undo_moves, "PLANNED_AT_ONCE", 1)
    plan = plan_of(studio, made["batch_id"])
    assert (plan.clients, plan.credits, plan.taken_back, plan.kept_spent, plan.closed) == (1, 9, 6, 1, 2)
    done = studio.undo(made["batch_id"], chunk=1)
    assert (done["taken_back"], done["clients"]) == (6, 1), "but what came from whom is gone stays"
    assert [studio.balance(key)[0] for key in (giver, other, gone, taker)] == [4, 7, 0, 4]
    after = {lot.id: lot for lot in studio.lots(giver, other)}
    assert [key for key, lot in after.items() if lot != before[key]] == [
        key for key, lot in before.items() if lot.expires_on == studio.today + 5 * DAY
    ], "all but the booked credit is as it was"
    assert sound()

    first, second = studio.clients(2)
    studio.grant([first, second], 2)
    studio.grant([first], 1)
    lots = [lot.id for lot in studio.lots(first, second)]
    made = studio.move("transfer_lots", lot_ids=lots, to_client_id=taker)
    with unit_of_work(studio.session):
        studio.session.get(factories.Client, first).merged_into_id = other
    for page in (1, 3):
        monkeypatch.setattr(undo_moves, "PLANNED_AT_ONCE", page)
        plan = plan_of(studio, made["batch_id"])
        assert (plan.clients, plan.taken_back, plan.closed) == (1, 2, 3), "also if it begins with what is closed"
    assert studio.undo(made["batch_id"], threshold=1, chunk=1)["job_id"]
    assert [part.done for part in undo_in_chunks(studio, made["batch_id"], 1)] == [1, 1, 1, 0], "of this batch alone"
    done = queries.batch_summary(studio.session, made["batch_id"]).undo_result
    assert (done["clients"], done["taken_back"]) == (1, 2), "also where nothing of the first chunk can go back"


def test_credits_of_many_are_converted_and_go_back_in_whole_steps(studio, pair, sound):
    with unit_of_work(studio.session):
        private = factories.make_event_type(studio.session).id
    some, none, late = studio.clients(3)
    studio.grant([some], 7)
    studio.grant([none], 1)
    studio.grant([late], 4, expires_on=studio.today)
    everybody = [*pair, some, none, late, 99_999]
    asked = {"from_event_type_id": studio.type_id, "to_event_type_id": private, "give": 2, "get": 1}
    with unit_of_work(studio.session):
        plan = service.plan_conversion(studio.session, clients=everybody, **asked, actor=SYSTEM)
    assert [(row.client_id, row.converted, row.received, row.left) for row in plan.listed] == [
        (pair[0], 4, 2, 1), (some, 6, 3, 1), (late, 4, 2, 0),
    ]
    assert (plan.clients, plan.converted, plan.received, plan.left) == (3, 14, 7, 2)
    assert plan.by_reason == {"not_found": 1, "empty": 2}
    told = {"clients": everybody, **asked, "threshold": 500, "chunk": 2}
    for wrong in ({"quantity": 1}, {"give": 0}, {"to_event_type_id": studio.type_id}, {"reason": ""}):
        with pytest.raises(InvalidInput) as refusal:
            studio.move("convert_for_clients", **{**told, **wrong})
        assert set(refusal.value.fields) == set(wrong)
    with pytest.raises(NothingToConvert):
        studio.move("convert_for_clients", **{**told, "clients": [none, pair[1]]})
    with clock.frozen(clock.now() + DAY):
        made = studio.move("convert_for_clients", **told, quantity=5, idempotency_key="k")
        assert studio.move("convert_for_clients", **told, quantity=5, idempotency_key="k") == made
    assert {name: made[name] for name in ("clients", "converted", "received", "left_out")} == {
        "clients": 2, "converted": 8, "received": 4, "left_out": {"not_found": 1, "empty": 3},
    }, "at most four of each, and nothing of a lot that is past its day"
    assert [studio.balance(key)[0] for key in (pair[0], some, none, late)] == [1, 3, 1, 4]
    assert sound()

    for booking, client in enumerate((some, pair[0])):
        studio.reserve(client, booking, event_type_id=private)
    plan = plan_of(studio, made["batch_id"])
    assert plan == service.UndoPlan(clients=2, credits=4, taken_back=2, kept_spent=2, clients_spent=2, reserved=2)
    assert studio.undo(made["batch_id"], threshold=1, chunk=10_000)["job_id"]
    assert [part.done for part in undo_in_chunks(studio, made["batch_id"], 1)] == [1, 1, 0]
    assert [studio.balance(key)[0] for key in (pair[0], some)] == [3, 5]
    assert queries.batch_summary(studio.session, made["batch_id"]).undo_result["taken_back"] == 2
    studio.session.rollback()

    job = studio.move("convert_for_clients", **{**told, "threshold": 1})
    assert (job["converted"], bool(job["job_id"])) == (0, True)
    finished = False
    while not finished:
        with unit_of_work(studio.session):
            finished = service.convert_chunk(studio.session, batch_id=job["batch_id"], size=2, actor=SYSTEM).finished
    assert [studio.balance(key)[0] for key in (pair[0], some, none, late)] == [1, 1, 1, 0]
    assert sound()

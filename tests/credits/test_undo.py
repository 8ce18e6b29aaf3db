"""Undoing a batch and voiding lots."""

import threading
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text

from enrollment_addon.core import scope
from enrollment_addon.core.batches import Chunk
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import IdempotencyMismatch, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM, Actor, Reach
from enrollment_addon.credits import people_hooks, queries, service
from enrollment_addon.credits.errors import BatchStateConflict, NotEnoughCredits, OutOfReach
from enrollment_addon.jobs.models import Job, JobState
from enrollment_addon.jobs.service import cancel_job
from tests import factories

pytestmark = pytest.mark.all_databases


def plan(studio, batch_id, actor=SYSTEM):
    with unit_of_work(studio.session):
        return service.undo_plan(studio.session, batch_id=batch_id, actor=actor)


def test_spent_credits_stay_and_the_rest_is_taken_back(studio, sound):
    clients = studio.clients(40)
    batch_id = studio.grant(clients, 2)["batch_id"]
    for booking, client in enumerate((clients[3], clients[3], clients[7], clients[9])):
        studio.reserve(client, booking)
    studio.act("consume", 0)
    studio.release(3)
    assert plan(studio, batch_id) == service.UndoPlan(
        clients=40, credits=80, taken_back=77, kept_spent=3, clients_spent=2, reserved=2
    )
    result = studio.undo(batch_id, threshold=40, chunk=20)
    assert result == {"taken_back": 77, "kept_spent": 3, "clients": 40, "job_id": None}
    assert studio.balance(clients[3]) == (0, 1, 1)
    assert studio.balance(clients[7]) == (0, 1, 0)
    assert studio.balance(clients[0]) == (0, 0, 0)
    assert studio.kinds(clients[0]) == ["grant", "void"]
    lot = studio.lots(clients[0])[0]
    assert queries.lot_entries(studio.session, lot.id)[-1].reason == "wrong list"
    summary = queries.batch_summary(studio.session, batch_id)
    assert (summary.state, summary.undo_reason, summary.taken_back) == ("undone", "wrong list", 77)
    studio.session.rollback()
    assert sound()


def test_only_this_batch_is_undone(studio, sound):
    clients = studio.clients(2)
    studio.grant(clients, 5)
    studio.undo(studio.grant(clients, 2)["batch_id"])
    assert studio.balance(clients[0]) == (5, 0, 0)
    assert sound()


def test_a_batch_is_undone_once(studio):
    batch_id = studio.grant(studio.clients(1))["batch_id"]
    first = studio.undo(batch_id, idempotency_key="k")
    assert studio.undo(batch_id, idempotency_key="k") == first
    with pytest.raises(IdempotencyMismatch):
        studio.undo(batch_id, idempotency_key="k", reason="another")
    with pytest.raises(BatchStateConflict) as refusal:
        studio.undo(batch_id)
    assert str(refusal.value.params["state"]) == "Undone"
    with pytest.raises(BatchStateConflict):
        plan(studio, batch_id)


@pytest.mark.parametrize("reason", ["", "  ", None, "r" * 501])
def test_a_reason_is_needed(studio, reason):
    batch_id = studio.grant(studio.clients(1))["batch_id"]
    for refused in (lambda: studio.undo(batch_id, reason=reason), lambda: studio.void([1], reason=reason)):
        with pytest.raises(InvalidInput) as refusal:
            refused()
        assert set(refusal.value.fields) == {"reason"}


def test_an_unfinished_grant_cannot_be_undone_until_its_job_has_stopped(studio, sound):
    clients = studio.clients(5)
    result = studio.grant(clients, threshold=0)
    batch_id = result["batch_id"]
    with unit_of_work(studio.session):
        service.grant_chunk(studio.session, batch_id=batch_id, size=2, actor=SYSTEM)
    with pytest.raises(BatchStateConflict):
        studio.undo(batch_id)
    assert not people_hooks.told_entries(studio.session, clients[:1], 5)[0].details["undoable"]
    studio.session.rollback()
    with unit_of_work(studio.session):
        cancel_job(studio.session, job_id=result["job_id"], actor=SYSTEM)
        assert studio.session.get(Job, result["job_id"]).state == JobState.cancelled
        assert service.is_undoable(studio.session, queries.batch_summary(studio.session, batch_id))
        (told,) = people_hooks.told_entries(studio.session, clients[:1], 5)
        assert told.details["undoable"]
    assert plan(studio, batch_id).taken_back == 4
    assert studio.undo(batch_id)["taken_back"] == 4
    with pytest.raises(BatchStateConflict):
        studio.undo(batch_id)
    with unit_of_work(studio.session):
        later = service.grant_chunk(studio.session, batch_id=batch_id, size=2, actor=SYSTEM)
    assert later == Chunk(0, 0, finished=True)
    assert [studio.balance(client) for client in clients] == [(0, 0, 0), (0, 0, 0), None, None, None]
    assert sound()


def test_a_large_undo_is_a_job_that_goes_on_where_it_stopped(studio, sound):
    clients = studio.clients(5)
    batch_id = studio.grant(clients, 2)["batch_id"]
    result = studio.undo(batch_id, threshold=4, chunk=2)
    assert studio.balance(clients[0]) == (2, 0, 0)
    with unit_of_work(studio.session):
        job = studio.session.get(Job, result["job_id"])
        assert (job.kind, job.total, job.input) == ("credits.undo", 5, {"batch_id": batch_id, "chunk": 2})
    with unit_of_work(studio.session):
        service.undo_chunk(studio.session, batch_id=batch_id, size=2, actor=SYSTEM)
    service.undo_chunk(studio.session, batch_id=batch_id, size=2, actor=SYSTEM)
    studio.session.rollback()
    assert [studio.balance(client)[0] for client in clients] == [0, 0, 2, 2, 2]
    finished = False
    while not finished:
        with unit_of_work(studio.session):
            finished = service.undo_chunk(studio.session, batch_id=batch_id, size=2, actor=SYSTEM).finished
    summary = queries.batch_summary(studio.session, batch_id)
    assert (summary.state, summary.undo_result["taken_back"]) == ("undone", 10)
    assert service.undo_chunk(studio.session, batch_id=batch_id, size=2, actor=SYSTEM) == Chunk(0, 0, finished=True)
    studio.session.rollback()
    assert sound()


@pytest.mark.databases("sqlite", "postgresql")
def test_who_does_not_reach_all_of_a_batch_is_told_so_and_undoes_nothing(studio, sound):
    mine, moved = studio.clients(2)
    with unit_of_work(studio.session):
        user_id = factories.make_user_row(studio.session).id
        elsewhere = factories.make_club(studio.session).id
    staff = Actor(user_id=user_id, reach=Reach.own_clubs, club_ids=(studio.club_id,))
    stranger = Actor(user_id=user_id + 1, reach=Reach.own_clubs, club_ids=(studio.club_id,))
    with scope.acting_as(studio.session, staff):
        batch_id = studio.grant([mine, moved], actor=staff)["batch_id"]
        studio.grant([moved], actor=staff)
        keys, day = [lot.id for lot in studio.lots()], studio.today + timedelta(days=9)
        longer = studio.move("extend_lots", lot_ids=keys, expires_on=day, actor=staff)["batch_id"]
    with unit_of_work(studio.session):
        studio.session.get(factories.Client, moved).club_id = elsewhere
    with pytest.raises(NotFound):
        studio.undo(batch_id, actor=stranger)
    with scope.acting_as(studio.session, staff):
        for key in (batch_id, longer):
            for refused in (partial(plan, studio, key, staff), partial(studio.undo, key, actor=staff)):
                with pytest.raises(OutOfReach) as refusal:
                    refused()
                assert refusal.value.params == {"count": 1}, "a client, who has one lot or two"
    assert [studio.balance(client) for client in (mine, moved)] == [(2, 0, 0), (4, 0, 0)]
    assert studio.undo(batch_id, threshold=1)["job_id"], "somebody who reaches both can"
    with scope.acting_as(studio.session, staff), unit_of_work(studio.session):
        assert service.undo_chunk(studio.session, batch_id=batch_id, size=5, actor=staff).finished
    assert [studio.balance(client) for client in (mine, moved)] == [(0, 0, 0), (2, 0, 0)], "nothing is left behind"
    assert sound()


def test_an_unknown_batch(studio):
    with pytest.raises(NotFound):
        studio.undo(999)


def test_void_takes_the_unspent_rest_of_lots(studio, sound):
    clients = studio.clients(2)
    studio.grant(clients, 3)
    first, second = (lot.id for lot in studio.lots())
    studio.reserve(clients[0], 1)
    assert studio.void([first, second, first]) == {"voided": 5}
    assert studio.balance(clients[0]) == (0, 1, 0)
    nothing = studio.move("void_lots", lot_ids=[first])
    assert nothing["voided"] == 0
    assert plan(studio, nothing["batch_id"]) == service.UndoPlan(0, 0, 0, 0, 0, 0)
    studio.release(1)
    assert studio.void([first]) == {"voided": 1}
    assert sound()


@pytest.mark.databases("sqlite")
def test_void_touches_no_balance_but_those_of_its_lots(studio, sound):
    clients = studio.clients(2)
    with unit_of_work(studio.session):
        other = factories.make_event_type(studio.session).id
    for event_type in (studio.type_id, other):
        studio.grant(clients, 2, event_type_id=event_type)
    made = studio.move("void_lots", lot_ids=[lot.id for lot in studio.lots()])
    assert studio.undo(made["batch_id"])["taken_back"] == 8
    assert [studio.balance(client) for client in clients] == [(2, 0, 0)] * 2
    chosen = [
        lot.id for lot in studio.lots()
        if (lot.client_id, lot.event_type_id) in ((clients[0], studio.type_id), (clients[1], other))
    ]
    with unit_of_work(studio.session):
        studio.session.execute(text(
            "CREATE TRIGGER nothing_to_change BEFORE UPDATE ON enrollment_credit_balance "
            "WHEN NEW.available = OLD.available BEGIN SELECT RAISE(ABORT, 'whose lock nobody holds'); END"
        ))
    assert studio.void(chosen) == {"voided": 4}
    assert sound()


def test_of_many_lots_those_that_are_not_there_are_named_and_left_out(studio):
    with unit_of_work(studio.session):
        foreign = factories.make_lot(studio.session, factories.make_client(studio.session), studio.event_type).id
    client = studio.clients(1)[0]
    studio.grant([client])
    mine = studio.lots(client)[0].id
    staff = Actor(user_id=None, reach=Reach.own_clubs, club_ids=(studio.club_id,))
    for wrong in ([foreign], [999_999], [foreign, 999_999]):
        with pytest.raises(NotFound):
            studio.void(wrong, actor=staff)
    later = studio.today + timedelta(days=3)
    for verb, over in (("extend_lots", {"expires_on": later}), ("void_lots", {})):
        made = studio.move(verb, lot_ids=[mine, foreign, 999_999], actor=staff, **over)
        assert made["skipped"] == [{"lot_id": key, "reason": "not_found"} for key in (foreign, 999_999)]
        assert made["skipped_count"] == 2
        summary = queries.batch_summary(studio.session, made["batch_id"])
        assert (summary.skipped, summary.by_reason) == (made["skipped"], {"not_found": 2})
        studio.session.rollback()
    assert {(lot.available, lot.expires_on) for lot in studio.lots()} == {(0, later), (10, None)}
    with pytest.raises(InvalidInput):
        studio.void([])


def test_void_with_a_key_voids_once(studio):
    client = studio.clients(1)[0]
    studio.grant([client])
    lot = studio.lots(client)[0].id
    assert studio.void([lot], idempotency_key="k") == {"voided": 2}
    assert studio.void([lot], idempotency_key="k") == {"voided": 2}
    with pytest.raises(IdempotencyMismatch):
        studio.void([lot], idempotency_key="k", reason="other")


def test_undo_beside_bookings_loses_and_invents_nothing(studio, session_factory, sound):
    clients = studio.clients(30)
    batch_id = studio.grant(clients, 1)["batch_id"]
    ready = threading.Barrier(4)
    booked, refused, errors = [], [], []

    def book(mine):
        ready.wait()
        for client in mine:
            with session_factory() as session:
                try:
                    with unit_of_work(session):
                        service.reserve_credits(
                            session, client_id=client, event_type_id=studio.type_id, booking_id=client,
                            on=studio.today, actor=SYSTEM,
                        )
                    booked.append(client)
                except NotEnoughCredits:
                    refused.append(client)
                except Exception as error:
                    errors.append(error)

    def undo():
        ready.wait()
        with session_factory() as session, unit_of_work(session):
            undone.update(
                service.undo_batch(
                    session, batch_id=batch_id, reason="wrong", actor=SYSTEM, threshold=500, chunk=5
                )
            )

    undone = {}
    workers = [threading.Thread(target=book, args=(clients[part::3],)) for part in range(3)]
    workers.append(threading.Thread(target=undo))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    assert len(booked) + len(refused) == 30
    assert undone["taken_back"] == 30 - len(booked)
    assert undone["kept_spent"] == len(booked)
    assert sound()

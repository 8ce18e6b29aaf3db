"""What verbs on many lots or clients say beforehand, do, and leave behind: answers, batches, entries, the audit."""

import datetime as dt
import sys
from functools import partial

import pytest
from sqlalchemy import or_, select, update

from enrollment_addon.core import clock
from enrollment_addon.core.audit import AuditEvent
from enrollment_addon.core.batches import Chunk, batches, targets
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import IdempotencyMismatch, InvalidInput
from enrollment_addon.core.scope import SYSTEM, Actor, Reach
from enrollment_addon.credits import service
from enrollment_addon.credits.errors import NothingSelected
from enrollment_addon.credits.models import entries, lots
from enrollment_addon.credits.service import conversions, lot_choice, selection
from enrollment_addon.jobs.models import Job
from enrollment_addon.people.models import Client
from tests import factories
from tests.credits.conftest import NOON

pytestmark = pytest.mark.databases("sqlite")

DAY = dt.timedelta(days=1)
BULK = {"threshold": 500, "chunk": 2}


def left_behind(studio, made):
    """Of the batch of an answer: its row, for whom it was frozen, what the audit says and its entries."""
    key = made["batch_id"]
    with unit_of_work(studio.session):
        row = studio.session.execute(select(batches).where(batches.c.id == key)).one()
        keys = studio.session.execute(select(targets.c.key).where(targets.c.batch_id == key)).scalars().all()
        event = studio.session.execute(
            select(AuditEvent).where(AuditEvent.record == "batch", AuditEvent.record_id == key)
        ).scalar_one()
        audited = event.actor_id, event.verb, event.client_id, event.reason, event.details
        given = entries.c.lot_id.in_(select(lots.c.id).where(lots.c.batch_id == key))
        found = studio.session.execute(select(entries).where(or_(entries.c.batch_id == key, given))).all()
    assert {(entry.turn, entry.at) for entry in found} <= {(0, clock.now())}
    return (
        (row.kind, row.total, row.done, row.note, row.skipped, row.input), keys, audited,
        sorted((entry.kind, entry.client_id, entry.available_change, entry.actor_id, entry.reason) for entry in found),
    )


def change(studio, client_id, **values):
    with unit_of_work(studio.session):
        studio.session.execute(update(Client).where(Client.id == client_id).values(**values))


def refuses(verb, asked, *others, key="k"):
    """The key of one wish gives the same answer again, and is refused for another, whatever differs."""
    first = verb(**asked, idempotency_key=key)
    assert verb(**asked, idempotency_key=key) == first
    for other in others:
        with pytest.raises(IdempotencyMismatch):
            verb(**{**asked, **other}, idempotency_key=key)
    return first


def serve(studio, verb, made, actor, **over):
    with unit_of_work(studio.session):
        return getattr(service, verb)(studio.session, batch_id=made["batch_id"], actor=actor, **over)


def test_whom_a_grant_is_for(studio, ada, sound, monkeypatch):
    monkeypatch.setattr(selection, "SKIPPED_LISTED", 4)
    monkeypatch.setattr(sys.modules["enrollment_addon.credits.service.grant_chunk"], "SKIPPED_LISTED", 5)
    with unit_of_work(studio.session):
        second, elsewhere = (factories.make_club(studio.session).id for _ in range(2))
    archived, one, moves = studio.clients(1, archived=True) + studio.clients(2)
    too, two = studio.clients(1, archived=True, club_id=second) + studio.clients(1, club_id=second)
    erased, foreign = studio.clients(1, erased_at=NOON) + studio.clients(1, club_id=elsewhere)
    staff = Actor(user_id=ada.user_id, reach=Reach.own_clubs, club_ids=(studio.club_id, second))
    skipped = [
        {"client_id": key, "reason": reason}
        for key, reason in ((archived, "archived"), (too, "archived"), (erased, "erased"), (foreign, "not_found"))
    ]
    by_reason = {"archived": 2, "erased": 1}
    search = select(Client.id).order_by(Client.id.desc())
    assert studio.plan(search, actor=staff) == service.GrantPlan(3, 6, skipped[:3], 3, by_reason, (), "EUR")
    clients = [2**70, *range(archived, foreign + 1), 99_999, "x"]
    by_reason["not_found"] = 4
    assert studio.plan(clients, actor=staff) == service.GrantPlan(3, 6, skipped, 7, by_reason, (), "EUR")
    with pytest.raises(InvalidInput) as refusal:
        studio.grant(clients, shared=True, member_cap=1_001)
    assert set(refusal.value.fields) == {"member_cap"}

    asked = {"clients": clients, "actor": staff, "note": "welcome", "threshold": 2, "chunk": 3}
    made = refuses(
        studio.grant, asked, {"clients": clients[1:]}, {"quantity": 1}, {"priority": 1}, {"shared": True},
        {"member_cap": 1}, {"participant_ids": [1]}, {"actor": SYSTEM},
    )
    assert made == {
        "batch_id": made["batch_id"], "granted": 0, "clients": 3, "skipped": skipped, "skipped_count": 7,
        "job_id": made["job_id"],
    }
    everybody = studio.grant(select(Client.id).where(Client.archived.is_(False)), actor=staff, idempotency_key="s")
    assert everybody["granted"] == 3
    with pytest.raises(IdempotencyMismatch):
        studio.grant(select(Client.id).where(Client.archived.is_(True)), actor=staff, idempotency_key="s")

    change(studio, moves, club_id=elsewhere)
    change(studio, two, archived=True)
    assert serve(studio, "grant_chunk", made, staff, size=3) == Chunk(1, 2, finished=False)
    input = {
        "event_type_id": studio.type_id, "quantity": 2, "priority": 50, "unit_value": 0, "currency": None,
        "expires_on": None, "expires_by_club": {}, "shared": False, "member_cap": None, "participant_ids": [],
        "left_out": {"archived": 3, "erased": 1, "not_found": 5}, "job_id": made["job_id"],
    }
    skipped.append({"client_id": moves, "reason": "not_found"})
    assert left_behind(studio, made) == (
        ("credits.grant", 3, 1, "welcome", skipped, input), [one, moves, two],
        (staff.user_id, "grant_credits", None, None,
         {"clients": 3, "quantity": 2, "event_type_id": studio.type_id, "job_id": made["job_id"]}),
        [("grant", one, 2, staff.user_id, None)],
    ), "of those who are left out the first are named"

    with unit_of_work(studio.session):
        for zone in ("Pacific/Pago_Pago", "Pacific/Kiritimati"):
            factories.make_club(studio.session, timezone=zone)
    with clock.frozen(NOON - dt.timedelta(minutes=90)):
        made = studio.grant([one], expires_in={"days": 1}, threshold=0)
    with unit_of_work(studio.session):
        new = factories.make_club(studio.session).id
    change(studio, one, club_id=new)
    serve(studio, "grant_chunk", made, SYSTEM, size=3)
    assert studio.lots(one)[-1].expires_on == studio.today + 2 * DAY, "a later club has the last of three days"
    assert sound()


def test_lots_of_many_go_to_one(studio, ada):
    taker, *givers = studio.clients(8)
    for twin in givers[:2]:
        change(studio, twin, last_name="Twin")
    studio.grant([taker, *givers], 2)
    *given, not_chosen = studio.lots(*givers)
    own = studio.lots(taker)[0].id
    with unit_of_work(studio.session):
        owner = studio.session.get(Client, givers[0])
        bound, lapsed, empty = (
            factories.make_lot(studio.session, owner, studio.event_type, quantity=1, **over).id
            for over in ({"held": True}, {"expires_on": studio.today - DAY}, {})
        )
    studio.void([empty])
    chosen = [own, bound, lapsed, empty, 99_999, *(lot.id for lot in given)]

    def plan(lot_ids, **over):
        with unit_of_work(studio.session):
            return service.plan_transfer(studio.session, lot_ids=lot_ids, actor=ada, **over)

    with unit_of_work(studio.session):
        names = [studio.session.get(Client, key).last_name for key in (taker, *givers)]
    names = [f"Cleo {name}" for name in names]
    stays = {"bound": 1, "lapsed": 1, "empty": 1}
    assert plan(chosen) == service.TransferPlan(7, 7, 14, names[:5], stays, 1), "before it is known who gets them"
    assert names[1] == names[2], "two who are called alike are two"
    assert plan(chosen, to_client_id=taker) == service.TransferPlan(6, 6, 12, names[1:6], {**stays, "own": 1}, 1)
    assert plan([own], to_client_id=taker) == service.TransferPlan(0, 0, 0, [], {"own": 1}, 0)

    asked = {"lot_ids": chosen, "to_client_id": taker, "actor": ada, **BULK}
    made = refuses(
        partial(studio.move, "transfer_lots"), asked, {"lot_ids": chosen[1:]}, {"to_client_id": givers[6]},
        {"reason": "other"}, {"actor": SYSTEM},
    )
    skipped = [{"lot_id": 99_999, "reason": "not_found"}]
    assert made == {
        "batch_id": made["batch_id"], "transferred": 12, "lots": 6, "left_out": {**stays, "own": 1, "not_found": 1},
        "skipped": skipped, "skipped_count": 1, "job_id": None,
    }
    input = {"to_client_id": taker, "credits": 12, "left_out": {**stays, "not_found": 1}}
    who = (ada.user_id, "as agreed")
    assert left_behind(studio, made) == (
        ("credits.transfer", 9, 6, "as agreed", skipped, input), sorted({*chosen} - {own, 99_999}),
        (ada.user_id, "transfer_lots", None, "as agreed",
         {"lots": 9, "to_client_id": taker, "transferred": 12, "job_id": None}),
        [*[("transfer_in", taker, 2, *who)] * 6, *(("transfer_out", lot.client_id, -2, *who) for lot in given)],
    )
    assert studio.balance(not_chosen.client_id) == (2, 0, 0)
    search = select(lots.c.id).where(lots.c.client_id == not_chosen.client_id)
    queued = {"lot_ids": search, "to_client_id": taker, "actor": ada, "threshold": 0, "idempotency_key": "search"}
    made = studio.move("transfer_lots", **queued)
    assert studio.move("transfer_lots", **queued) == made
    assert (made["left_out"], left_behind(studio, made)[2][4]["job_id"]) == ({}, made["job_id"])
    assert made["job_id"]


def test_credits_of_many_are_converted(studio, ada, monkeypatch):
    some, more, little, other, spent, none, archived = studio.clients(7)
    with unit_of_work(studio.session):
        private = factories.make_event_type(studio.session)
        kind = private.id
        factories.make_lot(studio.session, studio.session.get(Client, other), private)
        factories.make_lot(
            studio.session, studio.session.get(Client, some), studio.event_type, expires_on=studio.today - DAY
        )
    studio.grant([some, more, archived], 7)
    studio.grant([little, spent], 1)
    studio.void([studio.lots(spent)[0].id])
    change(studio, archived, archived=True)
    change(studio, some, first_name="", last_name="Some")
    monkeypatch.setattr(conversions, "CLIENTS_LISTED", 1)
    monkeypatch.setattr(conversions, "PLANNED_AT_ONCE", 2)
    ratio = {"from_event_type_id": studio.type_id, "to_event_type_id": kind, "give": 2, "get": 3, "quantity": 5}
    clients = [some, more, little, other, spent, none, archived, 99_999]

    def plan(clients):
        with unit_of_work(studio.session):
            return service.plan_conversion(studio.session, clients=clients, actor=ada, **ratio)

    skipped = [{"client_id": archived, "reason": "archived"}, {"client_id": 99_999, "reason": "not_found"}]
    left_out = {"archived": 1, "not_found": 1, "empty": 4}
    listed = [service.ClientConversion(some, "Some", 4, 6, 3)]
    assert str(plan(clients)) == str(service.ConversionPlan(2, 8, 12, 6, listed, skipped, left_out)), "whole numbers"
    assert plan([some]) == service.ConversionPlan(1, 4, 6, 3, listed, [], {})

    asked = {"clients": clients, **ratio, "actor": ada, **BULK}
    made = refuses(
        partial(studio.move, "convert_for_clients"), asked, {"clients": clients[1:]}, {"quantity": 4},
        {"quantity": None}, {"give": 3}, {"get": 2}, {"reason": "other"}, {"actor": SYSTEM},
    )
    assert made == {
        "batch_id": made["batch_id"], "clients": 2, "converted": 8, "received": 12, "left_out": left_out,
        "skipped": skipped, "skipped_count": 6, "job_id": None,
    }
    input = {**ratio, "converted": 8, "received": 12, "left_out": left_out}
    who = (ada.user_id, "as agreed")
    assert left_behind(studio, made) == (
        ("credits.convert_many", 3, 2, "as agreed", skipped, input), [some, more, little],
        (ada.user_id, "convert_for_clients", None, "as agreed", {"clients": 3, "job_id": None, **ratio}),
        [("transfer_in", some, 6, *who), ("transfer_in", more, 6, *who),
         ("transfer_out", some, -4, *who), ("transfer_out", more, -4, *who)],
    )

    search = {**asked, "clients": select(Client.id).where(Client.id == some), "quantity": 2, "idempotency_key": "s"}
    made = studio.move("convert_for_clients", **search)
    assert studio.move("convert_for_clients", **search) == made
    assert (made["converted"], made["left_out"], left_behind(studio, made)[2][2]) == (2, {}, some)


def test_whom_a_conversion_no_longer_reaches_at_their_turn_is_left_out_until_they_are_back(studio, ada, sound):
    clients = studio.clients(5)
    archived, erased, moved, spent = clients[1:]
    with unit_of_work(studio.session):
        kind = factories.make_event_type(studio.session).id
        elsewhere = factories.make_club(studio.session).id
    studio.grant(clients, 2)
    staff = Actor(user_id=ada.user_id, reach=Reach.own_clubs, club_ids=(studio.club_id,))
    ratio = {"from_event_type_id": studio.type_id, "to_event_type_id": kind, "give": 2, "get": 1}
    made = studio.move("convert_for_clients", clients=clients, **ratio, actor=staff, threshold=4, chunk=10)
    with unit_of_work(studio.session):
        job = studio.session.get(Job, made["job_id"])
        assert (job.kind, job.total, job.input) == (
            "credits.convert_many", 5, {"batch_id": made["batch_id"], "chunk": 10}
        )
    assert (made["clients"], made["converted"], made["left_out"]) == (0, 0, {})
    assert left_behind(studio, made)[2][4]["job_id"] == made["job_id"]
    change(studio, archived, archived=True)
    change(studio, erased, erased_at=clock.now())
    change(studio, moved, club_id=elsewhere)
    studio.void([studio.lots(spent)[0].id])
    assert serve(studio, "convert_chunk", made, staff, size=10) == Chunk(1, 4, finished=True)
    (_, _, done, _, _, input), *_ = left_behind(studio, made)
    assert (done, input["converted"], input["received"], input["left_out"]) == (1, 2, 1, {"empty": 4})
    change(studio, moved, club_id=studio.club_id)
    again = [serve(studio, "convert_skipped", made, staff, key=key) for key in (moved, archived, moved)]
    assert again == [True, False, False]
    (_, _, done, _, _, input), *_ = left_behind(studio, made)
    assert (done, input["converted"], input["received"]) == (2, 4, 2)
    assert [studio.balance(client)[0] for client in clients] == [0, 2, 2, 0, 0]
    assert sound()


def test_last_days_of_many_and_what_is_taken_back_of_many(studio, ada, sound, monkeypatch):
    monkeypatch.setattr(lot_choice, "SKIPPED_LISTED", 1)
    one, two = studio.clients(2)
    soon = studio.today + 5 * DAY
    studio.grant([one, two], 2, expires_on=soon)
    studio.grant([one], 4)
    studio.grant([two], 3, expires_on=soon)
    (first, endless), (second, booked) = ([lot.id for lot in studio.lots(client)] for client in (one, two))
    studio.reserve(two, 70, lot_id=booked)
    with unit_of_work(studio.session):
        owner, stranger = studio.session.get(Client, one), factories.make_client(studio.session)
        spent, spent_endless, foreign = (
            factories.make_lot(studio.session, *over, quantity=1).id
            for over in ((owner, studio.event_type), (owner, studio.event_type), (stranger, studio.event_type))
        )
    studio.move("extend_lots", lot_ids=[spent], expires_on=soon)
    studio.void([spent, spent_endless])
    staff = Actor(user_id=ada.user_id, reach=Reach.own_clubs, club_ids=(studio.club_id,))
    search = select(lots.c.id).where(lots.c.quantity < 100)
    who = (staff.user_id, "as agreed")

    def plan(**over):
        with unit_of_work(studio.session):
            return service.plan_extension(studio.session, **{"lot_ids": search, "actor": staff, **over})

    with pytest.raises(NothingSelected):
        plan(lot_ids=search.where(lots.c.id == foreign))
    assert plan(extend_by={"weeks": 1}) == service.ExtensionPlan(3, 7, 0, 1, 0)
    assert plan(expires_on=studio.today) == service.ExtensionPlan(4, 11, 4, 0, 0)
    asked = {"lot_ids": search, "extend_by": {"weeks": 1}, "actor": staff}
    made = refuses(
        partial(studio.move, "extend_lots"), asked, {"lot_ids": [first]},
        {"lot_ids": search.where(lots.c.held.is_(True))}, {"extend_by": {"days": 1}},
        {"extend_by": None, "expires_on": soon}, {"reason": "other"}, {"actor": SYSTEM},
    )
    assert made == {
        "batch_id": made["batch_id"], "extended": 3, "shortened": 0, "left_out": {"endless": 1, "empty": 2},
        "skipped": [], "skipped_count": 0, "job_id": None,
    }
    input = {"expires_on": None, "extend_by": {"weeks": 1}, "credits": 7, "left_out": made["left_out"]}
    assert left_behind(studio, made) == (
        ("credits.extend", 6, 3, "as agreed", [], input),
        sorted([first, endless, second, booked, spent, spent_endless]),
        (staff.user_id, "extend_lots", None, "as agreed",
         {"lots": 6, "expires_on": None, "extend_by": {"weeks": 1}, "job_id": None}),
        [("extend", one, 0, *who), *[("extend", two, 0, *who)] * 2],
    )
    made = refuses(
        partial(studio.move, "extend_lots"),
        {"lot_ids": [first, foreign, 99_999], "expires_on": soon, "actor": staff, **BULK}, {"expires_on": None},
        {"expires_on": soon + DAY}, key="day",
    )
    skipped = [{"lot_id": foreign, "reason": "not_found"}]
    assert made == {
        "batch_id": made["batch_id"], "extended": 1, "shortened": 1, "left_out": {"not_found": 2},
        "skipped": skipped, "skipped_count": 2, "job_id": None,
    }, "the first of those that are not there are named"

    asked = {"lot_ids": [second, booked, foreign, 99_999], "actor": staff}
    others = {"lot_ids": [second]}, {"reason": "other"}, {"actor": SYSTEM}
    made = refuses(partial(studio.move, "void_lots"), asked, *others, key="void")
    assert made == {
        "batch_id": made["batch_id"], "voided": 4, "skipped": skipped, "skipped_count": 2, "job_id": None
    }
    assert left_behind(studio, made) == (
        ("credits.void", 2, 2, "as agreed", skipped, {"credits": 4, "left_out": {"not_found": 2}}), [second, booked],
        (staff.user_id, "void_lots", two, "as agreed", {"lots": 2, "voided": 4, "job_id": None}),
        [("void", two, -2, *who)] * 2,
    )
    step = studio.move("void_lots", lot_ids=[second], part_of="import_clients")
    assert left_behind(studio, step)[0][5] == {"part_of": "import_clients", "credits": 0, "left_out": {"empty": 1}}

    queued = studio.move("extend_lots", lot_ids=[first], expires_on=soon, actor=staff, threshold=0)
    made = studio.move("void_lots", lot_ids=[first, endless], actor=staff, threshold=1, chunk=1)
    assert [left_behind(studio, item)[2][4]["job_id"] for item in (queued, made)] == [queued["job_id"], made["job_id"]]
    assert (queued["extended"], made["voided"]) == (0, 0)
    with unit_of_work(studio.session):
        job = studio.session.get(Job, made["job_id"])
        assert (job.kind, job.total, job.input) == ("credits.void", 2, {"batch_id": made["batch_id"], "chunk": 1})
        elsewhere = factories.make_club(studio.session).id
    change(studio, one, club_id=elsewhere)
    assert serve(studio, "lot_chunk", made, staff, size=1) == Chunk(0, 1, finished=False), "out of reach by now"
    assert left_behind(studio, made)[0][5]["left_out"] == {"empty": 1}
    change(studio, one, club_id=studio.club_id)
    assert serve(studio, "lot_chunk", made, staff, size=2) == Chunk(1, 0, finished=True)
    assert [serve(studio, "serve_skipped_lot", made, staff, key=first) for _ in range(2)] == [True, False]
    (_, _, done, _, _, input), *_ = left_behind(studio, made)
    assert (done, input["credits"]) == (2, 6)
    assert [studio.balance(client) for client in (one, two)] == [(0, 0, 0), (0, 1, 0)]
    assert sound()

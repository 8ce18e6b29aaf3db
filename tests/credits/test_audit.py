"""What is told of every verb on credits: who did it, when, to whose, how many and why."""

import datetime as dt
import json

import pytest
from sqlalchemy import select, update

from enrollment_addon.core.audit import AuditEvent
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.credits import service
from enrollment_addon.credits.models import Origin, balances, entries
from tests import factories
from tests.credits.conftest import NOON

pytestmark = pytest.mark.databases("sqlite")

DAY = dt.timedelta(days=1)


def do(studio, verb, **over):
    with unit_of_work(studio.session):
        return getattr(service, verb)(studio.session, **over)


def told(studio):
    """Every event, as (verb, record, its key, client, reason, details); of the system are those without a user."""
    with unit_of_work(studio.session):
        found = studio.session.execute(select(AuditEvent).order_by(AuditEvent.id)).scalars().all()
        return [
            (row.actor_id, row.verb, row.record, row.record_id, row.client_id, row.reason, row.details)
            for row in found
        ]


def test_every_verb_is_in_the_audit(studio, ada):
    cleo, drew = studio.clients(2)
    with unit_of_work(studio.session):
        other = factories.make_event_type(studio.session).id
    kind, soon = studio.type_id, studio.today + 5 * DAY
    mine, ours = (
        studio.grant(clients, 4, expires_on=soon, actor=ada)["batch_id"] for clients in ([cleo], [cleo, drew])
    )
    first, second, drews = (lot.id for lot in studio.lots(cleo, drew))
    moved = studio.move(
        "transfer_credits", from_client_id=cleo, to_client_id=drew, event_type_id=kind, quantity=1, actor=ada
    )["batch_id"]
    changed = studio.move(
        "convert_credits", client_id=cleo, from_event_type_id=kind, to_event_type_id=other, quantity=3, give=2, get=4,
        actor=ada,
    )["batch_id"]
    day = soon + DAY
    longer = studio.move("extend_lots", lot_ids=[first], expires_on=day, actor=ada)["batch_id"]
    later = studio.move("extend_lots", lot_ids=[second, drews], extend_by={"weeks": 1}, actor=ada)["batch_id"]
    gone = studio.move("void_lots", lot_ids=[drews], actor=ada)["batch_id"]
    studio.undo(gone, actor=ada)
    sold = do(
        studio, "open_lot", client_id=cleo, event_type_id=kind, quantity=6, expires_on=soon, origin=Origin.enrollment,
        unit_value=5, currency="EUR", enrollment_id=7, reason="sold", note="at the desk", actor=ada,
    )
    (row,) = (lot for lot in studio.lots(cleo) if lot.id == sold)
    assert (row.note, row.origin) == ("at the desk", Origin.enrollment)
    do(studio, "take_back", lot_ids=[sold], quantity=2, reason=f" {'r' * 500} ", actor=ada)
    do(studio, "shift_expiry", lot_ids=[sold, drews], days=2, reason="pause", actor=ada)
    do(studio, "hold_lots", lot_ids=[sold], held=True, actor=ada)
    do(studio, "hold_lots", lot_ids=[sold], held=False, actor=ada)
    do(studio, "move_restriction", from_enrollment_id=7, to_enrollment_id=8, actor=ada)
    do(studio, "expire_lots", size=9, today=lambda _: day + DAY, actor=ada)
    with unit_of_work(studio.session):
        studio.session.execute(update(balances).values(used=1))
    studio.findings(repair=True)

    lot, batch = "credit_lot", "batch"
    given = {"quantity": 4, "event_type_id": kind, "job_id": None}
    taken = {"taken_back": 4, "kept_spent": 0, "clients": 1, "job_id": None}
    user = ada.user_id
    assert told(studio) == [
        (user, "grant_credits", batch, mine, cleo, None, {"clients": 1, **given}),
        (user, "grant_credits", batch, ours, None, None, {"clients": 2, **given}),
        (user, "transfer_credits", batch, moved, cleo, "as agreed",
         {"to_client_id": drew, "event_type_id": kind, "credits": 1}),
        (user, "convert_credits", batch, changed, cleo, "as agreed",
         {"converted": 2, "received": 4, "event_type_id": kind, "to_event_type_id": other}),
        (user, "extend_lots", batch, longer, cleo, "as agreed",
         {"lots": 1, "expires_on": day.isoformat(), "extend_by": None, "job_id": None}),
        (user, "extend_lots", batch, later, None, "as agreed",
         {"lots": 2, "expires_on": None, "extend_by": {"weeks": 1}, "job_id": None}),
        (user, "void_lots", batch, gone, drew, "as agreed", {"lots": 1, "voided": 4, "job_id": None}),
        (user, "undo_batch", batch, gone, None, "wrong list", taken),
        (user, "open_lot", lot, sold, cleo, "sold", {"quantity": 6, "event_type_id": kind, "enrollment_id": 7}),
        (user, "take_back_credits", lot, sold, cleo, "r" * 500, {"lots": 1, "credits": 2}),
        (user, "shift_expiry", lot, None, None, "pause", {"lots": 2, "days": 2}),
        (user, "hold_lots", lot, sold, cleo, None, {"lots": 1}),
        (user, "free_lots", lot, sold, cleo, None, {"lots": 1}),
        (user, "move_restriction", lot, None, None, None,
         {"lots": 1, "from_enrollment_id": 7, "to_enrollment_id": 8}),
        (user, "expire_lots", lot, None, None, None, {"lots": 3, "credits": 6}),
        (None, "repair_ledger", lot, None, None, None, {"repaired": 3}),
    ]
    with unit_of_work(studio.session):
        rows = studio.session.execute(select(entries).order_by(entries.c.id)).all()
    assert {(row.actor_id, row.at, row.turn) for row in rows} == {(user, NOON, 0)}
    sides = {kind: [row for row in rows if row.kind == kind] for kind in ("transfer_out", "transfer_in")}
    assert [row.reversal_of_id for row in sides["transfer_in"]] == [row.id for row in sides["transfer_out"]]
    agreed = "as agreed"
    assert [(row.kind, row.available_change, row.reason, row.batch_id) for row in rows] == [
        *[("grant", 4, None, None)] * 3,
        ("transfer_out", -1, agreed, moved), ("transfer_in", 1, agreed, moved),
        ("transfer_out", -2, agreed, changed), ("transfer_in", 4, agreed, changed),
        ("extend", 0, agreed, longer), *[("extend", 0, agreed, later)] * 2,
        ("void", -4, agreed, gone), ("void", 4, "wrong list", gone),
        ("grant", 6, "sold", None), ("void", -2, "r" * 500, None), *[("extend", 0, "pause", None)] * 2,
        ("expire", -1, None, None), ("expire", -1, None, None), ("expire", -4, None, None),
    ]


def test_of_a_booking_the_ledger_says_it_and_the_log(studio, ada, caplog):
    client = studio.clients(1)[0]
    studio.grant([client], 4, expires_on=studio.today + DAY)
    lot = studio.lots(client)[0].id
    studio.reserve(client, 69)
    studio.release(69)
    caplog.set_level("INFO", "enrollment_addon")
    caplog.clear()
    studio.reserve(client, 70, quantity=2, actor=ada)
    for verb, reason in (("consume", "late" * 200), ("restore", "was ill")):
        studio.act(verb, 70, reason=reason, actor=ada)
    studio.release(70, reason="x" * 501, actor=ada)
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    studio.reserve(client, 70, actor=ada)
    studio.release(70, actor=ada)
    facts = ("event", "user_id", "record", "record_id", "client_id", "credits")
    assert [tuple(line[name] for name in facts) for line in lines] == [
        (f"{verb}_credits", ada.user_id, "booking", 70, client, 2)
        for verb in ("reserve", "consume", "restore", "release")
    ]
    with unit_of_work(studio.session):
        rows = studio.session.execute(select(entries).where(entries.c.booking_id == 70).order_by(entries.c.id)).all()
    kept = ("kind", "lot_id", "available_change", "reserved_change", "reason", "reversal_of_id", "turn", "batch_id")
    key = [row.id for row in rows]
    assert [tuple(getattr(row, name) for name in kept) for row in rows] == [
        ("reserve", lot, -2, 2, None, None, 0, None),
        ("consume", lot, 0, -2, ("late" * 200)[:500], None, 0, None),
        ("restore", lot, 0, 2, "was ill", key[1], 0, None),
        ("release", lot, 2, -2, "x" * 500, key[2], 0, None),
        ("reserve", lot, -1, 1, None, None, 1, None),
        ("release", lot, 1, -1, None, key[4], 1, None),
    ]
    assert {(row.actor_id, row.at, row.member_id, row.old_expires_on, row.new_expires_on) for row in rows} == {
        (ada.user_id, NOON, None, None, None)
    }

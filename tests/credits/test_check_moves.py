"""The proof of both sides of what moved: transfers, conversions and merges of clients."""

import pytest
from sqlalchemy import select, text

from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits import people_hooks, service
from enrollment_addon.credits.models import entries
from enrollment_addon.people.service import merge_clients
from tests import factories
from tests.credits.test_check import ENTRY, LOT, write

pytestmark = pytest.mark.databases("sqlite")

TRANSFER, CONVERT = "credits.transfer", "credits.convert"
ONE_SIDED, DIFFERS = ("transfer_one_sided", "transfer_out"), ("transfer_differs", "transfer_out")
ARRIVED = f"(SELECT max(lot_id) FROM {ENTRY} WHERE batch_id = :batch AND kind = 'transfer_in')"
LOST = [f"DELETE FROM {ENTRY} WHERE lot_id = {ARRIVED}"]
"""The statement works on the last arrival; its lot is then without entries, and goes as well."""
FEWER = [f"UPDATE {ENTRY} SET available_change = available_change - 1 WHERE lot_id = {ARRIVED}"]
MORE = [f"UPDATE {ENTRY} SET available_change = available_change + 1 WHERE lot_id = {ARRIVED}"]
UNEVEN = {
    "one of two arrivals is gone": (TRANSFER, False, LOST, [(*ONE_SIDED, "left 2, arrived 0, missing 2")], (3, 3)),
    "less arrived": (TRANSFER, False, FEWER, [(*DIFFERS, "left 2, arrived 1, missing 1")], (2, 4)),
    "more arrived": (TRANSFER, False, MORE, [(*DIFFERS, "left 2, arrived 3, missing -1")], (1, 5)),
    "an arrival from nowhere": (
        TRANSFER, False, [f"UPDATE {ENTRY} SET reversal_of_id = 1 WHERE lot_id = {ARRIVED}"],
        [("transfer_one_sided", "transfer_in", "left 0, arrived 2, missing -2"),
         (*ONE_SIDED, "left 2, arrived 0, missing 2")],
        (3, 3),
    ),
    "taken from the one and not given back to the other": (
        TRANSFER, True, [
            f"DELETE FROM {ENTRY} WHERE id = (SELECT max(id) FROM {ENTRY} WHERE batch_id = :batch "
            "AND available_change > 0)",
        ], [(*DIFFERS, "left 2, arrived 2, missing 2")], (6, 0),
    ),
    "a conversion lost a step": (CONVERT, False, LOST, [(*DIFFERS, "left 4, arrived 2, missing 2")], (4, 2)),
    "a conversion brought too little": (CONVERT, False, FEWER, [(*DIFFERS, "left 4, arrived 3, missing 1")], (3, 3)),
    "a conversion brought too much": (CONVERT, False, MORE, [(*DIFFERS, "left 4, arrived 5, missing -1")], (2, 4)),
}
"""What goes wrong with a move of most of six credits of two lots: what is told, and what is there after the repair."""


def told_of(session, **options):
    """The findings about moves, not yet committed: code, kind of the entry that is named, and the numbers."""
    result = []
    for finding in service.check_ledger(session, **options):
        if finding.code.startswith("transfer"):
            name, _, numbers = finding.detail.partition(": ")
            entry = session.execute(select(entries).where(entries.c.id == int(name.split()[1]))).one()
            assert (entry.lot_id, entry.client_id) == (finding.lot_id, finding.client_id)
            result.append((finding.code, str(entry.kind), numbers))
    return result


def test_as_many_credits_arrive_as_have_left(studio):
    session = studio.session
    with unit_of_work(session):
        private = factories.make_event_type(session).id
    for name in ("update", "delete"):
        write(studio, text(f"DROP TRIGGER {ENTRY}_no_{name}"))
    for what, (kind, undone, statements, told, there) in UNEVEN.items():
        giver, taker = studio.clients(2)
        studio.grant([giver], 3, unit_value="5")
        studio.grant([giver], 3, expires_on=studio.today)
        if kind == TRANSFER:
            made = studio.move(
                "transfer_credits", from_client_id=giver, to_client_id=taker, event_type_id=studio.type_id, quantity=5
            )
        else:
            made = studio.move(
                "convert_credits", client_id=giver, from_event_type_id=studio.type_id, to_event_type_id=private,
                quantity=4, give=2, get=2,
            )
        if undone:
            studio.undo(made["batch_id"])
        assert studio.findings() == [], what
        with unit_of_work(session):
            session.execute(text("PRAGMA ignore_check_constraints = ON"))
            for statement in statements:
                session.execute(text(statement), {"batch": made["batch_id"]})
            session.execute(text(f"DELETE FROM {LOT} WHERE id NOT IN (SELECT lot_id FROM {ENTRY})"))
        with unit_of_work(session):
            assert told_of(session) == told, what
        studio.findings(repair=True)
        assert studio.findings() == [], what
        held = [
            sum(lot.available for lot in studio.lots(giver, taker) if (lot.client_id, lot.event_type_id) == key)
            for key in ((giver, studio.type_id), (taker, studio.type_id) if kind == TRANSFER else (giver, private))
        ]
        assert tuple(held) == there, what
        assert not any(lot.reserved for lot in studio.lots(giver, taker)), what

    pair = studio.clients(2)
    studio.grant(pair, 4)
    made = studio.move(
        "convert_for_clients", clients=pair, from_event_type_id=studio.type_id, to_event_type_id=private, give=2, get=1,
        threshold=500, chunk=10,
    )
    with unit_of_work(session):
        for client, change in zip(pair, (1, -1), strict=True):
            session.execute(
                text(f"UPDATE {ENTRY} SET available_change = available_change + :change WHERE kind = 'transfer_in' "
                     "AND client_id = :client AND batch_id = :batch"),
                {"change": change, "client": client, "batch": made["batch_id"]},
            )
    last = studio.grant(pair, 1)["batch_id"]
    with unit_of_work(session):
        assert told_of(session, size=1) == told_of(session) == [
            (*DIFFERS, "left 4, arrived 3, missing -1"), (*DIFFERS, "left 4, arrived 1, missing 2"),
        ], "each client's conversion is proved alone, and once"
    studio.findings(repair=True)
    assert studio.findings() == []
    assert [studio.balance(client)[0] for client in pair] == [1, 3]
    studio.undo(last)
    made = studio.move(
        "convert_for_clients", clients=pair, from_event_type_id=private, to_event_type_id=studio.type_id, give=1, get=2,
        threshold=500, chunk=10,
    )
    giver, taker = pair
    again = studio.move(
        "transfer_credits", from_client_id=taker, to_client_id=giver, event_type_id=studio.type_id, quantity=1
    )
    studio.undo(made["batch_id"])
    assert studio.findings() == []
    session.execute(
        text(f"DELETE FROM {ENTRY} WHERE batch_id = :batch AND client_id = :giver AND kind = 'transfer_out' "
             "AND available_change > 0"), {"batch": made["batch_id"], "giver": giver},
    )
    assert told_of(session) == [(*DIFFERS, "left 2, arrived 4, missing 2")], "with what was undone later"
    session.rollback()
    with unit_of_work(session):
        session.execute(text(f"DELETE FROM {ENTRY} WHERE lot_id = {ARRIVED}"), {"batch": again["batch_id"]})
        session.execute(text(f"DELETE FROM {LOT} WHERE id NOT IN (SELECT lot_id FROM {ENTRY})"))
        assert told_of(session) == [(*ONE_SIDED, "left 1, arrived 0, missing 1")], "it is proved on"


def test_what_leaves_by_a_merge_arrives_with_whom_the_client_was_merged_into(studio):
    people_hooks.plug_in()
    session = studio.session
    with unit_of_work(session):
        private = factories.make_event_type(session).id
    for name in ("update", "delete"):
        write(studio, text(f"DROP TRIGGER {ENTRY}_no_{name}"))
    one, two, into, other = studio.clients(4)
    studio.grant([one, two, other], 3)
    studio.grant([one], 1, event_type_id=private)
    for source in (one, two):
        with unit_of_work(session):
            merge_clients(session, source_id=source, target_id=into, reason="same person", actor=SYSTEM)
    assert studio.findings() == studio.findings(size=1) == []
    lost = [(*ONE_SIDED, "left 3, arrived 0, missing 3")]
    left = f"(SELECT id FROM {ENTRY} WHERE client_id = {two} AND kind = 'transfer_out')"
    arrived = f"UPDATE {ENTRY} SET {{}} WHERE reversal_of_id = {left}"
    nowhere = ("transfer_one_sided", "transfer_in", "left 0, arrived 3, missing -3")
    for statement, told in (
        (f"DELETE FROM {ENTRY} WHERE reversal_of_id = {left}", lost),
        (f"DELETE FROM {ENTRY} WHERE available_change = 1 AND kind = 'transfer_in'",
         [(*ONE_SIDED, "left 1, arrived 0, missing 1")]),
        (arrived.format("available_change = 2"), [(*DIFFERS, "left 3, arrived 2, missing 1")]),
        (arrived.format("available_change = 5"), [(*DIFFERS, "left 3, arrived 5, missing -2")]),
        (arrived.format(f"event_type_id = {private}"), lost),
        (arrived.format(f"client_id = {other}"), lost),
        (f"UPDATE enrollment_client SET merged_into_id = {other} WHERE id = {two}", lost),
        (arrived.format("reversal_of_id = 1"), [*lost, nowhere]),
        (arrived.format("reversal_of_id = NULL"), [*lost, nowhere]),
    ):
        session.execute(text(statement))
        assert told_of(session) == told, statement
        session.rollback()
    write(studio, text(arrived.format("reversal_of_id = NULL")))
    with unit_of_work(session):
        assert told_of(session, size=1) == told, "each once"
    studio.findings(repair=True)
    assert studio.findings() == []
    assert [studio.balance(client)[0] for client in (one, two, into, other)] == [0, 3, 3, 3]
    studio.reserve(into, 1, quantity=3)
    write(studio, text(
        f"UPDATE {ENTRY} SET available_change = 5 WHERE client_id = {into} AND event_type_id = {studio.type_id} "
        f"AND reversal_of_id IN (SELECT id FROM {ENTRY} WHERE client_id = {one})"
    ))
    with unit_of_work(session):
        assert told_of(session) == [(*DIFFERS, "left 3, arrived 5, missing -2")]
    studio.findings(repair=True)
    assert studio.findings() == [], "what was spent before the repair stays spent, and is not told again"

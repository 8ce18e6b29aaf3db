"""The proof of the ledger, and what it does about a broken one."""

import datetime as dt

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError

from enrollment_addon.core import clock
from enrollment_addon.core.batches import batches
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.credits import service
from enrollment_addon.credits.models import EntryKind, Origin, balances, entries, lots
from enrollment_addon.credits.service.check_links import REPAIRED
from tests import factories

pytestmark = pytest.mark.all_databases


@pytest.fixture
def granted(studio):
    """Three clients with two credits each, the first has booked one."""
    clients = studio.clients(3)
    studio.grant(clients, 2)
    studio.reserve(clients[0], 1)
    return clients


def write(studio, statement, **parameters):
    with unit_of_work(studio.session):
        studio.session.execute(statement, parameters)


def codes(findings):
    return [(finding.code, finding.client_id) for finding in findings]


def test_a_sound_ledger_has_no_findings(studio, granted):
    assert studio.findings() == []
    assert studio.findings(size=1) == []


def test_a_wrong_balance_is_found_and_put_right(studio, granted):
    wrong = granted[1]
    write(studio, update(balances).where(balances.c.client_id == wrong).values(available=9))
    assert codes(studio.findings(size=1)) == [("balance_differs", wrong)]
    assert studio.balance(wrong) == (9, 0, 0), "looking does not repair"
    assert [finding.repaired for finding in studio.findings(repair=True)] == [True]
    assert studio.balance(wrong) == (2, 0, 0)
    assert studio.findings() == []


def test_missing_and_orphaned_balances_are_found(studio, granted):
    missing = granted[0]
    nobody = studio.clients(1)[0]
    write(studio, balances.delete().where(balances.c.client_id == missing))
    write(
        studio,
        insert(balances).values(
            client_id=nobody, event_type_id=studio.type_id, available=4, reserved=0, used=0
        ),
    )
    assert codes(studio.findings()) == [("balance_differs", missing), ("balance_differs", nobody)]
    studio.findings(repair=True)
    assert studio.balance(missing) == (1, 1, 0)
    assert studio.balance(nobody) == (0, 0, 0)
    assert studio.findings() == []


def test_a_lot_that_differs_from_its_entries_is_brought_to_them(studio, granted):
    lot = studio.lots(granted[2])[0].id
    write(studio, update(lots).where(lots.c.id == lot).values(available=1, used=1))
    found = studio.findings()
    assert codes(found) == [("lot_differs", granted[2]), ("balance_differs", granted[2])]
    assert [finding.detail for finding in found] == [
        "quantity 2; lot/entries: available 1/2, reserved 0/0, used 1/0, expired 0/0, voided 0/0, transferred 0/0",
        f"event type {studio.type_id}; balance/lots: available 2/1, reserved 0/0, used 0/1",
    ]
    assert [(finding.lot_id, finding.repaired) for finding in found] == [(lot, False), (None, False)]
    studio.findings(repair=True)
    assert [(row.available, row.used) for row in studio.lots(granted[2])] == [(2, 0)]
    assert studio.findings() == []


def test_a_lot_without_entries_gets_its_grant(studio, granted):
    row = studio.lots(granted[2])[0]
    copy = {**row._mapping, "batch_id": None}
    del copy["id"]
    write(studio, insert(lots).values(**copy))
    assert codes(studio.findings()) == [("lot_without_entries", granted[2]), ("balance_differs", granted[2])]
    studio.findings(repair=True)
    assert studio.balance(granted[2]) == (4, 0, 0)
    assert studio.findings() == []


def test_impossible_entries_are_answered_by_correcting_ones(studio, granted):
    lot = studio.lots(granted[2])[0]
    values = {
        "lot_id": lot.id, "client_id": lot.client_id, "event_type_id": lot.event_type_id,
        "kind": EntryKind.void, "available_change": -5, "reserved_change": 0, "at": lot.granted_at, "turn": 0,
    }
    write(studio, insert(entries).values(**values))
    assert codes(studio.findings()) == [("lot_differs", granted[2])]
    studio.findings(repair=True)
    assert studio.kinds(granted[2]) == ["grant", "void", "grant"]
    assert [(row.quantity, row.available, row.voided) for row in studio.lots(granted[2])] == [(5, 0, 5)]
    assert studio.findings() == []


def test_an_entry_of_another_client_is_reported_but_never_changed(studio, granted):
    lot = studio.lots(granted[2])[0]
    values = {
        "lot_id": lot.id, "client_id": granted[0], "event_type_id": lot.event_type_id,
        "kind": EntryKind.grant, "available_change": 0, "reserved_change": 0, "at": lot.granted_at, "turn": 0,
    }
    write(studio, insert(entries).values(**values))
    for repair in (True, False):
        (finding,) = studio.findings(repair=repair)
        assert (finding.code, finding.lot_id, finding.repaired) == ("entry_differs", lot.id, False)


LOT = "enrollment_credit_lot"
ENTRY = "enrollment_credit_entry"
BALANCE = "enrollment_credit_balance"
VALUES = "lot_id, client_id, event_type_id, kind, available_change, reserved_change, at, turn"
COPY = f"INSERT INTO {ENTRY} ({VALUES}{{more}}) SELECT {{lot}}, client_id, event_type_id, '{{kind}}', {{change}}"
PLANTED = {
    "lot_differs": [f"UPDATE {LOT} SET available = available + 3 WHERE id = :lot"],
    "lot_negative": [
        f"UPDATE {LOT} SET available = -2, voided = 4 WHERE id = :lot",
        COPY.format(lot="id", kind="void", change="-4, 0, granted_at, 0", more="") + f" FROM {LOT} WHERE id = :lot",
    ],
    "entry_without_lot": [f"DELETE FROM {LOT} WHERE id = :lot"],
    "reserved_twice": [
        COPY.format(lot="lot_id", kind="reserve", change="-1, 1, at, 1, booking_id", more=", booking_id")
        + f" FROM {ENTRY} WHERE booking_id = 1 AND kind = 'reserve' AND turn = 0",
        f"UPDATE {LOT} SET available = available - 1, reserved = reserved + 1 WHERE id = "
        f"(SELECT lot_id FROM {ENTRY} WHERE booking_id = 1 AND turn = 0)",
        f"UPDATE {BALANCE} SET available = available - 1, reserved = reserved + 1 WHERE client_id = :booked",
    ],
    "transfer_one_sided": [
        COPY.format(lot="id", kind="transfer_out", change="-1, 0, granted_at, 0", more="")
        + f" FROM {LOT} WHERE id = :lot",
        COPY.format(lot="id", kind="transfer_in", change="1, 0, granted_at, 0", more="")
        + f" FROM {LOT} WHERE id = :lot",
        f"UPDATE {LOT} SET quantity = 3, transferred = 1 WHERE id = :lot",
    ],
    "lot_does_not_add_up": [f"UPDATE {LOT} SET quantity = quantity + 1 WHERE id = :lot"],
    "expired_but_spendable": [f"UPDATE {LOT} SET expires_on = '2020-01-01' WHERE id = :lot"],
    "client_missing": [
        "DELETE FROM enrollment_participant WHERE client_id = :client",
        "DELETE FROM enrollment_client WHERE id = :client",
    ],
    "batch_differs": [
        f"DELETE FROM {ENTRY} WHERE lot_id = :lot", f"DELETE FROM {LOT} WHERE id = :lot",
        f"DELETE FROM {BALANCE} WHERE client_id = :client",
    ],
}
"""What goes wrong behind the add-on's back, by the code it is found under."""


@pytest.mark.databases("sqlite", "postgresql")
def test_whatever_was_planted_is_found_and_put_right(studio):
    """Raw SQL with triggers, keys and checks off; after the repair the ledger is sound, entry by entry."""
    clients = iter(studio.clients(len(PLANTED) * 2 + 1))
    session = studio.session
    postgresql = session.get_bind().dialect.name == "postgresql"
    booked = next(clients)
    studio.grant([booked], 5)
    studio.reserve(booked, 1)
    for name in ("update", "delete"):
        if not postgresql:
            write(studio, text(f"DROP TRIGGER {ENTRY}_no_{name}"))
    for name in ("not_negative", "adds_up") if postgresql else ():
        write(studio, text(f"ALTER TABLE {LOT} DROP CONSTRAINT ck_{LOT}_{name}"))
    for code, statements in PLANTED.items():
        client = next(clients)
        studio.grant([client, next(clients)], 2)
        lot = studio.lots(client)[0].id
        session.rollback()
        if not postgresql:
            session.execute(text("PRAGMA foreign_keys = OFF"))
            session.execute(text("PRAGMA ignore_check_constraints = ON"))
        with unit_of_work(session):
            if postgresql:
                session.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                session.execute(text(statement), {"lot": lot, "client": client, "booked": booked})
        found = [finding.code for finding in studio.findings(size=1 if code == "client_missing" else 3)]
        assert code in found, (code, found)
        assert all(finding.repaired for finding in studio.findings(repair=True, size=3)), code
        assert studio.findings(size=3) == [], code
    with unit_of_work(session):
        assert session.execute(text("SELECT count(*) FROM enrollment_client")).scalar() == len(PLANTED) * 2 + 1


def plant(studio, row, **values):
    """A copy of an entry, told otherwise."""
    values = {**row._mapping, **values}
    del values["id"]
    with unit_of_work(studio.session):
        return studio.session.execute(insert(entries).values(**values)).inserted_primary_key[0]


def last_entry(studio, client):
    with unit_of_work(studio.session):
        theirs = select(entries).where(entries.c.client_id == client).order_by(entries.c.id.desc())
        return studio.session.execute(theirs).first()


@pytest.mark.databases("sqlite")
def test_each_finding_says_what_is_wrong_once_and_each_repair_what_it_did(studio):
    session, begun = studio.session, dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
    with unit_of_work(session):
        other = factories.make_event_type(session).id
        _, dollars, _ = (factories.make_club(session, currency=currency).id for currency in ("JPY", "USD", "USD"))
    no_lot, twice, again, right, swept, odd = studio.clients(6)
    no_client = studio.clients(1, club_id=dollars)[0]
    with clock.frozen(begun):
        lost = studio.grant([no_lot], 3, note="gift", unit_value="5")["batch_id"]
        studio.grant([twice, again, right, odd], 5)
        left = studio.grant([no_client], 2)["batch_id"]
        studio.grant([right], 3, event_type_id=other)
        studio.grant([swept], 2, expires_on=studio.today)
        for days, over in ((1, {"held": False}), (0, {"held": True}), (0, {"available": 0, "voided": 2})):
            studio.grant([swept], 2, expires_on=studio.today + dt.timedelta(days=days))
            write(studio, update(lots).where(lots.c.id == studio.lots(swept)[-1].id).values(**over))
        plant(studio, last_entry(studio, swept), kind="void", available_change=-2)
        write(studio, update(balances).where(balances.c.client_id == swept).values(available=6))
        open_batch = studio.grant([right, odd], threshold=0)["batch_id"]
        studio.void([studio.lots(odd)[0].id])
        for booking, client in enumerate((twice, again, right, no_lot), 1):
            studio.reserve(client, booking)
        for booking, client in ((2, again), *[(3, right)] * 3):
            studio.release(booking)
            studio.reserve(client, booking)
    doubled = []
    for client, turn in ((twice, 1), (again, 2)):
        row = last_entry(studio, client)
        plant(studio, row, turn=turn)
        doubled.append(row.id)
        write(studio, update(lots).where(lots.c.id == row.lot_id).values(available=3, reserved=2))
        write(studio, update(balances).where(balances.c.client_id == client).values(available=3, reserved=2))
    entry = last_entry(studio, no_lot).id
    stray = plant(studio, last_entry(studio, odd), event_type_id=other, available_change=0)
    nobody = {"client_id": odd, "event_type_id": other, "available": 4, "reserved": 0, "used": 0}
    write(studio, insert(balances).values(**nobody))
    lot_of = {row.client_id: row.id for row in reversed(studio.lots())}
    session.execute(text("PRAGMA foreign_keys = OFF"))
    with unit_of_work(session):
        session.execute(update(batches).where(batches.c.id == open_batch).values(done=1))
        session.execute(lots.delete().where(lots.c.client_id == no_lot))
        session.execute(text("DELETE FROM enrollment_client WHERE id = :id"), {"id": no_client})

    Finding = service.Finding
    expected = [
        Finding("entry_without_lot", lot_of[no_lot], no_lot, "entry 1"),
        Finding("entry_without_lot", lot_of[no_lot], no_lot, f"entry {entry}"),
        Finding("entry_differs", lot_of[odd], odd, f"entry {stray}"),
        Finding("client_missing", lot_of[no_client], no_client, f"batch {left}"),
        Finding("batch_differs", None, None, f"batch {lost}: clients 1, lots 0"),
        Finding("reserved_twice", lot_of[twice], twice, f"booking 1, entry {doubled[0]}"),
        Finding("reserved_twice", lot_of[again], again, f"booking 2, entry {doubled[1]}"),
        Finding("balance_differs", None, no_lot,
                f"event type {studio.type_id}; balance/lots: available 2/0, reserved 1/0, used 0/0"),
        Finding("balance_differs", None, odd,
                f"event type {other}; balance/lots: available 4/0, reserved 0/0, used 0/0"),
        Finding("expired_but_spendable", lot_of[swept], swept, "2 until 2025-03-10"),
    ]
    now, few, shares = begun + dt.timedelta(days=3), [], []
    with clock.frozen(now):
        assert studio.findings(progress=few.append) == expected
        assert studio.findings(size=1, progress=shares.append) == expected, "each once"
        assert (shares, shares[-1]) == (sorted(shares), 1.0)
        assert len(few) < len(shares)
        studio.findings(repair=True)
        assert studio.findings() == expected[2:3], "an entry stays as it is"
    with unit_of_work(session):
        client = session.get(factories.Client, no_client)
        written = session.execute(select(entries).where(entries.c.at == now).order_by(entries.c.id)).all()
        served = session.execute(select(batches.c.done).where(batches.c.id == lost)).scalar()
        assert (client.first_name, client.last_name, client.club_id) == ("Erased client", f"#{no_client}", dollars)
        assert (client.archived, client.erased_at, client.tags) == (True, now, [])
    kept = ("client_id", "kind", "available_change", "reserved_change", "reversal_of_id", "booking_id")
    assert [tuple(getattr(row, name) for name in kept) for row in written] == [
        (twice, "release", 1, -1, doubled[0], None), (again, "release", 1, -1, doubled[1], None),
        (swept, "expire", -2, 0, None, None),
    ]
    assert {(row.reason, row.actor_id, row.turn) for row in written} == {(REPAIRED, None, 0)}
    assert served == 0
    (back,) = studio.lots(no_lot)
    assert (back.id, back.quantity, back.available, back.reserved) == (lot_of[no_lot], 3, 2, 1)
    assert (back.origin, back.note, back.granted_at, back.currency) == (Origin.manual, REPAIRED, begun, "EUR")


@pytest.mark.parametrize(
    "statement",
    ["UPDATE enrollment_credit_entry SET available_change = 9", "DELETE FROM enrollment_credit_entry"],
)
def test_the_database_itself_keeps_the_ledger(studio, granted, statement):
    with pytest.raises(DBAPIError), unit_of_work(studio.session):
        studio.session.execute(text(statement))
    assert studio.findings() == []

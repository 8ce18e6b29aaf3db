"""The second revision keeps the ledger: grace days move to a column of their own and back, nothing is lost."""

import pytest
from sqlalchemy import Engine, insert, update
from sqlalchemy.orm import Session

from enrollment_addon.core import clock, install
from enrollment_addon.credits.models import EntryKind, entries, lots
from tests import factories
from tests.core.test_migrations import host, run, values

__all__ = ["host"]

pytestmark = pytest.mark.all_databases
TOLD = "SELECT reason FROM enrollment_credit_entry WHERE kind = 'release' ORDER BY id"


def test_the_ledger_survives_the_way_down_and_up(host: Engine) -> None:
    install.upgrade(host, "0002")
    day = clock.today("UTC")
    with Session(host) as session:
        client = factories.make_client(session)
        lot = factories.make_lot(session, client, factories.make_event_type(session))
        common = {
            "lot_id": lot.id, "client_id": client.id, "event_type_id": lot.event_type_id, "available_change": 0,
            "reserved_change": 0, "at": clock.now(), "turn": 0,
        }
        for reason in ("ill", None):
            session.execute(
                insert(entries).values(**common, kind=EntryKind.release, reason=reason, new_expires_on=day)
            )
        session.commit()

    install.downgrade(host, "0001")
    assert values(host, TOLD) == [f"grace:{day} ill", f"grace:{day}"]
    install.upgrade(host, "0002")
    assert values(host, TOLD) == ["ill", None]
    found = values(host, "SELECT new_expires_on FROM enrollment_credit_entry WHERE kind = 'release'")
    assert [str(value) for value in found] == [str(day)] * 2

    with Session(host) as session:
        session.execute(insert(entries).values(**common, kind=EntryKind.extend))
        session.execute(update(lots).values(held=True))
        session.commit()
    with pytest.raises(install.DataWouldBeLost) as refusal:
        install.downgrade(host, "0001")
    assert "enrollment_credit_entry" in str(refusal.value)
    assert install.current(host) == "0002"
    install.downgrade(host, "0001", drop_data=True)
    assert values(host, TOLD) == [f"grace:{day} ill", f"grace:{day}"]
    with pytest.raises(Exception, match="append-only"):
        run(host, "DELETE FROM enrollment_credit_entry")

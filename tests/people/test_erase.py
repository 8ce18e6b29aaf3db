"""Erasing a client: no table knows their name any more, and the ledger still adds up."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import Table, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from enrollment_addon.core.audit import AuditEvent
from enrollment_addon.core.batches import Batch
from enrollment_addon.core.db import User, metadata, unit_of_work
from enrollment_addon.core.errors import InvalidInput
from enrollment_addon.core.scope import SYSTEM, acting_as
from enrollment_addon.credits import service as credits
from enrollment_addon.credits.models import CreditEntry, CreditLot
from enrollment_addon.jobs.models import Job, JobError, JobState
from enrollment_addon.jobs.service import PURGE_EXPORTS
from enrollment_addon.people import service
from enrollment_addon.people.errors import ClientClosed
from enrollment_addon.people.models import Client, Household, Participant
from tests import factories

from .conftest import Place

pytestmark = pytest.mark.all_databases
SECRETS = ("ottilie", "wüstenhagen", "01511234567", "01511 234567", "knee", "minka")


def erase(session: Session, client: Client, **over: Any) -> None:
    options = {"reason": "asked in writing", "typed_name": client.full_name, "actor": SYSTEM, **over}
    with unit_of_work(session):
        service.erase_client(session, client_id=client.id, **options)


def mentions(session: Session) -> list[str]:
    """Every place in the add-on's tables that still holds something personal, whatever the column."""
    found = []
    for table in metadata.sorted_tables:
        for row in session.execute(select(table)).mappings():
            found += [
                f"{table.name}.{name}: {value!r}" for name, value in row.items()
                if any(secret in repr(value).casefold() for secret in SECRETS)
            ]
    return found


@pytest.fixture
def ottilie(session: Session, place: Place) -> Client:
    """A client about whom staff wrote everywhere they can."""
    client = service.create_client(
        session, actor=SYSTEM, first_name="Ottilie", last_name="Wüstenhagen", club_id=place.north.id,
        email="ottilie@example.org", phone="01511 234567", birth_date=dt.date(1971, 3, 4), locale="de",
        tags=["knee"], notes="Bad knee", portal_user_id=factories.make_user_row(session).id,
    )
    service.create_participant(
        session, actor=SYSTEM, client_id=client.id, name="Minka", kind="pet", species="cat", notes="knee high"
    )
    service.create_household(
        session, actor=SYSTEM, name="Wüstenhagen", head_id=place.ann.id,
        members=[{"client_id": client.id, "relationship": "parent"}],
    )
    yoga = factories.make_event_type(session)
    session.commit()
    sizes = {"threshold": 500, "chunk": 1000, "actor": SYSTEM}
    with unit_of_work(session):
        credits.grant_credits(
            session, clients=[client.id], event_type_id=yoga.id, quantity=3, note="For the knee", **sizes
        )
        credits.grant_credits(
            session, clients=[client.id, place.bob.id], event_type_id=yoga.id, quantity=2,
            note="Ottilie and Bob", idempotency_key="pair", **sizes,
        )
    with unit_of_work(session):
        lot = session.scalars(select(CreditLot).where(CreditLot.client_id == client.id).limit(1)).one()
        credits.void_lots(session, lot_ids=[lot.id], reason="Ottilie’s knee", actor=SYSTEM)
        job = Job(
            kind="grant", state=JobState.done, message="Row 2: OTTILIE@example.org",
            input={"rows": [{"email": "ottilie@example.org", "name": "Ottilie Wüstenhagen"}]},
        )
        session.add(job)
        session.flush()
        session.add(
            JobError(
                job_id=job.id, item={"email": "ottilie@example.org"}, code="x",
                message="Ottilie Wüstenhagen is unknown",
            )
        )
    return client


def test_no_table_remembers_the_person(session: Session, place: Place, ottilie: Client) -> None:
    assert len(mentions(session)) > 15
    user_id, client_id = ottilie.portal_user_id, ottilie.id
    reason = "Ottilie Wüstenhagen asked by mail from ottilie@example.org"
    erase(session, ottilie, typed_name=" ottilie  WÜSTENHAGEN ", reason=reason)
    session.expire_all()
    account = session.get_one(User, user_id)
    assert (account.active, account.username, account.last_name) == (False, f"erased-{client_id}", f"#{client_id}")
    assert mentions(session) == []
    assert ottilie.full_name == f"Erased client #{client_id}"
    assert (ottilie.email, ottilie.birth_date, ottilie.portal_user_id, ottilie.tags) == (None, None, None, [])
    assert ottilie.archived
    assert ottilie.erased_at
    for participant in session.scalars(select(Participant).where(Participant.client_id == client_id)):
        assert participant.name == f"Erased participant #{participant.id}"
    last = session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()).limit(1)).one()
    assert (last.verb, last.reason) == ("erase_client_data", "[erased] asked by mail from [erased]")


def test_ledger_and_money_stay(session: Session, place: Place, ottilie: Client) -> None:
    numbers = select(CreditEntry.id, CreditEntry.lot_id, CreditEntry.kind, CreditEntry.available_change)
    before = session.execute(numbers.order_by(CreditEntry.id)).all()
    session.commit()
    erase(session, ottilie)
    assert session.execute(numbers.order_by(CreditEntry.id)).all() == before
    assert list(credits.check_ledger(session)) == []
    reasons = session.scalars(select(CreditEntry.reason).where(CreditEntry.kind == "void")).all()
    assert reasons == ["[erased]"]


def test_what_is_about_others_stays(session: Session, place: Place, ottilie: Client) -> None:
    service.update_client(session, id=place.bob.id, actor=SYSTEM, notes="Trains with Annette")
    session.commit()
    erase(session, ottilie)
    notes = session.scalars(select(Batch.note).order_by(Batch.id)).all()
    assert notes == ["[erased]", "[erased] and Bob", "[erased]"], "also why her credits were taken back"
    assert session.scalars(select(Household.name)).all() == ["[erased]"]
    session.expire_all()
    assert (place.bob.full_name, place.bob.notes) == ("Bob Baker", "Trains with Annette")


def test_a_family_name_that_others_have_stays_on_the_household(session: Session, place: Place) -> None:
    twin = factories.make_client(session, club=place.north, first_name="Una", last_name="Archer")
    home = factories.make_household(session, place.ann, twin, name="Una and Archers")
    session.commit()
    erase(session, twin)
    session.expire_all()
    assert home.name == "[erased] and Archers"


def test_the_records_merged_into_a_client_are_erased_along(session: Session, place: Place) -> None:
    twin = factories.make_client(
        session, club=place.south, first_name="Ottilie", last_name="Wüstenhagen", team_member_id=place.nora.id
    )
    session.commit()
    with unit_of_work(session):
        service.merge_clients(
            session, source_id=twin.id, target_id=place.ann.id, reason="same as Ottilie", actor=SYSTEM
        )
    with acting_as(session, place.own_clubs):  # who doesn't reach the club of the merged record
        erase(session, place.ann, actor=place.own_clubs)
    session.expire_all()
    assert twin.erased_at
    assert mentions(session) == []
    assert PURGE_EXPORTS in session.scalars(select(Job.kind)).all(), "files may hold what was erased"


@pytest.mark.parametrize(
    ("over", "field"),
    [
        ({"typed_name": "Bob"}, "typed_name"), ({"typed_name": ""}, "typed_name"),
        ({"typed_name": None}, "typed_name"), ({"reason": " "}, "reason"), ({"reason": "x" * 501}, "reason"),
    ],
)
def test_name_and_reason_are_asked_for(
    session: Session, place: Place, over: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        erase(session, place.bob, **over)
    assert list(refused.value.fields) == [field]
    assert place.bob.erased_at is None


def test_nobody_is_erased_twice(session: Session, place: Place) -> None:
    erase(session, place.bob)
    with pytest.raises(ClientClosed):
        erase(session, place.bob)


@pytest.mark.parametrize(
    "change",
    [
        "reason = 'better'", "reason = NULL", "reason = '[erased]', available_change = 99",
        "reason = '[erased]', actor_id = 7", "available_change = 99", "kind = 'void'",
    ],
)
def test_the_ledger_lets_nothing_through_but_an_erased_reason(
    session: Session, place: Place, change: str
) -> None:
    factories.make_lot(session, place.bob, factories.make_event_type(session))
    session.commit()
    with pytest.raises(DBAPIError, match="append-only"):
        session.execute(text(f"UPDATE enrollment_credit_entry SET {change}"))
    session.rollback()
    session.execute(text("UPDATE enrollment_credit_entry SET reason = '[erased]'"))
    table: Table = CreditEntry.__table__
    assert [row.available_change for row in session.execute(select(table))] == [10]

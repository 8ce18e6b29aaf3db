"""One item that breaks does not stop the job: the rest is done, it is listed with its reason, and done again later."""

import datetime as dt
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits import jobs, queries, service
from enrollment_addon.credits.imports import jobs as _import_jobs  # noqa: F401 - registers them
from enrollment_addon.credits.imports import service as imports
from enrollment_addon.credits.imports.calc import Options
from enrollment_addon.credits.imports.upload import upload
from enrollment_addon.credits.models import balances
from enrollment_addon.jobs import items
from enrollment_addon.jobs.models import JobState
from enrollment_addon.jobs.service import queue_job
from enrollment_addon.people.models import Client
from tests.breaking import broken, run
from tests.credits.conftest import Studio

pytestmark = pytest.mark.databases("sqlite")

JOB = {"threshold": 0, "chunk": 5}
LOT = "enrollment_credit_lot"


@contextmanager
def empty_balance(studio: Studio, client_id: int) -> Iterator[None]:
    """A balance that says less than its lots have, as after somebody wrote into the tables by hand."""
    mine = balances.c.client_id == client_id
    with unit_of_work(studio.session):
        before = studio.session.execute(select(balances.c.available).where(mine)).scalar_one()
        studio.session.execute(update(balances).where(mine).values(available=0))
    yield
    with unit_of_work(studio.session):
        studio.session.execute(update(balances).where(mine).values(available=before))


def test_bulk_verbs_and_the_sweep(
    studio: Studio, sound: Callable[[], bool], session_factory: sessionmaker[Session]
) -> None:
    clients = studio.clients(12)
    bad = clients[6]
    tomorrow, later = (studio.today + dt.timedelta(days=days) for days in (1, 40))
    theirs = f"NEW.client_id = {bad}"

    with broken(studio.session, "INSERT", LOT, theirs):
        granted = studio.grant(clients, expires_on=tomorrow, **JOB)
        view = run(session_factory, granted["job_id"])
        assert (view.state, view.done, view.failed, view.can_retry) == (JobState.done, 11, 1, True)
        assert [(e.item, e.code) for e in view.errors] == [(bad, "unexpected")]
        assert "IntegrityError" in view.errors[0].message
        view = run(session_factory, granted["job_id"], again=True)
        assert (view.done, view.failed) == (11, 1), "it is still so"
    assert run(session_factory, granted["job_id"], again=True).failed == 0
    assert all(studio.balance(client) == (2, 0, 0) for client in clients)
    assert sound()

    keys = {row.client_id: row.id for row in studio.lots()}
    with broken(studio.session, "UPDATE OF expires_on", LOT, theirs):
        extended = studio.move("extend_lots", lot_ids=list(keys.values()), expires_on=later, **JOB)
        assert [e.item for e in run(session_factory, extended["job_id"]).errors] == [keys[bad]]
    assert run(session_factory, extended["job_id"], again=True).failed == 0
    assert {row.expires_on for row in studio.lots()} == {later}

    with broken(studio.session, "UPDATE OF expires_on", LOT, theirs):
        undone = studio.undo(extended["batch_id"], **JOB)
        assert [e.item for e in run(session_factory, undone["job_id"]).errors] == [keys[bad]]
    assert run(session_factory, undone["job_id"], again=True).failed == 0
    assert {row.expires_on for row in studio.lots()} == {tomorrow}

    with empty_balance(studio, bad):
        voided = studio.move("void_lots", lot_ids=[keys[c] for c in clients[5:8]], **{**JOB, "chunk": 2})
        assert [e.item for e in run(session_factory, voided["job_id"]).errors] == [keys[bad]]
        with clock.frozen(clock.now() + dt.timedelta(days=3)):
            with unit_of_work(studio.session):
                sweep = queue_job(studio.session, kind=jobs.EXPIRE, input={"chunk": 5}, actor=SYSTEM).id
            view = run(session_factory, sweep)
    assert (view.total, view.done, [e.item for e in view.errors]) == (10, 9, [keys[bad]])
    assert view.result == {"credits": 18}
    with clock.frozen(clock.now() + dt.timedelta(days=3)):
        assert run(session_factory, sweep, again=True).done == 10
    assert [studio.balance(client) for client in clients] == [(0, 0, 0)] * 12
    assert sound()
    view = run(session_factory, voided["job_id"], again=True)
    assert (view.done, view.skipped, view.failed) == (2, 1, 0), "there is nothing left to void"


def test_the_undo_of_a_grant_and_an_import(
    studio: Studio, sound: Callable[[], bool], session_factory: sessionmaker[Session]
) -> None:
    clients = studio.clients(7)
    granted = studio.grant(clients)
    with empty_balance(studio, clients[2]):
        undone = studio.undo(granted["batch_id"], **JOB)
        view = run(session_factory, undone["job_id"])
        assert (view.done, [e.item for e in view.errors]) == (6, [clients[2]])
        assert (view.result["taken_back"], view.result["clients"]) == (12, 6)
    view = run(session_factory, undone["job_id"], again=True)
    assert (view.done, view.failed) == (7, 0)
    result = queries.batch_summary(studio.session, granted["batch_id"]).undo_result
    assert (result["taken_back"], result["clients"]) == (14, 7)
    assert not service.undo_skipped(studio.session, batch_id=granted["batch_id"], key=999_999, actor=SYSTEM)
    studio.session.rollback()
    assert [studio.balance(client) for client in clients] == [(0, 0, 0)] * 7

    rows = "".join(f"A,Nr {number}\n" for number in range(5))
    key = upload(studio.session, file=io.BytesIO(f"First name,Last name\n{rows}".encode()), name="a.csv", actor=SYSTEM)
    options = Options(columns={"first_name": 0, "last_name": 1}, club_id=studio.club_id)
    with unit_of_work(studio.session):
        imports.check_import(studio.session, import_id=key, options=options, actor=SYSTEM, threshold=100)
        job_id = imports.start_import(studio.session, import_id=key, actor=SYSTEM, threshold=0)
    assert job_id is not None
    with broken(studio.session, "INSERT", "enrollment_client", "NEW.last_name = 'Nr 3'"):
        view = run(session_factory, job_id)
        assert (view.done, view.failed) == (4, 1)
    assert studio.session.scalars(select(Client.last_name).where(Client.last_name == "Nr 3")).all() == []
    assert run(session_factory, job_id, again=True).failed == 0
    assert len(studio.session.scalars(select(Client.id).where(Client.last_name.like("Nr %"))).all()) == 5
    assert sound()


def test_what_breaks_all_the_time_ends_the_job(
    studio: Studio, session_factory: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "FAILURES_IN_A_ROW", 10)
    clients = studio.clients(13)
    with broken(studio.session, "INSERT", LOT, "1"):
        granted = studio.grant(clients, **JOB)
        view = run(session_factory, granted["job_id"])
    assert (view.state, view.code, view.failed) == (JobState.failed, "unexpected", 10)
    view = run(session_factory, granted["job_id"], again=True)
    assert (view.state, view.done, view.failed) == (JobState.done, 3, 10), "it goes on behind them"
    assert run(session_factory, granted["job_id"], again=True).done == 13
    assert sorted(row.client_id for row in studio.lots()) == clients

"""The unit of work, idempotency keys and types, as services rely on them."""

import datetime as dt
import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, func, make_url, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.core.audit import record_event
from enrollment_addon.core.db import IdempotencyKey, idempotent, insert_new, key_list, require, unit_of_work
from enrollment_addon.core.errors import Busy, IdempotencyMismatch, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM, set_actor
from enrollment_addon.credits.models import CreditBalance
from enrollment_addon.people.models import Client, Club
from tests import factories
from tests.jobs.host import logged

all_databases = pytest.mark.all_databases


def names(engine: Engine) -> set[str]:
    with Session(engine) as session:
        return set(session.execute(select(Club.__table__.c.name)).scalars())


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """What each call returned or raised, all of them run at once."""
    answers: list[Any] = [None] * len(calls)

    def run(position: int) -> None:
        try:
            answers[position] = calls[position]()
        except Exception as error:
            answers[position] = error

    threads = [threading.Thread(target=run, args=(position,)) for position in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


class TestUnitOfWork:
    @all_databases
    def test_keeps_everything_at_the_end(self, session: Session, engine: Engine) -> None:
        with unit_of_work(session):
            factories.make_club(session, name="North")
            factories.make_club(session, name="South")
            assert names(engine) == set()
        assert names(engine) == {"North", "South"}

    @all_databases
    def test_keeps_nothing_after_an_error(self, session: Session, engine: Engine) -> None:
        def add_and_fail() -> None:
            with unit_of_work(session):
                factories.make_club(session, name="North")
                raise NotFound

        with pytest.raises(NotFound):
            add_and_fail()
        with unit_of_work(session):
            factories.make_club(session, name="South")
        assert names(engine) == {"South"}

    @all_databases
    def test_joins_an_outer_one(self, session: Session, engine: Engine) -> None:
        def add_inside_and_fail() -> None:
            with unit_of_work(session):
                with unit_of_work(session):
                    factories.make_club(session, name="North")
                assert names(engine) == set()
                raise NotFound

        with pytest.raises(NotFound):
            add_inside_and_fail()
        assert names(engine) == set()

    @all_databases
    def test_sees_what_others_saved_after_the_page_was_read(
        self, session: Session, session_factory: sessionmaker[Session]
    ) -> None:
        with unit_of_work(session):
            key = factories.make_club(session, name="Before").id
        assert session.scalars(select(Club.name)).all() == ["Before"]
        with session_factory() as other, unit_of_work(other):
            other.get_one(Club, key).name = "After"
        with unit_of_work(session):
            assert session.scalars(select(Club.name)).all() == ["After"]
            assert require(session, Club, key, lock=True).name == "After"

    @pytest.mark.databases("sqlite")
    def test_a_locked_database_is_busy_and_unharmed(self, database_url: str) -> None:
        engine = create_engine(database_url, connect_args={"timeout": 0.1})
        holder = sqlite3.connect(make_url(database_url).database or "", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with Session(engine) as session:
            with pytest.raises(Busy), unit_of_work(session):
                factories.make_club(session, name="North")
            holder.execute("ROLLBACK")
            assert names(engine) == set()
            with unit_of_work(session):
                factories.make_club(session, name="South")
        assert names(engine) == {"South"}
        holder.close()
        engine.dispose()

    @pytest.mark.databases("sqlite")
    def test_a_full_disk_is_busy_and_nothing_is_half_written(self, database_url: str) -> None:
        engine = create_engine(database_url)

        @event.listens_for(engine, "connect")
        def fill(connection: Any, _: Any) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")

        def add_many() -> None:
            with unit_of_work(session):
                club = factories.make_club(session, name="Small")
                for _ in range(50):
                    factories.make_client(session, club=club, notes="x" * 20_000)

        with Session(engine) as session:
            with pytest.raises(Busy):
                add_many()
            assert names(engine) == set()
            assert session.scalar(select(func.count()).select_from(Client)) == 0
        engine.dispose()

    @pytest.mark.databases("postgresql", "mariadb")
    def test_one_of_two_in_a_deadlock_is_busy(self, session_factory: sessionmaker[Session]) -> None:
        with session_factory() as session, unit_of_work(session):
            keys = [factories.make_club(session).id for _ in range(2)]
        both = threading.Barrier(2)

        def rename(order: list[int]) -> str:
            with session_factory() as session, unit_of_work(session):
                session.execute(update(Club).where(Club.id == order[0]).values(name=f"first of {order}"))
                both.wait()
                session.execute(update(Club).where(Club.id == order[1]).values(name=f"second of {order}"))
            return "saved"

        answers = in_threads(lambda: rename(keys), lambda: rename(keys[::-1]))
        assert sorted(type(answer).__name__ for answer in answers) == ["Busy", "str"]

    @pytest.mark.databases("postgresql", "mariadb")
    def test_a_lost_connection_is_busy(self, session: Session, engine: Engine) -> None:
        ask, end = {
            "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(:id)"),
            "mysql": ("SELECT CONNECTION_ID()", "KILL :id"),
        }[engine.dialect.name]

        def add_on_a_connection_that_ends() -> None:
            with unit_of_work(session):
                factories.make_club(session, name="North")
                process = session.execute(text(ask)).scalar_one()
                with engine.connect() as other:
                    other.execute(text(end), {"id": process})
                factories.make_club(session, name="South")

        with pytest.raises(Busy):
            add_on_a_connection_that_ends()
        assert names(engine) == set()
        with unit_of_work(session):
            factories.make_club(session, name="East")
        assert names(engine) == {"East"}

    @pytest.mark.databases("postgresql")
    def test_no_free_connection_is_busy(self, database_url: str) -> None:
        engine = create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=0.1)
        with engine.connect(), Session(engine) as session, pytest.raises(Busy), unit_of_work(session):
            factories.make_club(session)
        engine.dispose()


def take_credits(url: str, turns: int, taken: Any) -> None:
    """Read, check, write: what loses credits wherever two of it can read the same state."""
    engine = create_engine(url, connect_args={"timeout": 30} if url.startswith("sqlite") else {})
    count, balance = 0, CreditBalance.__table__.c
    with Session(engine) as session:
        set_actor(session, SYSTEM)
        for _ in range(turns):
            with unit_of_work(session):
                left = session.execute(select(balance.available)).scalar_one()
                if left > 0:
                    session.execute(update(CreditBalance).values(available=left - 1))
                    count += 1
    engine.dispose()
    taken.put(count)


@pytest.mark.databases("sqlite")
def test_eight_processes_on_sqlite_never_take_a_credit_twice(database_url: str, session: Session) -> None:
    client, event_type = factories.make_client(session), factories.make_event_type(session)
    factories.make_lot(session, client, event_type, quantity=200)
    session.commit()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.core.test_db"])
    taken = context.Queue()
    workers = [context.Process(target=take_credits, args=(database_url, 40, taken)) for _ in range(8)]
    for worker in workers:
        worker.start()
    counts = [taken.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sum(counts) == 200
    assert session.execute(select(CreditBalance.available)).scalar_one() == 0


class TestIdempotency:
    @all_databases
    def test_the_same_request_is_carried_out_once(self, session: Session, engine: Engine) -> None:
        answers = []
        for _ in range(3):
            with unit_of_work(session):
                answers.append(
                    idempotent(
                        session, key="k", verb="tests.add", asked={"n": 1, "day": dt.date(2030, 1, 2)},
                        do=lambda: {"club_id": factories.make_club(session).id},
                    )
                )
        assert answers[0] == answers[1] == answers[2]
        assert len(names(engine)) == 1

    @all_databases
    @pytest.mark.parametrize(("verb", "asked"), [("tests.add", {"n": 2}), ("tests.remove", {"n": 1})])
    def test_the_key_of_another_request_is_refused(
        self, session: Session, verb: str, asked: dict[str, int]
    ) -> None:
        with unit_of_work(session):
            idempotent(session, key="k", verb="tests.add", asked={"n": 1}, do=lambda: {"done": True})
        with pytest.raises(IdempotencyMismatch), unit_of_work(session):
            idempotent(session, key="k", verb=verb, asked=asked, do=lambda: {"done": True})

    @all_databases
    def test_keys_differ_by_case(self, session: Session) -> None:
        with unit_of_work(session):
            for number, key in enumerate(["key", "KEY", "kéy"]):
                do = partial(dict, n=number)
                answer = idempotent(session, key=key, verb="tests.add", asked={}, do=do)
                assert answer == {"n": number}

    @all_databases
    def test_a_failed_request_may_be_made_again(self, session: Session, engine: Engine) -> None:
        def fail() -> dict[str, Any]:
            factories.make_club(session, name="Half")
            raise NotFound

        with pytest.raises(NotFound), unit_of_work(session):
            idempotent(session, key="k", verb="tests.add", asked={}, do=fail)
        assert names(engine) == set()
        with unit_of_work(session):
            answer = idempotent(session, key="k", verb="tests.add", asked={}, do=lambda: {"done": True})
        assert answer == {"done": True}

    def test_too_long_a_key_is_refused_rather_than_cut(self, session: Session) -> None:
        with unit_of_work(session):
            idempotent(session, key="k" * 200, verb="tests.add", asked={}, do=lambda: {"done": True})
            with pytest.raises(InvalidInput):
                idempotent(session, key="k" * 201, verb="tests.add", asked={}, do=lambda: {"done": True})

    def test_without_a_key_every_request_is_new(self, session: Session) -> None:
        with unit_of_work(session):
            for number in range(2):
                do = partial(dict, n=number)
                answer = idempotent(session, key=None, verb="tests.add", asked={}, do=do)
                assert answer == {"n": number}

    @all_databases
    @pytest.mark.parametrize("first_one_fails", [False, True])
    def test_two_at_the_same_moment(
        self, session_factory: sessionmaker[Session], engine: Engine, first_one_fails: bool
    ) -> None:
        """A double click: the second request waits for the first, then answers like it, or does the work."""
        inside, ran = threading.Event(), []

        def request(waits: bool) -> dict[str, Any]:
            if waits:
                inside.wait(10)
            with session_factory() as session, unit_of_work(session):
                return idempotent(session, key="k", verb="tests.add", asked={}, do=lambda: do(session, waits))

        def do(session: Session, waits: bool) -> dict[str, Any]:
            ran.append(waits)
            club = factories.make_club(session)
            if not waits:
                inside.set()
                time.sleep(0.3)
                if first_one_fails:
                    raise NotFound
            return {"club_id": club.id}

        first, second = in_threads(lambda: request(False), lambda: request(True))
        assert len(names(engine)) == 1
        if first_one_fails:
            assert isinstance(first, NotFound)
            assert ran == [False, True]
        else:
            assert first == second
            assert ran == [False]


@all_databases
class TestTypes:
    def test_instants_come_back_aware_in_utc_to_the_microsecond(self, session: Session) -> None:
        club = factories.make_club(session)
        tokyo = dt.timezone(dt.timedelta(hours=9))
        club.created_at = dt.datetime(2030, 1, 1, 8, 59, 59, 999_999, tzinfo=tokyo)
        session.commit()
        assert club.created_at == dt.datetime(2029, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC)
        assert club.created_at.utcoffset() == dt.timedelta(0)
        later = dt.datetime(2030, 1, 1, 9, tzinfo=tokyo)
        assert session.scalars(select(Club.id).where(Club.created_at < later)).all() == [club.id]
        assert session.scalars(select(Club.id).where(Club.created_at >= later)).all() == []

    def test_a_naive_instant_is_refused(self, session: Session) -> None:
        with pytest.raises(StatementError, match="instants are aware"):
            factories.make_club(session, created_at=dt.datetime(2030, 1, 1))

    def test_text_of_any_script_comes_back_as_it_was(self, session: Session) -> None:
        club = factories.make_club(session, name="Käthe’s 北京 نادي 🏊")
        session.commit()
        session.expire_all()
        assert club.name == "Käthe’s 北京 نادي 🏊"


@all_databases
class TestRows:
    def test_insert_new_inserts_once(self, session: Session) -> None:
        now = dt.datetime.now(dt.UTC)
        row = {"key": "k", "verb": "v", "fingerprint": "f", "result": None, "created_at": now}
        table: Any = IdempotencyKey.__table__
        assert insert_new(session, table, row, ["key"])
        assert not insert_new(session, table, {**row, "verb": "other"}, ["key"])
        assert session.execute(select(table.c.verb)).scalars().all() == ["v"]

    def test_insert_new_hides_no_other_fault(self, session: Session) -> None:
        table: Any = CreditBalance.__table__
        row = {"client_id": 4711, "event_type_id": 4711, "available": 1, "reserved": 0, "used": 0}
        with pytest.raises(IntegrityError):
            insert_new(session, table, row, ["client_id", "event_type_id"])

    def test_key_list_takes_any_number(self, session: Session) -> None:
        keys = [factories.make_club(session).id for _ in range(3)]
        wanted = key_list(session, [*keys[:2], *range(10_000, 100_000)])
        assert set(session.scalars(select(Club.id).where(Club.id.in_(wanted)))) == set(keys[:2])
        assert session.scalars(select(Club.id).where(Club.id.in_(key_list(session, [])))).all() == []

    @pytest.mark.parametrize("key", [0, -1, 2**63, 4711, "1"])
    def test_require_finds_no_such_record(self, session: Session, key: Any) -> None:
        factories.make_club(session)
        with pytest.raises(NotFound):
            require(session, Club, key)


@pytest.mark.databases("sqlite")
def test_a_verb_is_logged_when_it_is_known_how_it_ended(session: Session) -> None:
    def work(error: Exception | None) -> None:
        with unit_of_work(session):
            record_event(session, actor=SYSTEM, verb="do_it", record="thing", count=3)
            assert not lines, "not before it is kept"
            if error:
                raise error

    told = []
    for error in (None, InvalidInput(), ZeroDivisionError()):
        with logged() as lines, suppress(InvalidInput, ZeroDivisionError):
            work(error)
        told += [(line["event"], line["count"], line["result"], line.get("code"), line.get("error")) for line in lines]
        assert all(line["seconds"] >= 0 for line in lines)
    assert told == [
        ("do_it", 3, "ok", None, None), ("do_it", 3, "refused", "invalid_input", None),
        ("do_it", 3, "failed", None, "ZeroDivisionError"),
    ]
    with logged() as lines, suppress(InvalidInput), unit_of_work(session):
        raise InvalidInput
    assert [(line["event"], line["result"]) for line in lines] == [("verb", "refused")]

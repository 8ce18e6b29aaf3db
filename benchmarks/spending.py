"""Reserving credits from many processes at once."""

import datetime as dt
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, make_url, select
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.core import scope
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.credits.errors import NotEnoughCredits
from enrollment_addon.credits.models import balances
from enrollment_addon.credits.service import check_ledger, grant_credits, reserve_credits
from enrollment_addon.people.models import Client
from tests.servers import load_models

from .databases import analyze, databases, filled, new_event_type
from .registry import Comparison, Options, SideBySide, benchmark

PROCESSES = 8
CLIENTS = 10_000
HOT_CREDITS = 1_000
BOOKINGS_PER_PROCESS = 10_000_000
DAY = dt.date(2999, 1, 1)
"""The day of every session: the lots never expire."""

_spawn = multiprocessing.get_context("spawn")


def reserve_loop(url: str, event_type_id: int, clients: range, seconds: float, number: int, salt: int) -> int:
    """Reserve one credit after the other through the service until the time or the credits are over."""
    load_models()
    factory = sessionmaker(create_engine(url), info={"enrollment_actor": scope.SYSTEM})
    scope.install(factory)
    pick, done = random.Random(number), 0
    booking = (salt * PROCESSES + number) * BOOKINGS_PER_PROCESS
    with factory() as session:
        session.execute(select(1))
        session.rollback()
        until = _start_together() + seconds
        while time.monotonic() < until:
            try:
                with unit_of_work(session):
                    reserve_credits(
                        session, client_id=pick.choice(clients), event_type_id=event_type_id,
                        booking_id=booking + done, on=DAY, actor=scope.SYSTEM,
                    )
            except NotEnoughCredits:
                break
            done += 1
    return done


def bare_loop(url: str, event_type_id: int, clients: range, seconds: float, number: int, salt: int) -> int:
    """The barest transaction: change one row, write one row, over the driver itself."""
    pick, done = random.Random(number), 0
    parts = make_url(url)
    with psycopg.connect(
        host=parts.query.get("host") or parts.host, port=parts.query.get("port") or parts.port,  # type: ignore[arg-type]
        user=parts.username, password=parts.password, dbname=parts.database,
    ) as connection:
        until = _start_together() + seconds
        while time.monotonic() < until:
            client = pick.choice(clients)
            connection.execute(
                "UPDATE enrollment_credit_balance SET available = available - 1, reserved = reserved + 1 "
                "WHERE client_id = %s AND event_type_id = %s",
                (client, event_type_id),
            )
            connection.execute(
                "INSERT INTO bare_entry (client_id, event_type_id, kind, available_change, reserved_change, at, "
                "booking_id) VALUES (%s, %s, 'reserve', -1, 1, now(), %s)",
                (client, event_type_id, number * BOOKINGS_PER_PROCESS + done),
            )
            connection.commit()
            done += 1
    return done


_barrier: Any = None


def _join(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _start_together() -> float:
    _barrier.wait()
    return time.monotonic()


def in_processes(loop: Callable[..., int], url: str, event_type_id: int, clients: range, seconds: float, salt: int) -> int:
    """Run a loop in all processes at once; how many transactions they made together."""
    with _spawn.Pool(PROCESSES, initializer=_join, initargs=(_spawn.Barrier(PROCESSES),)) as pool:
        tasks = [(url, event_type_id, clients, seconds, number, salt) for number in range(PROCESSES)]
        return sum(pool.starmap(loop, tasks, chunksize=1))


@benchmark("spending")
def measure_spending(options: Options) -> Iterator[Comparison]:
    """Reserving spread over many clients against bare transactions, and all on one client: exact."""
    with databases() as servers, filled(servers, "postgresql", CLIENTS) as (engine, factory):
        url = engine.url.render_as_string(hide_password=False)
        spread, bare = new_event_type(factory), new_event_type(factory)
        clients = _grant(factory, spread, 1_000)
        _grant(factory, bare, 1_000)
        _bare_table(engine)
        analyze(engine)
        salt = iter(range(1, 1_000))
        rates = SideBySide().run(
            options.runs,
            lambda: in_processes(reserve_loop, url, spread, clients, options.seconds, next(salt)) / options.seconds,
            lambda: in_processes(bare_loop, url, bare, clients, options.seconds, 0) / options.seconds,
        )
        yield Comparison(
            f"reserving, {PROCESSES} processes, {CLIENTS:,} clients", rates.ratio, at_least=0.35,
            detail=rates.show("/s"),
        )
        yield from _one_client(url, factory, clients[0], next(salt))


def _one_client(url: str, factory: sessionmaker[Session], client_id: int, salt: int) -> Iterator[Comparison]:
    hot = new_event_type(factory)
    _grant(factory, hot, HOT_CREDITS, [client_id])
    began = time.monotonic()
    reserved = in_processes(reserve_loop, url, hot, range(client_id, client_id + 1), 600, salt)
    seconds = time.monotonic() - began
    with factory() as session:
        left = session.execute(
            select(balances.c.available, balances.c.reserved).where(balances.c.event_type_id == hot)
        ).one()
        findings = sum(1 for finding in check_ledger(session) if "bare" not in finding.detail)
    exact = (reserved, *left) == (HOT_CREDITS, 0, HOT_CREDITS)
    yield Comparison(
        f"all on one client: wrong credits of {HOT_CREDITS:,}", 0 if exact else abs(HOT_CREDITS - reserved) or 1,
        "credits", at_most=0, detail=f"{reserved} reserved, {left[0]} left, in {seconds:.1f} s with start",
    )
    yield Comparison("ledger check after it", findings, "findings", at_most=0)


def _grant(factory: sessionmaker[Session], event_type_id: int, quantity: int, clients: Any = None) -> range:
    with factory() as session, unit_of_work(session):
        chosen = select(Client.id) if clients is None else clients
        grant_credits(
            session, clients=chosen, event_type_id=event_type_id, quantity=quantity, actor=scope.SYSTEM,
            threshold=CLIENTS, chunk=CLIENTS,
        )
        keys = session.execute(select(Client.id).order_by(Client.id)).scalars().all()
    return range(keys[0], keys[-1] + 1)


def _bare_table(engine: Engine) -> None:
    """Where the bare transactions write: a ledger without the guards and checks of ours."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE bare_entry (id bigserial PRIMARY KEY, client_id bigint, event_type_id bigint, "
            "kind varchar(20), available_change int, reserved_change int, at timestamptz, booking_id bigint)"
        )

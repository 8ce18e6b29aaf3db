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
WARM_UP = 20
"""Transactions of each process before the clock starts: connecting and preparing are not what is measured."""
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

        def reserve() -> bool:
            try:
                with unit_of_work(session):
                    reserve_credits(
                        session, client_id=pick.choice(clients), event_type_id=event_type_id,
                        booking_id=booking + done, on=DAY, actor=scope.SYSTEM,
                    )
            except NotEnoughCredits:
                return False
            return True

        while done < WARM_UP and reserve():
            done += 1
        until = start_together() + seconds
        while time.monotonic() < until and reserve():
            done += 1
    return done


def bare_loop(url: str, event_type_id: int, clients: range, seconds: float, number: int, salt: int) -> int:
    """The barest transaction: change the balance, write the entry, over the driver itself."""
    pick, done = random.Random(number), 0
    booking = (salt * PROCESSES + number) * BOOKINGS_PER_PROCESS
    parts = make_url(url)
    with psycopg.connect(
        host=parts.query.get("host") or parts.host, port=parts.query.get("port") or parts.port,  # type: ignore[arg-type]
        user=parts.username, password=parts.password, dbname=parts.database,
    ) as connection:

        def write() -> None:
            client = pick.choice(clients)
            connection.execute(
                "UPDATE enrollment_credit_balance SET available = available - 1, reserved = reserved + 1 "
                "WHERE client_id = %s AND event_type_id = %s",
                (client, event_type_id),
            )
            connection.execute(
                "INSERT INTO enrollment_credit_entry (lot_id, client_id, event_type_id, kind, available_change, "
                "reserved_change, at, booking_id, turn) VALUES (%s, %s, %s, 'reserve', -1, 1, now(), %s, 0)",
                (client, client, event_type_id, booking + done),
            )
            connection.commit()

        while done < WARM_UP:
            write()
            done += 1
        until = start_together() + seconds
        while time.monotonic() < until:
            write()
            done += 1
    return done


_barrier: Any = None


def _join(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def start_together() -> float:
    _barrier.wait()
    return time.monotonic()


def in_processes(
    loop: Callable[..., int], url: str, event_type_id: int, clients: range, seconds: float, salt: int
) -> int:
    """Run a loop in all processes at once; how many transactions they made together."""
    with _spawn.Pool(PROCESSES, initializer=_join, initargs=(_spawn.Barrier(PROCESSES),)) as pool:
        tasks = [(url, event_type_id, clients, seconds, number, salt) for number in range(PROCESSES)]
        return sum(pool.starmap(loop, tasks, chunksize=1))


@benchmark("spending")
def measure_spending(options: Options) -> Iterator[Comparison]:
    """Reserving spread over many clients against bare transactions on tables of their own; all on one: exact."""
    with (
        databases() as servers,
        filled(servers, "postgresql", CLIENTS) as (engine, factory),
        filled(servers, "postgresql", CLIENTS) as (bare_engine, bare_factory),
    ):
        event_type_id = give(factory, 1_000)
        bare_type_id = give(bare_factory, 1_000)
        analyze(engine)
        analyze(bare_engine)
        clients = range(1, CLIENTS + 1)
        salt = iter(range(1, 1_000))

        def rate(loop: Callable[..., int], on: Engine, event_type: int) -> float:
            made = in_processes(loop, url_of(on), event_type, clients, options.seconds, next(salt))
            return (made - WARM_UP * PROCESSES) / options.seconds

        rates = SideBySide().run(
            options.runs,
            lambda: rate(reserve_loop, engine, event_type_id),
            lambda: rate(bare_loop, bare_engine, bare_type_id),
        )
        yield Comparison(
            f"reserving, {PROCESSES} processes, {CLIENTS:,} clients", rates.ratio, at_least=0.35,
            detail=rates.show("/s"),
        )
        yield from _one_client(engine, factory, next(salt))


def _one_client(engine: Engine, factory: sessionmaker[Session], salt: int) -> Iterator[Comparison]:
    """All processes want the credits of one client; then the whole ledger is proved."""
    event_type_id = give(factory, HOT_CREDITS, [1])
    began = time.monotonic()
    reserved = in_processes(reserve_loop, url_of(engine), event_type_id, range(1, 2), 600, salt)
    seconds = time.monotonic() - began
    with factory() as session:
        left = session.execute(
            select(balances.c.available, balances.c.reserved).where(balances.c.event_type_id == event_type_id)
        ).one()
        findings = sum(1 for _ in check_ledger(session))
    wrong = abs(HOT_CREDITS - reserved) + left.available + abs(HOT_CREDITS - left.reserved)
    yield Comparison(
        f"all on one client: wrong credits of {HOT_CREDITS:,}", wrong, "credits", at_most=0,
        detail=f"{reserved} reserved, {left.available} left, in {seconds:.1f} s with start",
    )
    yield Comparison("ledger check after it", findings, "findings", at_most=0)


def give(factory: sessionmaker[Session], quantity: int, clients: list[int] | None = None) -> int:
    """Give the clients credits of a new event type, whose key is returned."""
    event_type_id = new_event_type(factory)
    with factory() as session, unit_of_work(session):
        grant_credits(
            session, clients=select(Client.id) if clients is None else clients, event_type_id=event_type_id,
            quantity=quantity, actor=scope.SYSTEM, threshold=CLIENTS, chunk=CLIENTS,
        )
    return event_type_id


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)

"""The ledger when it is large: the nightly sweep beside bookings, balances, explaining, and its proof."""

import datetime as dt
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from sqlalchemy import Engine, create_engine, event, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.core import clock, scope
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.credits import queries
from enrollment_addon.credits.models import entries, lots
from enrollment_addon.credits.service import check_ledger, expire_lots, grant_credits, release_credits, reserve_credits
from enrollment_addon.people.models import Client
from enrollment_addon.settings import Settings
from tests.servers import load_models

from .databases import analyze, databases, filled, new_event_type
from .grant import peak_growth, plain_sql
from .registry import Comparison, Options, SideBySide, benchmark

SWEPT = 100_000
SMALL, MEDIUM, LARGE = 10_000, 1_000_000, 10_000_000
"""Entries of a ledger."""
PAIRS = 4
"""Bookings that were made and cancelled on every lot: two entries each, beside the grant."""
BUSY_PAIRS = 5_000
"""Those of the client with ten thousand entries."""
BOOKING_PAUSE = 0.01
WARM_UP = 20
ALONE_SECONDS = 5.0
READS = 200
DAY = dt.date(2999, 1, 1)

ONE_STATEMENT = """
WITH due AS MATERIALIZED (
    SELECT id, client_id, event_type_id, available FROM enrollment_credit_lot
    WHERE event_type_id = :event_type AND available > 0 AND expires_on < :today
), told AS (
    INSERT INTO enrollment_credit_entry (lot_id, client_id, event_type_id, kind, available_change, reserved_change,
        at, turn)
    SELECT id, client_id, event_type_id, 'expire', -available, 0, now(), 0 FROM due ORDER BY id
), less AS (
    UPDATE enrollment_credit_balance b SET available = b.available - d.available
    FROM (SELECT client_id, event_type_id, sum(available) AS available FROM due GROUP BY 1, 2) d
    WHERE b.client_id = d.client_id AND b.event_type_id = d.event_type_id
)
UPDATE enrollment_credit_lot l SET expired = l.expired + l.available, available = 0 FROM due WHERE due.id = l.id
"""

_spawn = multiprocessing.get_context("spawn")


def book(url: str, event_type_id: int, clients: int, first: int, warm: Any, stop: Any) -> list[float]:
    """Book and cancel for one client after the other until told to stop; milliseconds of every booking once warm."""
    load_models()
    factory = sessionmaker(create_engine(url), info={scope.ACTOR: scope.SYSTEM})
    scope.install(factory)
    took: list[float] = []
    with factory() as session:
        booking = first
        while not stop.is_set():
            booking += 1
            began = time.perf_counter()
            with unit_of_work(session):
                reserve_credits(
                    session, client_id=1 + booking % clients, event_type_id=event_type_id, booking_id=booking, on=DAY,
                    actor=scope.SYSTEM,
                )
            took.append((time.perf_counter() - began) * 1_000)
            with unit_of_work(session):
                release_credits(session, booking_id=booking, actor=scope.SYSTEM, today=DAY, grace_days=0)
            if booking == first + WARM_UP:
                took.clear()
                warm.set()
            time.sleep(BOOKING_PAUSE)
    return took


class Bookings:
    """Live bookings in a process of their own while something else is done."""

    def __init__(self, engine: Engine, event_type_id: int, clients: int) -> None:
        self.arguments = (engine.url.render_as_string(hide_password=False), event_type_id, clients)
        self.first = 0

    def beside(self, do: Callable[[], float]) -> tuple[float, list[float]]:
        """What `do` gives, and how long each booking took meanwhile."""
        self.first += 1_000_000
        with _spawn.Manager() as manager, _spawn.Pool(1) as pool:
            warm, stop = manager.Event(), manager.Event()
            booked = pool.apply_async(book, (*self.arguments, self.first, warm, stop))
            assert warm.wait(60), "the bookings have begun"
            result = do()
            stop.set()
            return result, booked.get(60)


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def due_lots(factory: sessionmaker[Session]) -> int:
    """As many lots as are to be swept, of an event type of their own, expired a month ago."""
    with factory() as session:
        before = session.execute(select(func.coalesce(func.max(lots.c.event_type_id), 0))).scalar_one()
    plain_sql(factory, SWEPT)
    long_ago = clock.now().date() - dt.timedelta(days=30)
    with factory() as session:
        made: int = session.execute(select(func.max(lots.c.event_type_id))).scalar_one()
        assert made != before
        session.execute(lots.update().where(lots.c.event_type_id == made).values(expires_on=long_ago))
        session.commit()
    return made


@benchmark("sweep")
def measure_sweep(options: Options) -> Iterator[Comparison]:
    """A hundred thousand lots expire beside live bookings: in chunks, against one statement for all."""
    with databases() as servers, filled(servers, "postgresql", SWEPT) as (engine, factory):
        booked_type = new_event_type(factory)
        with factory() as session, unit_of_work(session):
            grant_credits(
                session, clients=select(Client.id), event_type_id=booked_type, quantity=100, actor=scope.SYSTEM,
                threshold=SWEPT, chunk=10_000,
            )
        bookings = Bookings(engine, booked_type, SWEPT)
        beside: list[float] = []
        longest: list[float] = []

        def in_chunks() -> float:
            due_lots(factory)
            analyze(engine)
            seconds, took = bookings.beside(lambda: _swept(factory, longest))
            beside.extend(took)
            return seconds

        def at_once() -> float:
            made = due_lots(factory)
            analyze(engine)
            return bookings.beside(lambda: _one_statement(factory, made))[0]

        alone = bookings.beside(lambda: time.sleep(ALONE_SECONDS) or 0.0)[1]
        times = SideBySide().run(min(options.runs, 3), in_chunks, at_once)
        yield Comparison(f"sweep of {SWEPT:,} lots beside bookings", times.ratio, at_most=1.5, detail=times.show("s"))
        yield Comparison("longest transaction of the sweep", max(longest), "ms", at_most=250)
        yield Comparison(
            "p99 of a booking beside it", p99(beside) / p99(alone), at_most=5,
            detail=f"{p99(beside):.1f} ms beside ({len(beside)}), {p99(alone):.1f} ms alone ({len(alone)})",
        )


def _swept(factory: sessionmaker[Session], longest: list[float]) -> float:
    began, finished, count, last = time.perf_counter(), False, 0, None
    while not finished:
        start = time.perf_counter()
        with factory() as session, unit_of_work(session):
            part = expire_lots(session, size=Settings().sweep_chunk, after=last, actor=scope.SYSTEM)
        longest.append((time.perf_counter() - start) * 1_000)
        finished, count, last = part.finished, count + part.lots, part.last
    assert count == SWEPT, f"{count} lots were swept"
    return time.perf_counter() - began


def _one_statement(factory: sessionmaker[Session], event_type_id: int) -> float:
    began = time.perf_counter()
    with factory() as session:
        session.execute(text(ONE_STATEMENT), {"event_type": event_type_id, "today": clock.now().date()})
        session.commit()
    return time.perf_counter() - began


def ledger(factory: sessionmaker[Session], rows: int, clients: int) -> None:
    """A sound ledger of so many entries; the first client has one lot more, with `BUSY_PAIRS` cancelled bookings."""
    event_type_id = new_event_type(factory)
    each = 1 + 2 * PAIRS
    busy = rows > SMALL
    numbers = {"type": event_type_id, "lots": (rows - busy * 2 * BUSY_PAIRS) // each, "clients": clients}
    with factory() as session:
        for statement in (
            "INSERT INTO enrollment_credit_lot (client_id, event_type_id, quantity, available, reserved, used, "
            "expired, voided, transferred, granted_at, origin, priority, shared, unit_value, currency, held) "
            "SELECT 1 + n % :clients, :type, 10, 10, 0, 0, 0, 0, 0, now(), 'manual', 50, false, 0, 'EUR', false "
            "FROM generate_series(1, :lots) AS n",
            "INSERT INTO enrollment_credit_balance (client_id, event_type_id, available, reserved, used) "
            "SELECT client_id, event_type_id, sum(available), 0, 0 FROM enrollment_credit_lot GROUP BY 1, 2",
            "INSERT INTO enrollment_credit_entry (lot_id, client_id, event_type_id, kind, available_change, "
            "reserved_change, at, turn) SELECT id, client_id, event_type_id, 'grant', 10, 0, granted_at, 0 "
            "FROM enrollment_credit_lot ORDER BY id",
            "INSERT INTO enrollment_credit_entry (lot_id, client_id, event_type_id, kind, available_change, "
            "reserved_change, at, turn, booking_id) "
            "SELECT l.id, client_id, event_type_id, k.kind, k.change, -k.change, granted_at, 0, l.id * 10 + p "
            "FROM enrollment_credit_lot l, generate_series(1, :pairs) AS p, "
            "(VALUES ('reserve', -1), ('release', 1)) AS k (kind, change) ORDER BY l.id, p, k.change",
            "INSERT INTO enrollment_credit_entry (lot_id, client_id, event_type_id, kind, available_change, "
            "reserved_change, at, turn, booking_id) "
            "SELECT l.id, client_id, event_type_id, k.kind, k.change, -k.change, granted_at, 0, 1000000000 + p "
            "FROM (SELECT * FROM enrollment_credit_lot WHERE client_id = 1 ORDER BY id LIMIT 1) l, "
            "generate_series(1, :busy) AS p, (VALUES ('reserve', -1), ('release', 1)) AS k (kind, change)",
        ):
            values = {**numbers, "pairs": PAIRS, "busy": BUSY_PAIRS if busy else 0}
            session.execute(text(statement), {k: v for k, v in values.items() if f":{k}" in statement})
        session.commit()


@benchmark("ledger")
def measure_ledger(options: Options) -> Iterator[Comparison]:
    """A balance and its explanation in a large ledger, and the proof of all of it; `--full`: ten million entries."""
    size = LARGE if options.full else MEDIUM
    with databases() as servers, ExitStack() as stack:
        factories = {}
        for rows, clients in ((SMALL, 1_000), (size, 100_000)):
            engine, factories[rows] = stack.enter_context(filled(servers, "postgresql", clients))
            ledger(factories[rows], rows, clients)
            analyze(engine)
        small, large = factories[SMALL], factories[size]
        with large() as session:
            found = session.execute(select(func.count()).where(entries.c.client_id == 1)).scalar_one()
        times = SideBySide().run(options.runs, lambda: balance_read(large), lambda: balance_read(small))
        yield Comparison(
            f"balance of a client with {found:,} entries among {size:,} against 9 of {SMALL:,}", times.ratio,
            at_most=2.0, detail=times.show("ms").replace("service", "large").replace("plain", "small"),
        )
        yield Comparison("a page of explain", explained(large), "queries", at_most=8)
        yield proof(large, size)


def balance_read(factory: sessionmaker[Session]) -> float:
    """Milliseconds to read what the first client has."""
    with factory() as session:
        queries.client_credits(session, 1)
        began = time.perf_counter()
        for _ in range(READS):
            queries.client_credits(session, 1)
            session.expunge_all()
        return (time.perf_counter() - began) / READS * 1_000


def explained(factory: sessionmaker[Session]) -> int:
    """Statements that a page of an explanation sends."""
    sent: list[str] = []
    engine = factory.kw["bind"]

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    with factory() as session:
        event.listen(engine, "before_cursor_execute", note)
        told = queries.explain(session, 1)
        event.remove(engine, "before_cursor_execute", note)
    assert told.lots, "the first client has lots"
    return len(sent)


def proof(factory: sessionmaker[Session], size: int) -> Comparison:
    """Memory of the check; its time is told."""
    with peak_growth() as grown:
        began = time.perf_counter()
        with factory() as session:
            found = sum(1 for _ in check_ledger(session))
        seconds = time.perf_counter() - began
        growth = grown()
    assert not found, f"{found} findings in a sound ledger"
    return Comparison(f"memory of the check over {size:,} entries", growth, "MB", at_most=50, detail=f"{seconds:.0f} s")

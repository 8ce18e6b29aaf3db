"""Adding credits to very many clients at once."""

import gc
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
from sqlalchemy import func, insert, literal, select
from sqlalchemy.orm import Session, sessionmaker

import enrollment_addon.credits.jobs  # noqa: F401 - registers the job
from enrollment_addon.core import clock
from enrollment_addon.core.batches import BatchState, batches
from enrollment_addon.core.db import UtcDateTime, unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits.models import balances, entries, lots
from enrollment_addon.credits.service import grant_credits
from enrollment_addon.jobs.models import Job, JobState
from enrollment_addon.jobs.runner import run_job
from enrollment_addon.people.models import Client, Club

from .databases import analyze, databases, filled, new_event_type
from .registry import Comparison, Options, SideBySide, benchmark

CHUNK = 10_000
FULL = 1_000_000


def through_the_service(factory: sessionmaker[Session], clients: int) -> float:
    """Seconds of a grant to the first so many as a request and its job make it: frozen, chunked, resumable."""
    event_type_id = new_event_type(factory)
    began = time.perf_counter()
    with factory() as session, unit_of_work(session):
        answer = grant_credits(
            session, clients=select(Client.id).where(Client.id <= clients), event_type_id=event_type_id,
            quantity=5, expires_in={"months": 3}, actor=SYSTEM, threshold=0, chunk=CHUNK,
        )
    run_job(factory, answer["job_id"], lease_seconds=60)
    seconds = time.perf_counter() - began
    with factory() as session:
        job = session.get_one(Job, answer["job_id"])
        assert (job.state, job.done) == (JobState.done, clients), "the job served everyone"
    _assert_written(factory, event_type_id, clients)
    return seconds


def plain_sql(factory: sessionmaker[Session], clients: int) -> float:
    """Seconds of three INSERT … SELECT that write the same rows to the same tables in one transaction."""
    event_type_id = new_event_type(factory)
    client, club, now = Client.__table__, Club.__table__, clock.now()
    with factory() as session, unit_of_work(session):
        batch_id = session.execute(
            insert(batches)
            .values(
                kind="plain", state=BatchState.done, created_at=now, input={}, total=0, done=0, skipped=[],
                cursor=0, undo_cursor=0,
            )
            .returning(batches.c.id)
        ).scalar_one()
    began = time.perf_counter()
    with factory() as session:
        session.execute(
            insert(lots).from_select(
                ["client_id", "event_type_id", "quantity", "available", "reserved", "used", "expired", "voided",
                 "transferred", "granted_at", "expires_on", "origin", "priority", "shared", "unit_value",
                 "currency", "batch_id"],
                select(
                    client.c.id, literal(event_type_id), literal(5), literal(5), *(literal(0) for _ in range(5)),
                    literal(now, UtcDateTime()), literal(now.date()), literal("manual"), literal(50),
                    literal(False), literal(0), club.c.currency, literal(batch_id),
                )
                .join_from(client, club)
                .where(client.c.id <= clients, client.c.archived.is_(False)),
                include_defaults=False,
            )
        )
        granted = lots.c.batch_id == batch_id
        session.execute(
            insert(entries).from_select(
                ["lot_id", "client_id", "event_type_id", "kind", "available_change", "reserved_change", "at",
                 "turn"],
                select(
                    lots.c.id, lots.c.client_id, lots.c.event_type_id, literal("grant"), lots.c.quantity,
                    literal(0), lots.c.granted_at, literal(0),
                ).where(granted),
                include_defaults=False,
            )
        )
        session.execute(
            insert(balances).from_select(
                ["client_id", "event_type_id", "available", "reserved", "used"],
                select(lots.c.client_id, lots.c.event_type_id, lots.c.quantity, literal(0), literal(0)).where(granted),
                include_defaults=False,
            )
        )
        session.commit()
    seconds = time.perf_counter() - began
    _assert_written(factory, event_type_id, clients)
    return seconds


def _assert_written(factory: sessionmaker[Session], event_type_id: int, clients: int) -> None:
    with factory() as session:
        for table in (lots, entries, balances):
            found = session.execute(
                select(func.count()).select_from(table).where(table.c.event_type_id == event_type_id)
            ).scalar()
            assert found == clients, f"{table.name}: {found} of {clients} rows"


@contextmanager
def peak_growth() -> Iterator[Callable[[], float]]:
    """How many MB this process grew at most inside the block."""
    gc.collect()
    process, stop = psutil.Process(), threading.Event()
    start = process.memory_info().rss
    peak = start

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.02):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: (peak - start) / 2**20
    finally:
        stop.set()
        watcher.join()


@benchmark("grant")
def measure_grant(options: Options) -> Iterator[Comparison]:
    """A bulk grant against three plain statements, on both databases; its memory; with `--full` a million."""
    with databases() as servers:
        for kind, bound in (("postgresql", 1.5), ("sqlite", 2.5)):
            growth: list[float] = []
            with filled(servers, kind, options.clients) as (engine, factory):
                def ours(factory: sessionmaker[Session] = factory, growth: list[float] = growth) -> float:
                    with peak_growth() as grown:
                        seconds = through_the_service(factory, options.clients)
                    growth.append(grown())
                    return seconds

                through_the_service(factory, 100)
                ours()
                analyze(engine)
                times = SideBySide().run(options.runs, ours, lambda f=factory: plain_sql(f, options.clients))  # type: ignore[misc]
            name = f"{kind}, {options.clients:,} clients"
            yield Comparison(f"grant, {name}", times.ratio, at_most=bound, detail=times.show("s"))
            yield Comparison(f"memory, {name}", max(growth), "MB", at_most=50, detail="largest growth of the process")
            if options.full and kind == "postgresql":
                with filled(servers, kind, FULL) as (_, factory):
                    large = through_the_service(factory, FULL) / FULL
                small = statistics.median(times.ours) / options.clients
                yield Comparison(
                    f"time per client, {FULL:,} against {options.clients:,}", large / small, at_most=1.3,
                    detail=f"{large * 1e6:.1f} µs against {small * 1e6:.1f} µs",
                )

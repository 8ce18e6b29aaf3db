"""Databases to measure on, filled by set-based SQL."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.core import scope
from enrollment_addon.core.db import unit_of_work
from tests.factories import make_club, make_event_type
from tests.servers import Databases, connect

SERIES = {
    "postgresql": "SELECT n FROM generate_series(1, :count) AS n",
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < :count) SELECT n FROM s",
}


@contextmanager
def databases() -> Iterator[Databases]:
    """The servers of one benchmark, stopped at its end; `TEST_DATABASE_URL` names another PostgreSQL."""
    folder = Path(tempfile.mkdtemp(prefix="enrollment-bench-"))
    folder.chmod(0o755)
    servers = Databases(folder)
    try:
        yield servers
    finally:
        servers.stop()


@contextmanager
def filled(servers: Databases, kind: str, clients: int) -> Iterator[tuple[Engine, sessionmaker[Session]]]:
    """A database with three clubs and so many clients, its statistics up to date."""
    url = servers.new(kind)
    engine = connect(url)
    if kind == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA synchronous = NORMAL")
    factory = sessionmaker(engine, info={"enrollment_actor": scope.SYSTEM})
    scope.install(factory)
    with factory() as session, unit_of_work(session):
        clubs = [make_club(session).id for _ in range(3)]
        session.execute(
            text(
                "INSERT INTO enrollment_client (first_name, last_name, email, club_id, tags, archived, created_at, "
                f"updated_at) SELECT 'Cleo', 'Client', 'c' || n || '@example.org', {clubs[0]} + n % 3, '[]', "
                f"{'false' if kind == 'postgresql' else 0}, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP "
                f"FROM ({SERIES[kind]}) AS series"
            ),
            {"count": clients},
        )
    analyze(engine)
    try:
        yield engine, factory
    finally:
        engine.dispose()
        servers.drop(url)


def analyze(engine: Engine) -> None:
    """Let the planner know the tables as they are now."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("VACUUM ANALYZE")
            connection.exec_driver_sql("CHECKPOINT")
        else:
            connection.exec_driver_sql("ANALYZE")


def new_event_type(factory: sessionmaker[Session]) -> int:
    """A fresh event type, so that each run writes new balances."""
    with factory() as session, unit_of_work(session):
        return make_event_type(session).id

"""Statements that never change, compiled once: for the few verbs that everybody waits for."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, Executable


def is_possible(connection: Connection) -> bool:
    """Whether this database and its driver can do it: PostgreSQL, with parameters by name."""
    return connection.dialect.name == "postgresql" and connection.dialect.paramstyle == "pyformat"


def run_compiled(connection: Connection, statement: Executable, parameters: Mapping[str, Any]) -> CursorResult[Any]:
    """Execute a statement that never changes, compiled once. Its parameters are values the driver knows."""
    return connection.exec_driver_sql(_compiled(statement, connection.dialect), parameters)


@lru_cache(maxsize=32)
def _compiled(statement: Executable, dialect: Dialect) -> str:
    """On one line: the driver keeps what it made of a statement only while the text is short."""
    return " ".join(str(statement.compile(dialect=dialect)).split())  # type: ignore[attr-defined]

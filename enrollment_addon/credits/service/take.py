"""Taking from lots in burn order by one statement, where the database can (PostgreSQL).

`calc.burn` is the rule; this is the same order in SQL for the way that nearly every booking goes, where fewer
round trips and statements that are compiled once halve its time. It takes all or nothing, and nothing for a
booking that has a history: the caller then goes the long way and finds out why.
"""

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, Executable, text

from ...core import clock
from ...core.scope import Actor
from ..calc import Take

_take = text(
    """
    WITH spendable AS (
        SELECT id, available, sum(available) OVER (
            ORDER BY priority, expires_on NULLS LAST, unit_value > 0, granted_at, id
        ) AS upto
        FROM enrollment_credit_lot
        WHERE client_id = :client AND event_type_id = :event_type AND available > 0
            AND (expires_on IS NULL OR expires_on >= :day)
            AND (CAST(:lot AS bigint) IS NULL OR id = CAST(:lot AS bigint))
            AND NOT EXISTS (SELECT FROM enrollment_credit_entry WHERE booking_id = :booking)
    ), takes AS (
        SELECT id, upto, least(available, :count - (upto - available)) AS quantity
        FROM spendable
        WHERE upto - available < :count AND (SELECT max(upto) FROM spendable) >= :count
    ), changed AS (
        UPDATE enrollment_credit_lot AS lot
        SET available = lot.available - takes.quantity, reserved = lot.reserved + takes.quantity
        FROM takes
        WHERE lot.id = takes.id
        RETURNING lot.id, takes.quantity, takes.upto
    )
    INSERT INTO enrollment_credit_entry (
        lot_id, client_id, event_type_id, kind, available_change, reserved_change, at, actor_id, booking_id, turn
    )
    SELECT id, :client, :event_type, 'reserve', -quantity, quantity, :at, CAST(:actor AS bigint), :booking, 0
    FROM changed
    ORDER BY upto
    RETURNING id, lot_id, reserved_change
    """
)


def is_possible(connection: Connection) -> bool:
    """Whether this database and its driver can do it."""
    return connection.dialect.name == "postgresql" and connection.dialect.paramstyle == "pyformat"


def run_compiled(connection: Connection, statement: Executable, parameters: Mapping[str, Any]) -> CursorResult[Any]:
    """Execute a statement that never changes, compiled once. Its parameters are values the driver knows."""
    return connection.exec_driver_sql(_compiled(statement, connection.dialect), parameters)


@lru_cache(maxsize=32)
def _compiled(statement: Executable, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect))  # type: ignore[attr-defined]


def take_at_once(
    connection: Connection,
    *,
    client_id: int,
    event_type_id: int,
    booking_id: int,
    on: dt.date,
    actor: Actor,
    quantity: int,
    lot_id: int | None,
) -> list[Take]:
    """Move credits of a client whose balance is locked from available to reserved; empty when nothing was."""
    written = run_compiled(
        connection,
        _take,
        {
            "client": client_id,
            "event_type": event_type_id,
            "booking": booking_id,
            "day": on,
            "count": quantity,
            "lot": lot_id,
            "at": clock.now(),
            "actor": actor.user_id,
        },
    ).all()
    return [Take(row.lot_id, row.reserved_change) for row in sorted(written, key=lambda row: row.id)]

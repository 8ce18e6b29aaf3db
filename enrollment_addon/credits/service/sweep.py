"""The expiry sweep: lots past their last day, in the time zone of their client's club."""

import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Select, column, false, func, literal, or_, select, text, tuple_
from sqlalchemy.orm import Session

from ...core import audit, clock
from ...core.db import dialect_of, key_list
from ...core.scope import Actor
from ...people.models import Client, Club
from ..models import EntryKind, lots, something_left
from .ledger import Retired, lock_balances, retire

clients_table: Any = Client.__table__


class Swept(NamedTuple):
    """What one chunk expired, whether lots may be left, and the last one that it looked at, by day and key."""

    lots: int
    credits: int
    finished: bool
    last: tuple[dt.date, int] | None = None


def expire_lots(
    session: Session,
    *,
    size: int,
    actor: Actor,
    after: tuple[dt.date, int] | None = None,
    today: Callable[[str], dt.date] = clock.today,
) -> Swept:
    """Expire the available rest of the next `size` lots that are past their day; booked credits stay.

    `after`: the `last` of the chunk before, so that this one does not step over all that are expired already.
    A lot that was spent, extended or held meanwhile is seen as it is once its balance is locked.
    """
    return _expire(session, _due(_days(session, today)), after, size, actor)


def expire_lot(session: Session, *, lot_id: int, actor: Actor) -> bool:
    """Expire one lot that a sweep skipped; False when there is nothing to expire any more."""
    due = _due(_days(session, clock.today)).where(lots.c.id == lot_id)
    return _expire(session, due, None, 1, actor).lots == 1


def next_due(session: Session, *, after: tuple[dt.date, int] | None) -> tuple[dt.date, int] | None:
    """The next lot that is past its day, by day and key."""
    row = session.execute(_in_order(_due(_days(session, clock.today)), after).limit(1)).first()
    return (row.expires_on, row.id) if row else None


def count_due(session: Session) -> int:
    """How many lots are past their day with something left."""
    return session.execute(
        select(func.count()).select_from(_due(_days(session, clock.today)).subquery())
    ).scalar_one()


def _days(session: Session, today: Callable[[str], dt.date]) -> dict[int, dt.date]:
    """The day that it is at each club."""
    return {row.id: today(row.timezone) for row in session.execute(select(Club.id, Club.timezone))}


def _in_order(due: Select[Any], after: tuple[dt.date, int] | None) -> Select[Any]:
    ordered = due.add_columns(lots.c.expires_on).order_by(lots.c.expires_on, lots.c.id)
    if after is None:
        return ordered
    day, key = after
    # The comparison of pairs is what PostgreSQL finds in the index, that of days what MariaDB does.
    pair = tuple_(lots.c.expires_on, lots.c.id) > tuple_(literal(day), literal(key))
    return ordered.where(lots.c.expires_on >= day, pair)


def _expire(
    session: Session, due: Select[Any], after: tuple[dt.date, int] | None, size: int, actor: Actor
) -> Swept:
    """Expire the next `size` of the lots that are due, as far as they still are once their balances are locked."""
    ordered = _in_order(due, after).limit(size)
    if dialect_of(session) == "postgresql":
        found, last, gone = _expire_at_once(session, ordered, actor)
    else:
        found, last, gone = _expire_in_steps(session, due, ordered, actor)
    if not found:
        return Swept(0, 0, finished=True)
    audit.record_event(
        session, actor=actor, verb="expire_lots", record="credit_lot", lots=gone.lots, credits=gone.credits
    )
    return Swept(gone.lots, gone.credits, found < size, last)


def _due(days: dict[int, dt.date]) -> Select[Any]:
    """Keys of lots with something left, not held, whose last day is before their club's today."""
    by_day: dict[dt.date, list[int]] = {}
    for club, day in days.items():
        by_day.setdefault(day, []).append(club)
    if not by_day:
        return select(lots.c.id).where(false())
    last = select(lots.c.id).where(something_left, lots.c.held.is_(False), lots.c.expires_on < literal(max(by_day)))
    if len(by_day) == 1:  # it is the same day in all clubs: nobody asks whose client it is
        return last
    passed = or_(
        *((lots.c.expires_on < literal(day)) & clients_table.c.club_id.in_(members) for day, members in by_day.items())
    )
    return last.join(clients_table, clients_table.c.id == lots.c.client_id).where(passed)


_Part = tuple[int, tuple[dt.date, int] | None, Retired]
"""How many lots were found, the last of them by day and key, and what was expired of them."""


def _expire_in_steps(session: Session, due: Select[Any], ordered: Select[Any], actor: Actor) -> _Part:
    rows = session.execute(ordered).all()
    if not rows:
        return 0, None, Retired(0, 0)
    found = [row.id for row in rows]
    lock_balances(session, found)
    still = session.execute(due.where(lots.c.id.in_(key_list(session, found)))).scalars()
    gone = retire(session, list(still), kind=EntryKind.expire, reason=None, actor=actor)
    return len(found), (rows[-1].expires_on, rows[-1].id), gone


_lock_found = text(
    """
    SELECT count(*) AS size, max(expires_on) AS day, (array_agg(id ORDER BY expires_on DESC, id DESC))[1] AS key,
        CAST(json_object_agg(id, expires_on) AS text) AS days,
        (
            SELECT count(*)
            FROM (SELECT DISTINCT client_id, event_type_id FROM found ORDER BY client_id, event_type_id) AS above
            CROSS JOIN LATERAL (
                SELECT client_id FROM enrollment_credit_balance AS balance
                WHERE balance.client_id = above.client_id AND balance.event_type_id = above.event_type_id
                FOR UPDATE
            ) AS balance
        ) AS locked
    FROM found
    """
).columns(*(column(name) for name in ("size", "day", "key", "days", "locked")))
"""Locks the balances above the lots in `found`, and answers in one row, with the days of the lots by their keys.

Lateral, because then the balances are looked up, and locked, one after the other in key order, however many the
planner expects.
"""

_expire_found = text(
    """
    WITH due AS (
        SELECT lot.id, lot.client_id, lot.event_type_id, lot.available
        FROM json_each_text(CAST(:days AS json)) AS found
        JOIN enrollment_credit_lot AS lot ON lot.id = CAST(found.key AS bigint)
        WHERE lot.available > 0 AND NOT lot.held AND lot.expires_on <= CAST(found.value AS date)
    ),
    told AS (
        INSERT INTO enrollment_credit_entry (
            lot_id, client_id, event_type_id, kind, available_change, reserved_change, at, actor_id, turn
        )
        SELECT id, client_id, event_type_id, 'expire', -available, 0, CAST(:at AS timestamptz),
            CAST(:actor AS bigint), 0
        FROM due
        ORDER BY id
    ),
    less AS (
        UPDATE enrollment_credit_balance AS balance
        SET available = balance.available - gone.credits
        FROM (SELECT client_id, event_type_id, sum(available) AS credits FROM due GROUP BY 1, 2) AS gone
        WHERE balance.client_id = gone.client_id AND balance.event_type_id = gone.event_type_id
    ),
    gone AS (
        UPDATE enrollment_credit_lot AS lot
        SET expired = lot.expired + lot.available, available = 0
        FROM due
        WHERE lot.id = due.id
        RETURNING due.available
    )
    SELECT count(*) AS lots, coalesce(sum(available), 0) AS credits FROM gone
    """
)
"""What `retire` does, to those of the lots found that are still due: with something left, not held, no later day.

A statement of its own, so that it sees what others did before they gave the balances free.
"""


def _expire_at_once(session: Session, ordered: Select[Any], actor: Actor) -> _Part:
    """What `_expire_in_steps` does, by two statements instead of eight; their long texts are never built anew."""
    found = ordered.add_columns(lots.c.client_id, lots.c.event_type_id).cte("found")
    row = session.execute(_lock_found.add_cte(found)).one()
    if not row.size:
        return 0, None, Retired(0, 0)
    gone = session.execute(_expire_found, {"days": row.days, "at": clock.now(), "actor": actor.user_id}).one()
    return row.size, (row.day, row.key), Retired(gone.lots, gone.credits)

"""The expiry sweep: lots past their last day, in the time zone of their client's club."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, false, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.orm import Session

from ...core import audit, clock
from ...core.db import UtcDateTime, dialect_of, key_list
from ...core.scope import Actor
from ...people.models import Client, Club
from ..models import EntryKind, balances, entries, lots, something_left
from .ledger import Retired, lock_balances, retire

clients_table: Any = Client.__table__


@dataclass(frozen=True)
class Swept:
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
    A lot that was extended meanwhile is seen as it is once its balance is locked.
    """
    due = _due(_days(session, today))
    rows = session.execute(_in_order(due, after).limit(size)).all()
    if not rows:
        return Swept(0, 0, finished=True)
    gone = _expire(session, due, [row.id for row in rows], actor)
    return Swept(gone.lots, gone.credits, len(rows) < size, (rows[-1].expires_on, rows[-1].id))


def expire_lot(session: Session, *, lot_id: int, actor: Actor) -> bool:
    """Expire one lot that a sweep skipped; False when there is nothing to expire any more."""
    return _expire(session, _due(_days(session, clock.today)), [lot_id], actor).lots == 1


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


def _expire(session: Session, due: Select[Any], found: list[int], actor: Actor) -> Retired:
    """Expire what is still due of these lots once their balances are locked."""
    lock_balances(session, found)
    still = due.where(lots.c.id.in_(key_list(session, found)))
    if dialect_of(session) == "postgresql":
        gone = _expire_at_once(session, still, actor)
    else:
        gone = retire(session, list(session.execute(still).scalars()), kind=EntryKind.expire, reason=None, actor=actor)
    audit.record_event(
        session, actor=actor, verb="expire_lots", record="credit_lot", lots=gone.lots, credits=gone.credits
    )
    return gone


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


def _expire_at_once(session: Session, still: Select[Any], actor: Actor) -> Retired:
    """What `retire` does with lots whose balances are locked, in one statement: half the time of its four."""
    due = still.add_columns(lots.c.client_id, lots.c.event_type_id, lots.c.available).cte("due")
    told = (
        insert(entries)
        .from_select(
            ["lot_id", "client_id", "event_type_id", "kind", "available_change", "reserved_change", "at", "actor_id",
             "turn"],
            select(
                due.c.id, due.c.client_id, due.c.event_type_id, literal(EntryKind.expire.value), -due.c.available,
                literal(0), literal(clock.now(), UtcDateTime()), literal(actor.user_id, entries.c.actor_id.type),
                literal(0),
            ).order_by(due.c.id),
            include_defaults=False,
        )
        .cte("told")
    )
    by_balance = (
        select(due.c.client_id, due.c.event_type_id, func.sum(due.c.available).label("credits"))
        .group_by(due.c.client_id, due.c.event_type_id)
        .subquery()
    )
    less = (
        update(balances)
        .where(
            balances.c.client_id == by_balance.c.client_id, balances.c.event_type_id == by_balance.c.event_type_id
        )
        .values(available=balances.c.available - by_balance.c.credits)
        .cte("less")
    )
    gone = (
        update(lots)
        .where(lots.c.id == due.c.id)
        .values(expired=lots.c.expired + lots.c.available, available=0)
        .returning(due.c.available)
        .cte("gone")
    )
    count = select(func.count(), func.coalesce(func.sum(gone.c.available), 0)).select_from(gone)
    row = session.execute(count.add_cte(told, less)).one()
    return Retired(int(row[0]), int(row[1]))

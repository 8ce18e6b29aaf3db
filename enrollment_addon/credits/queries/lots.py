"""Lots as they are, or were at the end of a past day, narrowed to the reach of the session's actor."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session

from ...catalog.models import EventType
from ...core.errors import NotFound
from ...core.scope import actor_of, reach_of
from ...people.models import Client, Club, Participant
from ..calc import is_valid_on
from ..models import EntryKind, entries, lot_participants, lots

clients_table: Any = Client.__table__
clubs_table: Any = Club.__table__
participants_table: Any = Participant.__table__

LAST_DAY = dt.date(9998, 12, 31)
"""The day after it is one that every time zone and database can still express."""


@dataclass(frozen=True)
class LotRow:
    """A lot as it is, or was at the end of a past day. `grace`: its last day was given to a credit that came back
    after the lot had expired."""

    id: int
    client_id: int
    event_type_id: int
    event_type: str
    quantity: int
    available: int
    reserved: int
    used: int
    expired: int
    voided: int
    transferred: int
    lapsed: bool
    grace: bool
    granted_at: dt.datetime
    expires_on: dt.date | None
    origin: str
    priority: int
    shared: bool
    unit_value: int
    currency: str
    batch_id: int | None
    note: str | None
    enrollment_id: int | None
    held: bool
    member_cap: int | None
    participants: Sequence[tuple[int, str]]

    @property
    def participant_ids(self) -> list[int]:
        return [key for key, _ in self.participants]


COUNTERS = ("available", "reserved", "used", "expired", "voided", "transferred")
"""The columns of a lot that its entries add up to."""


def timezone_of(session: Session, client_id: int) -> str:
    """The time zone of a client's club. Raises: NotFound for a client out of reach."""
    timezone = session.execute(
        select(clubs_table.c.timezone)
        .join_from(clients_table, clubs_table)
        .where(clients_table.c.id == client_id, reach_of(actor_of(session)))
    ).scalar()
    if timezone is None:
        raise NotFound
    return str(timezone)


def end_of(day: dt.date, timezone: str) -> dt.datetime:
    """The first instant that is no longer this day; days beyond `LAST_DAY` end with it."""
    following = min(day, LAST_DAY) + dt.timedelta(days=1)
    return dt.datetime.combine(following, dt.time(), ZoneInfo(timezone))


def lots_of(
    session: Session,
    where: Sequence[ColumnElement[bool]],
    *,
    day: dt.date,
    until: dt.datetime | None,
    limit: int | None = None,
) -> list[LotRow]:
    """Lots by key; with `until` their counters are summed from the entries before that instant."""
    columns: dict[str, Any] = {name: lots.c[name] for name in COUNTERS}
    source: Any = lots
    clauses = list(where)
    if until is not None:
        then = entry_sums(*where, entries.c.at < until).subquery()
        source = lots.join(then, then.c.lot_id == lots.c.id)
        columns = {name: then.c[name] for name in COUNTERS}
    plain = [column for column in lots.c if column.name not in COUNTERS]
    query = (
        select(EventType, *plain, *(column.label(name) for name, column in columns.items()))
        .select_from(source)
        .join(EventType, EventType.id == lots.c.event_type_id)
        .where(*clauses)
        .order_by(lots.c.id)
        .limit(limit)
    )
    rows = session.execute(query).all()
    found = [row.id for row in rows]
    attending = _participants(session, found)
    then_on, in_grace = _days(session, found, until)
    result = []
    for row in rows:
        values = dict(row._mapping)
        event_type = values.pop("EventType").label
        expires_on = then_on.get(row.id, row.expires_on)
        values |= {name: int(values[name]) for name in COUNTERS} | {"expires_on": expires_on}
        result.append(
            LotRow(
                **values,
                event_type=event_type,
                lapsed=not is_valid_on(expires_on, day),
                grace=(row.id, expires_on) in in_grace,
                participants=attending.get(row.id, ()),
            )
        )
    return result


def _days(
    session: Session, lot_ids: Sequence[int], until: dt.datetime | None
) -> tuple[dict[int, dt.date | None], set[tuple[int, dt.date]]]:
    """The last days at a past instant of lots that got another one since, and what returned credits gave by then.

    The second are pairs of lot and day; of most lots there is neither.
    """
    moved: ColumnElement[bool] = entries.c.new_expires_on.is_not(None)
    if until is not None:
        moved |= entries.c.kind == EntryKind.extend
    query = (
        select(entries.c.lot_id, entries.c.kind, entries.c.at, entries.c.old_expires_on, entries.c.new_expires_on)
        .where(entries.c.lot_id.in_(lot_ids), moved)
        .order_by(entries.c.id.desc())
    )
    then_on: dict[int, dt.date | None] = {}
    given: set[tuple[int, dt.date]] = set()
    for row in session.execute(query) if lot_ids else ():
        if until is not None and row.at >= until:
            # The first change since then says what the day was before it.
            then_on[row.lot_id] = row.old_expires_on or (None if row.kind == EntryKind.extend else row.new_expires_on)
        elif row.kind == EntryKind.release and row.new_expires_on:
            given.add((row.lot_id, row.new_expires_on))
    return then_on, given


has_grace = (
    select(entries.c.id)
    .where(
        entries.c.lot_id == lots.c.id, entries.c.kind == EntryKind.release,
        entries.c.new_expires_on == lots.c.expires_on,
    )
    .exists()
)
"""The clause over lots whose last day was given to a credit that came back after they had expired."""


def in_grace(session: Session, lot_ids: Sequence[int]) -> set[int]:
    """Those of these lots whose last day now is such a one."""
    return set(session.execute(select(lots.c.id).where(lots.c.id.in_(lot_ids), has_grace)).scalars())


def _participants(session: Session, lot_ids: Sequence[int]) -> dict[int, list[tuple[int, str]]]:
    """Whom lots are restricted to, by key and name."""
    rows = session.execute(
        select(lot_participants.c.lot_id, participants_table.c.id, participants_table.c.name)
        .join_from(lot_participants, participants_table)
        .where(lot_participants.c.lot_id.in_(lot_ids))
        .order_by(participants_table.c.id)
    )
    found: dict[int, list[tuple[int, str]]] = {}
    for row in rows if lot_ids else ():
        found.setdefault(row.lot_id, []).append((row.id, row.name))
    return found


def full_name(table: Any) -> ColumnElement[str]:
    """The name of a client or a user, from a table of them."""
    return func.trim(table.c.first_name + " " + table.c.last_name)


def client_names(session: Session, client_ids: Iterable[int]) -> dict[int | None, str]:
    """The names of clients by key, as far as the session's actor reaches them."""
    keys = set(client_ids)
    if not keys:
        return {}
    query = select(clients_table.c.id, full_name(clients_table).label("name")).where(
        clients_table.c.id.in_(keys), reach_of(actor_of(session))
    )
    return {row.id: row.name for row in session.execute(query)}


def entry_sums(*where: ColumnElement[bool]) -> Select[Any]:
    """What the chosen entries of each lot add up to, by the names of the lot's own counters."""

    def total(kinds: tuple[EntryKind, ...], column: Any) -> Any:
        return func.sum(case((entries.c.kind.in_(kinds), -column), else_=0))

    return (
        select(
            entries.c.lot_id,
            func.count().label("entries"),
            func.sum(entries.c.available_change).label("available"),
            func.sum(entries.c.reserved_change).label("reserved"),
            total((EntryKind.consume, EntryKind.restore), entries.c.reserved_change).label("used"),
            total((EntryKind.expire,), entries.c.available_change).label("expired"),
            total((EntryKind.void,), entries.c.available_change).label("voided"),
            total((EntryKind.transfer_out,), entries.c.available_change).label("transferred"),
        )
        .join_from(entries, lots)
        .where(*where)
        .group_by(entries.c.lot_id)
    )

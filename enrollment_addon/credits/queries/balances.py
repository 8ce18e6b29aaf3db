"""What clients have, by event type and in total."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from ...catalog.models import EventType
from ...core import clock
from ...core.scope import actor_of, reach_of
from ..calc import is_valid_on
from ..models import balances, lots, something_left
from .lots import LotRow, clients_table, clubs_table, end_of, has_grace, lots_of, timezone_of


class BalanceRow(NamedTuple):
    """What a client has of one event type; `next_expiry` is the earliest last day of what is available, `grace`
    whether that is one given to a credit that came back late."""

    event_type_id: int
    event_type: str
    available: int
    reserved: int
    used: int
    next_expiry: dt.date | None
    lapsed: int
    grace: bool


class ClientCredits(NamedTuple):
    """All credits of a client: by event type, and lot by lot (what is left first, then newest)."""

    client_id: int
    balances: list[BalanceRow]
    lots: list[LotRow]


class Summary(NamedTuple):
    """A client's credits of all event types together, for a list."""

    available: int = 0
    reserved: int = 0
    used: int = 0
    next_expiry: dt.date | None = None
    lapsed: int = 0


def client_credits(session: Session, client_id: int, as_of: dt.date | None = None) -> ClientCredits:
    """What a client has now, or had at the end of a day in their club's time zone. Raises: NotFound."""
    timezone = timezone_of(session, client_id)
    day = as_of or clock.today(timezone)
    until = end_of(as_of, timezone) if as_of else None
    found = lots_of(session, (lots.c.client_id == client_id,), day=day, until=until)
    found.sort(key=lambda lot: (not (lot.available or lot.reserved), lot.lapsed, -lot.id))
    by_type: dict[int, list[LotRow]] = {}
    for lot in found:
        by_type.setdefault(lot.event_type_id, []).append(lot)
    rows = [_balance(members) for members in by_type.values()]
    return ClientCredits(
        client_id, sorted(rows, key=lambda row: (row.event_type.casefold(), row.event_type_id)), found
    )


def client_balances(session: Session, client_id: int) -> list[BalanceRow]:
    """What a client has now by event type, without the lots: one statement however many there are."""
    sums = (func.sum(lots.c[name]).label(name) for name in ("available", "reserved", "used"))
    grace = func.max(case((something_left & has_grace, 1), else_=0)).label("grace")
    rows = session.execute(
        select(EventType, clubs_table.c.timezone, lots.c.expires_on, *sums, grace)
        .select_from(lots.join(clients_table).join(clubs_table))
        .join(EventType, EventType.id == lots.c.event_type_id)
        .where(lots.c.client_id == client_id, reach_of(actor_of(session)))
        .group_by(EventType.id, clubs_table.c.timezone, lots.c.expires_on)
    ).all()
    by_type: dict[int, list[Any]] = {}
    for row in rows:
        by_type.setdefault(row.EventType.id, []).append(row)
    found = []
    for key, members in by_type.items():
        live = [row for row in members if is_valid_on(row.expires_on, clock.today(row.timezone))]
        available = sum(int(row.available) for row in live)
        next_expiry = min((row.expires_on for row in live if row.available and row.expires_on), default=None)
        found.append(BalanceRow(
            event_type_id=key,
            event_type=members[0].EventType.label,
            available=available,
            reserved=sum(int(row.reserved) for row in members),
            used=sum(int(row.used) for row in members),
            next_expiry=next_expiry,
            lapsed=sum(int(row.available) for row in members) - available,
            grace=any(row.grace and row.expires_on == next_expiry for row in live),
        ))
    return sorted(found, key=lambda row: (row.event_type.casefold(), row.event_type_id))


def _balance(members: Sequence[LotRow]) -> BalanceRow:
    """The sum over the lots of one event type."""
    live = [lot for lot in members if not lot.lapsed]
    next_expiry = min((lot.expires_on for lot in live if lot.available and lot.expires_on), default=None)
    return BalanceRow(
        event_type_id=members[0].event_type_id,
        event_type=members[0].event_type,
        available=sum(lot.available for lot in live),
        reserved=sum(lot.reserved for lot in members),
        used=sum(lot.used for lot in members),
        next_expiry=next_expiry,
        lapsed=sum(lot.available for lot in members if lot.lapsed),
        grace=any(lot.grace and lot.available and lot.expires_on == next_expiry for lot in live),
    )


def balances_for(session: Session, client_ids: Iterable[int]) -> dict[int, Summary]:
    """The credits of the clients on a list page, in two queries; those without any have zeros."""
    keys = list(client_ids)
    reached = clients_table.c.id.in_(keys) & reach_of(actor_of(session))
    held = session.execute(
        select(
            balances.c.client_id,
            *(func.sum(balances.c[name]).label(name) for name in ("available", "reserved", "used")),
        )
        .join_from(balances, clients_table)
        .where(reached)
        .group_by(balances.c.client_id)
    ).all()
    expiring = session.execute(
        select(
            lots.c.client_id,
            clubs_table.c.timezone,
            lots.c.expires_on,
            func.sum(lots.c.available).label("left"),
        )
        .select_from(lots.join(clients_table).join(clubs_table))
        .where(reached, something_left, lots.c.expires_on.is_not(None))
        .group_by(lots.c.client_id, clubs_table.c.timezone, lots.c.expires_on)
    ).all()
    lapsed: dict[int, int] = {}
    next_expiry: dict[int, dt.date] = {}
    for row in expiring:
        if is_valid_on(row.expires_on, clock.today(row.timezone)):
            next_expiry[row.client_id] = min(next_expiry.get(row.client_id, row.expires_on), row.expires_on)
        else:
            lapsed[row.client_id] = lapsed.get(row.client_id, 0) + int(row.left)
    result = dict.fromkeys(keys, Summary())
    for row in held:
        gone = lapsed.get(row.client_id, 0)
        result[row.client_id] = Summary(
            int(row.available) - gone, int(row.reserved), int(row.used), next_expiry.get(row.client_id), gone
        )
    return result

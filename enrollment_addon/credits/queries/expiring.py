"""What will expire soon, in the time zones of the clubs."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, false, func, literal, or_, select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.scope import actor_of, reach_of
from ..models import CreditLot, lots
from .lots import clients_table, clubs_table


class ClientForfeit(NamedTuple):
    """What of one client expires: the figures of the lots, their first last day, and by currency the value of
    what is available, in minor units."""

    available: int
    reserved: int
    used: int
    next_expiry: dt.date
    values: Mapping[str, int]


class Forfeit(NamedTuple):
    """What expires in one currency: credits, and their value in minor units."""

    currency: str
    credits: int
    value: int


def _clubs_by_day(session: Session) -> dict[dt.date, list[int]]:
    """The clubs in which it is each day now."""
    by_day: dict[dt.date, list[int]] = {}
    for row in session.execute(select(clubs_table.c.id, clubs_table.c.timezone)):
        by_day.setdefault(clock.today(row.timezone), []).append(row.id)
    return by_day


def expiring_within(session: Session, days: int) -> ColumnElement[bool]:
    """The clause over lots with credits left whose last day is today or at most so many days away.

    Clients who are archived, merged or erased are left out: nobody calls them.
    """
    client = clients_table.c
    near = (
        and_(
            CreditLot.expires_on.between(today, today + dt.timedelta(days=days)),
            CreditLot.client_id.in_(
                select(client.id).where(
                    client.club_id.in_(clubs), client.archived.is_(False), client.erased_at.is_(None),
                    client.merged_into_id.is_(None),
                )
            ),
        )
        for today, clubs in _clubs_by_day(session).items()
    )
    return and_(CreditLot.available > 0, CreditLot.held.is_(False), or_(false(), *near))


def is_over(session: Session, day: ColumnElement[Any]) -> ColumnElement[bool]:
    """The clause that a day is over in the club of the statement's client; no day is never over."""
    return or_(
        false(),
        *(
            and_(day < literal(today), clients_table.c.club_id.in_(clubs))
            for today, clubs in _clubs_by_day(session).items()
        ),
    )


def forfeited(session: Session, days: int) -> list[Forfeit]:
    """What would be lost within so many days, by currency, as far as the actor reaches."""
    rows = session.execute(
        select(
            lots.c.currency, func.sum(lots.c.available).label("credits"),
            func.sum(lots.c.available * lots.c.unit_value).label("value"),
        )
        .join_from(lots, clients_table)
        .where(expiring_within(session, days), reach_of(actor_of(session)))
        .group_by(lots.c.currency)
        .order_by(lots.c.currency)
    )
    return [Forfeit(row.currency, int(row.credits), int(row.value)) for row in rows]


def forfeited_by_client(session: Session, client_ids: Sequence[int], days: int) -> dict[int, ClientForfeit]:
    """What would be lost within so many days, of those of these clients who lose anything."""
    rows = session.execute(
        select(
            lots.c.client_id, lots.c.currency, func.min(lots.c.expires_on).label("first"),
            *(func.sum(lots.c[name]).label(name) for name in ("available", "reserved", "used")),
            func.sum(lots.c.available * lots.c.unit_value).label("value"),
        )
        .join_from(lots, clients_table)
        .where(lots.c.client_id.in_(client_ids), expiring_within(session, days), reach_of(actor_of(session)))
        .group_by(lots.c.client_id, lots.c.currency)
        .order_by(lots.c.client_id, lots.c.currency)
    ).all()
    by_client: dict[int, list[Any]] = {}
    for row in rows:
        by_client.setdefault(row.client_id, []).append(row)
    return {
        key: ClientForfeit(
            available=sum(int(row.available) for row in found), reserved=sum(int(row.reserved) for row in found),
            used=sum(int(row.used) for row in found), next_expiry=min(row.first for row in found),
            values={row.currency: int(row.value) for row in found},
        )
        for key, found in by_client.items()
    }

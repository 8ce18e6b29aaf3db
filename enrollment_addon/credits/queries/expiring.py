"""What will expire soon, in the time zones of the clubs."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, literal, or_, select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.scope import actor_of, reach_of
from ..models import CreditLot, lots
from .lots import clients_table, clubs_table


@dataclass(frozen=True)
class Forfeit:
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
    """The clause over lots with credits left whose last day is today or at most so many days away."""
    near = (
        and_(
            CreditLot.expires_on.between(today, today + dt.timedelta(days=days)),
            CreditLot.client_id.in_(select(clients_table.c.id).where(clients_table.c.club_id.in_(clubs))),
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

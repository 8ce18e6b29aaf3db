"""The expiry sweep: lots past their last day, in the time zone of their client's club."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, literal, or_, select
from sqlalchemy.orm import Session

from ...core import audit, clock
from ...core.scope import Actor
from ...people.models import Client, Club
from ..models import EntryKind, lots, something_left
from .ledger import lock_balances, retire

clients_table: Any = Client.__table__


@dataclass(frozen=True)
class Swept:
    """What one chunk expired, and whether lots may be left."""

    lots: int
    credits: int
    finished: bool


def expire_lots(session: Session, *, size: int, actor: Actor, today: Callable[[str], dt.date] = clock.today) -> Swept:
    """Expire the available rest of the next `size` lots that are past their day; booked credits stay.

    An expired lot is no longer found, so that the same call repeated walks through all of them; a lot that
    was extended meanwhile is seen as it is once its balance is locked.
    """
    clubs = session.execute(select(Club.id, Club.timezone)).all()
    days = {row.id: today(row.timezone) for row in clubs}
    if not days:
        return Swept(0, 0, finished=True)
    due = _due(days)
    found = list(session.execute(due.order_by(lots.c.expires_on, lots.c.id).limit(size)).scalars())
    if not found:
        return Swept(0, 0, finished=True)
    lock_balances(session, found)
    still = list(session.execute(due.where(lots.c.id.in_(found))).scalars())
    gone = retire(session, still, kind=EntryKind.expire, reason=None, actor=actor)
    audit.record_event(
        session, actor=actor, verb="expire_lots", record="credit_lot", lots=gone.lots, credits=gone.credits
    )
    return Swept(gone.lots, gone.credits, finished=len(found) < size)


def _due(days: dict[int, dt.date]) -> Select[Any]:
    """Keys of lots with something left, not held, whose last day is before their club's today."""
    by_day: dict[dt.date, list[int]] = {}
    for club, day in days.items():
        by_day.setdefault(day, []).append(club)
    passed = or_(
        *((lots.c.expires_on < literal(day)) & clients_table.c.club_id.in_(members) for day, members in by_day.items())
    )
    return (
        select(lots.c.id)
        .join_from(lots, clients_table)
        .where(something_left, lots.c.held.is_(False), lots.c.expires_on < literal(max(by_day)), passed)
    )

"""What others of a household share with a client."""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ...catalog.models import EventType
from ...core import clock
from ...core.scope import actor_of, reach_of
from ..calc import is_valid_on
from ..models import entries, lot_participants, lots, something_left
from .lots import client_names, clients_table, clubs_table, participants_table


class SharedRow(NamedTuple):
    """What a client may still spend of the credits that others of the household share, by event type.

    They belong to the others and are in no sum of this client. `owners` are those in reach, by key and name.
    """

    event_type_id: int
    event_type: str
    available: int
    next_expiry: dt.date | None
    owners: Sequence[tuple[int, str]]


def shared_with(session: Session, client_id: int) -> list[SharedRow]:
    """What a booking of this client could take from others of the household now, each lot up to its cap.

    Sharing is the owner's word to the household: who reaches the client is told of it, whoever the owner is.
    """
    owner, member = clients_table.c, clients_table.alias().c
    household = select(member.household_id).where(member.id == client_id, reach_of(actor_of(session), member))
    spent = (
        select(-func.sum(entries.c.available_change))
        .where(entries.c.lot_id == lots.c.id, entries.c.member_id == client_id)
        .scalar_subquery()
    )
    named = select(lot_participants.c.participant_id).where(lot_participants.c.lot_id == lots.c.id)
    own = select(participants_table.c.id).where(participants_table.c.client_id == client_id)
    rows = session.execute(
        select(
            EventType, lots.c.client_id, lots.c.available, lots.c.expires_on, lots.c.member_cap,
            func.coalesce(spent, 0).label("spent"), clubs_table.c.timezone,
        )
        .select_from(lots.join(clients_table).join(clubs_table))
        .join(EventType, EventType.id == lots.c.event_type_id)
        .where(
            owner.household_id == household.scalar_subquery(), owner.id != client_id, something_left,
            lots.c.shared.is_(True), lots.c.held.is_(False), lots.c.enrollment_id.is_(None),
            or_(~named.exists(), named.where(lot_participants.c.participant_id.in_(own)).exists()),
        )
    ).all()
    usable: dict[int, list[tuple[int, dt.date | None, int]]] = {}
    labels = {}
    for row in rows:
        left = row.available
        if row.member_cap is not None:
            left = min(left, row.member_cap - int(row.spent))
        if left > 0 and is_valid_on(row.expires_on, clock.today(row.timezone)):
            labels[row.EventType.id] = row.EventType.label
            usable.setdefault(row.EventType.id, []).append((left, row.expires_on, row.client_id))
    names = client_names(session, {client for found in usable.values() for _, _, client in found})
    result = [
        SharedRow(
            key, labels[key], sum(left for left, _, _ in found),
            min((day for _, day, _ in found if day), default=None),
            [(client, names[client]) for client in sorted({client for _, _, client in found}) if client in names],
        )
        for key, found in usable.items()
    ]
    return sorted(result, key=lambda row: (row.event_type.casefold(), row.event_type_id))

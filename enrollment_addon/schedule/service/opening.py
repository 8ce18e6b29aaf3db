"""What booking has to know, in two statements: one locks the session, a later one reads all there is to check.

The second one sees what others have committed before the lock was given. Both are built once: everybody who
books a session waits while another one holds it.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Table,
    bindparam,
    case,
    func,
    null,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.orm import Session

from ...core import clock
from ...core.db import Key, UtcDateTime, dialect_of
from ...core.errors import NotFound
from ...core.scope import actor_of, clause_for
from ...people.errors import ClientClosed
from ...people.models import Client, Club, Participant, ParticipantKind
from ..calc import TAKING_A_PLACE, SessionStatus
from ..errors import ClientArchived
from ..models import ScheduledSession
from .places import bookings, sessions

clients: Table = Client.__table__  # type: ignore[assignment]
clubs: Table = Club.__table__  # type: ignore[assignment]
participants: Table = Participant.__table__  # type: ignore[assignment]


@dataclass(frozen=True)
class Opening:
    """A session that is held until the transaction ends, and the participant who shall get a place in it.

    `overlaps_at`: when another session begins that the participant is booked into at that time. `booking_id`: the
    key of the booking to be, where the database gives it before the row is written (PostgreSQL).
    """

    session_id: int
    client_id: int
    participant_id: int
    name: str
    event_type_id: int
    status: SessionStatus
    starts_at: dt.datetime
    timezone: str
    is_full: bool
    has_booking: bool
    overlaps_at: dt.datetime | None
    booking_id: int | None

    @property
    def day(self) -> dt.date:
        """The day on which the session begins, by its club's clock."""
        return self.starts_at.astimezone(ZoneInfo(self.timezone)).date()


_lock = select(sessions.c.id).where(sessions.c.id == bindparam("session_id", type_=Key)).with_for_update()

_at_once = sessions.alias("at_once")
_takes = bookings.c.state.in_(sorted(TAKING_A_PLACE))
_taken = (
    select(func.coalesce(func.sum(case((or_(_takes, bookings.c.held_until > bindparam("now", type_=UtcDateTime)), 1), else_=0)), 0))
    .where(bookings.c.session_id == sessions.c.id)
    .correlate(sessions)
    .scalar_subquery()
)
_own = (
    select(bookings.c.id)
    .where(
        bookings.c.session_id == sessions.c.id, bookings.c.participant_id == participants.c.id, bookings.c.live.is_(True)
    )
    .correlate(sessions, participants)
    .exists()
)

"""What booking has to know, in two statements: one locks the session, a later one reads all there is to check.

The later one sees what others have committed before the lock was given.
"""

import datetime as dt
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session

from ...core import clock
from ...core.db import UtcDateTime, require
from ...people.errors import ClientClosed
from ...people.models import Client
from ..calc import SessionStatus
from ..errors import ClientArchived, ParticipantNotFound
from .places import locked_session


class Opening(NamedTuple):
    """A session that is held until the transaction ends, and the participant who shall get a place in it.

    `somebody_waits`: in its queue, or with a place held for them. `overlaps_at`: when another session begins that
    the participant is booked into at that time.
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
    somebody_waits: bool
    has_booking: bool
    overlaps_at: dt.datetime | None

    @property
    def day(self) -> dt.date:
        """The day on which the session begins, by its club's clock."""
        return self.starts_at.astimezone(ZoneInfo(self.timezone)).date()


# The states are `calc.TAKING_A_PLACE`.
_read = text(
    """
    SELECT participant.id AS participant_id, participant.name,
    client.erased_at IS NOT NULL OR client.merged_into_id IS NOT NULL AS closed, client.archived,
    here.event_type_id, here.status, here.starts_at, club.timezone,
    here.capacity <= (
        SELECT count(*) FROM enrollment_booking
        WHERE session_id = here.id AND (state IN ('booked', 'attended', 'no_show') OR held_until > :now)
    ) AS is_full,
    EXISTS (
        SELECT 1 FROM enrollment_booking WHERE session_id = here.id AND state = 'waitlisted'
    ) AS somebody_waits,
    EXISTS (
        SELECT 1 FROM enrollment_booking
        WHERE session_id = here.id AND participant_id = participant.id AND live IS TRUE
    ) AS has_booking,
    (
        SELECT min(there.starts_at)
        FROM enrollment_booking AS booking
        JOIN enrollment_session AS there ON there.id = booking.session_id
        WHERE booking.participant_id = participant.id AND booking.state IN ('booked', 'attended', 'no_show')
            AND there.id <> here.id AND there.status = 'scheduled'
            AND there.starts_at < here.ends_at AND there.ends_at > here.starts_at
    ) AS overlaps_at
    FROM enrollment_session AS here
    JOIN enrollment_club AS club ON club.id = here.club_id
    JOIN enrollment_participant AS participant
        ON participant.client_id = :client_id
        AND (participant.id = :participant_id OR (:themself AND participant.kind = 'self'))
    JOIN enrollment_client AS client ON client.id = participant.client_id
    WHERE here.id = :session_id
    """
).bindparams(bindparam("now", type_=UtcDateTime)).columns(starts_at=UtcDateTime, overlaps_at=UtcDateTime)


def opened(session: Session, client_id: int, participant_id: int | None, session_id: int) -> Opening:
    """Hold a session and read what booking it for a participant (the client themself unless named) depends on.

    Raises: NotFound, ParticipantNotFound, ClientClosed, ClientArchived.
    """
    asked = {
        "session_id": session_id, "client_id": client_id, "participant_id": participant_id,
        "themself": participant_id is None, "now": clock.now(),
    }
    require(session, Client, client_id)
    locked_session(session, session_id)
    found: Any = session.connection().execute(_read, asked).first()
    if found is None:
        raise ParticipantNotFound
    row = dict(found._mapping)
    archived = row.pop("archived")
    if row.pop("closed"):
        raise ClientClosed
    if archived:
        raise ClientArchived
    return Opening(session_id=session_id, client_id=client_id, **row)

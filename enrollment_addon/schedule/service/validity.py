"""Whether what pays for the places of a session is still good on another day."""

import datetime as dt

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...credits.models import lots
from ...people.models import Participant
from ..calc import BY_CREDIT, BookingState
from ..errors import CreditsNotValid
from ..hooks import resting_on
from ..models import Booking, ScheduledSession
from .places import bookings

MOST_NAMES = 10


def refuse_invalid_day(session: Session, item: ScheduledSession, day: dt.date) -> None:
    """Raises: CreditsNotValid when credits that are reserved for places in a session are paused or expired that day.

    It counts everybody, and names those in the actor's reach.
    """
    rows = session.connection().execute(
        select(bookings.c.id, bookings.c.enrollment_id, lots.c.expires_on)
        .join(lots, lots.c.id == bookings.c.lot_id)
        .where(
            bookings.c.session_id == item.id, bookings.c.state == BookingState.booked, bookings.c.pays.in_(BY_CREDIT)
        )
    ).all()
    resting = resting_on(session, {row.enrollment_id for row in rows if row.enrollment_id is not None}, day)
    unfit = [
        row.id for row in rows
        if row.enrollment_id in resting or (row.expires_on is not None and row.expires_on < day)
    ]
    if not unfit:
        return
    names = session.scalars(
        select(Participant.name)
        .join(Booking, Booking.participant_id == Participant.id)
        .where(Booking.id.in_(unfit))
        .order_by(Participant.name)
        .limit(MOST_NAMES)
    ).all()
    others = len(unfit) - len(names)
    raise CreditsNotValid(number=len(unfit), names=", ".join([*names, *([f"+{others}"] if others else [])]))

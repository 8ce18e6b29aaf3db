"""What every verb on bookings stands on: the locked session, its places, whom a booking is for, who acts.

Whoever writes a booking holds its session's row, so that places are counted and given by one at a time.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import Table, case, func, or_, select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.db import key_list, require
from ...core.errors import NotFound
from ...core.scope import Actor, Reach, acting_as
from ...credits.models import balances, entries, lots
from ...people.models import Client, Club
from ..calc import NEXT, TAKING_A_PLACE, BookingState, SessionStatus
from ..errors import BookingStateConflict, SessionCancelled
from ..labels import BOOKING_STATES
from ..models import Booking, ClassGroup, ScheduledSession

Placed = TypeVar("Placed", ScheduledSession, ClassGroup)
bookings: Table = Booking.__table__  # type: ignore[assignment]
clients: Table = Client.__table__  # type: ignore[assignment]
sessions: Table = ScheduledSession.__table__  # type: ignore[assignment]


class Places(NamedTuple):
    """How many places of a session are taken or held, and whether one participant has a live booking there."""

    taken: int
    has_booking: bool


def zone_of(session: Session, club_id: int) -> str:
    """The time zone of a club, which says what day it is there."""
    club = session.get(Club, club_id)
    assert club is not None, "a session's club exists"
    return club.timezone


def day_of(session: Session, item: ScheduledSession) -> dt.date:
    """The day on which a session begins, by its club's clock."""
    return item.starts_at.astimezone(ZoneInfo(zone_of(session, item.club_id))).date()


@contextmanager
def for_everybody(session: Session, actor: Actor) -> Iterator[Actor]:
    """Act for all clients of a session that the actor was allowed to act on, theirs or not.

    A freed place goes to whoever is first in line, and a closed session is closed for everyone.
    """
    wide = Actor(user_id=actor.user_id, reach=Reach.everything, team_member_id=actor.team_member_id)
    with acting_as(session, wide):
        yield wide


def locked_session(session: Session, session_id: int) -> ScheduledSession:
    """The session, held until the transaction ends. Raises: NotFound."""
    return require(session, ScheduledSession, session_id, lock=True)


def require_theirs(session: Session, model: type[Placed], key: int, actor: Actor, *, lock: bool = False) -> Placed:
    """A session or class group that is the actor's to write; seeing it is not enough. Raises: NotFound."""
    item = require(session, model, key, lock=lock)
    if not item.keeps_reach(actor):
        raise NotFound
    return item


def locked_booking(session: Session, booking_id: int) -> tuple[Booking, ScheduledSession]:
    """A booking and its session, held. Raises: NotFound."""
    found = require(session, Booking, booking_id)
    item = locked_session(session, found.session_id)
    return require(session, Booking, booking_id, lock=True), item


def lock_sessions(session: Session, keys: Iterable[int]) -> list[ScheduledSession]:
    """Several sessions, held, in key order; those out of reach or gone are left out."""
    statement = select(ScheduledSession).where(ScheduledSession.id.in_(key_list(session, keys)))
    return list(
        session.scalars(
            statement.order_by(ScheduledSession.id)
            .with_for_update(of=ScheduledSession)
            .execution_options(populate_existing=True)
        )
    )


def lock_accounts(
    session: Session, client_ids: Iterable[int], event_type_ids: Iterable[int], *, booking_ids: Iterable[int] = ()
) -> None:
    """Lock the balances that a verb may touch, in key order, so that two verbs never wait for each other.

    These are the clients' own, those of whoever shares credits with them in their household, and those whose
    credits the bookings hold: somebody who shared with them once may be in another household by now.
    """
    wanted, types = set(client_ids), sorted(set(event_type_ids))
    own, sharer = clients.alias(), clients.alias()
    sharing = (
        select(lots.c.client_id)
        .join(sharer, sharer.c.id == lots.c.client_id)
        .join(own, own.c.household_id == sharer.c.household_id)
        .where(own.c.id.in_(key_list(session, wanted)), lots.c.event_type_id.in_(types), lots.c.shared.is_(True))
        .distinct()
    )
    wanted.update(session.connection().execute(sharing).scalars())
    if held := sorted(booking_ids):
        holding = select(entries.c.client_id).where(entries.c.booking_id.in_(key_list(session, held))).distinct()
        wanted.update(session.connection().execute(holding).scalars())
    session.execute(
        select(balances.c.client_id)
        .where(balances.c.client_id.in_(key_list(session, wanted)), balances.c.event_type_id.in_(types))
        .order_by(balances.c.client_id, balances.c.event_type_id)
        .with_for_update(of=balances)
    ).all()


def places(session: Session, session_id: int, participant_id: int | None = None) -> Places:
    """Count a session's places; the caller holds the session. Counts everybody, in reach or not."""
    takes = or_(bookings.c.state.in_(TAKING_A_PLACE), bookings.c.held_until > clock.now())
    own = bookings.c.participant_id == participant_id if participant_id is not None else bookings.c.id.is_(None)
    row = session.connection().execute(
        select(
            func.coalesce(func.sum(case((takes, 1), else_=0)), 0),
            func.coalesce(func.sum(case((own & bookings.c.live.is_(True), 1), else_=0)), 0),
        ).where(bookings.c.session_id == session_id)
    ).one()
    return Places(int(row[0]), bool(row[1]))


def require_open(item: ScheduledSession) -> None:
    """Raises: SessionCancelled."""
    if item.status == SessionStatus.cancelled:
        raise SessionCancelled


def state_conflict(booking: Booking) -> BookingStateConflict:
    """The refusal that says what state a booking is in and what may become of it."""
    words = {state: str(label) for state, label in BOOKING_STATES}
    state = BookingState(booking.state)
    possible = ", ".join(words[other] for other in NEXT[state])
    return BookingStateConflict(state=words[state], possible=possible or str(_l("nothing")))


def queue_of(session: Session, session_ids: Sequence[int]) -> list[Any]:
    """Session and client of every booking that waits in these sessions, for locking."""
    return list(
        session.connection().execute(
            select(bookings.c.session_id, bookings.c.client_id).where(
                bookings.c.session_id.in_(key_list(session, session_ids)), bookings.c.state == "waitlisted"
            )
        )
    )

"""Booking with a credit of the client's own by a function of the database, where it can (PostgreSQL).

It is the way that nearly every booking goes, and everybody else who books the session waits meanwhile. What the
function (`..functions`) does not book, for whatever reason, goes the long way, which says why.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session, make_transient_to_detached

from ...core.audit import event_row, log_event
from ...core.compiled import is_possible, run_compiled
from ...core.db import require
from ...core.scope import Actor
from ...people.models import Client
from ..calc import BY_CREDIT, BookingState, PayWith
from ..models import Booking, ScheduledSession
from .pay import Guards

_book = text(
    "SELECT * FROM enrollment_book_at_once("
    "CAST(:client_id AS bigint), CAST(:participant_id AS bigint), CAST(:session_id AS bigint), "
    "CAST(:lot_id AS bigint), CAST(:enrollments AS bigint[]), CAST(:amount AS bigint), "
    "CAST(:confirm_overlap AS boolean), CAST(:at AS timestamptz), CAST(:actor_id AS integer), "
    "CAST(:details AS jsonb))"
)


@dataclass(frozen=True)
class Asked:
    """A booking that is asked for; `participant_id` is empty for the client themself."""

    client_id: int
    participant_id: int | None
    session_id: int
    pay_with: PayWith
    confirm_overlap: bool


def book_at_once(session: Session, asked: Asked, actor: Actor) -> Booking | None:
    """Book into a session to come and pay with a credit; nothing when that is not the way, nothing written then.

    Raises: NotFound for what is out of reach.
    """
    connection, wish = session.connection(), asked.pay_with
    by_credit = wish.pays is None or wish.pays in BY_CREDIT
    if not by_credit or wish.enrollment_id is not None or not is_possible(connection):
        return None
    if not actor.sees_everything:
        require(session, Client, asked.client_id)
        require(session, ScheduledSession, asked.session_id)
    details: dict[str, Any] = {"session_id": asked.session_id, "state": BookingState.booked}
    told: dict[str, Any] = {
        "actor": actor, "verb": "book", "record": "booking", "client_id": asked.client_id, **details
    }
    parameters = {
        **event_row(**told), "participant_id": asked.participant_id, "session_id": asked.session_id,
        "lot_id": wish.lot_id, "enrollments": None, "amount": wish.amount, "confirm_overlap": asked.confirm_overlap,
    }
    found = run_compiled(connection, _book, parameters).first()
    if found is not None and found.booking_id is None:
        guards = Guards(session, asked.client_id, found.participant_id, found.day)
        parameters["participant_id"] = found.participant_id
        parameters["enrollments"] = [key for key in found.enrollments if guards.let_pay(key)]
        found = run_compiled(connection, _book, parameters).first()
    if found is None:
        return None
    log_event(record_id=found.booking_id, **told)
    booking = Booking(id=found.booking_id)
    make_transient_to_detached(booking)
    session.add(booking)
    return booking

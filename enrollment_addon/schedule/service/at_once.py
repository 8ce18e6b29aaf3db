"""Booking with a credit of the client's own in two statements, where the database can (PostgreSQL).

It is the way that nearly every booking goes, and everybody else who books the session waits meanwhile. The first
statement locks the session and takes from the client's balance, the second one sees what others have committed
before, checks and writes. What it does not book, for whatever reason, goes the long way, which says why.
"""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session, make_transient_to_detached

from ...core import clock
from ...core.audit import event_row, log_event
from ...core.compiled import is_possible, run_compiled
from ...core.db import require
from ...core.scope import Actor
from ...credits.service import TAKING, change_balance
from ...people.models import Client
from ..calc import BY_CREDIT, BookingState, PayWith
from ..models import Booking, ScheduledSession
from .pay import Guards

_hold = text(
    """
    WITH held AS (
        SELECT here.event_type_id, here.starts_at, club.timezone, participant.id AS participant_id
        FROM enrollment_session AS here
        JOIN enrollment_club AS club ON club.id = here.club_id
        JOIN enrollment_participant AS participant
            ON participant.client_id = :client_id
            AND (participant.id = :participant_id OR (:themself AND participant.kind = 'self'))
        WHERE here.id = :session_id AND here.starts_at > :at
        FOR UPDATE OF here
    ),
    guarded AS (
        UPDATE enrollment_credit_balance AS balance
        SET available = balance.available - 1, reserved = balance.reserved + 1
        FROM held
        WHERE balance.client_id = :client_id AND balance.event_type_id = held.event_type_id AND balance.available > 0
        RETURNING balance.event_type_id
    )
    SELECT held.*, ARRAY(
        SELECT lot.enrollment_id FROM enrollment_credit_lot AS lot
        WHERE lot.client_id = :client_id AND lot.event_type_id = held.event_type_id AND lot.available > 0
            AND lot.enrollment_id IS NOT NULL AND NOT lot.held
    ) AS enrollments
    FROM held JOIN guarded ON guarded.event_type_id = held.event_type_id
    """
)

# The states are `calc.TAKING_A_PLACE`; among the places are those of who waits, because they come first.
_book = text(
    f"""
    WITH wish AS (
        SELECT client.id AS client_id, participant.id AS participant_id, here.id AS session_id, here.event_type_id,
            CAST(:day AS date) AS day, 1 AS quantity, CAST(:lot_id AS bigint) AS lot_id,
            CAST(NULL AS bigint) AS enrollment_id, CAST(:enrollments AS bigint[]) AS enrollments,
            CAST(:at AS timestamptz) AS at, CAST(:actor_id AS integer) AS actor_id,
            nextval(pg_get_serial_sequence('enrollment_booking', 'id')) AS booking_id
        FROM enrollment_session AS here
        JOIN enrollment_participant AS participant ON participant.id = :participant_id
        JOIN enrollment_client AS client ON client.id = participant.client_id AND client.id = :client_id
        WHERE here.id = :session_id AND here.status <> 'cancelled'
            AND client.erased_at IS NULL AND client.merged_into_id IS NULL AND NOT client.archived
            AND here.capacity > (
                SELECT count(*) FROM enrollment_booking
                WHERE session_id = here.id AND state IN ('booked', 'attended', 'no_show', 'waitlisted')
            )
            AND NOT EXISTS (
                SELECT FROM enrollment_booking
                WHERE session_id = here.id AND participant_id = participant.id AND live IS TRUE
            )
            AND (:confirm_overlap OR NOT EXISTS (
                SELECT FROM enrollment_booking AS booking
                JOIN enrollment_session AS there ON there.id = booking.session_id
                WHERE booking.participant_id = participant.id AND booking.state IN ('booked', 'attended', 'no_show')
                    AND there.id <> here.id AND there.status = 'scheduled'
                    AND there.starts_at < here.ends_at AND there.ends_at > here.starts_at
            ))
    ),
    {TAKING},
    booked AS (
        INSERT INTO enrollment_booking (
            id, client_id, participant_id, session_id, state, live, pays, enrollment_id, lot_id, amount,
            created_by_id, created_at, updated_at
        )
        SELECT wish.booking_id, wish.client_id, wish.participant_id, wish.session_id, 'booked', true,
            CASE WHEN chosen.enrollment_id IS NULL THEN 'lot' ELSE 'enrollment' END, chosen.enrollment_id, chosen.id,
            CAST(:amount AS bigint), wish.actor_id, wish.at, wish.at
        FROM wish JOIN chosen ON chosen.booking_id = wish.booking_id
        RETURNING id
    ),
    told AS (
        INSERT INTO enrollment_audit_event (at, actor_id, verb, record, record_id, client_id, details)
        SELECT wish.at, wish.actor_id, :verb, :record, wish.booking_id, wish.client_id, CAST(:details AS jsonb)
        FROM wish JOIN chosen ON chosen.booking_id = wish.booking_id
    )
    SELECT * FROM booked
    """  # noqa: S608
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
    keys = {"session_id": asked.session_id, "client_id": asked.client_id, "participant_id": asked.participant_id}
    now = clock.now()
    held = run_compiled(connection, _hold, {**keys, "themself": asked.participant_id is None, "at": now}).first()
    if held is None:
        return None
    day = held.starts_at.astimezone(ZoneInfo(held.timezone)).date()
    guards = Guards(session, asked.client_id, held.participant_id, day)
    details: dict[str, Any] = {"session_id": asked.session_id, "state": BookingState.booked}
    told: dict[str, Any] = {
        "actor": actor, "verb": "book", "record": "booking", "client_id": asked.client_id, **details
    }
    parameters = {
        **keys, **event_row(**told), "participant_id": held.participant_id, "confirm_overlap": asked.confirm_overlap,
        "enrollments": [key for key in set(held.enrollments) if guards.let_pay(key)], "lot_id": wish.lot_id,
        "amount": wish.amount, "day": day,
    }
    booking_id = run_compiled(connection, _book, parameters).scalar()
    if booking_id is None:
        change_balance(session, asked.client_id, held.event_type_id, available=1, reserved=-1)
        return None
    log_event(record_id=booking_id, **told)
    booking = Booking(id=booking_id)
    make_transient_to_detached(booking)
    session.add(booking)
    return booking

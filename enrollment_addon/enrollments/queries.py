"""Reads of enrollments."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload, lazyload

from ..billing.models import Charge
from ..billing.queries import EnrollmentMoney, enrollment_money
from ..catalog.models import Package
from ..core import clock
from ..core.db import key_list
from ..credits.models import CreditLot, lots
from ..schedule.calc import BookingState, SessionStatus
from ..schedule.models import Booking, ScheduledSession
from ..schedule.queries import SESSION_PARTS
from .calc import Quote, Refund, quote
from .models import Enrollment, EnrollmentChange, EnrollmentPause

RESTORE_DAYS = 30
MOST_ROWS = 100
VOID_RETURNED = "void_returned_sessions"
VOID_BY_HAND = "void_session_credits"
VOID_UNDONE = "undo_void_session_credits"
ASIDES = (VOID_RETURNED, VOID_BY_HAND, VOID_UNDONE)
"""What is told in the history and is no step of its own: an undo takes back the step before."""


class SessionCounts(NamedTuple):
    """How the sessions of an enrollment stand; `remaining` can still be booked."""

    used: int = 0
    reserved: int = 0
    remaining: int = 0


def session_counts(session: Session, enrollment_ids: Iterable[int]) -> dict[int, SessionCounts]:
    """The sessions of these enrollments by key, in one statement; those without a lot are there too."""
    wanted = list(enrollment_ids)
    rows = session.connection().execute(
        select(
            lots.c.enrollment_id, func.sum(lots.c.used), func.sum(lots.c.reserved), func.sum(lots.c.available)
        )
        .where(lots.c.enrollment_id.in_(key_list(session, wanted)))
        .group_by(lots.c.enrollment_id)
    )
    found = {key: SessionCounts(int(used), int(reserved), int(left)) for key, used, reserved, left in rows}
    return {key: found.get(key, SessionCounts()) for key in wanted}


def counts_of(session: Session, enrollment_id: int) -> SessionCounts:
    return session_counts(session, [enrollment_id])[enrollment_id]


def money_of(session: Session, enrollment_id: int) -> EnrollmentMoney:
    return enrollment_money(session, [enrollment_id])[enrollment_id]


def lot_ids(session: Session, enrollment_id: int) -> list[int]:
    """The lots that hold an enrollment's sessions, the oldest first."""
    found = select(lots.c.id).where(lots.c.enrollment_id == enrollment_id).order_by(lots.c.id)
    return list(session.connection().execute(found).scalars())


def lots_of_enrollment(session: Session, enrollment_id: int) -> Sequence[CreditLot]:
    return session.scalars(
        select(CreditLot).where(CreditLot.enrollment_id == enrollment_id).order_by(CreditLot.id)
    ).all()


def _to_come(enrollment_id: int) -> Select[int]:
    return (
        select(func.count())
        .select_from(Booking)
        .join(ScheduledSession, ScheduledSession.id == Booking.session_id)
        .where(
            Booking.enrollment_id == enrollment_id, Booking.state == BookingState.booked,
            ScheduledSession.status == SessionStatus.scheduled, ScheduledSession.starts_at >= clock.now(),
        )
    )


def future_bookings(session: Session, enrollment_id: int) -> int:
    """How many sessions to come are booked with an enrollment."""
    return session.scalar(_to_come(enrollment_id)) or 0


def sessions_left(session: Session, enrollment_id: int) -> int:
    """The sessions that a cancellation takes. Those booked for later count as left: their bookings are cancelled."""
    counts = counts_of(session, enrollment_id)
    return counts.remaining + min(counts.reserved, future_bookings(session, enrollment_id))


def refund_quote(session: Session, enrollment: Enrollment, kind: Refund, *, left: int | None = None) -> Quote:
    """What a cancellation would give back for the sessions that are left, counted now unless they were before."""
    money = money_of(session, enrollment.id)
    left = sessions_left(session, enrollment.id) if left is None else left
    return quote(kind, paid=money.paid, refunded=money.refunded, remaining=left, total=enrollment.total)


def open_charges(session: Session, enrollment_id: int) -> Sequence[Charge]:
    """The charges of an enrollment that are open and that no money settles, in key order: what was paid for them,
    if anything, went back."""
    return session.scalars(
        select(Charge)
        .where(Charge.enrollment_id == enrollment_id, Charge.status == "open", Charge.settled == 0)
        .order_by(Charge.id)
        .execution_options(populate_existing=True)
    ).all()


def last_change(session: Session, enrollment_id: int) -> EnrollmentChange | None:
    """The last step in an enrollment's life; what only happened to its sessions since is none."""
    return session.scalars(
        select(EnrollmentChange)
        .where(EnrollmentChange.enrollment_id == enrollment_id, EnrollmentChange.verb.not_in(ASIDES))
        .order_by(EnrollmentChange.id.desc()).limit(1)
    ).one_or_none()


def voided_by(session: Session, step: EnrollmentChange) -> int:
    """How many sessions an end of an enrollment has voided, with those that came back later and were voided then."""
    later = session.scalars(
        select(EnrollmentChange).where(
            EnrollmentChange.enrollment_id == step.enrollment_id, EnrollmentChange.id > step.id,
            EnrollmentChange.verb == VOID_RETURNED,
        )
    )
    return sum(change.details.get("voided", 0) for change in (step, *later))


def history(session: Session, enrollment_id: int) -> Sequence[EnrollmentChange]:
    """The steps in an enrollment's life, the newest first."""
    return session.scalars(
        select(EnrollmentChange)
        .where(EnrollmentChange.enrollment_id == enrollment_id)
        .order_by(EnrollmentChange.id.desc()).limit(MOST_ROWS)
    ).all()


def open_pauses(session: Session, enrollment_id: int) -> Sequence[EnrollmentPause]:
    """The pauses that are planned or running, in order."""
    return session.scalars(
        select(EnrollmentPause)
        .where(EnrollmentPause.enrollment_id == enrollment_id, EnrollmentPause.resumed_on.is_(None))
        .order_by(EnrollmentPause.begins_on)
    ).all()


def resting_on(session: Session, enrollment_ids: Collection[int], day: dt.date) -> set[int]:
    """Which of these enrollments are paused on a day, or begin later. Counts all, in reach or not."""
    pauses, enrollments = EnrollmentPause.__table__.c, Enrollment.__table__.c
    keys, connection = key_list(session, enrollment_ids), session.connection()
    paused = select(pauses.enrollment_id).where(
        pauses.enrollment_id.in_(keys), pauses.resumed_on.is_(None), pauses.begins_on <= day, pauses.ends_on >= day
    )
    later = select(enrollments.id).where(enrollments.id.in_(keys), enrollments.begins_on > day)
    return {*connection.execute(paused).scalars(), *connection.execute(later).scalars()}


def pauses_in_year(session: Session, enrollment_id: int, year: int) -> Sequence[EnrollmentPause]:
    """The pauses with days in a year that were not given up before their first day."""
    return session.scalars(
        select(EnrollmentPause).where(
            EnrollmentPause.enrollment_id == enrollment_id, EnrollmentPause.days > 0,
            EnrollmentPause.begins_on <= dt.date(year, 12, 31), EnrollmentPause.ends_on >= dt.date(year, 1, 1),
        )
    ).all()


def bookings_of(session: Session, enrollment_id: int) -> Sequence[Booking]:
    """The bookings paid by an enrollment with their sessions, the latest session first."""
    return session.scalars(
        select(Booking)
        .join(ScheduledSession, ScheduledSession.id == Booking.session_id)
        .where(Booking.enrollment_id == enrollment_id)
        .options(joinedload(Booking.session).options(*SESSION_PARTS), joinedload(Booking.participant))
        .order_by(ScheduledSession.starts_at.desc(), Booking.id.desc()).limit(MOST_ROWS)
    ).unique().all()


def live_renewals(session: Session, enrollment_id: int) -> Sequence[Enrollment]:
    """The enrollments that renew this one, the oldest first."""
    return session.scalars(
        select(Enrollment)
        .where(Enrollment.renewed_from_id == enrollment_id, Enrollment.deleted_at.is_(None))
        .options(joinedload(Enrollment.package).options(lazyload(Package.clubs)))
        .order_by(Enrollment.id).limit(MOST_ROWS)
    ).unique().all()


def enrollments_by_key(session: Session, keys: Collection[int]) -> dict[int, Enrollment]:
    """These enrollments with their packages, as far as they are in reach."""
    found = session.scalars(
        select(Enrollment)
        .where(Enrollment.id.in_(key_list(session, keys)))
        .options(joinedload(Enrollment.package).options(lazyload(Package.clubs)))
    ).unique()
    return {item.id: item for item in found}


def enrollments_of(session: Session, client_id: int, limit: int = 10) -> Sequence[Enrollment]:
    """A client's enrollments, the newest first."""
    return session.scalars(
        select(Enrollment)
        .where(Enrollment.client_id == client_id, Enrollment.deleted_at.is_(None))
        .options(joinedload(Enrollment.package).options(lazyload(Package.clubs)), joinedload(Enrollment.participant))
        .order_by(Enrollment.id.desc()).limit(limit)
    ).unique().all()

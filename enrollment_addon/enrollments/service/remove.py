"""Deleting an enrollment that should not have been, and bringing it back."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ...billing.service import lock_account
from ...core import clock, money
from ...core.db import require
from ...core.fields import reason_of
from ...core.scope import Actor
from ...schedule.hooks import policy
from ...schedule.service import cancel_enrollment_bookings
from .. import queries
from ..calc import Status
from ..errors import MoneySettled, NotDeleted, RestoreTooLate
from ..models import Enrollment, EnrollmentChange
from .pauses import end_pauses
from .steps import (
    add_sessions,
    charge,
    lock,
    note,
    reason_or_none,
    today_at,
    value_of_one,
    void_sessions,
    withdraw_charges,
)


def delete_enrollment(session: Session, *, enrollment_id: int, reason: str, actor: Actor) -> None:
    """Take an enrollment away, for 30 days restorable: its bookings to come, sessions and open charges go with it.

    Raises: NotFound, InvalidInput without a reason; MoneySettled while money is settled against it.
    """
    reason = reason_of(reason)
    item = lock(session, enrollment_id, with_bookings=True)
    pauses = end_pauses(session, item, actor=actor)
    cancelled = cancel_enrollment_bookings(
        session, enrollment_id=item.id, begins=clock.now(), actor=actor, reason=reason
    )
    left = queries.counts_of(session, item.id).remaining
    voided = void_sessions(session, item, left, reason=reason, actor=actor)
    lock_account(session, item.client_id, item.currency)
    paid = queries.money_of(session, item.id)
    if (settled := paid.paid - paid.refunded) > 0:
        raise MoneySettled(amount=str(money.to_decimal(settled, item.currency)), currency=item.currency)
    withdrawn = withdraw_charges(session, item, reason=reason, actor=actor)
    item.deleted_at = clock.now()
    note(
        session, item, "delete_enrollment", Status(item.status), actor=actor, reason=reason, voided=voided,
        withdrawn=withdrawn, currency=item.currency, bookings=len(cancelled), pauses=pauses,
    )


def restore_enrollment(
    session: Session, *, enrollment_id: int, actor: Actor, reason: str | None = None
) -> Enrollment:
    """Bring a deleted enrollment back with the sessions and charges it had; bookings are not made again.

    Raises: NotFound, NotDeleted, RestoreTooLate.
    """
    reason = reason_or_none(reason)
    item = lock(session, enrollment_id, deleted=True)
    deletion = _deletion(session, item)
    item.deleted_at, deletion.undone_at = None, clock.now()
    session.flush()
    given_back(session, item, deletion, actor=actor)
    note(session, item, "restore_enrollment", Status(item.status), actor=actor, reason=reason)
    return item


def _deletion(session: Session, item: Enrollment) -> EnrollmentChange:
    """The step that deleted an enrollment. Raises: NotDeleted, RestoreTooLate."""
    if item.deleted_at is None:
        raise NotDeleted
    if clock.now() - item.deleted_at > dt.timedelta(days=queries.RESTORE_DAYS):
        raise RestoreTooLate(days=queries.RESTORE_DAYS)
    deletion = queries.last_change(session, item.id)
    assert deletion is not None, "a deletion is a step"
    assert deletion.verb == "delete_enrollment", "nothing follows a deletion"
    return deletion


@dataclass(frozen=True)
class UndoPlan:
    """What an undo would do: which step it takes back, and the sessions (good until a day) and money that come
    with it. Bookings and pauses, by their first and last days, are gone."""

    verb: str
    sessions: int
    until: dt.date | None
    owed: int
    bookings: int
    pauses: list[dict[str, str]]


def plan_of(session: Session, item: Enrollment, step: EnrollmentChange) -> UndoPlan:
    """What taking back a step would do now."""
    return UndoPlan(
        step.verb, queries.voided_by(session, step), end_again(item), owed_again(step),
        step.details.get("bookings", 0), step.details.get("pauses", []),
    )


def restore_plan(session: Session, *, enrollment_id: int) -> UndoPlan:
    """What restoring would do, without doing it. Raises: NotFound, NotDeleted, RestoreTooLate."""
    item = require(session, Enrollment, enrollment_id)
    return plan_of(session, item, _deletion(session, item))


def owed_again(step: EnrollmentChange) -> int:
    """What the client owes again when a step is taken back, in minor units."""
    return int(step.details.get("withdrawn", 0) + step.details.get("refunded", 0))


def end_again(item: Enrollment) -> dt.date | None:
    """The last day of sessions that are opened again: the end, or once it is over the grace of a returned credit."""
    today: dt.date = today_at(item)
    if item.ends_on is None or item.ends_on >= today:
        return item.ends_on
    return today + dt.timedelta(days=policy().grace_days)


def given_back(session: Session, item: Enrollment, step: EnrollmentChange, *, actor: Actor) -> tuple[int, int]:
    """Open again what a step voided, and charge again what it withdrew or refunded: sessions and minor units."""
    sessions, owed = queries.voided_by(session, step), owed_again(step)
    if sessions:
        item.ends_on = end_again(item)
    add_sessions(session, item, sessions, unit_value=value_of_one(item), actor=actor)
    charge(session, item, item.package.name if item.package else "–", owed, actor=actor)
    return sessions, owed

"""What the verbs share: the lock on an enrollment, the table of status changes, and the note of each step."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...billing.service import issue_charge, void_charge
from ...core import clock
from ...core.audit import record_event
from ...core.db import idempotent, require
from ...core.errors import Busy, NotFound
from ...core.fields import clean, text
from ...core.scope import Actor
from ...credits.models import Origin
from ...credits.service import open_lot, take_back
from ...schedule.service import hold_enrollment, lock_accounts
from .. import calc, queries
from ..calc import Status
from ..errors import EnrollmentDeleted, StatusConflict, StatusIsFinal
from ..labels import STATUSES
from ..models import Enrollment, EnrollmentChange

REASON = {"reason": text(500)}


def lock(session: Session, enrollment_id: int, *, with_bookings: bool = False, deleted: bool = False) -> Enrollment:
    """The enrollment, which nobody else changes, books with or moves the credits of until the transaction ends.

    The locks come in the order of booking and attendance: the sessions to come (`with_bookings`), the balances,
    the enrollment. `deleted`: it may be a deleted one.
    Raises: NotFound, EnrollmentDeleted; Busy when a merge moved it to another client in the meantime.
    """
    seen = require(session, Enrollment, enrollment_id)
    if seen.event_type_id is not None:
        if with_bookings:
            hold_enrollment(
                session, enrollment_id=seen.id, client_id=seen.client_id, event_type_id=seen.event_type_id
            )
        else:
            lock_accounts(session, [seen.client_id], [seen.event_type_id])
    client_id, item = seen.client_id, lock_row(session, enrollment_id)
    if item.client_id != client_id:
        raise Busy
    if item.deleted_at is not None and not deleted:
        raise EnrollmentDeleted
    return item


def lock_row(session: Session, enrollment_id: int) -> Enrollment:
    """The enrollment, locked, for those who hold the balance above it. Charges may still name it. Raises: NotFound."""
    item = session.scalars(
        select(Enrollment)
        .where(Enrollment.id == enrollment_id)
        .with_for_update(of=Enrollment, key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if item is None:
        raise NotFound
    return item


def reason_or_none(reason: Any) -> str | None:
    """An optional reason. Raises: InvalidInput."""
    return clean({"reason": reason}, REASON)["reason"]  # type: ignore[no-any-return]


def require_change(item: Enrollment, wanted: Status) -> None:
    """Raises: StatusConflict or StatusIsFinal unless the enrollment may become this; says what it may become."""
    if wanted not in calc.possible_changes(item.kind, Status(item.status)):
        raise refusal_of(item)


def refusal_of(item: Enrollment) -> StatusConflict | StatusIsFinal:
    """The refusal that says which changes are possible instead."""
    possible = calc.possible_changes(item.kind, Status(item.status))
    names = dict(STATUSES)
    status = str(names[Status(item.status)])
    if not possible:
        return StatusIsFinal(status=status)
    return StatusConflict(status=status, possible=", ".join(str(names[each]) for each in possible))


def today_at(item: Enrollment) -> Any:
    """The day it is at the enrollment's club."""
    return clock.today(item.club.timezone)


def note(
    session: Session, item: Enrollment, verb: str, before: Status | None, *, actor: Actor, reason: str | None = None,
    **details: Any,
) -> None:
    """Write a step into the enrollment's history and the audit."""
    session.add(
        EnrollmentChange(
            enrollment_id=item.id, client_id=item.client_id, verb=verb, status_before=before,
            status_after=item.status, actor_id=actor.user_id, reason=reason, details=details,
        )
    )
    session.flush()
    record_event(
        session, actor=actor, verb=verb, record="enrollment", record_id=item.id, client_id=item.client_id,
        reason=reason, **details,
    )


def once(
    session: Session, *, key: str | None, verb: str, asked: Mapping[str, Any], do: Callable[[], int]
) -> Enrollment:
    """Run a verb once per idempotency key; the enrollment it was about. Raises: IdempotencyMismatch."""
    answer = idempotent(session, key=key, verb=verb, asked=asked, do=lambda: {"id": do()})
    return require(session, Enrollment, answer["id"])


def add_sessions(session: Session, item: Enrollment, count: int, *, unit_value: int, actor: Actor) -> None:
    """Open a lot of so many sessions that only this enrollment can be booked with."""
    if count:
        assert item.event_type_id is not None, "an enrollment with sessions has an event type"
        open_lot(
            session, client_id=item.client_id, event_type_id=item.event_type_id, quantity=count,
            expires_on=item.ends_on, origin=Origin.enrollment, unit_value=unit_value, currency=item.currency,
            enrollment_id=item.id, participant_ids=(item.participant_id,) if item.participant_id else (),
            actor=actor,
        )


def void_sessions(session: Session, item: Enrollment, count: int, *, reason: str, actor: Actor) -> int:
    """Take back so many sessions that are not booked; how many."""
    if count:
        take_back(session, lot_ids=queries.lot_ids(session, item.id), quantity=count, reason=reason, actor=actor)
    return count


def charge(session: Session, item: Enrollment, what: str, amount: int, *, actor: Actor) -> None:
    """Let the client owe an amount for this enrollment, due today."""
    if amount:
        issue_charge(
            session, client_id=item.client_id, what=what[:200], gross=amount, currency=item.currency,
            due_on=today_at(item), enrollment_id=item.id, actor=actor,
        )


def withdraw_charges(session: Session, item: Enrollment, *, reason: str, actor: Actor) -> int:
    """Void the charges of an enrollment that no money settles; how much of them was still to be paid."""
    total = 0
    for open_one in queries.open_charges(session, item.id):
        total += open_one.open
        void_charge(session, charge_id=open_one.id, reason=reason, actor=actor)
    return total


def value_of_one(item: Enrollment) -> int:
    """The price of one session as agreed, in minor units."""
    return calc.price_of(1, price=item.price, total=item.total)

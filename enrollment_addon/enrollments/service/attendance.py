"""What bookings mean for an enrollment: whether it can pay for one, and what follows when sessions are used."""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.errors import NotFound
from ...core.scope import Actor
from .. import queries, reasons
from ..calc import Status
from ..errors import NotBookable, NotYetBegun, OtherParticipant, PausedThatDay, RestsNow
from ..labels import STATUSES
from ..models import Enrollment
from .steps import lock_row, note, void_sessions

BOOKABLE = (Status.active, Status.completed)
"""What is left of a completed enrollment is good until it expires, unless it was voided."""
GONE = (Status.cancelled, Status.transferred, Status.exited)
"""The ends that leave no sessions."""


def guard_booking(
    session: Session, enrollment_id: int, client_id: int, participant_id: int, day: dt.date
) -> None:
    """Whether an enrollment can pay for a session of that day.

    Raises: NotFound, NotBookable, PausedThatDay, RestsNow, NotYetBegun, OtherParticipant.
    """
    item = _as_it_is(session, enrollment_id)
    for pause in queries.open_pauses(session, item.id):
        if pause.begins_on <= day <= pause.ends_on:
            raise PausedThatDay(first=pause.begins_on, last=pause.ends_on)
        if item.status == Status.paused:
            raise RestsNow(first=pause.begins_on, last=pause.ends_on)
    if item.deleted_at is not None or item.status not in BOOKABLE:
        raise NotBookable(status=dict(STATUSES)[Status(item.status)])
    if day < item.begins_on:
        raise NotYetBegun(day=item.begins_on)
    if item.client_id != client_id or item.participant_id not in (None, participant_id):
        raise OtherParticipant


def _as_it_is(session: Session, enrollment_id: int) -> Enrollment:
    """The enrollment as the database has it now: the caller may have waited for the balance meanwhile."""
    item = session.scalars(
        select(Enrollment).where(Enrollment.id == enrollment_id).execution_options(populate_existing=True)
    ).one_or_none()
    if item is None:
        raise NotFound
    return item


def settle_attendance(
    session: Session, enrollment_ids: Sequence[int], actor: Actor, *, complete: bool
) -> None:
    """Complete enrollments whose last session was used, if the deployment wants that; reopen those it was taken
    back of again. What comes back to one that has ended early or was deleted is voided: nothing could use it."""
    for key in sorted(enrollment_ids):
        item = lock_row(session, key)
        if item.deleted_at is not None or item.status in GONE:
            _void_returned(session, item, actor)
            continue
        all_used = item.total > 0 and queries.counts_of(session, key).used >= item.total
        if complete and all_used and item.status == Status.active:
            item.status = Status.completed
            note(session, item, "auto_complete_enrollment", Status.active, actor=actor)
        elif item.status == Status.completed and not all_used:
            step = queries.last_change(session, key)
            if step is not None and step.verb == "auto_complete_enrollment" and step.undone_at is None:
                item.status, step.undone_at = Status.active, clock.now()
                note(session, item, "reopen_enrollment", Status.completed, actor=actor)


def _void_returned(session: Session, item: Enrollment, actor: Actor) -> None:
    left = queries.counts_of(session, item.id).remaining
    if left:
        voided = void_sessions(session, item, left, reason=reasons.ENDED(number=item.id), actor=actor)
        note(session, item, queries.VOID_RETURNED, Status(item.status), actor=actor, voided=voided)

"""Taking back the end of an enrollment, as long as nothing later depends on it."""

from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from ...core import clock
from ...core.db import require
from ...core.fields import reason_of
from ...core.scope import Actor
from .. import queries
from ..calc import Status
from ..errors import NothingToUndo, StillNeeded
from ..models import Enrollment, EnrollmentChange
from .remove import UndoPlan, given_back, plan_of
from .steps import lock, note, once

UNDOABLE = ("cancel_enrollment", "complete_enrollment", "auto_complete_enrollment")


def undo_plan(session: Session, *, enrollment_id: int) -> UndoPlan:
    """What an undo would do, without doing it. Raises: NotFound, NothingToUndo, StillNeeded."""
    item = require(session, Enrollment, enrollment_id)
    return plan_of(session, item, _step(session, item))


def undo_enrollment(
    session: Session, *, enrollment_id: int, reason: str, actor: Actor, idempotency_key: str | None = None
) -> Enrollment:
    """Take the cancellation or completion back: the status before, the sessions again; what was refunded is owed.

    Bookings that were cancelled are not made again: somebody else may have the place. Pauses stay given up.
    Raises: NotFound, InvalidInput, EnrollmentDeleted, NothingToUndo; StillNeeded says what depends on it.
    """
    reason = reason_of(reason)

    def undo() -> int:
        item = lock(session, enrollment_id)
        step = _step(session, item)
        before = Status(item.status)
        item.status = step.status_before or Status.active
        step.undone_at = clock.now()
        session.flush()
        sessions, owed = given_back(session, item, step, actor=actor)
        note(
            session, item, "undo_enrollment", before, actor=actor, reason=reason, of=step.verb, sessions=sessions,
            charged=owed, currency=item.currency,
        )
        return item.id

    asked = {"enrollment_id": enrollment_id, "reason": reason}
    return once(session, key=idempotency_key, verb="undo_enrollment", asked=asked, do=undo)


def _step(session: Session, item: Enrollment) -> EnrollmentChange:
    step = queries.last_change(session, item.id)
    if item.deleted_at is not None or step is None or step.verb not in UNDOABLE or step.undone_at is not None:
        raise NothingToUndo
    if renewals := queries.live_renewals(session, item.id):
        raise StillNeeded(what=_l("enrollment %(id)s renews it", id=renewals[0].id))
    return step

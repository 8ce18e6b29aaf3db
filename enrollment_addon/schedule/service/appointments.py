"""An appointment takes place for whom it was made: it ends with its booking, and comes back with it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.scope import Actor
from ..calc import SessionKind, SessionStatus
from ..models import ScheduledSession
from .places import bookings, for_everybody


def settle_appointment(session: Session, item: ScheduledSession, *, actor: Actor, reason: str | None = None) -> None:
    """Cancel an appointment to come in which nobody is booked any more, so that instructor and room are free, and
    bring one back that somebody is booked in again. The caller holds the session.

    Whoever may write the booking may do that, also where the appointment is somebody else's to give.
    """
    if item.kind != SessionKind.appointment or item.closed_by_id is not None:
        return
    live = select(bookings.c.id).where(bookings.c.session_id == item.id, bookings.c.live.is_(True)).limit(1)
    is_booked = session.connection().execute(live).first() is not None
    if is_booked and item.status == SessionStatus.cancelled:
        item.status, item.cancel_reason, verb = SessionStatus.scheduled, None, "reopen_session"
    elif not is_booked and item.status == SessionStatus.scheduled and item.starts_at > clock.now():
        item.status, item.cancel_reason, verb = SessionStatus.cancelled, reason, "cancel_session"
    else:
        return
    item.sequence += 1
    with for_everybody(session, actor):
        session.flush()
    record_event(session, actor=actor, verb=verb, record="session", record_id=item.id, reason=reason)

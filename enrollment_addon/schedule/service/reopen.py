"""Undoing a closure: its sessions take place again, with everybody whose credit is still there."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.batches import BatchState, advance_undo, batches, begin_undo, lock_batch, visible_batch
from ...core.db import idempotent
from ...core.errors import AddonError
from ...core.fields import reason_of
from ...core.scope import Actor
from ...credits.errors import NotEnoughCredits
from ...credits.labels import BATCH_STATES
from ...credits.models import lots
from ...credits.service import shift_expiry, take_back
from ...jobs.service import queue_job
from ...notices.calc import NoticeKind
from ..calc import TAKING_A_PLACE, BookingState, EffectKind, SessionStatus
from ..errors import ClosureStateConflict
from ..models import Booking, ScheduledSession
from .close import KIND, effects
from .overlaps import booked_elsewhere, count_double_bookings
from .pay import pay, set_state, wish_again
from .places import bookings, for_everybody, lock_accounts, locked_session, places, sessions
from .tell import tell
from .waitlist import promote

UNDO = "schedule.reopen"


@dataclass(frozen=True)
class ReopenPlan:
    """What an undo would do: sessions that take place again and bookings that come back.

    `over`: sessions whose time is past; they come back as well, so that their attendance can be taken. `taken`:
    sessions whose instructor or room has something else by now; `busy`: places of people who are booked elsewhere.
    """

    sessions: int
    over: int
    bookings: int
    clients: int
    taken: int
    busy: int


def reopen_plan(session: Session, *, batch_id: int, actor: Actor) -> ReopenPlan:
    """Say what an undo would do now; writes nothing. Raises: NotFound, ClosureStateConflict."""
    _require_done(visible_batch(session, batch_id, kinds=[KIND], actor=actor))
    connection = session.connection()
    closed = sessions.c.closed_by_id == batch_id
    count, over = connection.execute(
        select(
            func.count(), func.coalesce(func.sum(case((sessions.c.starts_at <= clock.now(), 1), else_=0)), 0)
        ).where(closed)
    ).one()
    rows, clients = connection.execute(
        select(func.count(), func.count(bookings.c.client_id.distinct())).where(bookings.c.closed_by_id == batch_id)
    ).one()
    return ReopenPlan(count, int(over), rows, clients, *count_double_bookings(session, batch_id))


def undo_closure(
    session: Session, *, batch_id: int, reason: str, actor: Actor, threshold: int, idempotency_key: str | None = None
) -> dict[str, Any]:
    """Let the sessions of a closure take place after all: bookings come back and are paid as before.

    Days that were added to lots are taken off again; make-ups nobody has used are taken back. A booking whose
    credit was spent elsewhere meanwhile stays cancelled. Answers `{taken_back, kept_spent, clients, overlaps,
    job_id}`: bookings that came back, those that could not, people, and those of the first who have another place at
    the same time. Raises: NotFound, ClosureStateConflict, InvalidInput.
    """
    reason = reason_of(reason)

    def do() -> dict[str, Any]:
        visible_batch(session, batch_id, kinds=[KIND], actor=actor)
        batch = lock_batch(session, batch_id)
        _require_done(batch)
        nothing = {"taken_back": 0, "kept_spent": 0, "clients": batch.input["clients"], "overlaps": 0}
        begin_undo(session, batch_id, reason=reason, actor=actor, result=nothing)
        job_id = None
        if batch.input["booked"] > threshold:
            job_id = queue_job(
                session, kind=UNDO, input={"batch_id": batch_id}, actor=actor, total=batch.total
            ).id
        else:
            while not reopen_chunk(session, batch_id=batch_id, actor=actor):
                pass
        result = session.execute(select(batches.c.undo_result).where(batches.c.id == batch_id)).scalar_one()
        record_event(
            session, actor=actor, verb="undo_closure", record="batch", record_id=batch_id, reason=reason, **result
        )
        return {**result, "job_id": job_id}

    asked = {"actor": actor.user_id, "batch_id": batch_id, "reason": reason}
    return idempotent(session, key=idempotency_key, verb="undo_closure", asked=asked, do=do)


def _require_done(batch: Any) -> None:
    if batch.state != BatchState.done:
        raise ClosureStateConflict(state=dict(BATCH_STATES)[BatchState(batch.state)])


def reopen_chunk(session: Session, *, batch_id: int, actor: Actor) -> bool:
    """Bring the next session of a closure back; whether all are."""
    batch = lock_batch(session, batch_id)
    if batch.state != BatchState.undoing:
        return True
    session_id = _next_closed(session, batch)
    if session_id is None:
        with for_everybody(session, actor) as wide:
            _undo_effects(session, batch_id, batch.undo_reason, wide)
        advance_undo(session, batch_id, finished=True)
        return True
    result = _reopen_one(session, batch, session_id, actor)
    advance_undo(session, batch_id, cursor=session_id, result=result)
    return False


def skip_reopening(session: Session, *, batch_id: int) -> int | None:
    """Go past the next session of a closure that is being undone; its key, None without one."""
    batch = lock_batch(session, batch_id)
    session_id = _next_closed(session, batch) if batch.state == BatchState.undoing else None
    if session_id is not None:
        advance_undo(session, batch_id, cursor=session_id)
    return session_id


def reopen_skipped(session: Session, *, batch_id: int, session_id: int, actor: Actor) -> bool:
    """Bring a session back that the undo of a closure skipped; False when it is not closed by it any more."""
    batch = lock_batch(session, batch_id)
    mine = select(sessions.c.id).where(sessions.c.id == session_id, sessions.c.closed_by_id == batch_id)
    if session.connection().execute(mine).first() is None:
        return False
    result = _reopen_one(session, batch, session_id, actor)
    advance_undo(session, batch_id, result=result)
    return True


def _next_closed(session: Session, batch: Any) -> int | None:
    closed = (sessions.c.closed_by_id == batch.id) & (sessions.c.id > batch.undo_cursor)
    return session.connection().execute(select(func.min(sessions.c.id)).where(closed)).scalar()


def _reopen_one(session: Session, batch: Any, session_id: int, actor: Actor) -> dict[str, int]:
    """Bring one session back; the undo's result with it."""
    with for_everybody(session, actor) as wide:
        more = _reopen(session, locked_session(session, session_id), batch.id, wide)
    return _sum(batch.undo_result, more)


def _sum(before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: value + more.get(name, 0) for name, value in before.items()}


def _reopen(session: Session, item: ScheduledSession, batch_id: int, actor: Actor) -> dict[str, int]:
    """One session takes place again. How many bookings came back, could not, and came back beside another one.

    Places of those who could not are offered to the queue, which came back as well.
    """
    item.status, item.cancel_reason, item.closed_by_id = SessionStatus.scheduled, None, None
    item.sequence += 1
    session.flush()
    rows: Sequence[Booking] = session.scalars(
        select(Booking)
        .where(Booking.session_id == item.id, Booking.closed_by_id == batch_id)
        .order_by(Booking.id)
        .execution_options(populate_existing=True)
    ).all()
    lock_accounts(session, {row.client_id for row in rows}, [item.event_type_id])
    busy = booked_elsewhere(session, item, [row.participant_id for row in rows])
    back = [booking for booking in rows if _come_back(session, booking, item, actor)]
    if item.starts_at > clock.now():
        tell(session, NoticeKind.session_reopened, item, {booking.client_id: {} for booking in back})
    promote(session, item, actor=actor)
    double = sum(b.state in TAKING_A_PLACE and b.participant_id in busy for b in back)
    return {"taken_back": len(back), "kept_spent": len(rows) - len(back), "overlaps": double}


def _come_back(session: Session, booking: Booking, item: ScheduledSession, actor: Actor) -> bool:
    """Let one booking live again, as it was; whether it can be paid as before."""
    state = BookingState.waitlisted if booking.returned is None else BookingState.booked
    before = places(session, item.id, booking.participant_id)
    if before.has_booking or (state in TAKING_A_PLACE and before.taken >= item.capacity):
        return False
    try:
        with session.begin_nested():
            if booking.returned:
                pay(session, booking, item, wish_again(booking), actor=actor)
            set_state(session, booking, state, closed_by_id=None, cancel_reason=None, returned=None)
    except AddonError:
        session.expire(booking)
        return False
    record_event(
        session, actor=actor, verb="reopen_booking", record="booking", record_id=booking.id,
        client_id=booking.client_id, session_id=item.id,
    )
    return True


def _undo_effects(session: Session, batch_id: int, reason: str, actor: Actor) -> None:
    """Take off the days that lots were given, and take back make-ups that nobody has used."""
    rows = session.execute(select(effects).where(effects.c.batch_id == batch_id).order_by(effects.c.lot_id)).all()
    by_days: dict[int, list[int]] = {}
    for row in rows:
        if row.kind == EffectKind.extended:
            by_days.setdefault(row.days, []).append(row.lot_id)
    for days, keys in by_days.items():
        shift_expiry(session, lot_ids=keys, days=-days, reason=reason, actor=actor)
    made = [row.lot_id for row in rows if row.kind == EffectKind.makeup]
    left = session.execute(select(lots.c.id).where(lots.c.id.in_(made), lots.c.available > 0)).scalars().all()
    for lot_id in left:
        with suppress(NotEnoughCredits), session.begin_nested():
            take_back(session, lot_ids=[lot_id], quantity=1, reason=reason, actor=actor)


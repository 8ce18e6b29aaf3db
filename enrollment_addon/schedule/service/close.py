"""Closing days or sessions: a batch that cancels sessions, gives back what paid for them, and can be undone.

The batch's targets are the sessions, frozen when it is opened; its chunks take them in key order. Bookings and
sessions carry the batch that closed them, `ClosureEffect` what happened to lots: that is all an undo needs.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, case, func, insert, select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.batches import Chunk, Slice, in_slice, open_batch, serve_chunk, serve_skipped, targets
from ...core.db import idempotent, key_list, require
from ...core.errors import InvalidInput, NotFound
from ...core.fields import clean, date, flag, key, reason_of, text, whole
from ...core.scope import Actor, Reach
from ...credits.models import Origin, entries, lots
from ...credits.service import open_lot, shift_expiry
from ...jobs.service import queue_job
from ...notices.calc import NoticeKind
from ...people.models import Club
from ..calc import BY_CREDIT, BookingState, EffectKind, Pays, SessionStatus
from ..errors import NothingToClose
from ..models import Booking, ClosureEffect, ScheduledSession, theirs
from .cancel import CANCELLABLE
from .groups import FIRST_DAY, last_day
from .pay import give_back, set_state
from .places import bookings, for_everybody, lock_accounts, lock_sessions
from .tell import tell

KIND = "schedule.close"
SESSIONS_AT_ONCE = 20
MOST_DAYS = 366
effects: Any = ClosureEffect.__table__


@dataclass(frozen=True)
class ClosurePlan:
    """What a closure would do: to which sessions, how many people with a place and how many who wait, credits that
    go back."""

    session_ids: Sequence[int]
    sessions: int
    booked: int
    waiting: int
    clients: int
    credits: int


def _days(value: Any) -> int:
    days: int = whole(0, MOST_DAYS)(value)
    return days


_RULES = {
    "session_ids": lambda value: sorted({key(required=True)(item) for item in value}),
    "club_id": key(required=True),
    "first_date": date(FIRST_DAY, last_day),
    "last_date": date(FIRST_DAY, last_day),
    "extend_days": _days,
    "makeups": flag,
    "note": text(500),
}


def _chosen(session: Session, asked: Mapping[str, Any], actor: Actor) -> list[int]:
    """The keys of the sessions to close. Raises: InvalidInput, NotFound, NothingToClose."""
    keys = list(session.scalars(_selection(session, asked, actor)))
    if not keys:
        raise NothingToClose
    return keys


def _selection(session: Session, asked: Mapping[str, Any], actor: Actor) -> Select[Any]:
    """The sessions still to begin that are meant, as far as they are the actor's to write: one in which only a
    client of theirs is booked is somebody else's.

    Raises: InvalidInput unless either sessions or a club with days are named; NotFound for a club out of reach.
    """
    by_key, by_day = asked.get("session_ids"), asked.get("club_id")
    if (by_key is None) == (by_day is None):
        raise InvalidInput(fields={"session_ids": _l("Say either which sessions, or a club and days.")})
    query = select(ScheduledSession.id).where(
        ScheduledSession.status == SessionStatus.scheduled, ScheduledSession.starts_at > clock.now(),
        theirs(ScheduledSession, actor),
    )
    if by_key is not None:
        return query.where(ScheduledSession.id.in_(by_key))
    club = require(session, Club, asked["club_id"])
    if actor.reach is Reach.own_clubs and club.id not in actor.club_ids:
        raise NotFound
    first, last = asked.get("first_date"), asked.get("last_date") or asked.get("first_date")
    if first is None or last is None:
        raise InvalidInput(fields={"first_date": _l("Say from which day on.")})
    if not first <= last < first + dt.timedelta(days=MOST_DAYS):
        raise InvalidInput(fields={"last_date": _l("The last day is at most a year after the first, not before it.")})
    zone = ZoneInfo(club.timezone)
    begins = dt.datetime.combine(first, dt.time(), zone)
    ends = dt.datetime.combine(last + dt.timedelta(days=1), dt.time(), zone)
    return query.where(
        ScheduledSession.club_id == club.id, ScheduledSession.starts_at >= begins, ScheduledSession.starts_at < ends
    )


def closure_plan(session: Session, *, actor: Actor, **asked: Any) -> ClosurePlan:
    """Say what closing would do now; writes nothing. Raises: InvalidInput, NotFound, NothingToClose."""
    return _count(session, _chosen(session, clean(asked, _RULES), actor))


def _count(session: Session, keys: Sequence[int]) -> ClosurePlan:
    """Everybody in these sessions is counted, in the actor's reach or not: they are all sent home."""
    booked = bookings.c.state == BookingState.booked
    by_credit = booked & bookings.c.pays.in_(BY_CREDIT)
    row = session.connection().execute(
        select(
            *(func.coalesce(func.sum(case((which, 1), else_=0)), 0) for which in (booked, ~booked, by_credit)),
            func.count(bookings.c.client_id.distinct()),
        ).where(bookings.c.session_id.in_(key_list(session, keys)), bookings.c.state.in_(CANCELLABLE))
    ).one()
    return ClosurePlan(keys, len(keys), int(row[0]), int(row[1]), clients=row[3], credits=int(row[2]))


def close_sessions(
    session: Session,
    *,
    reason: str,
    actor: Actor,
    threshold: int,
    idempotency_key: str | None = None,
    **asked: Any,
) -> dict[str, Any]:
    """Cancel sessions for everybody in them; what paid comes back.

    `session_ids`, or `club_id` with `first_date` and `last_date`; `extend_days`: the lots that get a credit back
    are good for so many days longer; `makeups`: whose place was paid by a charge or a trial gets a credit
    instead of the money. Above `threshold` people a background job does it.
    Answers `{batch_id, job_id, sessions, booked, credits}`. Raises: InvalidInput, NotFound, NothingToClose.
    """
    reason = reason_of(reason)
    wanted = clean(asked, _RULES)

    def do() -> dict[str, Any]:
        keys = _chosen(session, wanted, actor)
        plan = _count(session, keys)
        terms = {
            "reason": reason, "extend_days": wanted.get("extend_days", 0), "makeups": wanted.get("makeups", False),
            "sessions": plan.sessions, "booked": plan.booked, "credits": plan.credits, "clients": plan.clients,
        }
        batch = open_batch(
            session, kind=KIND, actor=actor, asked=terms, keys=key_list(session, keys), note=reason
        )
        job_id = None
        if plan.booked + plan.waiting > threshold:
            job_id = queue_job(
                session, kind=KIND, input={"batch_id": batch.id}, actor=actor, total=plan.sessions
            ).id
        else:
            while not close_chunk(session, batch_id=batch.id, actor=actor).finished:
                pass
        record_event(
            session, actor=actor, verb="close_sessions", record="batch", record_id=batch.id, reason=reason,
            sessions=plan.sessions, booked=plan.booked, credits=plan.credits,
        )
        return {
            "batch_id": batch.id, "job_id": job_id, "sessions": plan.sessions, "booked": plan.booked,
            "credits": plan.credits,
        }

    named = {"actor": actor.user_id, "reason": reason, **wanted}
    return idempotent(session, key=idempotency_key, verb="close_sessions", asked=named, do=do)


def close_chunk(session: Session, *, batch_id: int, actor: Actor, size: int = SESSIONS_AT_ONCE) -> Chunk:
    """Close the next sessions of a batch, in key order, together with its cursor."""
    return serve_chunk(session, batch_id, size=size, serve=partial(_close_slice, session, actor))


def close_skipped(session: Session, *, batch_id: int, key: int, actor: Actor) -> bool:
    """Close a session that the batch skipped; False when the closure was undone meanwhile."""
    return serve_skipped(session, batch_id, key, partial(_close_slice, session, actor))


def _close_slice(session: Session, actor: Actor, batch: Any, part: Slice) -> int:
    """Close the sessions of a slice that are still to take place; all of the slice counts as served."""
    keys = session.execute(select(targets.c.key).where(in_slice(batch.id, part))).scalars()
    with for_everybody(session, actor) as wide:
        held = lock_sessions(session, list(keys))
        for item, rows in _locked_bookings(session, held):
            if item.status == SessionStatus.scheduled:
                _close(session, item, rows, batch.id, batch.input, wide)
    return part.count


def _locked_bookings(
    session: Session, held: Sequence[ScheduledSession]
) -> list[tuple[ScheduledSession, list[Booking]]]:
    """The bookings to cancel of locked sessions, after all their balances were locked in key order."""
    found: dict[int, list[Booking]] = {item.id: [] for item in held}
    rows = session.scalars(
        select(Booking)
        .where(Booking.session_id.in_(list(found)), Booking.state.in_(CANCELLABLE))
        .order_by(Booking.id)
        .execution_options(populate_existing=True)
    ).all()
    for row in rows:
        found[row.session_id].append(row)
    lock_accounts(
        session, {row.client_id for row in rows}, {item.event_type_id for item in held},
        booking_ids=[row.id for row in rows],
    )
    return [(item, found[item.id]) for item in held]


def _close(
    session: Session, item: ScheduledSession, rows: Sequence[Booking], batch_id: int, terms: Mapping[str, Any],
    actor: Actor,
) -> None:
    reason = terms["reason"]
    item.status, item.cancel_reason, item.closed_by_id = SessionStatus.cancelled, reason, batch_id
    item.sequence += 1
    session.flush()
    for booking in rows:
        was_booked = booking.state == BookingState.booked
        made_up = terms["makeups"] and was_booked and booking.pays in (Pays.charge, Pays.trial)
        if made_up:
            _make_up(session, booking, item, batch_id, reason, actor)
        elif was_booked:
            give_back(session, booking, item, actor=actor, reason=reason)
        set_state(
            session, booking, BookingState.cancelled, closed_by_id=batch_id, cancel_reason=reason,
            returned=not made_up if was_booked else None,
        )
        record_event(
            session, actor=actor, verb="close_booking", record="booking", record_id=booking.id,
            client_id=booking.client_id, reason=reason, session_id=item.id, batch_id=batch_id,
        )
    waiting_first = sorted(rows, key=lambda b: b.returned is not None)
    tell(session, NoticeKind.session_closed, item, {b.client_id: {"back": _back(b)} for b in waiting_first})
    if terms["extend_days"]:
        _extend(session, [b.id for b in rows if b.pays in BY_CREDIT and b.returned], batch_id, terms, actor)


def _back(booking: Booking) -> str | None:
    """What came back to somebody who is sent home: what they paid with, or a make-up credit."""
    if booking.returned is None or booking.pays == Pays.nothing:
        return None
    return "paid" if booking.returned else "makeup"


def _make_up(
    session: Session, booking: Booking, item: ScheduledSession, batch_id: int, reason: str, actor: Actor
) -> None:
    """Give a credit for a place that was paid by other means."""
    club = session.get(Club, item.club_id)
    assert club is not None, "a session's club exists"
    lot_id = open_lot(
        session, client_id=booking.client_id, event_type_id=item.event_type_id, quantity=1, expires_on=None,
        origin=Origin.makeup, unit_value=0, currency=club.currency, reason=reason, actor=actor,
    )
    _note_effect(session, batch_id, lot_id, EffectKind.makeup, 0)


def _extend(
    session: Session, booking_ids: Sequence[int], batch_id: int, terms: Mapping[str, Any], actor: Actor
) -> None:
    """Give the lots that these bookings' credits went back to more days, each lot once per closure."""
    served = select(effects.c.lot_id).where(effects.c.batch_id == batch_id)
    keys = session.execute(
        select(lots.c.id)
        .where(
            lots.c.id.in_(select(entries.c.lot_id).where(entries.c.booking_id.in_(key_list(session, booking_ids)))),
            lots.c.expires_on.is_not(None), lots.c.id.not_in(served),
        )
        .order_by(lots.c.id)
    ).scalars().all()
    if not keys:
        return
    shift_expiry(session, lot_ids=keys, days=terms["extend_days"], reason=terms["reason"], actor=actor)
    for lot_id in keys:
        _note_effect(session, batch_id, lot_id, EffectKind.extended, terms["extend_days"])


def _note_effect(session: Session, batch_id: int, lot_id: int, kind: EffectKind, days: int) -> None:
    session.execute(insert(effects).values(batch_id=batch_id, lot_id=lot_id, kind=kind, days=days))

"""Resting: an enrollment is paused for some days, which are added to its end."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import false, func, or_, select
from sqlalchemy.orm import Session

from ...core import clock
from ...core.errors import InvalidInput
from ...core.fields import REQUIRED, clean, date
from ...core.scope import Actor
from ...credits.service import hold_lots, shift_expiry
from ...people.models import Club
from ...schedule.hooks import after_attendance
from ...schedule.service import cancel_enrollment_bookings, lock_accounts
from .. import queries, reasons
from ..calc import Status, days_in_year, days_paused
from ..errors import NothingPaused, PauseLimit, PauseOverlaps
from ..models import Enrollment, EnrollmentPause
from .create import FIRST_DAY, LATEST_BEGIN_DAYS
from .steps import lock, lock_row, note, once, reason_or_none, refusal_of, require_change, today_at


class PauseLimits(NamedTuple):
    """How much an enrollment may rest in one calendar year: pauses that begin in it, and days that lie in it."""

    pauses: int
    days: int


def pause_enrollment(
    session: Session,
    *,
    enrollment_id: int,
    ends_on: dt.date | None,
    actor: Actor,
    limits: PauseLimits,
    begins_on: dt.date | None = None,
    reason: str | None = None,
    idempotency_key: str | None = None,
) -> Enrollment:
    """Rest from today or a later day up to and on `ends_on`: bookings inside are cancelled, the end moves.

    A pause that begins later is planned; `turn_pauses` starts it on its day.
    Raises: NotFound, InvalidInput, StatusConflict, PauseOverlaps, PauseLimit.
    """
    rule = date(FIRST_DAY, lambda: clock.today("UTC") + dt.timedelta(days=LATEST_BEGIN_DAYS))
    days = clean({"begins_on": begins_on, "ends_on": ends_on}, {"begins_on": rule, "ends_on": rule})
    reason = reason_or_none(reason)

    def pause() -> int:
        item = lock(session, enrollment_id, with_bookings=True)
        require_change(item, Status.paused)
        today = today_at(item)
        first, last = days["begins_on"] or today, days["ends_on"]
        _check_days(item, first, last, today)
        _check_limits(session, item, first, last, limits)
        why = reason or reasons.PAUSED(number=item.id)
        cancelled = cancel_enrollment_bookings(
            session, enrollment_id=item.id, begins=_midnight(item, first),
            ends=_midnight(item, last + dt.timedelta(days=1)), actor=actor, reason=why,
        )
        count = days_paused(first, last)
        _move_end(session, item, count, reason=why, actor=actor)
        session.add(
            EnrollmentPause(
                enrollment_id=item.id, client_id=item.client_id, begins_on=first, ends_on=last, days=count,
                reason=reason,
            )
        )
        if first <= today:
            _rest(session, item, actor)
        note(
            session, item, "pause_enrollment", Status.active, actor=actor, reason=reason, bookings=len(cancelled),
            **_span(first, last), days=count,
        )
        return item.id

    asked: dict[str, Any] = {"enrollment_id": enrollment_id, **days, "reason": reason}
    return once(session, key=idempotency_key, verb="pause_enrollment", asked=asked, do=pause)


def resume_enrollment(
    session: Session, *, enrollment_id: int, actor: Actor, reason: str | None = None, idempotency_key: str | None = None
) -> Enrollment:
    """Go on from today, or give up a pause that is planned; the end keeps the days of actual rest only.

    Raises: NotFound, NothingPaused.
    """
    reason = reason_or_none(reason)

    def resume() -> int:
        item = lock(session, enrollment_id)
        pauses = queries.open_pauses(session, item.id)
        if not pauses:
            raise NothingPaused if item.status == Status.active else refusal_of(item)
        _end(session, item, pauses[0], today_at(item), reason=reason, actor=actor)
        after_attendance(session, [item.id], actor)  # what was used while it rested counts now
        return item.id

    asked = {"enrollment_id": enrollment_id, "reason": reason}
    return once(session, key=idempotency_key, verb="resume_enrollment", asked=asked, do=resume)


def turn_pauses(session: Session, *, size: int, actor: Actor, after: int = 0) -> tuple[int, int | None]:
    """Start the planned pauses whose day has come and end those that are over: so many of them at once.

    How many were looked at, and the key to go on behind; None when all are done.
    """
    found = session.execute(_due(session).where(EnrollmentPause.id > after).limit(size)).all()
    _turn_all(session, found, actor)
    return len(found), found[-1].id if len(found) == size else None


def turn_pause(session: Session, *, pause_id: int, actor: Actor) -> bool:
    """Start or end one pause if its day has come; whether it had."""
    found = session.execute(_due(session).where(EnrollmentPause.id == pause_id)).all()
    _turn_all(session, found, actor)
    return bool(found)


def next_pause(session: Session, *, after: int) -> int | None:
    """The key of the next pause that is to start or end."""
    found = session.execute(_due(session).where(EnrollmentPause.id > after).limit(1)).first()
    return found.id if found else None


def count_pauses(session: Session) -> int:
    """How many pauses are to start or end."""
    return session.execute(select(func.count()).select_from(_due(session).subquery())).scalar_one()


def _due(session: Session) -> Any:
    """Keys of the pauses that are to start or end by their club's day, with what is locked for that."""
    clubs = session.execute(select(Club.id, Club.timezone)).all()
    due = [
        (Enrollment.club_id == club.id)
        & or_(
            (Enrollment.status == Status.active) & (EnrollmentPause.begins_on <= clock.today(club.timezone)),
            EnrollmentPause.ends_on < clock.today(club.timezone),
        )
        for club in clubs
    ]
    return (
        select(EnrollmentPause.id, Enrollment.id.label("enrollment_id"), Enrollment.client_id, Enrollment.event_type_id)
        .join(Enrollment, Enrollment.id == EnrollmentPause.enrollment_id)
        .where(EnrollmentPause.resumed_on.is_(None), or_(false(), *due))
        .order_by(EnrollmentPause.id)
    )


def _turn_all(session: Session, found: Sequence[Any], actor: Actor) -> None:
    lock_accounts(session, {row.client_id for row in found}, {row.event_type_id for row in found if row.event_type_id})
    for row in sorted(found, key=lambda row: row.enrollment_id):
        item = lock_row(session, row.enrollment_id)
        pause = session.get_one(EnrollmentPause, row.id, populate_existing=True)
        if pause.resumed_on is None:
            _turn(session, item, pause, actor)


def _turn(session: Session, item: Enrollment, pause: EnrollmentPause, actor: Actor) -> None:
    today = today_at(item)
    if pause.ends_on < today:
        _end(session, item, pause, pause.ends_on + dt.timedelta(days=1), reason=None, actor=actor)
        after_attendance(session, [item.id], actor)
    elif item.status == Status.active:
        _rest(session, item, actor)
        note(
            session, item, "pause_enrollment", Status.active, actor=actor, reason=pause.reason, days=pause.days,
            **_span(pause.begins_on, pause.ends_on),
        )


def end_pauses(session: Session, item: Enrollment, *, actor: Actor) -> list[dict[str, str]]:
    """Give up what is planned, when an enrollment ends; its end goes back. First and last days of what was given up."""
    given_up = []
    for pause in queries.open_pauses(session, item.id):
        given_up.append(_span(pause.begins_on, pause.ends_on))
        _end(session, item, pause, today_at(item), reason=None, actor=actor)
    return given_up


def _span(first: dt.date, last: dt.date) -> dict[str, str]:
    """The days of a pause as they are noted."""
    return {"begins_on": first.isoformat(), "ends_on": last.isoformat()}


def _rest(session: Session, item: Enrollment, actor: Actor) -> None:
    hold_lots(session, lot_ids=queries.lot_ids(session, item.id), held=True, actor=actor)
    item.status = Status.paused


def _end(
    session: Session, item: Enrollment, pause: EnrollmentPause, on: dt.date, *, reason: str | None, actor: Actor
) -> None:
    """End a pause on its first day after; days that were not rested are taken off the end again."""
    before = Status(item.status)
    rested = days_paused(pause.begins_on, pause.ends_on, on)
    back = pause.days - rested
    pause.resumed_on, pause.days = max(on, pause.begins_on), rested
    hold_lots(session, lot_ids=queries.lot_ids(session, item.id), held=False, actor=actor)
    if back:
        _move_end(session, item, -back, reason=reason or reasons.RESUMED(number=item.id), actor=actor)
    item.status = Status.active
    note(session, item, "resume_enrollment", before, actor=actor, reason=reason, days=rested, taken_off=back)


def _move_end(session: Session, item: Enrollment, days: int, *, reason: str, actor: Actor) -> None:
    """Move the last day of the sessions, which the end follows; without any the end itself."""
    keys = queries.lot_ids(session, item.id)
    if keys:
        shift_expiry(session, lot_ids=keys, days=days, reason=reason, actor=actor)
    elif item.ends_on is not None:
        item.ends_on += dt.timedelta(days=days)


def _check_days(item: Enrollment, first: dt.date, last: dt.date | None, today: dt.date) -> None:
    if last is None:
        raise InvalidInput(fields={"ends_on": REQUIRED})
    if first < max(today, item.begins_on):
        raise InvalidInput(fields={"begins_on": _l("A pause begins today or later, and not before the enrollment.")})
    if last < first:
        raise InvalidInput(fields={"ends_on": _l("The end must not be before the beginning.")})
    if item.ends_on is not None and first > item.ends_on:
        raise InvalidInput(fields={"begins_on": _l("The enrollment has ended by then.")})


def _check_limits(session: Session, item: Enrollment, first: dt.date, last: dt.date, limits: PauseLimits) -> None:
    for other in queries.open_pauses(session, item.id):
        if other.begins_on <= last and first <= other.ends_on:
            raise PauseOverlaps(first=other.begins_on, last=other.ends_on)
    wanted = (first, days_paused(first, last))
    for year in range(first.year, last.year + 1):
        pauses = [(pause.begins_on, pause.days) for pause in queries.pauses_in_year(session, item.id, year)]
        pauses.append(wanted)
        begun = sum(begins_on.year == year for begins_on, _ in pauses)
        days = sum(days_in_year(begins_on, count, year) for begins_on, count in pauses)
        if begun > limits.pauses or days > limits.days:
            raise PauseLimit(pauses=limits.pauses, days=limits.days, year=str(year))


def _midnight(item: Enrollment, day: dt.date) -> dt.datetime:
    """When a day begins at the enrollment's club."""
    return dt.datetime.combine(day, dt.time(), ZoneInfo(item.club.timezone))

"""Single sessions: appointments and extra classes, moving, changing and removing one."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...catalog.models import EventType
from ...core import clock
from ...core.audit import record_event
from ...core.db import idempotent, require
from ...core.errors import InUse, InvalidInput, NotFound
from ...core.fields import Wrong, clean, key, text, whole
from ...core.holders import delete_unheld
from ...core.scope import Actor
from ...people.models import Client, Club, TeamMember
from ..calc import AUTO, PayWith, SessionKind, SessionStatus
from ..errors import CapacityExceeded, GeneratedSession, SessionOver
from ..models import Booking, ClassGroup, ScheduledSession
from .book import book
from .overlaps import LONGEST, refuse_place_overlap
from .places import bookings, day_of, locked_session, places, require_open, require_theirs
from .validity import refuse_invalid_day
from .waitlist import serve


def _instant(value: Any) -> dt.datetime:
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise Wrong(_l("This must be a date and time with its offset."))
    if not 2000 <= value.year <= 2200:
        raise Wrong(_l("This must be a date and time with its offset."))
    return value.astimezone(dt.UTC)


_RULES = {
    "event_type_id": key(required=True),
    "club_id": key(required=True),
    "team_member_id": key(),
    "class_group_id": key(),
    "room": text(80),
    "capacity": whole(1, 10_000),
    "starts_at": _instant,
    "ends_at": _instant,
}
_CHANGEABLE = {name: _RULES[name] for name in ("team_member_id", "room", "capacity", "starts_at", "ends_at")}
_REFERENCES: Mapping[str, Any] = {
    "event_type_id": EventType, "club_id": Club, "team_member_id": TeamMember, "class_group_id": ClassGroup,
}


def create_session(
    session: Session, *, actor: Actor, confirm_overlap: bool = False, kind: SessionKind = SessionKind.klass,
    **fields: Any,
) -> ScheduledSession:
    """Add one session by hand: an extra class, also of a class group, which says what is left out here.

    It ends after the usual time of its event type unless `ends_at` says otherwise.
    Raises: InvalidInput, NotFound, SessionOver for one in the past, Overlap.
    """
    required = () if fields.get("class_group_id") else ("event_type_id", "club_id")
    values = clean(fields, _RULES, required=("starts_at", *required))
    values = _from_group(session, values)
    for name, model in _REFERENCES.items():
        if values.get(name) is not None:
            require(session, model, values[name])
    if "ends_at" not in values:
        minutes = require(session, EventType, values["event_type_id"]).duration_minutes
        values["ends_at"] = values["starts_at"] + dt.timedelta(minutes=minutes)
    item = ScheduledSession(kind=kind, status=SessionStatus.scheduled, **values)
    _check_times(item)
    if not confirm_overlap:
        refuse_place_overlap(session, item)
    session.add(item)
    session.flush()
    record_event(session, actor=actor, verb="create_session", record="session", record_id=item.id, kind=kind)
    return item


def _from_group(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    """What a session of a class group has from it."""
    if values.get("class_group_id") is None:
        return values
    group = require(session, ClassGroup, values["class_group_id"])
    own = {name: getattr(group, name) for name in ("event_type_id", "club_id", "team_member_id", "room", "capacity")}
    if values.get("club_id", group.club_id) != group.club_id:
        raise InvalidInput(fields={"club_id": _l("This class group belongs to another club.")})
    return {**own, **values}


def create_appointment(
    session: Session,
    *,
    client_id: int,
    event_type_id: int,
    starts_at: dt.datetime,
    actor: Actor,
    participant_id: int | None = None,
    club_id: int | None = None,
    team_member_id: int | None = None,
    room: str | None = None,
    ends_at: dt.datetime | None = None,
    pay_with: PayWith = AUTO,
    confirm_overlap: bool = False,
    idempotency_key: str | None = None,
) -> Booking:
    """Make a one-off session for one client and book them into it; in their own club unless said.

    Raises: what `create_session` and `book` raise.
    """

    def do() -> dict[str, int]:
        client = require(session, Client, client_id)
        times = {"starts_at": starts_at, **({"ends_at": ends_at} if ends_at is not None else {})}
        item = create_session(
            session, actor=actor, confirm_overlap=confirm_overlap, kind=SessionKind.appointment, capacity=1,
            event_type_id=event_type_id, club_id=client.club_id if club_id is None else club_id,
            team_member_id=team_member_id, room=room, **times,
        )
        booking = book(
            session, client_id=client_id, participant_id=participant_id, session_id=item.id, pay_with=pay_with,
            confirm_overlap=confirm_overlap, actor=actor,
        )
        return {"booking_id": booking.id}

    asked = {
        "actor": actor.user_id, "client_id": client_id, "participant_id": participant_id, "club_id": club_id,
        "event_type_id": event_type_id, "team_member_id": team_member_id, "starts_at": starts_at, "ends_at": ends_at,
    }
    made = idempotent(session, key=idempotency_key, verb="create_appointment", asked=asked, do=do)
    return require(session, Booking, made["booking_id"])


def update_session(
    session: Session, *, id: int, actor: Actor, confirm_overlap: bool = False, confirm_validity: bool = False,
    **changed_fields: Any,
) -> ScheduledSession:
    """Change a session's time, instructor, room or capacity; the pattern of its group then leaves it alone.

    A new start without a new end keeps the length. More places go to the queue. `confirm_validity`: it shall move
    although credits that pay for it are paused or expired on the new day; they stay reserved for it.
    Raises: NotFound, InvalidInput, SessionCancelled, SessionOver for a start in the past, Overlap, CreditsNotValid,
    CapacityExceeded when more are booked than there would be places.
    """
    item = locked_session(session, id)
    require_open(item)
    values = clean(changed_fields, _CHANGEABLE)
    if "starts_at" in values and "ends_at" not in values:
        values["ends_at"] = values["starts_at"] + (item.ends_at - item.starts_at)
    if values.get("team_member_id") is not None and session.get(TeamMember, values["team_member_id"]) is None:
        raise NotFound
    if "capacity" in values:
        _require_places(session, id, values["capacity"])
    moves = values.get("starts_at", item.starts_at) != item.starts_at
    if all(getattr(item, name) == value for name, value in values.items()):
        return item
    day_before = day_of(session, item)
    with session.no_autoflush:
        for name, value in values.items():
            setattr(item, name, value)
        if moves or "ends_at" in values:
            _check_times(item, new=moves)
        if not confirm_overlap and {"starts_at", "ends_at", "team_member_id", "room"} & set(values):
            refuse_place_overlap(session, item)
        if not confirm_validity and (day := day_of(session, item)) != day_before:
            refuse_invalid_day(session, item, day)
    item.moved, item.sequence = True, item.sequence + 1
    session.flush()
    if "capacity" in values:
        serve(session, item, actor=actor)
    record_event(
        session, actor=actor, verb="move_session" if moves else "update_session", record="session", record_id=id,
        fields=sorted(values),
    )
    return item


def move_session(
    session: Session, *, session_id: int, starts_at: dt.datetime, actor: Actor, ends_at: dt.datetime | None = None,
    confirm_overlap: bool = False, confirm_validity: bool = False,
) -> ScheduledSession:
    """Let a session take place at another time; its bookings come along. Raises: like `update_session`."""
    times = {"starts_at": starts_at, **({"ends_at": ends_at} if ends_at is not None else {})}
    return update_session(
        session, id=session_id, actor=actor, confirm_overlap=confirm_overlap, confirm_validity=confirm_validity, **times
    )


def delete_session(session: Session, *, id: int, actor: Actor) -> None:
    """Remove a session that nobody was ever booked in. Raises: NotFound, InUse, GeneratedSession."""
    item = require_theirs(session, ScheduledSession, id, actor, lock=True)
    if session.connection().execute(select(bookings.c.id).where(bookings.c.session_id == id).limit(1)).first():
        raise InUse(holders=_l("bookings"))
    if item.planned_at is not None and item.planned_at > clock.now():
        raise GeneratedSession
    delete_unheld(session, item)
    record_event(session, actor=actor, verb="delete_session", record="session", record_id=id)


def _require_places(session: Session, session_id: int, capacity: int) -> None:
    """Raises: CapacityExceeded when more places are taken or held than there would be."""
    taken = places(session, session_id).taken
    if capacity < taken:
        told = _l("%(taken)s places are taken or held: there can be no fewer.", taken=taken)
        raise CapacityExceeded(told, fields={"capacity": told}, taken=taken)


def _check_times(item: ScheduledSession, *, new: bool = True) -> None:
    if new and item.starts_at <= clock.now():
        raise SessionOver
    if item.ends_at <= item.starts_at:
        raise InvalidInput(fields={"ends_at": _l("The end comes before the start.")})
    if item.ends_at - item.starts_at > LONGEST:
        raise InvalidInput(fields={"ends_at": _l("A session lasts at most 24 hours.")})

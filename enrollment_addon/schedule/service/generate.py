"""Making the sessions of class groups up to the planning horizon, and making them again when a pattern changes."""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, delete, insert, select, text, update
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.db import dialect_of, key_list
from ...core.scope import Actor
from ...people.models import Club
from ..calc import Occurrence, SessionKind, SessionStatus, Slot, missing, occurrences
from ..hooks import policy
from ..models import ClassGroup
from .places import bookings, sessions

INSERTED_AT_ONCE = 5_000
FOLLOWING = ("event_type_id", "club_id", "team_member_id", "room", "capacity")
"""What an untouched session has from its group, and follows when that changes."""


@dataclass
class Generated:
    """How many sessions were made, taken away and changed."""

    made: int = 0
    removed: int = 0
    changed: int = 0


def generate_sessions(
    session: Session, *, actor: Actor, class_group_ids: Sequence[int] | None = None, weeks: int | None = None
) -> Generated:
    """Bring the sessions to come of these class groups (all that are active, unless named) up to their pattern.

    Sessions with bookings, moved or cancelled ones stay as they are and stand for their occurrence. `weeks`: the
    planning horizon, the setting's unless given. Group rows are locked in key order, so that two at once take turns.
    """
    wanted = select(ClassGroup).order_by(ClassGroup.id).with_for_update(of=ClassGroup)
    if class_group_ids is None:
        wanted = wanted.where(ClassGroup.active)
    else:
        wanted = wanted.where(ClassGroup.id.in_(key_list(session, class_group_ids)))
    groups = session.scalars(wanted.execution_options(populate_existing=True)).all()
    if not groups:
        return Generated()
    present = _present(session, [group.id for group in groups])
    zones = {club.id: club.timezone for club in session.scalars(select(Club))}
    done = Generated()
    new: list[tuple[ClassGroup, Occurrence]] = []
    gone: list[int] = []
    horizon = dt.timedelta(weeks=policy().horizon_weeks if weeks is None else weeks)
    for group in groups:
        occurs = _wanted(group, zones[group.club_id], horizon)
        kept, untouched = _split(present.get(group.id, ()))
        on_time = {o.starts_at: o for o in occurs}
        zone = ZoneInfo(zones[group.club_id])
        old_days = [row.planned_at.astimezone(zone).date() for row in kept if row.planned_at not in on_time]
        made = missing(occurs, {row.planned_at for row in (*kept, *untouched)}, old_days)
        new += [(group, occurrence) for occurrence in made]
        gone += [row.id for row in untouched if row.planned_at not in on_time]
        done.changed += _follow(session, group, [row for row in untouched if row.planned_at in on_time], on_time)
    if gone:
        session.connection().execute(delete(sessions).where(sessions.c.id.in_(key_list(session, gone))))
    _insert(session, new)
    done.made, done.removed = len(new), len(gone)
    if done.made or done.removed or done.changed:
        record_event(
            session, actor=actor, verb="generate_sessions", record="class_group",
            record_id=groups[0].id if len(groups) == 1 else None, groups=len(groups), made=done.made,
            removed=done.removed, changed=done.changed,
        )
    return done


def _wanted(group: ClassGroup, timezone: str, horizon: dt.timedelta) -> list[Occurrence]:
    """When the pattern wants sessions from now on; never for a group that is off."""
    now, today = clock.now(), clock.today(timezone)
    if not group.active:
        return []
    last = today + horizon if group.last_date is None else min(group.last_date, today + horizon)
    slots = [Slot(s.weekday, s.starts_at_time, s.duration_minutes) for s in group.slots]
    return [o for o in occurrences(slots, max(group.first_date, today), last, timezone) if o.starts_at > now]


def _present(session: Session, group_ids: Sequence[int]) -> dict[int, list[Any]]:
    """The sessions to come that these groups have already, by group; `booked` when anybody ever was."""
    booked = select(bookings.c.id).where(bookings.c.session_id == sessions.c.id).exists()
    columns = ("id", "class_group_id", "planned_at", "ends_at", "moved", "status", *FOLLOWING)
    found: dict[int, list[Any]] = {}
    rows = session.connection().execute(
        select(*(sessions.c[name] for name in columns), booked.label("booked")).where(
            sessions.c.class_group_id.in_(key_list(session, group_ids)), sessions.c.planned_at > clock.now()
        )
    )
    for row in rows:
        found.setdefault(row.class_group_id, []).append(row)
    return found


def _split(rows: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """The sessions that people changed or booked, and the others."""
    kept: list[Any] = []
    untouched: list[Any] = []
    for row in rows:
        changed = row.booked or row.moved or row.status != SessionStatus.scheduled
        (kept if changed else untouched).append(row)
    return kept, untouched


def _values(group: ClassGroup, occurrence: Occurrence) -> dict[str, Any]:
    now = clock.now()
    return {
        "kind": SessionKind.klass, "class_group_id": group.id, "planned_at": occurrence.starts_at,
        "starts_at": occurrence.starts_at, "ends_at": occurrence.ends_at, "status": SessionStatus.scheduled,
        "moved": False, "sequence": 0, "created_at": now, "updated_at": now,
        **{name: getattr(group, name) for name in FOLLOWING},
    }


_FROM_GROUPS = ", ".join(f"g.{name}" for name in FOLLOWING)
_insert_at_once = text(
    f"""
    INSERT INTO enrollment_session (
        kind, class_group_id, planned_at, starts_at, ends_at, status, moved, sequence, created_at, updated_at,
        {", ".join(FOLLOWING)}
    )
    SELECT 'class', g.id, o.starts_at, o.starts_at, o.ends_at, 'scheduled', false, 0, :now, :now, {_FROM_GROUPS}
    FROM json_to_recordset(CAST(:made AS json)) AS o (g bigint, starts_at timestamptz, ends_at timestamptz)
    JOIN enrollment_class_group AS g ON g.id = o.g
    ORDER BY o.starts_at
    """  # noqa: S608
)


def _insert(session: Session, made: Sequence[tuple[ClassGroup, Occurrence]]) -> None:
    """Write new sessions; on PostgreSQL thousands by one statement, in half the time of one after the other."""
    for start in range(0, len(made), INSERTED_AT_ONCE):
        part = made[start : start + INSERTED_AT_ONCE]
        if dialect_of(session) == "postgresql":
            told = [{"g": group.id, "starts_at": o.starts_at, "ends_at": o.ends_at} for group, o in part]
            parameters = {"made": json.dumps(told, default=dt.datetime.isoformat), "now": clock.now()}
            session.connection().execute(_insert_at_once, parameters)
        else:
            session.connection().execute(insert(sessions), [_values(group, o) for group, o in part])


def _follow(
    session: Session, group: ClassGroup, rows: Sequence[Any], on_time: dict[dt.datetime, Occurrence]
) -> int:
    """Let untouched sessions have what their group has now; how many changed."""
    same = {name: getattr(group, name) for name in FOLLOWING}
    changed = [
        {"key": row.id, "end": on_time[row.planned_at].ends_at}
        for row in rows
        if row.ends_at != on_time[row.planned_at].ends_at
        or any(getattr(row, name) != value for name, value in same.items())
    ]
    if changed:
        session.connection().execute(
            update(sessions).where(sessions.c.id == bindparam("key")).values(
                **same, ends_at=bindparam("end"), sequence=sessions.c.sequence + 1, updated_at=clock.now()
            ),
            changed,
        )
    return len(changed)


def finish_sessions(session: Session, *, size: int) -> int:
    """Mark sessions that are over as done, at most `size`; how many."""
    over = (
        select(sessions.c.id)
        .where(sessions.c.status == SessionStatus.scheduled, sessions.c.ends_at <= clock.now())
        .order_by(sessions.c.id)
        .limit(size)
    )
    keys = list(session.connection().execute(over).scalars())
    if keys:
        session.connection().execute(
            update(sessions)
            .where(sessions.c.id.in_(key_list(session, keys)), sessions.c.status == SessionStatus.scheduled)
            .values(status=SessionStatus.done)
        )
    return len(keys)

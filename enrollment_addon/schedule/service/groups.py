"""Class groups: a pattern that sessions follow."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ...catalog.models import ActivityLevel, ClassCategory, EventType, Semester
from ...catalog.service.names import forget_translations, translations
from ...core import clock, money
from ...core.audit import record_event
from ...core.db import require
from ...core.errors import InvalidInput
from ...core.fields import Wrong, clean, colour, date, flag, key, text, whole
from ...core.holders import Holders, delete_unheld
from ...core.scope import Actor
from ...core.translations import set_translations
from ...people.models import Club, TeamMember
from ..calc import SessionStatus
from ..models import ClassGroup, ClassGroupSlot
from .generate import generate_sessions
from .overlaps import refuse_group_overlap
from .places import bookings, require_theirs, sessions

MOST_SLOTS = 20
FIRST_DAY = dt.date(2000, 1, 1)
SLOT_FIELDS = ("weekday", "starts_at_time", "duration_minutes")


def last_day() -> dt.date:
    return clock.now().date() + dt.timedelta(days=3660)


def _time(value: Any) -> dt.time:
    if not isinstance(value, dt.time) or value.tzinfo is not None:
        raise Wrong(_l("This must be a time of day."))
    return value.replace(second=0, microsecond=0)


_SLOT_RULES = {"weekday": whole(0, 6), "starts_at_time": _time, "duration_minutes": whole(1, 1440)}


def _slots(value: Any) -> list[dict[str, Any]]:
    """A list of weekly times. Raises: Wrong."""
    if not isinstance(value, list | tuple) or not all(isinstance(slot, Mapping) for slot in value):
        raise Wrong(_l("This must be a list of weekly times."))
    if len(value) > MOST_SLOTS:
        raise Wrong(_l("At most %(most)s times a week.", most=MOST_SLOTS))
    slots = []
    for given in value:
        try:
            slots.append(clean(given, _SLOT_RULES, required=SLOT_FIELDS))
        except InvalidInput as error:
            raise Wrong(next(iter(error.fields.values()))) from None
    if len({(slot["weekday"], slot["starts_at_time"]) for slot in slots}) != len(slots):
        raise Wrong(_l("The same time is there twice."))
    return slots


def _price(value: Any) -> Any:
    """Left as it is until the currency is known."""
    return value


_RULES = {
    "name": text(120, required=True),
    "category_id": key(),
    "level_id": key(),
    "club_id": key(required=True),
    "room": text(80),
    "team_member_id": key(),
    "event_type_id": key(required=True),
    "semester_id": key(),
    "first_date": date(FIRST_DAY, last_day),
    "last_date": date(FIRST_DAY, last_day),
    "capacity": whole(1, 10_000),
    "dropin_price": _price,
    "colour": colour,
    "active": flag,
    "slots": _slots,
    "translations": translations({"name": 120}),
    **_SLOT_RULES,
}
_REFERENCES: Mapping[str, Any] = {
    "category_id": ClassCategory, "level_id": ActivityLevel, "semester_id": Semester, "event_type_id": EventType,
    "club_id": Club, "team_member_id": TeamMember,
}


def create_class_group(
    session: Session, *, actor: Actor, confirm_overlap: bool = False, **fields: Any
) -> ClassGroup:
    """Add a class group and make its sessions.

    The times are `slots`, or `weekday`, `starts_at_time` and `duration_minutes` of the only one; without dates
    it runs from today on, or over its semester. `dropin_price` is an amount in the club's currency.
    `confirm_overlap`: double bookings of the instructor or the room are meant.
    Raises: InvalidInput, NotFound for a club or another record that isn't there or out of reach, GroupOverlap.
    """
    values = clean(fields, _RULES, required=("name", "club_id", "event_type_id"))
    slots, names = _slots_in(values, ()), values.pop("translations", {})
    if not slots:
        raise InvalidInput(fields={"slots": _l("Say at least one weekday and time.")})
    club = _check(session, values, values["club_id"])
    values["first_date"] = values.get("first_date") or clock.today(club.timezone)
    group = ClassGroup(**values)
    group.slots = [ClassGroupSlot(**slot) for slot in slots]
    _check_dates(group)
    session.add(group)
    session.flush()
    set_translations(session, group, names)
    record_event(session, actor=actor, verb="create_class_group", record="class_group", record_id=group.id)
    generate_sessions(session, actor=actor, class_group_ids=[group.id])
    if not confirm_overlap:
        refuse_group_overlap(session, group)
    return group


def update_class_group(
    session: Session, *, id: int, actor: Actor, confirm_overlap: bool = False, **changed_fields: Any
) -> ClassGroup:
    """Change a class group; its untouched sessions to come follow.

    Raises: NotFound, InvalidInput, GroupOverlap when other times, another instructor or room make double bookings.
    """
    group = require(session, ClassGroup, id, lock=True)
    values = clean(changed_fields, _RULES)
    slots, names = _slots_in(values, group.slots), values.pop("translations", {})
    if slots is not None and not slots:
        raise InvalidInput(fields={"slots": _l("Say at least one weekday and time.")})
    if values.get("club_id", group.club_id) != group.club_id:
        raise InvalidInput(fields={"club_id": _l("A class group stays in its club.")})
    if values.get("first_date", group.first_date) is None:
        raise InvalidInput(fields={"first_date": _l("Say from when on.")})
    if values.get("semester_id") not in (None, group.semester_id):
        _forget_old_days(values, group)
    _check(session, values, group.club_id)
    before = _occupied(group)
    for name, value in values.items():
        setattr(group, name, value)
    _check_dates(group)
    if slots is not None:
        group.slots = []
        session.flush()
        group.slots = [ClassGroupSlot(**slot) for slot in slots]
    set_translations(session, group, names)
    session.flush()
    record_event(
        session, actor=actor, verb="update_class_group", record="class_group", record_id=id,
        fields=sorted(changed_fields),
    )
    generate_sessions(session, actor=actor, class_group_ids=[id])
    if not confirm_overlap and _occupied(group) != before:
        session.expire(group, ["team_member"])
        refuse_group_overlap(session, group)
    return group


def _forget_old_days(values: dict[str, Any], group: ClassGroup) -> None:
    """Another semester gives its days, unless others than those of before were asked for."""
    for name in ("first_date", "last_date"):
        if values.get(name) == getattr(group, name):
            values.pop(name, None)


def _occupied(group: ClassGroup) -> tuple[Any, ...]:
    """What decides when a class group takes which instructor and room."""
    times = {tuple(getattr(slot, name) for name in SLOT_FIELDS) for slot in group.slots}
    return times, group.team_member_id, group.room, group.first_date, group.last_date, group.active


def _booked(session: Session, keys: list[int]) -> set[int]:
    found = select(sessions.c.class_group_id).join(bookings, bookings.c.session_id == sessions.c.id)
    return set(session.connection().execute(found.where(sessions.c.class_group_id.in_(keys)).distinct()).scalars())


def _with_a_past(session: Session, keys: list[int]) -> set[int]:
    found = select(sessions.c.class_group_id).where(
        sessions.c.class_group_id.in_(keys), sessions.c.status != SessionStatus.scheduled
    )
    return set(session.connection().execute(found.distinct()).scalars())


class_group_holders = Holders()
class_group_holders.register(_l("bookings"), _booked)
class_group_holders.register(_l("past or cancelled sessions"), _with_a_past)


def delete_class_group(session: Session, *, id: int, actor: Actor) -> None:
    """Remove a class group in whose sessions nobody ever was booked, with them. Raises: NotFound, InUse."""
    group = require_theirs(session, ClassGroup, id, actor, lock=True)
    class_group_holders.refuse(session, id)
    session.connection().execute(delete(sessions).where(sessions.c.class_group_id == id))
    forget_translations(session, ClassGroup, id)
    delete_unheld(session, group)
    record_event(session, actor=actor, verb="delete_class_group", record="class_group", record_id=id)


def _slots_in(values: dict[str, Any], present: Any) -> list[dict[str, Any]] | None:
    """The weekly times in an input, taken out of it; None when it says nothing of them.

    The three single fields are the first of them, the others stay. Raises: InvalidInput.
    """
    single = {name: values.pop(name) for name in SLOT_FIELDS if name in values}
    slots: list[dict[str, Any]] | None = values.pop("slots", None)
    if not single:
        return slots
    if slots is not None:
        raise InvalidInput(fields={"slots": _l("Give either one weekday and time, or a list of them.")})
    slots = [{name: getattr(slot, name) for name in SLOT_FIELDS} for slot in present]
    first = {**(slots[0] if slots else {}), **single}
    return [clean(first, _SLOT_RULES, required=SLOT_FIELDS), *slots[1:]]


def _check(session: Session, values: dict[str, Any], club_id: int) -> Club:
    """Look up what the input names, fill in the semester's dates, and bring the price to minor units.

    Raises: NotFound, InvalidInput.
    """
    for name, model in _REFERENCES.items():
        if values.get(name) is not None:
            require(session, model, values[name])
    club = require(session, Club, club_id)
    if values.get("semester_id") is not None:
        semester = require(session, Semester, values["semester_id"])
        values["first_date"] = values.get("first_date") or semester.first_date
        values["last_date"] = values.get("last_date") or semester.last_date
    if values.get("dropin_price") is not None:
        values["dropin_price"] = money.from_field(values["dropin_price"], club.currency, "dropin_price")
    return club


def _check_dates(group: ClassGroup) -> None:
    if group.last_date is not None and group.last_date < group.first_date:
        raise InvalidInput(fields={"last_date": _l("The last day comes before the first.")})

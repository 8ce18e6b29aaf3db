"""The verbs that write what classes are sorted by: categories, activity levels, semesters."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core.audit import record_event
from ...core.db import flush_unique, require
from ...core.errors import InvalidInput
from ...core.fields import Rule, Wrong, clean, flag, text, whole
from ...core.holders import Finder, Holders, delete_unheld
from ...core.scope import Actor
from ...core.translations import set_translations
from ..models import ActivityLevel, ClassCategory, Semester
from .names import forget_translations, translations

Record = TypeVar("Record", ClassCategory, ActivityLevel, Semester)
_NAME_TAKEN = _l("There is already a record with this name.")
_NAMES = {"name": text(120, required=True), "translations": translations({"name": 120})}


def _day(value: Any) -> dt.date:
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime) or not 2000 <= value.year <= 2200:
        raise Wrong(_l("This must be a date."))
    return value


@dataclass(frozen=True)
class _Kind(Generic[Record]):
    """One kind of record: its name for the audit, the rules of its fields, who holds it."""

    model: type[Record]
    name: str
    rules: Mapping[str, Rule]
    required: tuple[str, ...]
    holders: Holders = field(default_factory=Holders)

    def create(self, session: Session, actor: Actor, fields: Mapping[str, Any]) -> Record:
        return self._save(session, self.model(), clean(fields, self.rules, required=self.required), actor, "create")

    def update(self, session: Session, id: int, actor: Actor, fields: Mapping[str, Any]) -> Record:
        item = require(session, self.model, id, lock=True)
        return self._save(session, item, clean(fields, self.rules), actor, "update")

    def delete(self, session: Session, id: int, actor: Actor) -> None:
        item = require(session, self.model, id, lock=True)
        self.holders.refuse(session, id)
        forget_translations(session, self.model, id)
        delete_unheld(session, item)
        record_event(session, actor=actor, verb=f"delete_{self.name}", record=self.name, record_id=id)

    def _save(self, session: Session, item: Record, values: Mapping[str, Any], actor: Actor, verb: str) -> Record:
        taken = session.scalars(select(self.model.id).where(self.model.name == values.get("name"))).first()
        if taken is not None and taken != item.id:
            raise InvalidInput(fields={"name": _NAME_TAKEN})
        names = values.get("translations", {})
        for name in values.keys() - {"translations"}:
            setattr(item, name, values[name])
        if isinstance(item, Semester) and item.last_date < item.first_date:
            raise InvalidInput(fields={"last_date": _l("The last day comes before the first.")})
        session.add(item)
        flush_unique(session, self.model.__table__, {"name": _NAME_TAKEN})  # type: ignore[arg-type]
        set_translations(session, item, names)
        session.flush()
        record_event(
            session, actor=actor, verb=f"{verb}_{self.name}", record=self.name, record_id=item.id,
            fields=sorted(values),
        )
        return item


_categories = _Kind(ClassCategory, "class_category", {**_NAMES, "active": flag}, ("name",))
_levels = _Kind(
    ActivityLevel, "activity_level", {**_NAMES, "rank": whole(1, 1000), "active": flag}, ("name",)
)
_semesters = _Kind(
    Semester, "semester", {**_NAMES, "first_date": _day, "last_date": _day}, ("name", "first_date", "last_date")
)


def register_class_category_holder(label: Any, finder: Finder) -> None:
    """Let a higher domain say which class categories it holds; those can't be deleted."""
    _categories.holders.register(label, finder)


def register_activity_level_holder(label: Any, finder: Finder) -> None:
    """Let a higher domain say which activity levels it holds; those can't be deleted."""
    _levels.holders.register(label, finder)


def register_semester_holder(label: Any, finder: Finder) -> None:
    """Let a higher domain say which semesters it holds; those can't be deleted."""
    _semesters.holders.register(label, finder)


def create_class_category(session: Session, *, actor: Actor, **fields: Any) -> ClassCategory:
    """Add a class category. Raises: InvalidInput."""
    return _categories.create(session, actor, fields)


def update_class_category(session: Session, *, id: int, actor: Actor, **changed_fields: Any) -> ClassCategory:
    """Change a class category; fields not named stay. Raises: NotFound, InvalidInput."""
    return _categories.update(session, id, actor, changed_fields)


def delete_class_category(session: Session, *, id: int, actor: Actor) -> None:
    """Remove a class category that no group has. Raises: NotFound, InUse."""
    _categories.delete(session, id, actor)


def create_activity_level(session: Session, *, actor: Actor, **fields: Any) -> ActivityLevel:
    """Add an activity level; a higher rank is a higher level. Raises: InvalidInput."""
    return _levels.create(session, actor, fields)


def update_activity_level(session: Session, *, id: int, actor: Actor, **changed_fields: Any) -> ActivityLevel:
    """Change an activity level; fields not named stay. Raises: NotFound, InvalidInput."""
    return _levels.update(session, id, actor, changed_fields)


def delete_activity_level(session: Session, *, id: int, actor: Actor) -> None:
    """Remove an activity level that no group has. Raises: NotFound, InUse."""
    _levels.delete(session, id, actor)


def create_semester(session: Session, *, actor: Actor, **fields: Any) -> Semester:
    """Add a semester. Raises: InvalidInput."""
    return _semesters.create(session, actor, fields)


def update_semester(session: Session, *, id: int, actor: Actor, **changed_fields: Any) -> Semester:
    """Change a semester; the class groups in it keep their own days. Raises: NotFound, InvalidInput."""
    return _semesters.update(session, id, actor, changed_fields)


def delete_semester(session: Session, *, id: int, actor: Actor) -> None:
    """Remove a semester that no group has. Raises: NotFound, InUse."""
    _semesters.delete(session, id, actor)

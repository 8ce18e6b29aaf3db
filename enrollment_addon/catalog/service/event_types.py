"""The verbs that write event types."""

from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core.audit import record_event
from ...core.db import flush_unique, require
from ...core.errors import InvalidInput
from ...core.fields import choice, clean, colour, flag, text, whole
from ...core.holders import Finder, Holders, delete_unheld
from ...core.scope import Actor
from ...core.translations import set_translations
from ..models import EventKind, EventType
from .names import forget_translations, translations

event_type_holders = Holders()
_NAME_TAKEN = _l("There is already an event type with this name.")
_name = text(120, required=True)


def register_event_type_holder(label: Any, finder: Finder) -> None:
    """Let a higher domain say which event types it holds; those can't be deleted."""
    event_type_holders.register(label, finder)


_RULES = {
    "name": _name,
    "kind": choice(EventKind),
    "duration_minutes": whole(1, 1440),
    "colour": colour,
    "active": flag,
    "translations": translations({"name": 120}),
}


def create_event_type(session: Session, *, actor: Actor, **fields: Any) -> EventType:
    """Add an event type. Raises: InvalidInput."""
    values = clean(fields, _RULES, required=("name",))
    names = values.pop("translations", {})
    event_type = EventType(**values)
    _refuse_taken_name(session, event_type.name, None)
    session.add(event_type)
    flush_unique(session, EventType.__table__, {"name": _NAME_TAKEN})  # type: ignore[arg-type]
    set_translations(session, event_type, names)
    session.flush()
    record_event(session, actor=actor, verb="create_event_type", record="event_type", record_id=event_type.id)
    return event_type


def update_event_type(session: Session, *, id: int, actor: Actor, **changed_fields: Any) -> EventType:
    """Change an event type; fields not named stay. Raises: NotFound, InvalidInput."""
    event_type = require(session, EventType, id)
    values = clean(changed_fields, _RULES)
    names = values.pop("translations", {})
    if "name" in values:
        _refuse_taken_name(session, values["name"], id)
    for name, value in values.items():
        setattr(event_type, name, value)
    flush_unique(session, EventType.__table__, {"name": _NAME_TAKEN})  # type: ignore[arg-type]
    set_translations(session, event_type, names)
    session.flush()
    record_event(
        session, actor=actor, verb="update_event_type", record="event_type", record_id=id,
        fields=sorted(changed_fields),
    )
    return event_type


def delete_event_type(session: Session, *, id: int, actor: Actor) -> None:
    """Remove an event type that nothing uses. Raises: NotFound, InUse."""
    event_type = require(session, EventType, id, lock=True)
    event_type_holders.refuse(session, id)
    forget_translations(session, EventType, id)
    delete_unheld(session, event_type)
    record_event(session, actor=actor, verb="delete_event_type", record="event_type", record_id=id)


def _refuse_taken_name(session: Session, name: str, own_id: int | None) -> None:
    taken = session.execute(select(EventType.id).where(EventType.name == name)).scalar()
    if taken is not None and taken != own_id:
        raise InvalidInput(fields={"name": _NAME_TAKEN})

"""The verbs that write event types."""

import re
from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ..core.audit import record_event
from ..core.db import flush_unique, require
from ..core.errors import InvalidInput
from ..core.fields import Wrong, choice, clean, flag, text, whole
from ..core.holders import Finder, Holders, delete_unheld
from ..core.scope import Actor
from ..core.translations import Translation, set_translations
from ..people.calc import locale_of
from .models import EventKind, EventType

_holders = Holders()
_NAME_TAKEN = _l("There is already an event type with this name.")
_name = text(120, required=True)


def register_event_type_holder(label: Any, finder: Finder) -> None:
    """Let a higher domain say which event types it holds; those can't be deleted."""
    _holders.register(label, finder)


def _colour(value: Any) -> str | None:
    """A colour as browsers send it: # and six hexadecimal digits."""
    colour: str | None = text(7)(value)
    if colour and not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        raise Wrong(_l("Write a colour as # and six digits or letters a–f, such as #1f6feb."))
    return colour and colour.lower()


def _translations(value: Any) -> dict[str, dict[str, str | None]]:
    """Names by language; an empty one removes it."""
    names = value.get("name") if isinstance(value, Mapping) and set(value) <= {"name"} else None
    if value == {}:
        return {}
    if not isinstance(names, Mapping):
        raise Wrong(_l("Only the name can be translated."))
    return {"name": {_language(code): text(120)(name) for code, name in names.items()}}


def _language(code: Any) -> str:
    """The code as the reader's language is looked up by."""
    try:
        language = locale_of(code)
    except Wrong:
        language = None
    if language is None:
        raise Wrong(_l("“%(locale)s” is not a language.", locale=str(code)[:20]))
    return language


_RULES = {
    "name": _name,
    "kind": choice(EventKind),
    "duration_minutes": whole(1, 1440),
    "colour": _colour,
    "active": flag,
    "translations": _translations,
}


def create_event_type(session: Session, *, actor: Actor, **fields: Any) -> EventType:
    """Add an event type. Raises: InvalidInput."""
    values = clean(fields, _RULES, required=("name",))
    translations = values.pop("translations", {})
    event_type = EventType(**values)
    _refuse_taken_name(session, event_type.name, None)
    session.add(event_type)
    flush_unique(session, EventType.__table__, {"name": _NAME_TAKEN})  # type: ignore[arg-type]
    set_translations(session, event_type, translations)
    session.flush()
    record_event(session, actor=actor, verb="create_event_type", record="event_type", record_id=event_type.id)
    return event_type


def update_event_type(session: Session, *, id: int, actor: Actor, **changed_fields: Any) -> EventType:
    """Change an event type; fields not named stay. Raises: NotFound, InvalidInput."""
    event_type = require(session, EventType, id)
    values = clean(changed_fields, _RULES)
    translations = values.pop("translations", {})
    if "name" in values:
        _refuse_taken_name(session, values["name"], id)
    for name, value in values.items():
        setattr(event_type, name, value)
    flush_unique(session, EventType.__table__, {"name": _NAME_TAKEN})  # type: ignore[arg-type]
    set_translations(session, event_type, translations)
    session.flush()
    record_event(
        session, actor=actor, verb="update_event_type", record="event_type", record_id=id,
        fields=sorted(changed_fields),
    )
    return event_type


def delete_event_type(session: Session, *, id: int, actor: Actor) -> None:
    """Remove an event type that nothing uses. Raises: NotFound, InUse."""
    event_type = require(session, EventType, id, lock=True)
    _holders.refuse(session, id)
    session.execute(
        delete(Translation).where(Translation.record == EventType.__tablename__, Translation.record_id == id)
    )
    delete_unheld(session, event_type)
    record_event(session, actor=actor, verb="delete_event_type", record="event_type", record_id=id)


def _refuse_taken_name(session: Session, name: str, own_id: int | None) -> None:
    taken = session.execute(select(EventType.id).where(EventType.name == name)).scalar()
    if taken is not None and taken != own_id:
        raise InvalidInput(fields={"name": _NAME_TAKEN})

"""Reads of the catalog."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from ..core.search import asked_words, words_of
from ..core.translations import Translation
from .models import EventType


def active_event_types(session: Session) -> Sequence[EventType]:
    """What credits may be granted for, by name."""
    return session.scalars(
        select(EventType).where(EventType.active).order_by(EventType.name, EventType.id)
    ).all()


def search_event_types(
    session: Session, text: str, limit: int = 25, after: int | None = None
) -> list[EventType]:
    """Active event types for a choice, by name; every word may also come from a translation.

    A deployment has at most a few hundred event types, so they are matched here and not in the database.
    """
    names: dict[int, list[str]] = {}
    for record_id, name in session.execute(
        select(Translation.record_id, Translation.text).where(
            Translation.record == EventType.__tablename__, Translation.field == "name"
        )
    ):
        names.setdefault(record_id, []).append(name)
    asked = asked_words(text)
    found = []
    for event_type in active_event_types(session):
        words = words_of([event_type.name, *names.get(event_type.id, [])])
        if all(any(word.startswith(part) for word in words) for part in asked):
            found.append(event_type)
    start = next((place + 1 for place, item in enumerate(found) if item.id == after), 0)
    return found[start : start + limit]


def name_clause(text: str) -> ColumnElement[bool]:
    """Event types whose name, or a translation of it, contains the text."""
    translated = select(Translation.record_id).where(
        Translation.record == EventType.__tablename__, Translation.field == "name",
        Translation.text.icontains(text, autoescape=True),
    )
    return or_(EventType.name.icontains(text, autoescape=True), EventType.id.in_(translated))

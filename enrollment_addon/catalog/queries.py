"""Reads of the catalog."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, joinedload, lazyload

from ..core.money import half_up
from ..core.search import asked_words, words_of
from ..core.translations import Translation
from ..people.models import Club
from .models import ActivityLevel, ClassCategory, EventType, Package, Semester, package_clubs


def active_event_types(session: Session) -> Sequence[EventType]:
    """What credits may be granted for, by name."""
    return session.scalars(
        select(EventType).where(EventType.active).order_by(EventType.name, EventType.id)
    ).all()


def search_event_types(
    session: Session, text: str, limit: int = 25, after: int | None = None
) -> list[EventType]:
    """Active event types for a choice, by name; every word may also come from a translation."""
    found = _with_words(session, EventType, active_event_types(session), text)
    start = next((place + 1 for place, item in enumerate(found) if item.id == after), 0)
    return found[start : start + limit]


def name_clause(text: str, model: Any = EventType) -> ColumnElement[bool]:
    """Records of the catalog whose name, or a translation of it, contains the text."""
    translated = select(Translation.record_id).where(
        Translation.record == model.__tablename__, Translation.field == "name",
        Translation.text.icontains(text, autoescape=True),
    )
    return or_(model.name.icontains(text, autoescape=True), model.id.in_(translated))


def sold_at(club_id: Any) -> ColumnElement[bool]:
    """Packages sold at a club: those that name it, and those that name no club but have its currency."""
    of_package = package_clubs.c.package_id == Package.id
    named = select(package_clubs.c.club_id).where(of_package)
    currency = select(Club.currency).where(Club.id == club_id).scalar_subquery()
    return or_(
        named.where(package_clubs.c.club_id == club_id).exists(),
        ~named.exists() & (Package.currency == currency),
    )


def offered_packages(session: Session, club_id: int) -> Sequence[Package]:
    """The active packages sold at a club, by name."""
    return session.scalars(
        select(Package)
        .where(Package.active, sold_at(club_id))
        .options(joinedload(Package.event_type), lazyload(Package.clubs))
        .order_by(Package.name, Package.id)
    ).unique().all()


def single_price(session: Session, club_id: int, event_type_id: int) -> int | None:
    """What one session costs by the smallest package of its event type sold at a club; None without one.

    Price ÷ sessions, half-up to the minor unit; of packages of one size the dearest.
    """
    smallest = session.execute(
        select(Package.price, Package.sessions)
        .where(Package.active, Package.event_type_id == event_type_id, sold_at(club_id))
        .order_by(Package.sessions, Package.price.desc())
        .limit(1)
    ).first()
    return None if smallest is None else half_up(smallest.price, smallest.sessions)


def search_packages(session: Session, text: str, limit: int = 25) -> Sequence[Package]:
    """Packages for a filter, by name in any language; also those that are no longer offered."""
    found = select(Package).order_by(Package.name, Package.id).limit(limit)
    return session.scalars(found.where(name_clause(text, Package)) if text else found).unique().all()


def search_class_categories(session: Session, text: str, limit: int = 25) -> Sequence[ClassCategory]:
    """Active class categories for a choice, by name."""
    categories = select(ClassCategory).where(ClassCategory.active).order_by(ClassCategory.name)
    return _with_words(session, ClassCategory, session.scalars(categories), text)[:limit]


def search_activity_levels(session: Session, text: str, limit: int = 25) -> Sequence[ActivityLevel]:
    """Active activity levels for a choice, from the lowest."""
    levels = select(ActivityLevel).where(ActivityLevel.active).order_by(ActivityLevel.rank, ActivityLevel.name)
    return _with_words(session, ActivityLevel, session.scalars(levels), text)[:limit]


def search_semesters(session: Session, text: str, limit: int = 25) -> Sequence[Semester]:
    """Semesters for a choice, the latest first."""
    semesters = select(Semester).order_by(Semester.first_date.desc(), Semester.id)
    return _with_words(session, Semester, session.scalars(semesters), text)[:limit]


def _with_words(session: Session, model: Any, rows: Iterable[Any], text: str) -> list[Any]:
    """The rows in which every word of the text begins a word of the name, in any language.

    A deployment has at most a few hundred of each, so they are matched here and not in the database.
    """
    asked = asked_words(text)
    names: dict[int, list[str]] = {}
    if asked:
        told = select(Translation.record_id, Translation.text)
        for key, name in session.execute(
            told.where(Translation.record == model.__tablename__, Translation.field == "name")
        ):
            names.setdefault(key, []).append(name)
    found = []
    for row in rows:
        words = words_of([row.name, *names.get(row.id, [])])
        if all(any(word.startswith(part) for word in words) for part in asked):
            found.append(row)
    return found

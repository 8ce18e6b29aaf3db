"""Translations of names that staff type in: one table by record, field and language.

The record itself keeps its name in the deployment's own language; the reader's language is looked up here
and falls back to it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column, object_session

from .db import Base, Key

LOCALE = "enrollment_locale"
"""Key in `session.info`: a callable that returns the reader's language; an entry point puts it there."""
_CACHE = "enrollment_translations"


class Translation(Base):
    """One field of one record in one language."""

    __tablename__ = "enrollment_translation"

    record: Mapped[str] = mapped_column(String(40), primary_key=True)
    record_id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    field: Mapped[str] = mapped_column(String(40), primary_key=True)
    locale: Mapped[str] = mapped_column(String(16), primary_key=True)
    text: Mapped[str] = mapped_column(String(500))


def reader_locale(session: Session) -> str | None:
    """The language of whoever reads in this session, if an entry point said so."""
    provider = session.info.get(LOCALE)
    return provider() if provider else None


def translated(item: Any, field: str) -> str:
    """The field in the reader's language, else as the record has it. One query per language and session."""
    own: str = getattr(item, field)
    session = object_session(item)
    if session is None or item.id is None:
        return own
    return text_for_reader(session, item.__tablename__, item.id, field) or own


def text_for_reader(session: Session, record: str, key: int, field: str) -> str | None:
    """The field of a record, named by its table, in the reader's language; None where nothing was given."""
    locale = reader_locale(session)
    if not locale:
        return None
    cache = session.info.setdefault(_CACHE, {})
    if locale not in cache:
        rows = session.connection().execute(
            select(Translation.record, Translation.record_id, Translation.field, Translation.text).where(
                Translation.locale == locale
            )
        )
        cache[locale] = {(row.record, row.record_id, row.field): row.text for row in rows}
    text: str | None = cache[locale].get((record, key, field))
    return text


class Named:
    """Mixin: a record whose `name` can be translated."""

    @property
    def label(self) -> str:
        """The name in the reader's language."""
        return translated(self, "name")

    def __str__(self) -> str:
        return self.label


def translations_of(session: Session, item: Any) -> dict[str, dict[str, str]]:
    """All translations of a record: field → locale → text."""
    return translations_of_all(session, [item]).get(item.id, {})


def translations_of_all(session: Session, items: Sequence[Any]) -> dict[int, dict[str, dict[str, str]]]:
    """All translations of records of one kind: key → field → locale → text."""
    result: dict[int, dict[str, dict[str, str]]] = {}
    rows = session.execute(
        select(Translation.record_id, Translation.field, Translation.locale, Translation.text)
        .where(
            Translation.record.in_({item.__tablename__ for item in items}),
            Translation.record_id.in_([item.id for item in items]),
        )
        .order_by(Translation.field, Translation.locale)
    )
    for row in rows:
        result.setdefault(row.record_id, {}).setdefault(row.field, {})[row.locale] = row.text
    return result


def set_translations(session: Session, item: Any, texts: Mapping[str, Mapping[str, str | None]]) -> None:
    """Write translations of a record; an empty text removes one, a language not named stays."""
    for field, by_locale in texts.items():
        for locale, text in by_locale.items():
            session.execute(
                delete(Translation).where(
                    Translation.record == item.__tablename__,
                    Translation.record_id == item.id,
                    Translation.field == field,
                    Translation.locale == locale,
                )
            )
            if text and text.strip():
                session.add(
                    Translation(
                        record=item.__tablename__, record_id=item.id, field=field, locale=locale, text=text.strip()
                    )
                )
    session.info.pop(_CACHE, None)

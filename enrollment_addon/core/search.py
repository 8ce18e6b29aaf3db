"""Search as people type: every word of the question is the beginning of a word of the record.

The words of a record's searched fields are kept in one table with a plain index, so that a search among a
million records reads only what matches, in the same way on every database. They are written whenever the
record itself is, folded: no case, no accents, digits only for phone numbers.
"""

import unicodedata
from collections.abc import Iterable
from typing import Any, ClassVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Index,
    String,
    Table,
    and_,
    delete,
    event,
    insert,
    inspect,
    select,
    true,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, Mapper, Session, mapped_column

from .db import Base, Key, key_list

LONGEST_WORD = 80
MOST_WORDS = 6
"""Words of a question that are looked at; the rest is ignored."""
FEW = 10_000
"""Up to so many records that fit the longest word are looked at one by one."""
_LAST = "\U0010ffff"
_PHONE = set("0123456789+()-./ ")

Word = (
    String(LONGEST_WORD)
    .with_variant(String(LONGEST_WORD, collation="C"), "postgresql")
    .with_variant(mysql.VARCHAR(LONGEST_WORD, collation="utf8mb4_bin"), "mysql", "mariadb")
)
"""Compared by code point everywhere: a range of words is then exactly the words with one beginning."""


class SearchWord(Base):
    """One word of one record."""

    __tablename__ = "enrollment_search_word"
    __table_args__ = (Index(None, "record", "record_id"),)

    record: Mapped[str] = mapped_column(String(20), primary_key=True)
    word: Mapped[str] = mapped_column(Word, primary_key=True)
    record_id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)


words: Table = SearchWord.__table__  # type: ignore[assignment]


def storable(text: str) -> str:
    """The text with a space for every character that some database refuses (NUL, lone surrogates)."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def fold(text: str) -> str:
    """The text without case and accents."""
    plain = unicodedata.normalize("NFKD", storable(text).casefold())
    return "".join(c for c in plain if unicodedata.category(c) != "Mn")


def words_of(texts: Iterable[str | None]) -> set[str]:
    """The folded words of a record's fields; "Jean-Luc" also by its halves, a phone number by its digits."""
    found: set[str] = set()
    for text in filter(None, texts):
        if set(text) <= _PHONE:
            found.add(_digits(text))
            continue
        for word in fold(text).split():
            found.update((word, *word.split("-")))
    return {word[:LONGEST_WORD] for word in found if word}


def asked_words(text: str) -> list[str]:
    """The folded words of a question, longest (most selective) first; a phone number is one word."""
    if text.strip() and set(text) <= _PHONE:
        return [_digits(text)[:LONGEST_WORD]]
    asked = {word[:LONGEST_WORD] for word in fold(text).split()}
    return sorted(asked, key=lambda word: (-len(word), word))[:MOST_WORDS]


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())


class Searchable:
    """Mixin: a record that is found by the words of its `__searched__` fields."""

    __searched__: ClassVar[tuple[str, ...]] = ()


def record_name(model: Any) -> str:
    return str(model.__tablename__.removeprefix("enrollment_"))


def matches(session: Session, model: Any, text: str) -> ColumnElement[bool]:
    """The clause over a searchable model for the records that have every word of the question.

    Databases guess badly how many records a beginning of a word fits, so it is looked up: the keys of a few
    are given, many are checked while the list is read in its order. Both ways end soon.
    """
    asked = [
        (words.c.record == record_name(model)) & (words.c.word >= word) & (words.c.word < word + _LAST)
        for word in asked_words(text)
    ]
    if not asked:
        return true()
    checks = [select(words.c.word).where(words.c.record_id == model.id, fits).exists() for fits in asked]
    longest = select(words.c.record_id).where(asked[0]).limit(FEW + 1)
    keys = session.connection().execute(longest).scalars().all()
    if len(keys) > FEW:
        return and_(*checks)
    return and_(model.id.in_(key_list(session, keys)), *checks[1:])


@event.listens_for(Searchable, "after_insert", propagate=True)
def _note_words(mapper: Mapper[Any], connection: Connection, item: Any) -> None:
    found = words_of(getattr(item, field) for field in item.__searched__)
    if found:
        connection.execute(
            insert(words),
            [{"record": record_name(item), "word": word, "record_id": item.id} for word in sorted(found)],
        )


@event.listens_for(Searchable, "after_update", propagate=True)
def _change_words(mapper: Mapper[Any], connection: Connection, item: Any) -> None:
    state = inspect(item)
    if any(state.attrs[field].history.has_changes() for field in item.__searched__):
        _forget_words(mapper, connection, item)
        _note_words(mapper, connection, item)


@event.listens_for(Searchable, "after_delete", propagate=True)
def _forget_words(mapper: Mapper[Any], connection: Connection, item: Any) -> None:
    connection.execute(delete(words).where(words.c.record == record_name(item), words.c.record_id == item.id))

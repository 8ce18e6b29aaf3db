"""Batches: one verb applied to many, with its selection frozen before the first row is written.

A batch names what was asked (`input`), the records it is for (`BatchTarget`) and how far it has come
(`cursor`). A chunk commits its rows together with the cursor, so a killed process goes on where it stopped
and no target is served twice or left out. Undo is a state of the batch, done by the verb's own domain.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, String, Table, func, insert, literal, or_, select, true, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from . import clock
from .db import Base, Document, Key, UtcDateTime, one_of, user_key
from .scope import Actor, scoped, started_by

BatchReach = Callable[[Actor], ColumnElement[bool]]
"""The clause over `Batch` for those of a domain's batches that an actor reaches without having started them."""

_reaches: dict[str, BatchReach] = {}


def register_batch_reach(name: str, reach: BatchReach) -> None:
    """Let a domain say whose batches may be seen; registering the same name again replaces."""
    _reaches[name] = reach


class BatchState(StrEnum):
    """open: chunks are still to be written; done; undoing; undone."""

    open = "open"
    done = "done"
    undoing = "undoing"
    undone = "undone"


@scoped
class Batch(Base):
    """One verb for many. `total` targets, `done` of them served, `skipped` left out for a reason."""

    __tablename__ = "enrollment_batch"
    __table_args__ = (one_of("state", BatchState),)
    __scope__ = "created_by_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(60), index=True)
    state: Mapped[BatchState] = mapped_column(String(20), default=BatchState.open)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    created_by_id: Mapped[int | None] = user_key()  # type: ignore[assignment]
    note: Mapped[str | None] = mapped_column(String(500))
    input: Mapped[Any] = mapped_column(Document)
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[Any] = mapped_column(Document, default=list)
    cursor: Mapped[int] = mapped_column(Key, default=0)
    undone_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    undone_by_id: Mapped[int | None] = user_key()  # type: ignore[assignment]
    undo_reason: Mapped[str | None] = mapped_column(String(500))
    undo_cursor: Mapped[int] = mapped_column(Key, default=0)
    undo_result: Mapped[Any] = mapped_column(Document, nullable=True)

    @classmethod
    def within(cls, actor: Actor) -> ColumnElement[bool]:
        """Whoever started it sees it, and whoever its domain lets."""
        if actor.sees_everything:
            return true()
        return or_(started_by(cls.created_by_id, actor), *(reach(actor) for reach in _reaches.values()))


class BatchTarget(Base):
    """A record the batch is for, by its key, ordered by it."""

    __tablename__ = "enrollment_batch_target"

    batch_id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    key: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)


targets: Table = BatchTarget.__table__  # type: ignore[assignment]
batches: Table = Batch.__table__  # type: ignore[assignment]


@dataclass(frozen=True)
class Slice:
    """The next targets of a batch: keys in (after, upto], `count` of them."""

    after: int
    upto: int
    count: int


def lock_batch(session: Session, batch_id: int) -> Any:
    """The batch's row, locked: one worker at a time writes a chunk of it."""
    return session.execute(select(batches).where(batches.c.id == batch_id).with_for_update()).one()


def open_batch(
    session: Session, *, kind: str, actor: Actor, asked: Mapping[str, Any], keys: Select[Any], note: str | None = None,
    skipped: Iterable[Mapping[str, Any]] = (),
) -> Batch:
    """Create a batch and freeze its selection: `keys` selects one column of distinct keys."""
    batch = Batch(kind=kind, created_by_id=actor.user_id, input=dict(asked), note=note, skipped=list(skipped))
    session.add(batch)
    session.flush()
    chosen = keys.subquery()
    session.execute(
        insert(targets).from_select(["batch_id", "key"], select(literal(batch.id), chosen.c[0]))
    )
    batch.total = session.execute(
        select(func.count()).select_from(targets).where(targets.c.batch_id == batch.id)
    ).scalar_one()
    session.flush()
    return batch


def next_slice(session: Session, batch_id: int, *, after: int, size: int) -> Slice | None:
    """The next `size` targets behind a cursor; None when there are none left."""
    page = (
        select(targets.c.key)
        .where(targets.c.batch_id == batch_id, targets.c.key > after)
        .order_by(targets.c.key)
        .limit(size)
        .subquery()
    )
    row = session.execute(select(func.max(page.c.key), func.count())).one()
    return Slice(after, row[0], row[1]) if row[1] else None


def advance(session: Session, batch_id: int, part: Slice, *, done: int) -> None:
    """Move the cursor behind a slice whose rows were just written, in the same transaction.

    Raises: AssertionError when another worker served the slice already.
    """
    moved = session.execute(
        update(batches)
        .where(batches.c.id == batch_id, batches.c.cursor == part.after)
        .values(cursor=part.upto, done=batches.c.done + done)
    )
    assert moved.rowcount == 1, "a slice is served once"  # type: ignore[attr-defined]


def skip_target(session: Session, batch_id: int) -> int | None:
    """Move the cursor of an open batch behind the next target without serving it; its key, None without one."""
    batch = lock_batch(session, batch_id)
    part = next_slice(session, batch_id, after=batch.cursor, size=1) if batch.state == BatchState.open else None
    if part is None:
        return None
    advance(session, batch_id, part, done=0)
    return part.upto


def still_wanted(session: Session, batch_id: int) -> Any:
    """The batch's row, locked, for a target that was skipped; None when the batch was undone meanwhile."""
    batch = lock_batch(session, batch_id)
    return batch if batch.state in (BatchState.open, BatchState.done) else None


def only(key: int) -> Slice:
    """The slice of one target."""
    return Slice(key - 1, key, 1)


def count_later(session: Session, batch_id: int, *, done: int) -> None:
    """Count targets that were skipped at their turn and served since."""
    session.execute(update(batches).where(batches.c.id == batch_id).values(done=batches.c.done + done))

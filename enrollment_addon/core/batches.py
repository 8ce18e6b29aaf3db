"""Batches: one verb applied to many, with its selection frozen before the first row is written.

A batch names what was asked (`input`), the records it is for (`BatchTarget`) and how far it has come
(`cursor`). A chunk commits its rows together with the cursor, so a killed process goes on where it stopped
and no target is served twice or left out. Undo is a state of the batch, done by the verb's own domain.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, String, Table, func, insert, literal, or_, select, true, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from . import clock
from .db import Base, Document, Key, UtcDateTime, one_of, user_key
from .errors import NotFound
from .scope import Actor, clause_for, scoped, started_by

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


class Chunk(NamedTuple):
    """What one transaction of a batch did, in targets, and whether it was the last."""

    done: int
    skipped: int
    finished: bool


Serve = Callable[[Any, Slice], int]
"""Does the verb of a batch, whose locked row it gets, to a slice of its targets; how many of them were served."""


def visible_batch(session: Session, batch_id: int, *, kinds: Iterable[str], actor: Actor) -> Any:
    """The row of a batch of these kinds that the actor may see. Raises: NotFound."""
    row = session.execute(
        select(batches).where(batches.c.id == batch_id, batches.c.kind.in_(kinds), clause_for(Batch, actor))
    ).one_or_none()
    if row is None:
        raise NotFound
    return row


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


def in_slice(batch_id: int, part: Slice) -> ColumnElement[bool]:
    """The clause over `targets` for those of a slice."""
    return (targets.c.batch_id == batch_id) & (targets.c.key > part.after) & (targets.c.key <= part.upto)


def serve_chunk(session: Session, batch_id: int, *, size: int, serve: Serve) -> Chunk:
    """Serve the next `size` targets of an open batch, in key order, and move its cursor; with the last it is done.

    Targets that `serve` leaves out count as skipped. A batch that is no longer open (done, or undone after its job
    was cancelled) is finished.
    """
    batch = lock_batch(session, batch_id)
    if batch.state != BatchState.open:
        return Chunk(0, 0, finished=True)
    part = next_slice(session, batch_id, after=batch.cursor, size=size)
    done, skipped = 0, 0
    if part is not None:
        done = serve(batch, part)
        skipped = part.count - done
        advance(session, batch_id, part, done=done)
    finished = part is None or part.count < size
    if finished:
        session.execute(update(batches).where(batches.c.id == batch_id).values(state=BatchState.done))
    return Chunk(done, skipped, finished)


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


def serve_skipped(session: Session, batch_id: int, key: int, serve: Serve) -> bool:
    """Serve a target that was skipped at its turn; False when it is not to be served any more.

    A batch that was undone meanwhile serves nobody.
    """
    batch = lock_batch(session, batch_id)
    if batch.state not in (BatchState.open, BatchState.done):
        return False
    done = serve(batch, Slice(key - 1, key, 1))
    session.execute(update(batches).where(batches.c.id == batch_id).values(done=batches.c.done + done))
    return done == 1


def begin_undo(session: Session, batch_id: int, *, reason: str, actor: Actor, result: Mapping[str, int]) -> None:
    """Let a locked batch be undone; `result` is what its chunks count up."""
    session.execute(
        update(batches)
        .where(batches.c.id == batch_id)
        .values(state=BatchState.undoing, undo_reason=reason, undone_by_id=actor.user_id, undo_result=result)
    )


def advance_undo(
    session: Session, batch_id: int, *, cursor: int | None = None, result: Mapping[str, int] | None = None,
    finished: bool = False,
) -> None:
    """Note how far an undo has come, in the transaction that took something back; None leaves a value as it was."""
    values: dict[str, Any] = {"state": BatchState.undone, "undone_at": clock.now()} if finished else {}
    if cursor is not None:
        values["undo_cursor"] = cursor
    if result is not None:
        values["undo_result"] = result
    session.execute(update(batches).where(batches.c.id == batch_id).values(**values))

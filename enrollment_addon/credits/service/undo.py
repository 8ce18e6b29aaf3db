"""Undoing a batch: the preview, the verb, and the chunks that take back what nobody has spent."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from ...core import audit
from ...core.batches import BatchState, Chunk, advance_undo, begin_undo, lock_batch, visible_batch
from ...core.db import idempotent
from ...core.fields import reason_of
from ...core.scope import Actor, reach_of
from ...jobs.models import ENDED, Job, JobState
from ...jobs.service import queue_job
from ...people.models import Client
from ..errors import BatchStateConflict, NotUndoable, OutOfReach
from ..labels import BATCH_KINDS, BATCH_STATES
from ..models import entries, lots
from .grant import KIND as GRANT
from .lot_batches import EXTEND, VOID
from .moves import CONVERT, CONVERT_MANY, TRANSFER
from .undo_lots import EXTENSION, GRANTING, VOIDING
from .undo_moves import CONVERSION, TRANSFERRING
from .undo_parts import Undone, UndoPlan, UndoWay

KIND = "credits.undo"
WAYS: Mapping[str, UndoWay] = {
    GRANT: GRANTING, TRANSFER: TRANSFERRING, CONVERT: CONVERSION, CONVERT_MANY: CONVERSION, EXTEND: EXTENSION,
    VOID: VOIDING,
}
"""How each kind is undone. Whether the person reaches all of it is asked once, before the first chunk."""
UNDOABLE = tuple(WAYS)
"""The kinds of batches that can be undone."""

clients_table: Any = Client.__table__


def undo_plan(session: Session, *, batch_id: int, actor: Actor) -> UndoPlan:
    """Say what an undo would take back now; writes nothing.

    Raises: NotFound, BatchStateConflict, NotUndoable, OutOfReach.
    """
    batch = visible_batch(session, batch_id, kinds=BATCH_KINDS, actor=actor)
    _require_undoable(session, batch)
    _require_reach(session, batch, actor)
    return WAYS[batch.kind].plan(session, batch)


def undo_batch(
    session: Session,
    *,
    batch_id: int,
    reason: str,
    actor: Actor,
    idempotency_key: str | None = None,
    threshold: int,
    chunk: int,
) -> dict[str, Any]:
    """Take back what is still available in every lot of a batch; spent and booked credits stay.

    What was moved goes back where it came from, a last day becomes what it was, what was voided is given back to
    its lots. Whoever undoes it reaches all of its clients: nothing of it is left behind unseen. Answers `{taken_back,
    kept_spent, clients, job_id}`; above `threshold` clients a background job does it and the numbers are 0. A
    batch whose job was stopped half-way can be undone as well.
    Raises: NotFound, BatchStateConflict, NotUndoable, OutOfReach, InvalidInput without a reason,
    IdempotencyMismatch.
    """
    reason = reason_of(reason)

    def do() -> dict[str, Any]:
        visible_batch(session, batch_id, kinds=BATCH_KINDS, actor=actor)
        batch = lock_batch(session, batch_id)
        _require_undoable(session, batch)
        _require_reach(session, batch, actor)
        nothing = {"taken_back": 0, "kept_spent": 0, "clients": 0}
        begin_undo(session, batch_id, reason=reason, actor=actor, result=nothing)
        job_id = None
        if batch.done > threshold:
            input = {"batch_id": batch_id, "chunk": chunk}
            job_id = queue_job(session, kind=KIND, input=input, actor=actor, total=batch.done).id
        else:
            while not undo_chunk(session, batch_id=batch_id, size=chunk, actor=actor).finished:
                pass
        result = {**lock_batch(session, batch_id).undo_result, "job_id": job_id}
        audit.record_event(
            session, actor=actor, verb="undo_batch", record="batch", record_id=batch_id, reason=reason, **result
        )
        return result

    asked = {"actor": actor.user_id, "batch_id": batch_id, "reason": reason}
    return idempotent(session, key=idempotency_key, verb="undo_batch", asked=asked, do=do)


def undo_chunk(session: Session, *, batch_id: int, size: int, actor: Actor) -> Chunk:
    """Take back the next `size` lots of a batch being undone, in client order, together with its cursor."""
    batch = lock_batch(session, batch_id)
    if batch.state != BatchState.undoing:
        return Chunk(0, 0, finished=True)
    way = WAYS[batch.kind]
    size = min(size, way.most or size)
    undone = way.undo(session, batch, batch.undo_cursor, size, actor)
    finished = undone.lots < size
    advance_undo(session, batch_id, cursor=undone.cursor, result=_with(batch.undo_result, undone), finished=finished)
    return Chunk(undone.lots, 0, finished)


def skip_undo(session: Session, *, batch_id: int, actor: Actor) -> int | None:
    """Go past the next client (of a grant or conversion) or lot; its key, None without one."""
    batch = lock_batch(session, batch_id)
    if batch.state != BatchState.undoing:
        return None
    column, concerned = WAYS[batch.kind].key, WAYS[batch.kind].concerns(batch)
    rest = concerned.where(column > batch.undo_cursor).with_only_columns(func.min(column))
    key: int | None = session.execute(rest).scalar_one()
    if key is not None:
        advance_undo(session, batch_id, cursor=key)
    return key


def undo_skipped(session: Session, *, batch_id: int, key: int, actor: Actor) -> bool:
    """Take back what the undo of a batch skipped; False when the batch has no such item any more."""
    batch = lock_batch(session, batch_id)
    way = WAYS[batch.kind]
    if session.execute(way.concerns(batch).where(way.key == key).limit(1)).first() is None:
        return False
    undone = way.undo(session, batch, key - 1, 1, actor)
    assert undone.cursor == key, "the item that was asked for is undone, no other"
    advance_undo(session, batch_id, result=_with(batch.undo_result, undone))
    return True


def _with(before: Mapping[str, int], undone: Undone) -> dict[str, int]:
    """The result of an undo with what one more chunk did."""
    return {name: number + getattr(undone, name) for name, number in before.items()}


def _require_reach(session: Session, batch: Any, actor: Actor) -> None:
    """Raises: OutOfReach with the number of the batch's clients whom the actor does not reach."""
    if actor.sees_everything:
        return
    if batch.kind == GRANT:
        concerned: ColumnElement[bool] = lots.c.batch_id == batch.id
    else:
        concerned = lots.c.id.in_(select(entries.c.lot_id).where(entries.c.batch_id == batch.id))
    clients = select(func.count(lots.c.client_id.distinct())).join_from(lots, clients_table).where(concerned)
    reached = clients.where(reach_of(actor))
    strangers = session.execute(clients).scalar_one() - session.execute(reached).scalar_one()
    if strangers:
        raise OutOfReach(count=strangers)


def whole_of(batch: Any) -> Any:
    """Why a batch that was one step of another verb is not undone alone, and what to do instead; None for others."""
    match batch.input.get("part_of"):
        case None:
            return None
        case "import_clients":
            return _l(
                "An import took these credits back, because a row of its file had changed, and gave what the row says "
                "now. Undone alone, the client would have both: import the row as it should be instead."
            )
        case _:
            return _l("This was a part of something larger and cannot be undone alone.")


def is_undoable(session: Session, batch: Any) -> bool:
    """Whether a batch, as its row or as its summary, can be undone now."""
    try:
        _require_undoable(session, batch)
    except (BatchStateConflict, NotUndoable):
        return False
    return True


def _require_undoable(session: Session, batch: Any) -> None:
    """Raises: BatchStateConflict unless no more chunks of it will come and nothing was undone yet; NotUndoable."""
    if batch.kind not in UNDOABLE:
        raise NotUndoable
    if told := whole_of(batch):
        raise NotUndoable(told)
    if batch.state == BatchState.done:
        return
    if batch.state == BatchState.open and batch.input.get("job_id"):
        jobs = Job.__table__.c
        state = session.connection().execute(select(jobs.state).where(jobs.id == batch.input["job_id"])).scalar()
        if state in ENDED and state != JobState.done:
            return
    raise BatchStateConflict(state=dict(BATCH_STATES)[BatchState(batch.state)])

"""One verb on many lots: extending and voiding, at once or as a background job.

The lots are frozen in a batch before the first is touched; each chunk commits its lots with the cursor. Lots
with nothing left, or out of reach by the time of their chunk, are left out and counted.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from ...core import audit, clock
from ...core.batches import (
    Batch,
    BatchState,
    Slice,
    advance,
    batches,
    count_later,
    lock_batch,
    next_slice,
    only,
    open_batch,
    still_wanted,
    targets,
)
from ...core.db import idempotent, key_list
from ...core.errors import InvalidInput, NotFound
from ...core.scope import Actor, reach_of
from ...jobs.service import queue_job
from ...people.models import Client, Club
from ..errors import NothingToExtend
from ..models import EntryKind, lots
from .grant_chunk import Chunk
from .ledger import lock_balances, move_expiry, require_reason, retire
from .selection import fingerprint

EXTEND = "credits.extend"
VOID = "credits.void"

clients_table: Any = Client.__table__
clubs_table: Any = Club.__table__

Lots = Sequence[int] | Select[Any]
"""Keys of lots, or a query of them."""


def extend_lots(
    session: Session,
    *,
    lot_ids: Lots,
    expires_on: dt.date | None,
    reason: str,
    actor: Actor,
    idempotency_key: str | None = None,
    threshold: int = 500,
    chunk: int = 1_000,
) -> dict[str, Any]:
    """Set the last day of lots (none: they never expire); above `threshold` lots as a background job.

    What has expired, been spent or taken back stays so: a lot with nothing left is left out. Answers
    `{batch_id, extended, left_out, job_id}` in lots; `extended` is 0 while a job waits.
    Raises: NothingToExtend, NotFound when a named lot is unknown or out of reach, InvalidInput for a day in the
    past or without a reason, IdempotencyMismatch.
    """
    reason = require_reason(reason)

    def do() -> dict[str, Any]:
        if expires_on is not None and type(expires_on) is not dt.date:
            raise InvalidInput(fields={"expires_on": _l("Please enter a date.")})
        chosen = _chosen(session, lot_ids, actor)
        _check_day(session, chosen, expires_on)
        day = expires_on.isoformat() if expires_on else None
        batch, job_id = _run(
            session, EXTEND, chosen, {"expires_on": day}, reason, actor, threshold=threshold, chunk=chunk
        )
        if job_id is None and not batch.done:
            raise NothingToExtend
        _note(session, "extend_lots", batch, reason, actor, expires_on=day, job_id=job_id)
        return {"batch_id": batch.id, "extended": batch.done, "left_out": batch.input["left_out"], "job_id": job_id}

    asked = {"expires_on": expires_on, "lots": fingerprint(session, lot_ids), "reason": reason, "actor": actor.user_id}
    return idempotent(session, key=idempotency_key, verb="extend_lots", asked=asked, do=do)


def void_lots(
    session: Session,
    *,
    lot_ids: Lots,
    reason: str,
    actor: Actor,
    idempotency_key: str | None = None,
    part_of: str | None = None,
    threshold: int = 500,
    chunk: int = 1_000,
) -> dict[str, Any]:
    """Take back the available rest of lots; reserved and used credits stay. Above `threshold` lots as a job.

    `part_of` names the verb that does this as one of its steps: then it cannot be undone alone. Answers
    `{batch_id, voided, job_id}`; `voided` counts credits and is 0 while a job waits.
    Raises: NotFound when a named lot is unknown or out of reach (then none changes), InvalidInput,
    IdempotencyMismatch.
    """
    reason = require_reason(reason)

    def do() -> dict[str, Any]:
        chosen = _chosen(session, lot_ids, actor)
        given = {"part_of": part_of} if part_of else {}
        batch, job_id = _run(session, VOID, chosen, given, reason, actor, threshold=threshold, chunk=chunk)
        voided = batch.input["credits"]
        _note(session, "void_lots", batch, reason, actor, voided=voided, job_id=job_id)
        return {"batch_id": batch.id, "voided": voided, "job_id": job_id}

    asked = {"lots": fingerprint(session, lot_ids), "reason": reason, "actor": actor.user_id}
    return idempotent(session, key=idempotency_key, verb="void_lots", asked=asked, do=do)


def lot_chunk(session: Session, *, batch_id: int, size: int, actor: Actor) -> Chunk:
    """Serve the next `size` lots of an open batch, together with its cursor."""
    batch = lock_batch(session, batch_id)
    if batch.state != BatchState.open:
        return Chunk(0, 0, finished=True)
    part = next_slice(session, batch_id, after=batch.cursor, size=size)
    done, missed = 0, 0
    if part is not None:
        done = _serve_slice(session, batch, part, actor)
        missed = part.count - done
        advance(session, batch_id, part, done=done)
    finished = part is None or part.count < size
    if finished:
        session.execute(update(batches).where(batches.c.id == batch_id).values(state=BatchState.done))
    return Chunk(done, missed, finished)


def serve_skipped_lot(session: Session, *, batch_id: int, lot_id: int, actor: Actor) -> bool:
    """Serve a lot that the batch skipped; False when there is nothing to be done to it any more."""
    batch = still_wanted(session, batch_id)
    if batch is None:
        return False
    done = _serve_slice(session, batch, only(lot_id), actor)
    count_later(session, batch_id, done=done)
    return done == 1


def _serve_slice(session: Session, batch: Any, part: Slice, actor: Actor) -> int:
    """Do the verb to the lots of a slice that are in reach, and note the credits; how many lots had something left."""
    keys = (
        select(lots.c.id)
        .join_from(lots, clients_table)
        .join(targets, targets.c.key == lots.c.id)
        .where(targets.c.batch_id == batch.id, targets.c.key > part.after, targets.c.key <= part.upto)
        .where(reach_of(actor))
    )
    found = list(session.execute(keys).scalars())
    lock_balances(session, found)
    done, credits = _serve(session, batch, found, actor)
    input = dict(batch.input)
    input["credits"] += credits
    if missed := part.count - done:
        input["left_out"] = {"empty": input["left_out"].get("empty", 0) + missed}
    session.execute(update(batches).where(batches.c.id == batch.id).values(input=input))
    return done


def _serve(session: Session, batch: Any, keys: Sequence[int], actor: Actor) -> tuple[int, int]:
    """Do the verb of the batch to lots whose balances are locked: how many lots, how many credits."""
    if batch.kind == VOID:
        gone = retire(session, keys, kind=EntryKind.void, reason=batch.note, actor=actor, batch_id=batch.id)
        return gone.lots, gone.credits
    text = batch.input["expires_on"]
    day = dt.date.fromisoformat(text) if text else None
    rows = session.execute(
        select(lots).where(lots.c.id.in_(key_list(session, keys)), lots.c.available + lots.c.reserved > 0)
    ).all()
    move_expiry(session, rows, lambda _: day, actor=actor, reason=batch.note, batch_id=batch.id)
    return len(rows), sum(row.available + row.reserved for row in rows)


def _chosen(session: Session, lot_ids: Lots, actor: Actor) -> Select[Any]:
    """The keys of the chosen lots in reach. Raises: NotFound when one of those named is not."""
    reached = select(lots.c.id).join_from(lots, clients_table).where(reach_of(actor))
    if isinstance(lot_ids, Select):
        return reached.where(lots.c.id.in_(select(lot_ids.subquery().c[0])))
    wanted = set(lot_ids)
    if not wanted:
        raise InvalidInput(fields={"lot_ids": _l("Please choose at least one lot.")})
    chosen = reached.where(lots.c.id.in_(key_list(session, wanted)))
    if session.execute(select(func.count()).select_from(chosen.subquery())).scalar_one() != len(wanted):
        raise NotFound
    return chosen


def _check_day(session: Session, chosen: Select[Any], day: dt.date | None) -> None:
    """Raises: InvalidInput for a day that is over in the club of one of these lots' clients."""
    if day is None:
        return
    clubs = session.execute(
        select(clubs_table.c.timezone)
        .join_from(lots, clients_table)
        .join(clubs_table)
        .where(lots.c.id.in_(chosen))
        .distinct()
    ).scalars()
    if any(day < clock.today(timezone) for timezone in clubs):
        raise InvalidInput(fields={"expires_on": _l("The expiry must not be in the past.")})


def _run(
    session: Session,
    kind: str,
    chosen: Select[Any],
    asked: Mapping[str, Any],
    reason: str,
    actor: Actor,
    *,
    threshold: int,
    chunk: int,
) -> tuple[Batch, int | None]:
    """Freeze the lots in a batch and serve them, or leave that to a job whose key is the second value."""
    asked = {**asked, "credits": 0, "left_out": {}}
    batch = open_batch(session, kind=kind, actor=actor, asked=asked, keys=chosen, note=reason)
    job_id = None
    if batch.total > threshold:
        input = {"batch_id": batch.id, "chunk": chunk}
        job_id = queue_job(session, kind=kind, input=input, actor=actor, total=batch.total).id
        batch.input = {**batch.input, "job_id": job_id}
        session.flush()
    else:
        while not lot_chunk(session, batch_id=batch.id, size=chunk, actor=actor).finished:
            pass
    session.refresh(batch)
    return batch, job_id


def _note(session: Session, verb: str, batch: Batch, reason: str, actor: Actor, **details: Any) -> None:
    holders = session.execute(
        select(lots.c.client_id)
        .join_from(lots, targets, targets.c.key == lots.c.id)
        .where(targets.c.batch_id == batch.id)
        .distinct()
        .limit(2)
    ).scalars()
    clients = list(holders)
    audit.record_event(
        session, actor=actor, verb=verb, record="batch", record_id=batch.id,
        client_id=clients[0] if len(clients) == 1 else None, reason=reason, lots=batch.total, **details,
    )

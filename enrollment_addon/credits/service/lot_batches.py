"""One verb on many lots: extending, voiding, transferring, at once or as a background job.

The lots are frozen in a batch before the first is touched; each chunk commits its lots with the cursor. Lots
with nothing left, or out of reach by the time of their chunk, are left out and counted.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ...core import audit
from ...core.batches import (
    Batch,
    Chunk,
    Slice,
    batches,
    in_slice,
    open_batch,
    serve_chunk,
    serve_skipped,
    targets,
)
from ...core.db import idempotent, key_list
from ...core.fields import reason_of
from ...core.scope import Actor, reach_of
from ...jobs.batches import serve_or_queue
from ...people.models import Client
from ..errors import NothingExpires, NothingToExtend, NothingToTransfer
from ..models import EntryKind, lots
from .ledger import lock_balances, move_expiry, retire
from .lot_choice import Choice, Lots, NewDay, check_new_day, choose_lots, in_use, told_plan
from .lot_transfers import give_lots, lock_both_sides, plan_transfer
from .moves import TRANSFER, require_open
from .selection import fingerprint

EXTEND = "credits.extend"
VOID = "credits.void"

clients_table: Any = Client.__table__


def extend_lots(
    session: Session,
    *,
    lot_ids: Lots,
    expires_on: dt.date | None = None,
    extend_by: Mapping[str, int] | None = None,
    reason: str,
    actor: Actor,
    idempotency_key: str | None = None,
    threshold: int = 500,
    chunk: int = 1_000,
) -> dict[str, Any]:
    """Give lots a new last day; above `threshold` lots as a background job.

    `expires_on`: all the same one (none: they never expire). `extend_by`: each later by so many days, weeks or
    months, as {unit: count}; one that never expires stays so. What has expired, been spent or taken back stays
    so: a lot with nothing left is left out. Answers `{batch_id, extended, shortened, left_out, skipped,
    skipped_count, job_id}` in lots; `extended` is 0 while a job waits, `shortened` are good for less long than
    before, `skipped` are those named that are not there.
    Raises: NothingToExtend, NothingExpires, NotFound when none of the lots named is there, NothingSelected,
    InvalidInput for a day in the past or without a reason, IdempotencyMismatch.
    """
    reason = reason_of(reason)

    def do() -> dict[str, Any]:
        choice = choose_lots(session, lot_ids, actor)
        new = check_new_day(session, choice, expires_on, extend_by)
        plan = told_plan(session, choice, new)
        if not plan.lots:
            raise NothingExpires if plan.endless else NothingToExtend
        batch, job_id = _run(
            session, EXTEND, choice, new.as_input(), reason, actor, threshold=threshold, chunk=chunk
        )
        _note(session, "extend_lots", batch, reason, actor, **new.as_input(), job_id=job_id)
        return {
            "batch_id": batch.id, "extended": batch.done, "shortened": plan.shortened,
            "left_out": batch.input["left_out"], **_skipped(batch), "job_id": job_id,
        }

    asked = {"expires_on": expires_on, "lots": fingerprint(session, lot_ids), "reason": reason, "actor": actor.user_id}
    if extend_by is not None:
        asked["extend_by"] = dict(extend_by)
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
    `{batch_id, voided, skipped, skipped_count, job_id}`; `voided` counts credits and is 0 while a job waits,
    `skipped` are the lots named that are not there.
    Raises: NotFound when none of the lots named is there, NothingSelected, InvalidInput, IdempotencyMismatch.
    """
    reason = reason_of(reason)

    def do() -> dict[str, Any]:
        choice = choose_lots(session, lot_ids, actor)
        given = {"part_of": part_of} if part_of else {}
        batch, job_id = _run(session, VOID, choice, given, reason, actor, threshold=threshold, chunk=chunk)
        voided = batch.input["credits"]
        _note(session, "void_lots", batch, reason, actor, voided=voided, job_id=job_id)
        return {"batch_id": batch.id, "voided": voided, **_skipped(batch), "job_id": job_id}

    asked = {"lots": fingerprint(session, lot_ids), "reason": reason, "actor": actor.user_id}
    return idempotent(session, key=idempotency_key, verb="void_lots", asked=asked, do=do)


def transfer_lots(
    session: Session,
    *,
    lot_ids: Lots,
    to_client_id: int,
    reason: str,
    actor: Actor,
    idempotency_key: str | None = None,
    threshold: int = 500,
    chunk: int = 1_000,
) -> dict[str, Any]:
    """Give what is left in lots, of any clients, to one client; above `threshold` lots as a background job.

    Each keeps its terms but a restriction to participants. Lots of an enrollment, on hold, past their last day or
    of that client already are left out. Answers `{batch_id, transferred, lots, left_out, skipped, skipped_count,
    job_id}`; `transferred` counts credits and is 0 while a job waits, `skipped` are the lots named that are not there.
    Raises: NothingToTransfer, NotFound (also for the client), NothingSelected, InvalidInput, IdempotencyMismatch.
    """
    reason = reason_of(reason)

    def do() -> dict[str, Any]:
        require_open(session, to_client_id, actor)
        plan = plan_transfer(session, lot_ids=lot_ids, to_client_id=to_client_id, actor=actor)
        if not plan.lots:
            raise NothingToTransfer
        choice = choose_lots(session, lot_ids, actor)
        others = replace(choice, keys=choice.keys.where(lots.c.client_id != to_client_id))
        given = {"to_client_id": to_client_id}
        batch, job_id = _run(session, TRANSFER, others, given, reason, actor, threshold=threshold, chunk=chunk)
        transferred = batch.input["credits"]
        _note(session, "transfer_lots", batch, reason, actor, **given, transferred=transferred, job_id=job_id)
        own = {"own": plan.left_out["own"]} if "own" in plan.left_out else {}
        return {
            "batch_id": batch.id, "transferred": transferred, "lots": batch.done,
            "left_out": {**batch.input["left_out"], **own}, **_skipped(batch), "job_id": job_id,
        }

    asked = {
        "lots": fingerprint(session, lot_ids), "to_client_id": to_client_id, "reason": reason, "actor": actor.user_id,
    }
    return idempotent(session, key=idempotency_key, verb="transfer_lots", asked=asked, do=do)


def lot_chunk(session: Session, *, batch_id: int, size: int, actor: Actor) -> Chunk:
    """Serve the next `size` lots of an open batch, together with its cursor."""
    return serve_chunk(session, batch_id, size=size, serve=partial(_serve_slice, session, actor))


def serve_skipped_lot(session: Session, *, batch_id: int, key: int, actor: Actor) -> bool:
    """Serve a lot that the batch skipped; False when there is nothing to be done to it any more."""
    return serve_skipped(session, batch_id, key, partial(_serve_slice, session, actor))


def _serve_slice(session: Session, actor: Actor, batch: Any, part: Slice) -> int:
    """Do the verb to the lots of a slice that are in reach, and note the credits; how many lots had something left."""
    keys = (
        select(lots.c.id)
        .join_from(lots, clients_table)
        .join(targets, targets.c.key == lots.c.id)
        .where(in_slice(batch.id, part), reach_of(actor))
    )
    found = list(session.execute(keys).scalars())
    if batch.kind == TRANSFER:
        lock_both_sides(session, found, batch.input["to_client_id"])
    else:
        lock_balances(session, found)
    done, credits, missed = _serve(session, batch, found, actor)
    input = dict(batch.input)
    input["credits"] += credits
    left_out: Counter[str] = Counter(input["left_out"])
    left_out += missed
    left_out += Counter(empty=part.count - done - missed.total())
    input["left_out"] = dict(left_out)
    session.execute(update(batches).where(batches.c.id == batch.id).values(input=input))
    return done


def _serve(session: Session, batch: Any, keys: Sequence[int], actor: Actor) -> tuple[int, int, Counter[str]]:
    """Do the verb of the batch to lots whose balances are locked.

    How many lots, how many credits, and how many lots were left out for another reason than that they are empty.
    """
    if batch.kind == TRANSFER:
        return give_lots(session, batch, keys, actor)
    if batch.kind == VOID:
        gone = retire(session, keys, kind=EntryKind.void, reason=batch.note, actor=actor, batch_id=batch.id)
        return gone.lots, gone.credits, Counter()
    new = NewDay.from_input(batch.input)
    found = session.execute(select(lots).where(lots.c.id.in_(key_list(session, keys)), in_use)).all()
    rows = [row for row in found if new.by is None or row.expires_on is not None]
    move_expiry(session, rows, new.of, actor=actor, reason=batch.note, batch_id=batch.id)
    return len(rows), sum(row.available + row.reserved for row in rows), Counter(endless=len(found) - len(rows))


def _run(
    session: Session,
    kind: str,
    choice: Choice,
    asked: Mapping[str, Any],
    reason: str,
    actor: Actor,
    *,
    threshold: int,
    chunk: int,
) -> tuple[Batch, int | None]:
    """Freeze the lots in a batch and serve them, or leave that to a job whose key is the second value."""
    asked = {**asked, "credits": 0, "left_out": choice.left_out}
    batch = open_batch(
        session, kind=kind, actor=actor, asked=asked, keys=choice.keys, note=reason, skipped=choice.skipped
    )
    return batch, serve_or_queue(session, batch, lot_chunk, actor=actor, threshold=threshold, chunk=chunk)


def _skipped(batch: Batch) -> dict[str, Any]:
    return {"skipped": batch.skipped, "skipped_count": batch.input["left_out"].get("not_found", 0)}


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

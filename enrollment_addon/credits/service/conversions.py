"""Converting credits of many clients to another event type: the preview, the verb and its chunks.

Of each client all whole steps are converted, or as many as fit in a limit; a rest stays as it was.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from ...core import audit, clock
from ...core.batches import Chunk, Slice, batches, in_slice, open_batch, serve_chunk, serve_skipped, targets
from ...core.db import idempotent
from ...core.fields import reason_of
from ...core.scope import Actor, reach_of
from ...jobs.batches import serve_or_queue
from ...people.models import Client, Club
from ..calc import Take, burn_steps, is_valid_on
from ..errors import NothingToConvert
from ..models import balances
from .ledger import open_balances
from .lots import as_lot
from .moves import (
    CONVERT_MANY,
    alike_in,
    check_event_types,
    check_ratio,
    make_of,
    participants_of,
    unspent,
    whole_steps,
)
from .selection import Selection, fingerprint, select_clients

CLIENTS_LISTED = 20
"""So many clients are in a preview one by one."""
PLANNED_AT_ONCE = 1_000

clients_table: Any = Client.__table__
clubs_table: Any = Club.__table__

Clients = Sequence[int] | Select[Any]


class ClientConversion(NamedTuple):
    """What becomes of one client's credits."""

    client_id: int
    name: str
    converted: int
    received: int
    left: int


class ConversionPlan(NamedTuple):
    """What a conversion would do, in credits; `left` ones stay as they are with those who convert some.

    `listed` are the first of the clients. `skipped` lists the first of those left out, `by_reason` counts all.
    """

    clients: int
    converted: int
    received: int
    left: int
    listed: Sequence[ClientConversion]
    skipped: list[dict[str, Any]]
    by_reason: dict[str, int]


class _Held(NamedTuple):
    """Lots by key, whom each is restricted to, and by client what leaves which of them and what stays."""

    rows: Mapping[int, Any]
    persons: Mapping[int, tuple[int, ...]]
    takes: Mapping[int, list[Take]]
    left: Mapping[int, int]


def plan_conversion(
    session: Session,
    *,
    clients: Clients,
    from_event_type_id: int,
    to_event_type_id: int,
    give: int,
    get: int,
    quantity: int | None = None,
    actor: Actor,
) -> ConversionPlan:
    """Say what `convert_for_clients` would do now, by the same steps; writes nothing. Raises: InvalidInput."""
    asked = _asked(session, from_event_type_id, to_event_type_id, give, get, quantity)
    selection = select_clients(session, clients, actor)
    client, after = clients_table.c, 0
    pages = (
        _holders(selection, asked)
        .add_columns(client.first_name, client.last_name, clubs_table.c.timezone)
        .join_from(clients_table, clubs_table)
        .order_by(client.id)
        .limit(PLANNED_AT_ONCE)
    )
    found: list[ClientConversion] = []
    served = converted = left = 0
    while page := session.execute(pages.where(client.id > after)).all():
        after = page[-1].id
        held = _held(session, {row.id: row.timezone for row in page}, asked)
        for row in page:
            count = sum(take.quantity for take in held.takes.get(row.id, ()))
            if not count:
                continue
            served, converted, left = served + 1, converted + count, left + held.left[row.id]
            if len(found) < CLIENTS_LISTED:
                name = f"{row.first_name} {row.last_name}".strip()
                found.append(ClientConversion(row.id, name, count, count // give * get, held.left[row.id]))
    empty = selection.count - served
    return ConversionPlan(
        clients=served, converted=converted, received=converted // give * get, left=left, listed=found,
        skipped=selection.skipped, by_reason={**selection.by_reason, **({"empty": empty} if empty else {})},
    )


def convert_for_clients(
    session: Session,
    *,
    clients: Clients,
    from_event_type_id: int,
    to_event_type_id: int,
    give: int,
    get: int,
    quantity: int | None = None,
    reason: str,
    actor: Actor,
    idempotency_key: str | None = None,
    threshold: int,
    chunk: int,
) -> dict[str, Any]:
    """Make of every `give` unspent credits of each client `get` of another event type; above `threshold` as a job.

    `quantity`: at most so many of each client. Who has nothing for a whole step is left out. Answers `{batch_id,
    clients, converted, received, left_out, skipped, skipped_count, job_id}`; the numbers are 0 while a job waits.
    Raises: NothingToConvert when nobody has, InvalidInput, IdempotencyMismatch.
    """
    reason = reason_of(reason)
    told: dict[str, Any] = {
        "from_event_type_id": from_event_type_id, "to_event_type_id": to_event_type_id, "give": give, "get": get,
        "quantity": quantity,
    }

    def do() -> dict[str, Any]:
        asked = _asked(session, **told)
        selection = select_clients(session, clients, actor)
        holders = _holders(selection, asked)
        count = session.execute(select(func.count()).select_from(holders.subquery())).scalar_one()
        empty = selection.count - count
        left_out = {**selection.by_reason, **({"empty": empty} if empty else {})}
        batch = open_batch(
            session, kind=CONVERT_MANY, actor=actor, keys=holders, note=reason, skipped=selection.skipped,
            asked={**asked, "converted": 0, "received": 0, "left_out": left_out},
        )
        job_id = serve_or_queue(session, batch, convert_chunk, actor=actor, threshold=threshold, chunk=chunk)
        if job_id is None and not batch.done:
            raise NothingToConvert
        audit.record_event(
            session, actor=actor, verb="convert_for_clients", record="batch", record_id=batch.id,
            client_id=selection.only_client, reason=reason, clients=batch.total, job_id=job_id, **asked,
        )
        return {
            "batch_id": batch.id, "clients": batch.done, "skipped": batch.skipped, "job_id": job_id,
            "skipped_count": sum(batch.input["left_out"].values()),
            **{name: batch.input[name] for name in ("converted", "received", "left_out")},
        }

    same = {**told, "clients": fingerprint(session, clients), "reason": reason, "actor": actor.user_id}
    return idempotent(session, key=idempotency_key, verb="convert_for_clients", asked=same, do=do)


def convert_chunk(session: Session, *, batch_id: int, size: int, actor: Actor) -> Chunk:
    """Convert what the next `size` clients of an open batch have, together with its cursor."""
    return serve_chunk(session, batch_id, size=size, serve=partial(_serve, session, actor))


def convert_skipped(session: Session, *, batch_id: int, key: int, actor: Actor) -> bool:
    """Convert what a client has whom the batch skipped; False when there is nothing to convert any more."""
    return serve_skipped(session, batch_id, key, partial(_serve, session, actor))


def _serve(session: Session, actor: Actor, batch: Any, part: Slice) -> int:
    """Convert what the clients of a slice have; how many of them had enough. The others are counted."""
    asked, client = batch.input, clients_table.c
    rows = session.execute(
        select(client.id, clubs_table.c.timezone)
        .select_from(targets.join(clients_table, client.id == targets.c.key).join(clubs_table))
        .where(in_slice(batch.id, part), client.archived.is_(False), client.erased_at.is_(None), reach_of(actor))
    )
    timezones = {row.id: row.timezone for row in rows}
    types = (asked["from_event_type_id"], asked["to_event_type_id"])
    open_balances(session, [(key, event_type_id) for key in timezones for event_type_id in types])
    held = _held(session, timezones, asked)
    done = converted = received = 0
    for takes in held.takes.values():
        done, converted = done + 1, converted + sum(take.quantity for take in takes)
        received += make_of(
            session, held.rows, held.persons, takes, batch_id=batch.id, asked=asked, reason=batch.note, actor=actor
        )
    input = {**asked, "converted": asked["converted"] + converted, "received": asked["received"] + received}
    if done < part.count:
        input["left_out"] = {**asked["left_out"], "empty": asked["left_out"].get("empty", 0) + part.count - done}
    session.execute(update(batches).where(batches.c.id == batch.id).values(input=input))
    return done


def _asked(
    session: Session, from_event_type_id: int, to_event_type_id: int, give: int, get: int, quantity: int | None
) -> dict[str, Any]:
    """What was asked for, checked. Raises: InvalidInput."""
    if quantity is None:
        check_ratio(give, get)
    else:
        whole_steps(quantity, give, get)
    check_event_types(session, from_event_type_id, to_event_type_id)
    return {
        "from_event_type_id": from_event_type_id, "to_event_type_id": to_event_type_id, "give": give, "get": get,
        "quantity": quantity,
    }


def _holders(selection: Selection, asked: Mapping[str, Any]) -> Select[Any]:
    """Those of the selection who have anything of the event type left."""
    return selection.eligible.where(
        select(balances.c.client_id)
        .where(
            balances.c.client_id == clients_table.c.id, balances.c.event_type_id == asked["from_event_type_id"],
            balances.c.available > 0,
        )
        .exists()
    )


def _held(session: Session, timezones: Mapping[int, str], asked: Mapping[str, Any]) -> _Held:
    """What these clients have and what of it is whole steps; those without a whole step are not in `takes`."""
    rows = unspent(session, [*timezones], asked["from_event_type_id"])
    persons = participants_of(session, rows)
    alike = alike_in(rows, persons)
    by_client: dict[int, list[Any]] = {}
    for row in rows.values():
        if is_valid_on(row.expires_on, clock.today(timezones[row.client_id])):
            by_client.setdefault(row.client_id, []).append(as_lot(row))
    takes, left = {}, {}
    for client_id, found in sorted(by_client.items()):
        there = sum(lot.available for lot in found)
        steps = burn_steps(
            found, min(asked["quantity"] or there, there), clock.today(timezones[client_id]), give=asked["give"],
            alike=alike,
        )
        if steps:
            takes[client_id] = steps
            left[client_id] = there - sum(take.quantity for take in steps)
    return _Held(rows, persons, takes, left)

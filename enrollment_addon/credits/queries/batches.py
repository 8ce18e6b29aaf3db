"""What a batch gave to whom, and what became of it."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, false, func, or_, select
from sqlalchemy.orm import Session

from ...catalog.models import EventType
from ...core.audit import user_names
from ...core.batches import Batch, batches, targets
from ...core.errors import NotFound
from ...core.scope import Actor, Reach, actor_of, clause_for, reach_of
from ..models import EntryKind, entries, lots
from .lots import clients_table

GRANT = "credits.grant"
CONVERT_MANY = "credits.convert_many"
CONVERSIONS = ("credits.convert", CONVERT_MANY)
OF_CLIENTS = (GRANT, CONVERT_MANY)
"""The kinds whose targets are clients; those of the others are lots."""
_KINDS: Mapping[str, EntryKind] = {
    "credits.transfer": EntryKind.transfer_in,
    "credits.convert": EntryKind.transfer_in,
    CONVERT_MANY: EntryKind.transfer_in,
    "credits.extend": EntryKind.extend,
    "credits.void": EntryKind.void,
}
"""The entries of a batch by which its lots are found."""
MOST_CLIENTS = 500
"""Batches of more are seen by those alone who started them or see everything: nobody counts a table for a list."""


class BatchSummary(NamedTuple):
    """A batch and what has become of its lots, in credits, as far as the actor reaches."""

    id: int
    state: str
    created_at: dt.datetime
    created_by_id: int | None
    who: str | None
    note: str | None
    input: Mapping[str, Any]
    event_type: str | None
    to_event_type: str | None
    kind: str
    total: int
    done: int
    skipped: list[dict[str, Any]]
    skipped_count: int
    by_reason: dict[str, int]
    job_id: int | None
    clients: int
    credits: int
    available: int
    reserved: int
    used: int
    expired: int
    taken_back: int
    transferred: int
    undone_at: dt.datetime | None
    undone_by: str | None
    undo_reason: str | None
    undo_result: Mapping[str, int] | None


class BatchRow(NamedTuple):
    """A lot of a batch: whose it is, and what became of it."""

    client_id: int
    client: str
    lot_id: int
    event_type: str
    quantity: int
    available: int
    reserved: int
    used: int
    expired: int
    taken_back: int
    expires_on: dt.date | None


def batch_summary(session: Session, batch_id: int) -> BatchSummary:
    """The head of a batch's page. Raises: NotFound."""
    batch = _batch(session, batch_id)
    event_type, to_event_type = (
        session.get(EventType, key) if key else None
        for key in (batch.input.get("event_type_id") or batch.input.get("from_event_type_id"),
                    batch.input.get("to_event_type_id"))
    )
    sums = session.execute(
        select(
            func.count(lots.c.client_id.distinct()).label("clients"),
            *(
                func.coalesce(func.sum(column), 0).label(name)
                for name, column in (
                    ("credits", lots.c.quantity),
                    ("available", lots.c.available),
                    ("reserved", lots.c.reserved),
                    ("used", lots.c.used),
                    ("expired", lots.c.expired),
                    ("taken_back", lots.c.voided),
                    ("transferred", lots.c.transferred),
                )
            ),
        )
        .join_from(lots, clients_table)
        .where(_belongs(batch), reach_of(actor_of(session)))
    ).one()
    names = user_names(session, {batch.created_by_id, batch.undone_by_id})
    left_out = batch.input["left_out"]
    return BatchSummary(
        id=batch.id,
        state=batch.state,
        created_at=batch.created_at,
        created_by_id=batch.created_by_id,
        who=names.get(batch.created_by_id),
        note=batch.note,
        input=batch.input,
        event_type=event_type.label if event_type else None,
        to_event_type=to_event_type.label if to_event_type else None,
        kind=batch.kind,
        total=batch.total,
        done=batch.done,
        skipped=batch.skipped,
        skipped_count=sum(left_out.values()),
        by_reason=left_out,
        job_id=batch.input.get("job_id"),
        **{name: int(value) for name, value in sums._mapping.items()},
        undone_at=batch.undone_at,
        undone_by=names.get(batch.undone_by_id),
        undo_reason=batch.undo_reason,
        undo_result=batch.undo_result,
    )


def batch_rows(session: Session, batch_id: int, *, after: int = 0, size: int = 50) -> list[BatchRow]:
    """The lots of a batch by key, behind the lot `after`. Raises: NotFound."""
    batch = _batch(session, batch_id)
    client = clients_table.c
    rows = session.execute(
        select(
            lots.c.client_id,
            client.first_name,
            client.last_name,
            lots.c.id,
            lots.c.event_type_id,
            lots.c.quantity,
            lots.c.available,
            lots.c.reserved,
            lots.c.used,
            lots.c.expired,
            lots.c.voided,
            lots.c.expires_on,
        )
        .join_from(lots, clients_table)
        .where(_belongs(batch), lots.c.id > after, reach_of(actor_of(session)))
        .order_by(lots.c.id)
        .limit(size)
    ).all()
    types = session.scalars(select(EventType).where(EventType.id.in_({row.event_type_id for row in rows})))
    labels = {item.id: item.label for item in types}
    return [
        BatchRow(
            row.client_id,
            f"{row.first_name} {row.last_name}".strip(),
            row.id,
            labels[row.event_type_id],
            row.quantity,
            row.available,
            row.reserved,
            row.used,
            row.expired,
            row.voided,
            row.expires_on,
        )
        for row in rows
    ]


def conversions(session: Session, batch_ids: Collection[int]) -> frozenset[int]:
    """Those of these batches that converted credits; of any reach, since only a word depends on it."""
    if not batch_ids:
        return frozenset()
    found = select(batches.c.id).where(batches.c.id.in_(batch_ids), batches.c.kind.in_(CONVERSIONS))
    return frozenset(session.connection().execute(found).scalars())


def all_clients_reached(actor: Actor) -> ColumnElement[bool]:
    """The clause over `Batch` for those that concern nobody whom this person of the team does not reach.

    Stops at the first client out of reach, and looks at no more than `MOST_CLIENTS` of a batch.
    """
    if actor.reach not in (Reach.own_clubs, Reach.own_clients):
        return false()
    client, reached = clients_table.c, reach_of(actor)
    chosen = select(targets.c.key).where(targets.c.batch_id == Batch.id)

    def stranger(query: Select[Any], source: Any, key: Any) -> ColumnElement[bool]:
        return query.select_from(source.outerjoin(clients_table, (client.id == key) & reached)).where(
            client.id.is_(None)
        ).exists()

    moved = select(entries.c.id).where(entries.c.batch_id == Batch.id)
    of_lots = targets.outerjoin(lots, lots.c.id == targets.c.key)
    return and_(
        Batch.total <= MOST_CLIENTS,
        chosen.exists(),
        or_(
            and_(Batch.kind.in_(OF_CLIENTS), ~stranger(chosen, targets, targets.c.key)),
            and_(
                Batch.kind.in_(_KINDS.keys() - {CONVERT_MANY}),
                ~stranger(chosen, of_lots, lots.c.client_id),
                ~stranger(moved, entries, entries.c.client_id),
            ),
        ),
    )


def _belongs(batch: Batch) -> ColumnElement[bool]:
    """The lots a batch made, or gave credits to, or did its verb to."""
    if batch.kind == GRANT:
        return lots.c.batch_id == batch.id
    return lots.c.id.in_(
        select(entries.c.lot_id).where(entries.c.batch_id == batch.id, entries.c.kind == _KINDS[batch.kind])
    )


def lots_in_batch(batch_id: Any) -> CompoundSelect[Any]:
    """The keys of the lots that the page of a batch lists."""
    return select(lots.c.id).where(lots.c.batch_id == batch_id).union(
        select(entries.c.lot_id).where(entries.c.batch_id == batch_id, entries.c.kind.in_(set(_KINDS.values())))
    )


def _batch(session: Session, batch_id: int) -> Batch:
    batch = session.execute(
        select(Batch).where(
            Batch.id == batch_id, Batch.kind.in_((GRANT, *_KINDS)), clause_for(Batch, actor_of(session))
        )
    ).scalar_one_or_none()
    if batch is None:
        raise NotFound
    return batch

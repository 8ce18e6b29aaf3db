"""Writing a grant: each chunk is three set-based statements and the cursor, in one transaction.

Who is archived, erased, moved out of reach or gone by the time of the chunk is left out and named, never
served.
"""

from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Date, case, insert, literal, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ...core import clock
from ...core.batches import Chunk, Slice, batches, in_slice, serve_chunk, serve_skipped, targets
from ...core.db import UtcDateTime, dialect_of
from ...core.scope import Actor, reach_of
from ...people.models import Client, Club
from ..models import EntryKind, Origin, balances, entries, lots
from .lots import restrict
from .selection import SKIPPED_LISTED, skip_reason
from .terms import Terms

clients_table: Any = Client.__table__
clubs_table: Any = Club.__table__


def grant_chunk(session: Session, *, batch_id: int, size: int, actor: Actor) -> Chunk:
    """Write the next `size` clients of an open batch: lots, entries, balances and the cursor."""
    return serve_chunk(session, batch_id, size=size, serve=partial(_write, session, actor))


def grant_skipped(session: Session, *, batch_id: int, key: int, actor: Actor) -> bool:
    """Give a client theirs whom the batch skipped; False when they are not to get it any more."""
    return serve_skipped(session, batch_id, key, partial(_write, session, actor))


def _write(session: Session, actor: Actor, batch: Any, part: Slice) -> int:
    """The lots, entries and balances of a slice; how many clients got theirs. The others are noted."""
    terms = Terms.from_input(batch.input)
    done = _insert_lots(session, batch, part, terms, actor)
    if participants := batch.input.get("participant_ids"):
        restrict(session, session.execute(select(lots.c.id).where(_granted(batch.id, part))).scalars(), participants)
    _insert_entries(session, batch.id, part, actor)
    _add_to_balances(session, batch.id, part, terms)
    if done < part.count:
        _note_missed(session, batch, part, actor)
    return done


def _insert_lots(session: Session, batch: Any, part: Slice, terms: Terms, actor: Actor) -> int:
    client, club = clients_table.c, clubs_table.c
    chosen: Any = (
        select(
            client.id,
            literal(terms.event_type_id),
            literal(terms.quantity),
            literal(terms.quantity),
            *(literal(0) for _ in range(5)),
            literal(clock.now(), UtcDateTime()),
            _expiry(terms, client.club_id),
            literal(Origin.manual.value),
            literal(terms.priority),
            literal(bool(batch.input["shared"])),
            literal(batch.input.get("member_cap"), lots.c.member_cap.type),
            literal(False),
            literal(terms.unit_value, lots.c.unit_value.type),
            club.currency,
            literal(batch.id),
            literal(batch.note, lots.c.note.type),
        )
        .select_from(targets.join(clients_table, client.id == targets.c.key).join(clubs_table))
        .where(
            in_slice(batch.id, part),
            client.archived.is_(False),
            client.erased_at.is_(None),
            reach_of(actor),
        )
        .order_by(client.id)
    )
    if terms.unit_value:
        chosen = chosen.where(club.currency == terms.currency)
    columns = [
        "client_id",
        "event_type_id",
        "quantity",
        "available",
        "reserved",
        "used",
        "expired",
        "voided",
        "transferred",
        "granted_at",
        "expires_on",
        "origin",
        "priority",
        "shared",
        "member_cap",
        "held",
        "unit_value",
        "currency",
        "batch_id",
        "note",
    ]
    statement = insert(lots).from_select(columns, chosen, include_defaults=False)
    try:
        return _count(session, statement)
    except IntegrityError:
        # A client was deleted between the statement's snapshot and its foreign key check; the next snapshot
        # no longer has them.
        return _count(session, statement)


def _count(session: Session, statement: Any) -> int:
    """Run an INSERT inside a savepoint; how many rows it wrote."""
    with session.begin_nested():
        counted = statement.execution_options(preserve_rowcount=True)
        return session.connection().execute(counted).rowcount


def _expiry(terms: Terms, club_id: Any) -> ColumnElement[Any]:
    """The last day of a client's lot as SQL: one date, or by club (a club that came later has the latest)."""
    days: list[Any] = sorted(set(terms.by_club.values())) or [terms.expires_on]
    if len(days) == 1:
        return literal(days[0], Date())
    return case(
        *(
            (club_id.in_([club for club, last in terms.by_club.items() if last == day]), literal(day, Date()))
            for day in days
        ),
        else_=literal(days[-1], Date()),
    )


def _granted(batch_id: int, part: Slice) -> ColumnElement[bool]:
    return (lots.c.batch_id == batch_id) & (lots.c.client_id > part.after) & (lots.c.client_id <= part.upto)


def _insert_entries(session: Session, batch_id: int, part: Slice, actor: Actor) -> None:
    session.execute(
        insert(entries).from_select(
            [
                "lot_id",
                "client_id",
                "event_type_id",
                "kind",
                "available_change",
                "reserved_change",
                "at",
                "actor_id",
                "turn",
            ],
            select(
                lots.c.id,
                lots.c.client_id,
                lots.c.event_type_id,
                literal(EntryKind.grant.value),
                lots.c.quantity,
                literal(0),
                lots.c.granted_at,
                literal(actor.user_id, entries.c.actor_id.type),
                literal(0),
            )
            .where(_granted(batch_id, part))
            .order_by(lots.c.client_id),
            include_defaults=False,
        )
    )


def _add_to_balances(session: Session, batch_id: int, part: Slice, terms: Terms) -> None:
    """Add the new lots to the balances, in key order, so that two batches cannot wait for each other."""
    columns = ["client_id", "event_type_id", "available", "reserved", "used"]
    rows = (
        select(lots.c.client_id, lots.c.event_type_id, lots.c.quantity, literal(0), literal(0))
        .where(_granted(batch_id, part))
        .order_by(lots.c.client_id)
    )
    more = balances.c.available + terms.quantity
    dialect = dialect_of(session)
    if dialect == "mysql":
        statement: Any = mysql.insert(balances).from_select(columns, rows).on_duplicate_key_update(available=more)
    else:
        maker: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
        statement = (
            maker(balances)
            .from_select(columns, rows)
            .on_conflict_do_update(index_elements=["client_id", "event_type_id"], set_={"available": more})
        )
    session.execute(statement)


def _note_missed(session: Session, batch: Any, part: Slice, actor: Actor) -> None:
    """Name the frozen clients that this slice could no longer serve."""
    client = clients_table.c
    served = select(lots.c.client_id).where(_granted(batch.id, part))
    rows = session.execute(
        select(targets.c.key, client.id, client.archived, client.erased_at)
        .select_from(targets.outerjoin(clients_table, (client.id == targets.c.key) & reach_of(actor)))
        .where(in_slice(batch.id, part), targets.c.key.not_in(served))
        .order_by(targets.c.key)
    ).all()
    left_out = dict(batch.input["left_out"])
    skipped = list(batch.skipped)
    for row in rows:
        reason = skip_reason(row)
        left_out[reason] = left_out.get(reason, 0) + 1
        if len(skipped) < SKIPPED_LISTED:
            skipped.append({"client_id": row.key, "reason": reason})
    session.execute(
        update(batches)
        .where(batches.c.id == batch.id)
        .values(skipped=skipped, input={**batch.input, "left_out": left_out})
    )

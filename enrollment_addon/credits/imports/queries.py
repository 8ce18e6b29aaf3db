"""Reads of imports."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...catalog.models import EventType
from ...core.translations import Translation
from ...jobs.models import ENDED, Job
from ...people.models import Club
from .models import ClientImport, ImportRow, ImportState, Outcome, identities, rows


def counts(session: Session, import_id: int) -> dict[Outcome, int]:
    """How many rows did, or would do, what."""
    found = session.execute(
        select(rows.c.outcome, func.count())
        .where(rows.c.import_id == import_id, rows.c.outcome.is_not(None))
        .group_by(rows.c.outcome)
    )
    return {**dict.fromkeys(Outcome, 0), **{Outcome(outcome): count for outcome, count in found}}


def rows_page(
    session: Session, import_id: int, *, outcome: Outcome | None = None, after: int = 0, size: int
) -> Sequence[ImportRow]:
    """The next rows of a file behind a number, those of one outcome if asked."""
    query = select(ImportRow).where(ImportRow.import_id == import_id, ImportRow.number > after)
    if outcome is not None:
        query = query.where(ImportRow.outcome == outcome)
    return session.scalars(query.order_by(ImportRow.number).limit(size)).all()


def sample(session: Session, import_id: int, size: int = 3) -> list[list[Any]]:
    """The first rows of a file, to recognize its columns by."""
    return [row.cells or [] for row in rows_page(session, import_id, size=size)]


def earlier(session: Session, item: ClientImport) -> ClientImport | None:
    """The last import of a file with the same content that was written, if there is one."""
    return session.scalars(
        select(ClientImport)
        .where(
            ClientImport.digest == item.digest, ClientImport.id != item.id, ClientImport.state == ImportState.done
        )
        .order_by(ClientImport.id.desc())
        .limit(1)
    ).one_or_none()


def next_group_end(session: Session, import_id: int, *, after: str, size: int) -> str | None:
    """The identity that ends the next so many people of a file; None when there are none left."""
    page = (
        select(rows.c.identity)
        .where(rows.c.import_id == import_id, rows.c.identity > after)
        .distinct()
        .order_by(rows.c.identity)
        .limit(size)
        .subquery()
    )
    return session.execute(select(func.max(page.c.identity))).scalar()


def person_before(session: Session, import_id: int, number: int) -> str:
    """The identity before that of the person of a row; empty for the first."""
    theirs = select(rows.c.identity).where(rows.c.import_id == import_id, rows.c.number == number).scalar_subquery()
    before = select(func.max(rows.c.identity)).where(rows.c.import_id == import_id, rows.c.identity < theirs)
    return session.execute(before).scalar() or ""


def group_rows(session: Session, import_id: int, *, after: str, upto: str) -> Sequence[Any]:
    """The rows of the people in (after, upto], person by person."""
    return session.execute(
        select(rows.c.number, rows.c.identity, rows.c.cells, rows.c.outcome)
        .where(rows.c.import_id == import_id, rows.c.identity > after, rows.c.identity <= upto)
        .order_by(rows.c.identity, rows.c.number)
    ).all()


def event_types_by_name(session: Session) -> Mapping[str, int]:
    """Keys of the active event types by each of their names, in any language, without case."""
    found = {
        name.casefold(): key
        for key, name in session.execute(
            select(EventType.id, Translation.text)
            .join(Translation, Translation.record_id == EventType.id)
            .where(
                EventType.active, Translation.record == EventType.__tablename__, Translation.field == "name"
            )
        )
    }
    own = session.execute(select(EventType.id, EventType.name).where(EventType.active))
    return {**found, **{row.name.casefold(): row.id for row in own}}


def known_identities(session: Session, wanted: Sequence[str]) -> dict[str, Any]:
    """What earlier imports remember of these people, past the row scope: an identity is one person's only."""
    found = session.connection().execute(select(identities).where(identities.c.identity.in_(wanted)))
    return {row.identity: row for row in found}


def clubs_by_name(session: Session) -> Mapping[str, int]:
    """Keys of all clubs by name, without case."""
    return {name.casefold(): key for key, name in session.execute(select(Club.id, Club.name))}


def is_worked_on(session: Session, item: ClientImport) -> bool:
    """Whether a job goes through the rows, or is going to."""
    job = session.get(Job, item.job_id) if item.job_id is not None else None
    return job is not None and job.state not in ENDED

"""Erasing a client's personal data: who they were goes, what was bought and used stays.

Free text about the client goes whole, because nobody can tell what it gives away; texts about several people
(a batch for many, a job) lose the client's name, e-mail and phone only.
"""

from collections.abc import Collection, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import JSON, ColumnElement, String, Table, select, true, update
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import AuditEvent, record_event
from ...core.batches import Batch
from ...core.db import User, require
from ...core.errors import InvalidInput
from ...core.fields import reason_of
from ...core.scope import SYSTEM, Actor, acting_as
from ...jobs.models import Job, JobError
from ...jobs.service import PURGE_EXPORTS, queue_job
from .. import calc, hooks
from ..errors import ClientClosed, HeadStays
from ..models import Client, Household, Participant
from ..queries import identities, works_here

_PAGE = 1000
"""Rows of texts that are read at once."""
_FIXED_WORDS = ("kind", "state", "code", "worker", "request_id")
"""Text columns that hold a fixed word and never what somebody typed."""


def erase_client(
    session: Session, *, client_id: int, reason: str, typed_name: str, actor: Actor
) -> None:
    """Replace the client's personal data by placeholders in the actor's language, for good; ledger and money stay.

    Clients that were merged into this one are the same person and are erased along. `typed_name` must be the
    client's full name. Their portal account is closed and loses its name, unless it is one of somebody who works
    here. Files of exports, which may hold the client's data, are deleted by a job.
    Raises: NotFound, InvalidInput, ClientClosed, HeadStays.
    """
    client = require(session, Client, client_id, lock=True)
    reason = reason_of(reason)
    if client.erased_at:
        raise ClientClosed
    if not calc.same_name(typed_name, client.full_name):
        raise InvalidInput(fields={"typed_name": _l("This is not the client’s name.")})
    portal_user_id = client.portal_user_id
    needles: set[str] = set()
    with acting_as(session, SYSTEM):  # a merged record may lie outside the actor's reach
        for key in identities(session, client_id):
            needles |= _erase_record(session, require(session, Client, key, lock=True))
        queue_job(session, kind=PURGE_EXPORTS, input={"days": 0}, actor=SYSTEM)
    if portal_user_id is not None and not works_here(session, portal_user_id):
        _close_account(session, portal_user_id, client_id)
    record_event(
        session, actor=actor, verb="erase_client_data", record="client", record_id=client_id,
        client_id=client_id, reason=calc.redacted(reason, needles),
    )


def _close_account(session: Session, user_id: int, client_id: int) -> None:
    user = session.get_one(User, user_id)
    user.active, user.first_name, user.last_name = False, str(_l("Erased client")), f"#{client_id}"
    user.username, user.email = f"erased-{client_id}", f"erased-{client_id}@invalid"
    session.flush()


def _erase_record(session: Session, client: Client) -> set[str]:
    """Erase one record; what to look for in the texts of others."""
    participants = session.scalars(select(Participant).where(Participant.client_id == client.id)).all()
    needles = _needles(client, participants)
    _leave_household(session, client)
    client.first_name, client.last_name = str(_l("Erased client")), f"#{client.id}"
    client.email = client.phone = client.birth_date = client.locale = client.notes = None
    client.portal_user_id = None
    client.tags = []
    client.archived, client.erased_at = True, clock.now()
    for participant in participants:
        participant.name = f"{_l('Erased participant')} #{participant.id}"
        participant.birth_date = participant.species = participant.breed = participant.notes = None
    session.flush()
    _erase_audit(session, client.id, needles)
    _erase_shared_texts(session, client, needles)
    for erasure in hooks.erasures.values():
        erasure(session, client_id=client.id, needles=sorted(needles))
    return needles


def _needles(client: Client, participants: Sequence[Participant]) -> set[str]:
    """What names this client in a text: names whole and in parts, e-mail, phone."""
    names = (client.full_name, client.first_name, client.last_name, *(item.name for item in participants))
    return {needle for needle in (*names, client.email, client.phone) if needle and len(needle) > 1}


def _leave_household(session: Session, client: Client) -> None:
    """Take the client out; a household of their own goes, one named after them alone gets a neutral name.

    Raises: HeadStays when others would be left without a head.
    """
    household = client.household_id and session.get(Household, client.household_id)
    if not household:
        return
    others = session.scalars(
        select(Client).where(Client.household_id == household.id, Client.id != client.id)
    ).all()
    if household.head_id == client.id and others:
        raise HeadStays(name=client.full_name, household=household.name)
    client.household_id = client.relationship_to_head = None
    session.flush()
    if not others:
        session.delete(household)
    else:
        shared = {name for other in others for name in (other.first_name, other.last_name)}
        own = {client.full_name, client.first_name, client.last_name} - shared
        household.name = calc.redacted(household.name, own)
    session.flush()


def _erase_audit(session: Session, client_id: int, needles: Collection[str]) -> None:
    """Reasons given about the client go whole; details keep keys and numbers."""
    table: Table = AuditEvent.__table__  # type: ignore[assignment]
    about = table.c.client_id == client_id
    session.execute(update(table).where(about, table.c.reason.is_not(None)).values(reason=calc.ERASED))
    told = select(table.c.id, table.c.details).where(about, table.c.details.is_not(None))
    for row in session.execute(told).all():
        cleaned = calc.redacted(row.details, needles)
        if cleaned != row.details:
            session.execute(update(table).where(table.c.id == row.id).values(details=cleaned))


def _erase_shared_texts(session: Session, client: Client, needles: Collection[str]) -> None:
    """Take the client out of the texts of batches that were for them and of jobs that name them.

    Jobs don't say whom they were for, so they are all read, row by row; there a first name alone may well be
    somebody else's and stays.
    """
    batches, jobs, job_errors = (model.__table__ for model in (Batch, Job, JobError))
    for batches_of in hooks.client_batches.values():
        rows: Any = session.execute(batches_of(client.id))
        served = dict(map(tuple, rows))
        told = select(batches.c.id, batches.c.note, batches.c.undo_reason).where(batches.c.id.in_(served))
        for batch in session.execute(told).all():
            alone = {text for text in (batch.note, batch.undo_reason) if text and served[batch.id] == 1}
            _redact(session, batches, {*needles, *alone}, batches.c.id == batch.id)  # type: ignore[arg-type]
    unmistakable = {needle for needle in needles if " " in needle or "@" in needle or needle[-1].isdigit()}
    for table in (jobs, job_errors):
        _redact(session, table, unmistakable, true())  # type: ignore[arg-type]


def _redact(session: Session, table: Table, needles: Collection[str], where: ColumnElement[bool]) -> None:
    texts = [
        column for column in table.c
        if column.name not in _FIXED_WORDS and isinstance(column.type, String | JSON)
    ]
    after = 0
    while True:
        page = select(table.c.id, *texts).where(where, table.c.id > after).order_by(table.c.id).limit(_PAGE)
        rows = session.execute(page).mappings().all()
        for row in rows:
            cleaned = {
                column.name: redacted
                for column in texts
                if (redacted := calc.redacted(row[column.name], needles)) != row[column.name]
            }
            if cleaned:
                session.execute(update(table).where(table.c.id == row["id"]).values(cleaned))
        if len(rows) < _PAGE:
            return
        after = rows[-1]["id"]

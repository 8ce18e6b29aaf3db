"""The verbs of imports: stage a file, name its columns, check it row by row, write it.

Every step works on so many rows or people in one transaction and says where the next one begins; a job, a page
or a command calls it until it is finished.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.db import idempotent, insert_new, require, write_lock
from ...core.errors import AddonError, InvalidInput
from ...core.scope import Actor, Reach
from ...jobs.errors import untranslated
from ...jobs.service import queue_job
from ...people.models import Client, Club
from ...people.service import create_client, update_client
from ..models import Origin
from ..service import open_lot, void_lots
from . import calc, queries
from .calc import FIELDS, Matched, Options
from .errors import ImportStateConflict
from .labels import DATES, DECIMALS, STATES
from .models import ClientImport, ImportState, Outcome, credits, identities, imports, rows
from .plan import TAKEN, Known, PersonPlan

CHECK, WRITE = "credits.import_check", "credits.import"
IDENTIFIED = 2_000
"""Rows per transaction whose person is found out."""
PEOPLE = 100
"""People per transaction of a check or an import; on SQLite nobody else writes meanwhile."""
KEPT_DAYS = 30
"""So long the rows of a file are kept: for finishing an import, and for its error file."""
_UNEXPECTED = _l("An unexpected error; nothing of this person was written. The page of the job says more.")


class Stride(NamedTuple):
    """What one transaction of a check or an import did, and where the next one begins."""

    done: int
    refused: int
    position: Any
    finished: bool


def open_import(session: Session, *, name: str, digest: str, header: Sequence[str], actor: Actor) -> ClientImport:
    """Begin an import of a file whose rows are staged next; rows of long past imports are forgotten."""
    long_ago = clock.now() - dt.timedelta(days=KEPT_DAYS)
    past = select(imports.c.id).where(imports.c.created_at < long_ago)
    session.execute(delete(rows).where(rows.c.import_id.in_(past)))
    item = ClientImport(name=name[:200], digest=digest, header=list(header), created_by_id=actor.user_id)
    session.add(item)
    session.flush()
    return item


def stage_rows(session: Session, *, import_id: int, block: Sequence[tuple[int, Sequence[Any]]]) -> None:
    """Keep rows of the file as they are."""
    session.execute(
        insert(rows), [{"import_id": import_id, "number": number, "cells": cells} for number, cells in block]
    )


def finish_upload(session: Session, *, import_id: int, total: int, actor: Actor) -> None:
    """The whole file is staged; before that an import can't go on."""
    require(session, ClientImport, import_id).total = total
    session.flush()
    record_event(session, actor=actor, verb="upload_import", record="import", record_id=import_id, rows=total)


def discard_import(session: Session, *, import_id: int, actor: Actor) -> None:
    """Forget an import that was never written, with its rows. Raises: NotFound, ImportStateConflict."""
    item = _locked(session, import_id, ImportState.uploaded, ImportState.checking, ImportState.checked)
    session.execute(delete(rows).where(rows.c.import_id == import_id))
    session.delete(item)
    session.flush()
    record_event(session, actor=actor, verb="discard_import", record="import", record_id=import_id)


def _locked(session: Session, import_id: int, *states: ImportState) -> ClientImport:
    item = require(session, ClientImport, import_id, lock=True)
    if item.state not in states:
        raise ImportStateConflict(state=dict(STATES)[ImportState(item.state)])
    return item


def check_import(
    session: Session, *, import_id: int, options: Options, actor: Actor, threshold: int
) -> int | None:
    """Name the columns and begin the dry run; the key of its job, or None when it was done at once.

    Raises: as `prepare_check`.
    """
    item = prepare_check(session, import_id=import_id, options=options, actor=actor)
    return _queue_or_do(session, item, CHECK, check_step, actor, threshold)


def prepare_check(session: Session, *, import_id: int, options: Options, actor: Actor) -> ClientImport:
    """Name the columns; `check_step` then goes through the rows.

    May be repeated with other columns until the import begins. Raises: NotFound, InvalidInput (with `fields`),
    ImportStateConflict.
    """
    item = _locked(session, import_id, ImportState.uploaded, ImportState.checking, ImportState.checked)
    if item.state == ImportState.checking and queries.is_worked_on(session, item):
        raise ImportStateConflict(state=dict(STATES)[ImportState.checking])
    if not item.total:
        raise InvalidInput(_l("The upload of this file was not finished. Please upload it again."))
    _check_options(session, item, options, actor)
    item.options, item.state = options.as_json(), ImportState.checking
    _forget_outcomes(session, import_id)
    record_event(session, actor=actor, verb="check_import", record="import", record_id=import_id, rows=item.total)
    session.flush()
    return item


def _check_options(session: Session, item: ClientImport, options: Options, actor: Actor) -> None:
    columns, wrong = options.columns, {}
    for name in ("first_name", "last_name"):
        if name not in columns:
            wrong[name] = _l("A client needs this column.")
    chosen = list(columns.values())
    for name, place in columns.items():
        if name not in FIELDS or not 0 <= place < len(item.header):
            wrong[name] = _l("Please choose one of the list.")
        elif chosen.count(place) > 1:
            wrong[name] = _l("This column is chosen twice.")
    for one, other in (("quantity", "event_type"), ("event_type", "quantity")):
        if one in columns and other not in columns:
            wrong[other] = _l("Opening credits need an event type and a number.")
    if options.dates not in dict(DATES):
        wrong["dates"] = _l("Please choose one of the list.")
    if options.decimal not in dict(DECIMALS):
        wrong["decimal"] = _l("Please choose one of the list.")
    if options.club_id is not None:
        require(session, Club, options.club_id)
        if actor.reach is Reach.own_clubs and options.club_id not in actor.club_ids:
            wrong["club_id"] = _l("Please choose one of your clubs.")
    elif "club" not in columns:
        wrong["club_id"] = _l("Choose the club of the clients, or the column that names it.")
    if wrong:
        raise InvalidInput(fields=wrong)


def _forget_outcomes(session: Session, import_id: int) -> None:
    session.execute(
        update(rows).where(rows.c.import_id == import_id).values(outcome=None, message=None, params=None)
    )


def _queue_or_do(
    session: Session, item: ClientImport, kind: str, step: Callable[..., Stride], actor: Actor, threshold: int
) -> int | None:
    """Leave the steps to a job, or do them all now; the job's key."""
    if item.total > threshold:
        job = queue_job(session, kind=kind, input={"import_id": item.id}, actor=actor, total=item.total)
        item.job_id = job.id
        session.flush()
        return job.id
    item.job_id = None
    session.flush()
    position = None
    while not (stride := step(session, import_id=item.id, position=position, actor=actor)).finished:
        position = stride.position
    return None


def start_import(
    session: Session, *, import_id: int, actor: Actor, threshold: int, idempotency_key: str | None = None
) -> int | None:
    """Write what the dry run said; the key of the job, or None when it was done at once.

    Raises: as `prepare_import`.
    """

    def start() -> dict[str, Any]:
        item = prepare_import(session, import_id=import_id, actor=actor)
        return {"job_id": _queue_or_do(session, item, WRITE, write_step, actor, threshold)}

    asked = {"import_id": import_id}
    job_id: int | None = idempotent(
        session, key=idempotency_key, verb="import_clients", asked=asked, do=start
    )["job_id"]
    return job_id


def prepare_import(session: Session, *, import_id: int, actor: Actor) -> ClientImport:
    """Begin to write; `write_step` then goes through the people.

    Once only: an import that is running or done is refused. Raises: NotFound, ImportStateConflict.
    """
    item = _locked(session, import_id, ImportState.checked)
    item.state = ImportState.running
    _forget_outcomes(session, import_id)
    record_event(session, actor=actor, verb="import_clients", record="import", record_id=import_id, rows=item.total)
    session.flush()
    return item


def check_step(
    session: Session, *, import_id: int, position: Any, actor: Actor, people: int = PEOPLE
) -> Stride:
    """The next rows of a dry run: first it is found out who is whom, then what would happen."""
    item = require(session, ClientImport, import_id)
    position = position or {"rows": 0}
    if "rows" in position:
        return _identify(session, item, position["rows"])
    stride = _walk(session, item, position["after"], people, actor, lambda plan: None)
    if stride.finished:
        item.state = ImportState.checked
        session.flush()
    return stride


def write_step(
    session: Session, *, import_id: int, position: Any, actor: Actor, people: int = PEOPLE
) -> Stride:
    """The next people of an import; whoever is refused now leaves no trace but the reason.

    One import writes at a time: two files about the same people must see what the other one gave them.
    """
    session.execute(select(write_lock.c.id).with_for_update())
    item = require(session, ClientImport, import_id)
    after = (position or {"after": ""})["after"]
    stride = _walk(session, item, after, people, actor, lambda plan: _write(session, item, plan, actor))
    if stride.finished:
        item.state = ImportState.done
        session.flush()
    return stride


def skip_person(session: Session, *, import_id: int, position: Any) -> tuple[int, Any] | None:
    """Go past the next person, whose rows are refused; the first of them and the new position, None without one."""
    position = position or {"after": ""}
    if "after" not in position:  # it is still found out who is whom
        return None
    identity = queries.next_group_end(session, import_id, after=position["after"], size=1)
    if identity is None:
        return None
    theirs = (rows.c.import_id == import_id) & (rows.c.identity == identity)
    refused = {"outcome": Outcome.refused, "message": untranslated(_UNEXPECTED), "params": None}
    session.execute(update(rows).where(theirs).values(refused))
    return session.execute(select(func.min(rows.c.number)).where(theirs)).scalar_one(), {"after": identity}


def do_person_again(session: Session, *, import_id: int, number: int, write: bool, actor: Actor) -> bool:
    """Check or write the person of a row that was skipped; False when they are refused, or no longer to be checked."""
    item = require(session, ClientImport, import_id)
    if (item.state in (ImportState.running, ImportState.done)) != write:
        return False
    if write:
        session.execute(select(write_lock.c.id).with_for_update())
    before = queries.person_before(session, item.id, number)
    stride = _walk(
        session, item, before, 1, actor, lambda plan: _write(session, item, plan, actor) if write else None
    )
    return stride.done > 0


def _identify(session: Session, item: ClientImport, after: int) -> Stride:
    options = Options(**item.options)
    found = session.execute(
        select(rows.c.number, rows.c.cells)
        .where(rows.c.import_id == item.id, rows.c.number > after)
        .order_by(rows.c.number)
        .limit(IDENTIFIED)
    ).all()
    if not found:
        return Stride(0, 0, {"after": ""}, finished=False)
    clubs = queries.clubs_by_name(session)
    session.connection().execute(
        update(rows)
        .where(rows.c.import_id == item.id, rows.c.number == bindparam("its_number"))
        .values(identity=bindparam("found")),
        [
            {"its_number": row.number, "found": calc.identity(item.id, row.number, row.cells, options, clubs)}
            for row in found
        ],
    )
    return Stride(0, 0, {"rows": found[-1].number}, finished=False)


def _walk(
    session: Session, item: ClientImport, after: str, people: int, actor: Actor, do: Callable[[PersonPlan], Any]
) -> Stride:
    """Plan the next people, do what is to be done, and note at every row what came of it."""
    upto = queries.next_group_end(session, item.id, after=after, size=people)
    if upto is None:
        return Stride(0, 0, {"after": after}, finished=True)
    found = queries.group_rows(session, item.id, after=after, upto=upto)
    plans = Known(session, item, found, actor).plans()
    for plan in plans:
        if plan.left:
            do(plan)
    noted = [_noted(plan, number, outcome) for plan in plans for number, outcome in plan.outcomes().items()]
    written = item.state in (ImportState.running, ImportState.done)
    session.connection().execute(
        update(rows)
        .where(rows.c.import_id == item.id, rows.c.number == bindparam("its_number"))
        .values({name: bindparam(f"its_{name}") for name in ("outcome", "message", "params", "client_id")}),
        noted,
    )
    if written:
        session.execute(
            update(rows)
            .where(
                rows.c.import_id == item.id, rows.c.identity > after, rows.c.identity <= upto,
                rows.c.outcome != Outcome.refused,
            )
            .values(cells=None)
        )
    refused = sum(row["its_outcome"] == Outcome.refused for row in noted)
    return Stride(len(noted) - refused, refused, {"after": upto}, finished=False)


def _noted(plan: PersonPlan, number: int, outcome: Outcome) -> dict[str, Any]:
    error = plan.refused.get(number) or plan.warned.get(number)
    return {
        "its_number": number,
        "its_outcome": outcome,
        "its_message": untranslated(error.message) if error else None,
        "its_params": _plain(error.params) if error else None,
        "its_client_id": plan.client.id if plan.client is not None else None,
    }


def _plain(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """A reason's placeholders as JSON; what is translatable is kept in English for the reader's language."""
    return {n: v if isinstance(v, int) else untranslated(v) for n, v in params.items()} or None


def _write(session: Session, item: ClientImport, plan: PersonPlan, actor: Actor) -> None:
    """Create or change one client and their credits; what is refused now leaves nothing of the person behind."""
    try:
        with session.begin_nested():
            if not plan.remembered:
                _write_client(session, plan, actor)
            for matched in plan.credits:
                _write_credits(session, item, plan, matched, actor)
    except AddonError as error:
        if plan.outcome is Outcome.create:
            plan.client = None
        plan.refuse_all(error)


def _write_client(session: Session, plan: PersonPlan, actor: Actor) -> None:
    if plan.client is None:
        plan.client = create_client(session, actor=actor, **plan.values)
    elif plan.values:
        update_client(session, id=plan.client.id, actor=actor, **plan.values)
    values = {"identity": plan.identity, "client_id": plan.client.id, "fingerprint": plan.fingerprint}
    if insert_new(session, identities, values, ["identity"]):
        return
    changed = session.execute(
        update(identities)
        .where(identities.c.identity == plan.identity, identities.c.client_id == plan.client.id)
        .values(fingerprint=plan.fingerprint)
    )
    if not changed.rowcount:  # type: ignore[attr-defined]
        raise InvalidInput(TAKEN[plan.known_by])


def _write_credits(
    session: Session, item: ClientImport, plan: PersonPlan, matched: Matched, actor: Actor
) -> None:
    """Open the lot of one row; a changed row's earlier lot is taken back first."""
    assert plan.client is not None, "the client was written before"
    if matched.same:
        session.execute(update(credits).where(credits.c.id == matched.old.id).values(import_id=item.id))
        return
    if matched.old is not None:
        void_lots(session, lot_ids=[matched.old.lot_id], reason=item.name, part_of="import_clients", actor=actor)
        session.execute(delete(credits).where(credits.c.id == matched.old.id))
    terms = matched.terms
    currency = session.execute(
        select(Club.currency).join(Client, Client.club_id == Club.id).where(Client.id == plan.client.id)
    ).scalar_one()
    lot_id = open_lot(
        session, client_id=plan.client.id, event_type_id=terms.event_type_id, quantity=terms.quantity,
        expires_on=terms.expires_on, origin=Origin.imported, unit_value=terms.unit_value, currency=currency,
        note=item.name, actor=actor,
    )
    session.execute(
        insert(credits).values(
            client_id=plan.client.id, event_type_id=terms.event_type_id, quantity=terms.quantity,
            expires_on=terms.expires_on, unit_value=terms.unit_value, lot_id=lot_id, import_id=item.id,
        )
    )

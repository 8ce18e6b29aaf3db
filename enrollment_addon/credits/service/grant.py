"""Adding credits to one client or to many: the preview and the verb.

A grant freezes its selection and its terms (dates per club, value in minor units) in a batch, which
`grant_chunk` writes.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select
from sqlalchemy.orm import Session

from ...core import audit
from ...core.batches import Batch, open_batch
from ...core.db import idempotent
from ...core.errors import InvalidInput
from ...core.scope import Actor
from ...jobs.batches import serve_or_queue
from ..calc import USUAL_PRIORITY
from .grant_chunk import grant_chunk
from .lots import check_participants
from .selection import Selection, fingerprint, select_clients
from .terms import Terms, check_cap, check_terms

KIND = "credits.grant"


class GrantPlan(NamedTuple):
    """What a grant would do.

    `expires` holds the distinct last days (clubs may have different ones), none for never; `skipped` lists
    the first 1,000, `skipped_count` and `by_reason` count all; `currency` is empty when the clubs differ.
    """

    clients: int
    credits: int
    skipped: list[dict[str, Any]]
    skipped_count: int
    by_reason: dict[str, int]
    expires: tuple[dt.date, ...]
    currency: str | None


def plan_grant(
    session: Session,
    *,
    clients: Sequence[int] | Select[Any],
    event_type_id: int,
    quantity: int,
    expires_on: dt.date | None = None,
    expires_in: Mapping[str, int] | None = None,
    unit_value: str = "0",
    actor: Actor,
) -> GrantPlan:
    """Say who would get what, and who is left out and why; writes nothing.

    Raises: InvalidInput (with `fields`), MixedCurrencies, NobodySelected.
    """
    selection = select_clients(session, clients, actor)
    terms = check_terms(
        session,
        selection,
        event_type_id=event_type_id,
        quantity=quantity,
        expires_on=expires_on,
        expires_in=expires_in,
        priority=USUAL_PRIORITY,
        unit_value=unit_value,
        note=None,
    )
    return GrantPlan(
        clients=selection.count,
        credits=selection.count * quantity,
        skipped=selection.skipped,
        skipped_count=sum(selection.by_reason.values()),
        by_reason=selection.by_reason,
        expires=terms.dates_for(share.club_id for share in selection.shares),
        currency=selection.currencies[0] if len(selection.currencies) == 1 else None,
    )


def _answer(batch: Batch, job_id: int | None) -> dict[str, Any]:
    return {
        "batch_id": batch.id,
        "granted": batch.done,
        "clients": batch.total,
        "skipped": batch.skipped,
        "skipped_count": sum(batch.input["left_out"].values()),
        "job_id": job_id,
    }


def grant_credits(
    session: Session,
    *,
    clients: Sequence[int] | Select[Any],
    event_type_id: int,
    quantity: int,
    expires_on: dt.date | None = None,
    expires_in: Mapping[str, int] | None = None,
    priority: int = USUAL_PRIORITY,
    unit_value: str = "0",
    shared: bool = False,
    member_cap: int | None = None,
    participant_ids: Sequence[int] = (),
    note: str | None = None,
    actor: Actor,
    idempotency_key: str | None = None,
    threshold: int,
    chunk: int,
) -> dict[str, Any]:
    """Give each selected client one lot of `quantity` credits; above `threshold` clients as a background job.

    `member_cap`: of a shared lot, the most that each other member of the household may spend.
    `participant_ids`: whom the credits are for, only where they are given to a single client.
    Answers `{batch_id, granted, clients, skipped, skipped_count, job_id}`; `granted` is 0 while a job waits.
    Raises: InvalidInput (with `fields`), MixedCurrencies, NobodySelected, IdempotencyMismatch.
    """
    given: dict[str, Any] = {
        "event_type_id": event_type_id,
        "quantity": quantity,
        "expires_on": expires_on,
        "expires_in": expires_in,
        "priority": priority,
        "unit_value": unit_value,
        "note": note,
    }
    sharing: dict[str, Any] = {
        "shared": shared,
        "member_cap": member_cap,
        "participant_ids": sorted(set(participant_ids)),
    }

    def do() -> dict[str, Any]:
        selection = select_clients(session, clients, actor)
        terms = check_terms(session, selection, **given)
        _check_sharing(session, selection, **sharing)
        batch = _open(session, selection, terms, sharing, note=note, actor=actor)
        job_id = serve_or_queue(session, batch, grant_chunk, actor=actor, threshold=threshold, chunk=chunk)
        _note(session, batch, selection, actor, quantity=quantity, event_type_id=event_type_id, job_id=job_id)
        return _answer(batch, job_id)

    asked = {**given, **sharing, "actor": actor.user_id, "clients": fingerprint(session, clients)}
    return idempotent(session, key=idempotency_key, verb="grant_credits", asked=asked, do=do)


def _note(session: Session, batch: Batch, selection: Selection, actor: Actor, **details: Any) -> None:
    audit.record_event(
        session, actor=actor, verb="grant_credits", record="batch", record_id=batch.id,
        client_id=selection.only_client, clients=batch.total, **details,
    )


def _check_sharing(
    session: Session, selection: Selection, *, shared: bool, member_cap: Any, participant_ids: Sequence[int]
) -> None:
    """Raises: InvalidInput for a cap without sharing, or for participants who are not a single client's."""
    check_cap(shared, member_cap)
    if not participant_ids:
        return
    if selection.only_client is None:
        raise InvalidInput(fields={"participant_ids": _l("Only credits of a single client can be restricted.")})
    check_participants(session, participant_ids, client_id=selection.only_client, shared=shared)


def _open(
    session: Session, selection: Selection, terms: Terms, sharing: Mapping[str, Any], *, note: str | None, actor: Actor
) -> Batch:
    return open_batch(
        session,
        kind=KIND,
        actor=actor,
        asked={**terms.as_input(), **sharing, "left_out": selection.by_reason},
        keys=selection.eligible,
        note=note,
        skipped=selection.skipped,
    )

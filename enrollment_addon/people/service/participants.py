"""Participants: who of a client's attends."""

from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core.audit import record_event
from ...core.db import require
from ...core.errors import Conflict, InvalidInput
from ...core.fields import choice, clean, key, text
from ...core.holders import delete_unheld
from ...core.scope import Actor
from ..calc import SELF_NAME_LENGTH
from ..errors import ClientClosed
from ..hooks import participant_holders
from ..models import Client, Participant, ParticipantKind
from .clients import birth_date

_RULES = {
    "client_id": key(required=True),
    "name": text(SELF_NAME_LENGTH, required=True),
    "kind": choice(ParticipantKind),
    "birth_date": birth_date,
    "species": text(60),
    "breed": text(60),
    "notes": text(10_000, lines=True),
}


def create_participant(session: Session, *, actor: Actor, **fields: Any) -> Participant:
    """Add somebody who attends for a client. Raises: InvalidInput, NotFound, ClientClosed."""
    values = clean(fields, _RULES, required=("client_id", "name", "kind"))
    _open_client(session, values["client_id"])
    participant = Participant(**values)
    _check_kind(session, participant)
    session.add(participant)
    session.flush()
    _note(session, actor, "create_participant", participant)
    return participant


def update_participant(session: Session, *, id: int, actor: Actor, **changed_fields: Any) -> Participant:
    """Change a participant, who stays with their client. Raises: NotFound, InvalidInput, ClientClosed."""
    participant = require(session, Participant, id)
    values = clean(changed_fields, _RULES)
    if values.get("client_id", participant.client_id) != participant.client_id:
        raise InvalidInput(fields={"client_id": _l("A participant stays with their client.")})
    _open_client(session, participant.client_id)
    if values.get("kind", participant.kind) != participant.kind and participant.kind == ParticipantKind.self:
        raise InvalidInput(fields={"kind": _l("This participant is the client themself.")})
    for name, value in values.items():
        setattr(participant, name, value)
    _check_kind(session, participant)
    session.flush()
    _note(session, actor, "update_participant", participant, fields=sorted(values))
    return participant


def delete_participant(session: Session, *, id: int, actor: Actor) -> None:
    """Remove a participant; the client's own stays. Raises: NotFound, Conflict, ClientClosed, InUse."""
    participant = require(session, Participant, id)
    _open_client(session, participant.client_id)
    if participant.kind == ParticipantKind.self:
        raise Conflict(_l("A client always takes part themself; this participant cannot be deleted."))
    participant_holders.refuse(session, participant.id)
    delete_unheld(session, participant)
    _note(session, actor, "delete_participant", participant)


def _open_client(session: Session, client_id: int) -> None:
    client = require(session, Client, client_id, lock=True)
    if client.erased_at or client.merged_into_id:
        raise ClientClosed


def _check_kind(session: Session, participant: Participant) -> None:
    """A client has one participant that is themself; only a pet has a species and a breed."""
    wrong: dict[str, Any] = {}
    if participant.kind != ParticipantKind.pet:
        for field in ("species", "breed"):
            if getattr(participant, field) is not None:
                wrong[field] = _l("Only a pet has this.")
    if participant.kind == ParticipantKind.self:
        with session.no_autoflush:
            own = session.scalars(
                select(Participant.id).where(
                    Participant.client_id == participant.client_id, Participant.kind == ParticipantKind.self
                )
            ).all()
        if set(own) - {participant.id}:
            wrong["kind"] = _l("This client already takes part themself.")
    if wrong:
        raise InvalidInput(fields=wrong)


def _note(session: Session, actor: Actor, verb: str, participant: Participant, **details: Any) -> None:
    record_event(
        session, actor=actor, verb=verb, record="participant", record_id=participant.id,
        client_id=participant.client_id, **details,
    )

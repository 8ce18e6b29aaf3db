"""Clients: who they are, where they belong, and the participant that is themself."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from ...core import clock
from ...core.audit import record_event
from ...core.db import User, flush_unique, require
from ...core.errors import Forbidden, InvalidInput, NotFound
from ...core.fields import choice, clean, date, flag, key, text
from ...core.holders import delete_unheld, held_in
from ...core.scope import Actor, Reach
from .. import calc, hooks
from ..errors import ClientClosed
from ..models import Client, Club, Household, Participant, ParticipantKind, Relationship, TeamMember
from ..queries import works_here
from .households import join, leave

EARLIEST_BIRTH = dt.date(1900, 1, 1)
_EMAIL_TAKEN = _l("Another client already has this e-mail address.")
_USER_TAKEN = _l("This user is already another client’s portal account.")
_USER_IS_STAFF = _l("This user works here. Choose an account that is the client’s alone.")
hooks.register_client_holder(_l("a household they are the head of"), held_in(Household.__table__.c.head_id))
hooks.register_client_holder(_l("a client that was merged into them"), held_in(Client.__table__.c.merged_into_id))


def _latest_birth() -> dt.date:
    """Today where the day begins first: a child born this morning in Auckland may be entered in Auckland."""
    return clock.today("Pacific/Kiritimati")


birth_date = date(EARLIEST_BIRTH, _latest_birth)

_RULES = {
    "first_name": text(80, required=True),
    "last_name": text(80, required=True),
    "email": calc.email_of,
    "phone": calc.phone_of,
    "birth_date": birth_date,
    "locale": calc.locale_of,
    "club_id": key(required=True),
    "team_member_id": key(),
    "household_id": key(),
    "relationship_to_head": choice(Relationship, required=False),
    "tags": calc.tags_of,
    "notes": text(10_000, lines=True),
    "portal_user_id": key(),
    "archived": flag,
}
_HOUSEHOLD = ("household_id", "relationship_to_head")


def check_client_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The values to store for some of a client's fields; reads and writes nothing. Raises: InvalidInput."""
    return clean(fields, _RULES)


def create_client(session: Session, *, actor: Actor, **fields: Any) -> Client:
    """Add a client together with the participant that is themself.

    A person who reaches only their own clients becomes the new client's team member; one who reaches clubs
    chooses one of theirs. Raises: InvalidInput, NotFound, Forbidden.
    """
    if actor.reach in (Reach.portal, Reach.nothing):
        raise Forbidden
    values = clean(fields, _RULES, required=("first_name", "last_name", "club_id"))
    if actor.reach is Reach.own_clients and values.get("team_member_id") is None:
        values["team_member_id"] = actor.team_member_id
    household_id, relationship = (values.pop(name, None) for name in _HOUSEHOLD)
    _check_references(session, actor, {name: value for name, value in values.items() if value is not None})
    _refuse_taken(session, values, None)
    client = Client(**values)
    session.add(client)
    flush_unique(session, Client.__table__, {"email": _EMAIL_TAKEN})  # type: ignore[arg-type]
    session.add(Participant(client_id=client.id, name=self_name(client), kind=ParticipantKind.self))
    if household_id is not None:
        join(session, client, require(session, Household, household_id, lock=True), relationship)
    session.flush()
    record_event(
        session, actor=actor, verb="create_client", record="client", record_id=client.id, client_id=client.id
    )
    return client


def update_client(session: Session, *, id: int, actor: Actor, **changed_fields: Any) -> Client:
    """Change a client; fields not named stay. `archived` hides the client or brings them back.

    Raises: NotFound, InvalidInput, ClientClosed, HeadStays, AlreadyInHousehold.
    """
    client = require(session, Client, id, lock=True)
    if client.erased_at or client.merged_into_id:
        raise ClientClosed
    given = clean(changed_fields, _RULES)
    values = {name: value for name, value in given.items() if value != getattr(client, name)}
    moved = {name: values.pop(name) for name in _HOUSEHOLD if name in values}
    _check_references(session, actor, values)
    _refuse_taken(session, values, id)
    old_self = self_name(client)
    for name, value in values.items():
        setattr(client, name, value)
    flush_unique(session, Client.__table__, {"email": _EMAIL_TAKEN})  # type: ignore[arg-type]
    if self_name(client) != old_self:
        rename_self(session, client, old_self)
    if moved:
        _move_household(session, client, moved, given.get("relationship_to_head"))
    session.flush()
    if changed := sorted((*values, *moved)):
        record_event(
            session, actor=actor, verb=_verb(changed, client.archived), record="client", record_id=id,
            client_id=id, fields=changed,
        )
    return client


def delete_client(session: Session, *, id: int, actor: Actor) -> None:
    """Remove a client on whom nothing hangs, with their participants. Raises: NotFound, InUse."""
    client = require(session, Client, id, lock=True)
    hooks.client_holders.refuse(session, id)
    session.execute(delete(Participant).where(Participant.client_id == id))
    delete_unheld(session, client)
    record_event(session, actor=actor, verb="delete_client", record="client", record_id=id)


def _verb(changed: list[str], archived: bool) -> str:
    if changed == ["archived"]:
        return "archive_client" if archived else "unarchive_client"
    return "update_client"


def self_name(client: Client) -> str:
    return client.full_name[: calc.SELF_NAME_LENGTH]


def rename_self(session: Session, client: Client, old: str) -> None:
    """The participant that is the client follows their name, unless somebody gave it a name of its own."""
    session.execute(
        update(Participant)
        .where(
            Participant.client_id == client.id, Participant.kind == ParticipantKind.self,
            Participant.name == old,
        )
        .values(name=self_name(client))
    )


def _move_household(
    session: Session, client: Client, moved: dict[str, Any], relationship: Relationship | None
) -> None:
    if "household_id" in moved:
        leave(session, client)
        if moved["household_id"] is not None:
            join(session, client, require(session, Household, moved["household_id"], lock=True), relationship)
    elif client.household_id is None:
        raise InvalidInput(fields={"relationship_to_head": _l("Choose a household first.")})
    elif Relationship.head not in (client.relationship_to_head, moved["relationship_to_head"]):
        client.relationship_to_head = moved["relationship_to_head"] or Relationship.other
    else:
        raise InvalidInput(
            fields={"relationship_to_head": _l("Change the head of a household on the household’s own page.")}
        )


def _check_references(session: Session, actor: Actor, values: dict[str, Any]) -> None:
    """Raises: NotFound for a key that doesn't exist or is out of the actor's reach; see `_check_portal_user`."""
    for field, keys in (("club_id", Club.id), ("team_member_id", TeamMember.id), ("portal_user_id", User.id)):
        value = values.get(field)
        if value is not None and session.scalar(select(keys).where(keys == value)) is None:
            raise NotFound
    if actor.reach is Reach.own_clubs and "club_id" in values and values["club_id"] not in actor.club_ids:
        raise NotFound
    if actor.reach is Reach.own_clients and values.get("team_member_id", actor.team_member_id) != (
        actor.team_member_id
    ):
        raise NotFound
    if "portal_user_id" in values:
        _check_portal_user(session, actor, values["portal_user_id"])


def _check_portal_user(session: Session, actor: Actor, user_id: int | None) -> None:
    """Who is a client from now on reaches that client only, and their account goes when the client is erased.

    So it is decided by people who see everything, and never for an account of staff.
    Raises: Forbidden, InvalidInput.
    """
    if not actor.sees_everything:
        raise Forbidden
    if user_id is not None and works_here(session, user_id):
        raise InvalidInput(fields={"portal_user_id": _USER_IS_STAFF})


def _refuse_taken(session: Session, values: dict[str, Any], own_id: int | None) -> None:
    """What one client only may have is looked for past the row scope: it is unique in the deployment."""
    clients = Client.__table__.c
    for field, message in (("email", _EMAIL_TAKEN), ("portal_user_id", _USER_TAKEN)):
        if values.get(field) is None:
            continue
        found = session.connection().execute(select(clients.id).where(clients[field] == values[field]))
        if any(row.id != own_id for row in found):
            raise InvalidInput(fields={field: message})

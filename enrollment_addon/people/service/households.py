"""Households: exactly one head, who is a member; a client belongs to one household at most.

The household's row is locked before its members change, so that two people changing it at once can't leave
it without a head.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...core.audit import record_event
from ...core.db import require
from ...core.errors import InvalidInput, NotFound
from ...core.fields import REQUIRED, Wrong, choice, clean, text
from ...core.scope import Actor
from ..errors import AlreadyInHousehold, ClientClosed, HeadStays
from ..models import Client, Household, Relationship

_RULES = {"name": text(120, required=True)}
_relationship = choice(Relationship)
NOT_HEAD = _l("A household has one head. Choose another relationship.")


def create_household(
    session: Session, *, actor: Actor, name: str, head_id: int, members: Iterable[Mapping[str, Any]] = ()
) -> Household:
    """Add a household of a head and members, each `{"client_id": …, "relationship": …}`.

    Raises: InvalidInput, NotFound, AlreadyInHousehold, ClientClosed.
    """
    values = clean({"name": name}, _RULES)
    head = require(session, Client, head_id, lock=True)
    _refuse_member(head)
    household = Household(head_id=head.id, **values)
    session.add(household)
    session.flush()
    head.household_id, head.relationship_to_head = household.id, Relationship.head
    for member in members:
        client = require(session, Client, member.get("client_id", 0), lock=True)
        join(session, client, household, _member_relationship(member.get("relationship")))
    session.flush()
    _note(session, actor, "create_household", household, household.head_id)
    return household


def update_household(session: Session, *, id: int, actor: Actor, **changed_fields: Any) -> Household:
    """Rename a household; its head and members change through their own verbs.

    Raises: NotFound, InvalidInput.
    """
    household = require(session, Household, id, lock=True)
    for name, value in clean(changed_fields, _RULES).items():
        setattr(household, name, value)
    session.flush()
    _note(session, actor, "update_household", household, household.head_id)
    return household


def delete_household(session: Session, *, id: int, actor: Actor) -> None:
    """Dissolve a household; its members stay as clients. Raises: NotFound."""
    household = require(session, Household, id, lock=True)
    head_id = household.head_id
    for client in _members(session, household):
        client.household_id = client.relationship_to_head = None
    session.flush()
    session.delete(household)
    session.flush()
    _note(session, actor, "delete_household", household, head_id)


def add_member(
    session: Session, *, household_id: int, client_id: int, relationship: str, actor: Actor
) -> None:
    """Put a client into a household. Raises: NotFound, InvalidInput, AlreadyInHousehold, ClientClosed."""
    household = require(session, Household, household_id, lock=True)
    client = require(session, Client, client_id, lock=True)
    join(session, client, household, _member_relationship(relationship))
    session.flush()
    _note(session, actor, "add_member", household, client_id)


def remove_member(session: Session, *, household_id: int, client_id: int, actor: Actor) -> None:
    """Take a client out of a household. Raises: NotFound (also when no member), HeadStays."""
    household = require(session, Household, household_id, lock=True)
    client = require(session, Client, client_id, lock=True)
    if client.household_id != household.id:
        raise NotFound
    leave(session, client)
    session.flush()
    _note(session, actor, "remove_member", household, client_id)


def change_head(
    session: Session, *, household_id: int, head_id: int, relationships: Mapping[int, str], actor: Actor
) -> Household:
    """Make another member the head; `relationships` says what every other member is to the new head.

    Raises: NotFound, InvalidInput naming the members whose relationship is missing or wrong.
    """
    household = require(session, Household, household_id, lock=True)
    members = {client.id: client for client in _members(session, household)}
    head = members.pop(head_id, None)
    if head is None:
        raise NotFound
    if set(relationships) - set(members):
        raise InvalidInput(fields={"relationships": _l("Name members of this household only.")})
    wrong, checked = {}, {}
    for client_id, client in members.items():
        if client_id not in relationships:
            wrong[f"relationships.{client_id}"] = _l(
                "Say what %(name)s is to the new head.", name=client.full_name
            )
            continue
        try:
            checked[client_id] = _not_head(relationships[client_id])
        except Wrong as error:
            wrong[f"relationships.{client_id}"] = error.message
    if wrong:
        raise InvalidInput(fields=wrong)
    household.head_id, head.relationship_to_head = head.id, Relationship.head
    for client_id, client in members.items():
        client.relationship_to_head = checked[client_id]
    session.flush()
    _note(session, actor, "change_head", household, head_id)
    return household


def join(session: Session, client: Client, household: Household, relationship: Relationship | None) -> None:
    """Make a client a member. Raises: AlreadyInHousehold, ClientClosed, InvalidInput for a second head."""
    _refuse_member(client)
    if relationship is Relationship.head:
        raise InvalidInput(fields={"relationship_to_head": NOT_HEAD})
    client.household_id = household.id
    client.relationship_to_head = relationship or Relationship.other


def leave(session: Session, client: Client) -> None:
    """Take a client out of the household they are in, if any. Raises: HeadStays."""
    households = Household.__table__.c
    headed = session.connection().execute(
        select(households.name).where(households.head_id == client.id)
    ).scalar()
    if headed is not None:
        raise HeadStays(name=client.full_name, household=headed)
    client.household_id = client.relationship_to_head = None


def _refuse_member(client: Client) -> None:
    if client.erased_at or client.merged_into_id:
        raise ClientClosed
    if client.household_id is not None:
        raise AlreadyInHousehold(name=client.full_name)


def _not_head(value: Any) -> Relationship:
    relationship: Relationship = _relationship(value)
    if relationship is Relationship.head:
        raise Wrong(NOT_HEAD)
    return relationship


def _member_relationship(value: Any) -> Relationship:
    if value in (None, ""):
        raise InvalidInput(fields={"relationship": REQUIRED})
    return Relationship(clean({"relationship": value}, {"relationship": _not_head})["relationship"])


def _members(session: Session, household: Household) -> list[Client]:
    """Every member, locked. Raises: NotFound when the actor doesn't reach all of them."""
    clients = Client.__table__.c
    reached = session.scalars(
        select(Client).where(Client.household_id == household.id).order_by(Client.id)
        .with_for_update(of=Client).execution_options(populate_existing=True)
    ).all()
    everyone = session.connection().execute(
        select(func.count()).where(clients.household_id == household.id)
    ).scalar_one()
    if len(reached) != everyone:
        raise NotFound
    return list(reached)


def _note(session: Session, actor: Actor, verb: str, household: Household, client_id: int) -> None:
    record_event(
        session, actor=actor, verb=verb, record="household", record_id=household.id, client_id=client_id
    )

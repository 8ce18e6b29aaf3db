"""Households: one head, who is a member; participants of their clients."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment_addon.core.errors import Conflict, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM, acting_as
from enrollment_addon.people import service
from enrollment_addon.people.errors import AlreadyInHousehold, HeadStays
from enrollment_addon.people.models import Client, Household, Participant
from tests import factories

from .conftest import Place


@pytest.fixture
def family(session: Session, place: Place) -> Household:
    """Ann's household: her partner Paul and her child Carl."""
    paul = factories.make_client(session, club=place.north, first_name="Paul", team_member_id=place.nora.id)
    carl = factories.make_client(session, club=place.north, first_name="Carl", team_member_id=place.nora.id)
    household = service.create_household(
        session, actor=SYSTEM, name="Archers", head_id=place.ann.id,
        members=[
            {"client_id": paul.id, "relationship": "partner"},
            {"client_id": carl.id, "relationship": "child"},
        ],
    )
    session.commit()
    return household


def related(session: Session, household: Household) -> dict[str, str]:
    session.expire_all()
    members = session.scalars(select(Client).where(Client.household_id == household.id))
    return {client.first_name: str(client.relationship_to_head) for client in members}


def key(session: Session, first_name: str) -> int:
    return session.scalars(select(Client.id).where(Client.first_name == first_name)).one()


def test_a_household_has_a_head_and_members(session: Session, place: Place, family: Household) -> None:
    assert family.head_id == place.ann.id
    assert related(session, family) == {"Ann": "head", "Paul": "partner", "Carl": "child"}
    service.update_household(session, id=family.id, actor=SYSTEM, name="Archer family")
    assert family.name == "Archer family"


def test_changing_the_head_asks_for_every_new_relationship(
    session: Session, place: Place, family: Household
) -> None:
    paul, carl = key(session, "Paul"), key(session, "Carl")
    with pytest.raises(InvalidInput) as refused:
        service.change_head(
            session, household_id=family.id, head_id=paul, relationships={carl: "head"}, actor=SYSTEM
        )
    assert set(refused.value.fields) == {f"relationships.{carl}", f"relationships.{place.ann.id}"}
    with pytest.raises(InvalidInput):
        service.change_head(
            session, household_id=family.id, head_id=paul, actor=SYSTEM,
            relationships={carl: "child", place.ann.id: "partner", place.bob.id: "other"},
        )
    service.change_head(
        session, household_id=family.id, head_id=paul, actor=SYSTEM,
        relationships={carl: "child", place.ann.id: "partner"},
    )
    assert family.head_id == paul
    assert related(session, family) == {"Ann": "partner", "Paul": "head", "Carl": "child"}


def test_the_head_goes_only_after_another_took_over(
    session: Session, place: Place, family: Household
) -> None:
    for verb in (
        lambda: service.remove_member(session, household_id=family.id, client_id=place.ann.id, actor=SYSTEM),
        lambda: service.update_client(session, id=place.ann.id, actor=SYSTEM, household_id=None),
        lambda: service.erase_client(
            session, client_id=place.ann.id, reason="asked", typed_name="Ann Archer", actor=SYSTEM
        ),
    ):
        with pytest.raises(HeadStays, match="another head first"):
            verb()
    service.remove_member(session, household_id=family.id, client_id=key(session, "Carl"), actor=SYSTEM)
    assert related(session, family) == {"Ann": "head", "Paul": "partner"}


def test_a_client_belongs_to_one_household(session: Session, place: Place, family: Household) -> None:
    other = service.create_household(session, actor=SYSTEM, name="Bakers", head_id=place.bob.id)
    paul = key(session, "Paul")
    for verb in (
        lambda: service.add_member(
            session, household_id=other.id, client_id=paul, relationship="other", actor=SYSTEM
        ),
        lambda: service.create_household(session, actor=SYSTEM, name="Third", head_id=paul),
    ):
        with pytest.raises(AlreadyInHousehold, match="Paul"):
            verb()
    service.update_client(
        session, id=paul, actor=SYSTEM, household_id=other.id, relationship_to_head="sibling"
    )
    assert related(session, other) == {"Bob": "head", "Paul": "sibling"}


def test_a_household_has_no_second_head(session: Session, place: Place, family: Household) -> None:
    for relationship in ("head", "butler", "", None):
        with pytest.raises(InvalidInput):
            service.add_member(
                session, household_id=family.id, client_id=place.bob.id, actor=SYSTEM,
                relationship=relationship,
            )
    with pytest.raises(InvalidInput):
        service.update_client(session, id=key(session, "Paul"), actor=SYSTEM, relationship_to_head="head")
    with pytest.raises(InvalidInput):
        service.update_client(session, id=place.ann.id, actor=SYSTEM, relationship_to_head="child")
    with pytest.raises(InvalidInput):
        service.update_client(session, id=place.bob.id, actor=SYSTEM, relationship_to_head="child")
    service.update_client(session, id=key(session, "Paul"), actor=SYSTEM, relationship_to_head="sibling")
    assert related(session, family)["Paul"] == "sibling"


def test_a_dissolved_household_leaves_its_members(session: Session, family: Household) -> None:
    service.delete_household(session, id=family.id, actor=SYSTEM)
    assert session.scalars(select(Household)).all() == []
    assert session.scalars(select(Client.relationship_to_head)).all() == [None] * 4


def test_a_household_out_of_reach_does_not_exist(session: Session, place: Place, family: Household) -> None:
    bakers = service.create_household(session, actor=SYSTEM, name="Bakers", head_id=place.bob.id)
    session.commit()
    actor = place.own_clients
    with acting_as(session, actor):
        for verb in (
            lambda: service.update_household(session, id=bakers.id, actor=actor, name="Mine"),
            lambda: service.delete_household(session, id=bakers.id, actor=actor),
            lambda: service.add_member(
                session, household_id=family.id, client_id=place.bob.id, relationship="other", actor=actor
            ),
            lambda: service.remove_member(
                session, household_id=bakers.id, client_id=place.bob.id, actor=actor
            ),
            lambda: service.change_head(
                session, household_id=bakers.id, head_id=place.bob.id, relationships={}, actor=actor
            ),
            lambda: service.update_client(session, id=place.ann.id, actor=actor, household_id=bakers.id),
            lambda: service.create_household(
                session, actor=actor, name="Mixed", head_id=key(session, "Paul"),
                members=[{"client_id": place.bob.id, "relationship": "other"}],
            ),
        ):
            with pytest.raises((NotFound, AlreadyInHousehold, HeadStays)):
                verb()
            session.rollback()
    assert related(session, bakers) == {"Bob": "head"}


def test_a_household_with_a_hidden_member_is_not_dissolved_unseen(
    session: Session, place: Place, family: Household
) -> None:
    service.add_member(
        session, household_id=family.id, client_id=place.bob.id, relationship="other", actor=SYSTEM
    )
    session.commit()
    with acting_as(session, place.own_clients), pytest.raises(NotFound):
        service.delete_household(session, id=family.id, actor=place.own_clients)
    session.rollback()
    assert len(related(session, family)) == 4


@pytest.mark.parametrize("name", ["", None, "x" * 121, 5])
def test_a_household_needs_a_name(session: Session, place: Place, name: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        service.create_household(session, actor=SYSTEM, name=name, head_id=place.ann.id)
    assert list(refused.value.fields) == ["name"]


def test_a_pet_takes_part(session: Session, place: Place) -> None:
    rex = service.create_participant(
        session, actor=SYSTEM, client_id=place.ann.id, name="Rex", kind="pet", species="dog", breed="Beagle",
        birth_date=dt.date(2020, 5, 1),
    )
    service.update_participant(session, id=rex.id, actor=SYSTEM, name="Rexy", breed=None)
    assert (rex.name, rex.species, rex.breed) == ("Rexy", "dog", None)
    service.delete_participant(session, id=rex.id, actor=SYSTEM)
    assert session.scalars(select(Participant).where(Participant.kind == "pet")).all() == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"), ({"kind": "ghost"}, "kind"), ({"kind": None}, "kind"),
        ({"species": "dog"}, "species"), ({"breed": "Beagle"}, "breed"),
        ({"birth_date": dt.date(2200, 1, 1)}, "birth_date"), ({"client_id": None}, "client_id"),
        ({"owner": 1}, "owner"),
    ],
)
def test_a_bad_participant_is_refused_by_its_field(
    session: Session, place: Place, change: dict[str, Any], field: str
) -> None:
    good = {"client_id": place.ann.id, "name": "Kim", "kind": "child"}
    with pytest.raises(InvalidInput) as refused:
        service.create_participant(session, actor=SYSTEM, **{**good, **change})
    assert list(refused.value.fields) == [field]


def test_a_client_takes_part_themself_exactly_once(session: Session, place: Place) -> None:
    client = service.create_client(
        session, actor=SYSTEM, first_name="Zoe", last_name="Zane", club_id=place.north.id
    )
    own = session.scalars(select(Participant).where(Participant.client_id == client.id)).one()
    kid = service.create_participant(session, actor=SYSTEM, client_id=client.id, name="Kim", kind="child")
    with pytest.raises(Conflict):
        service.delete_participant(session, id=own.id, actor=SYSTEM)
    for change in (
        lambda: service.create_participant(
            session, actor=SYSTEM, client_id=client.id, name="Me", kind="self"
        ),
        lambda: service.update_participant(session, id=own.id, actor=SYSTEM, kind="child"),
        lambda: service.update_participant(session, id=kid.id, actor=SYSTEM, client_id=place.bob.id),
    ):
        with pytest.raises(InvalidInput):
            change()


def test_a_participant_out_of_reach_does_not_exist(session: Session, place: Place) -> None:
    theirs = factories.make_participant(session, place.bob)
    session.commit()
    with acting_as(session, place.own_clients):
        for verb in (
            lambda: service.update_participant(session, id=theirs.id, actor=place.own_clients, name="X"),
            lambda: service.delete_participant(session, id=theirs.id, actor=place.own_clients),
        ):
            with pytest.raises(NotFound):
                verb()

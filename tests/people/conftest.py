"""Two clubs with their people, and actors of every reach."""

from dataclasses import dataclass

import pytest
from sqlalchemy.orm import Session

from enrollment_addon.core.scope import Actor, Reach
from enrollment_addon.credits import people_hooks
from enrollment_addon.people.models import Client, Club, TeamMember
from tests import factories

people_hooks.plug_in()


@dataclass
class Place:
    """North has Nora and her client Ann; South has Sam and his client Bob."""

    north: Club
    south: Club
    nora: TeamMember
    sam: TeamMember
    ann: Client
    bob: Client

    @property
    def own_clients(self) -> Actor:
        """Nora, who reaches her own clients."""
        return Actor(self.nora.user_id, Reach.own_clients, self.nora.id)

    @property
    def own_clubs(self) -> Actor:
        """Nora, if she reached everybody in North."""
        return Actor(self.nora.user_id, Reach.own_clubs, self.nora.id, (self.north.id,))


@pytest.fixture
def place(session: Session) -> Place:
    north = factories.make_club(session, name="North")
    south = factories.make_club(session, name="South", currency="CHF")
    nora = factories.make_team_member(session, name="Nora")
    sam = factories.make_team_member(session, name="Sam")
    ann = factories.make_client(
        session, club=north, first_name="Ann", last_name="Archer", email="ann@example.org",
        team_member_id=nora.id,
    )
    bob = factories.make_client(
        session, club=south, first_name="Bob", last_name="Baker", email="bob@example.org",
        team_member_id=sam.id,
    )
    session.commit()
    return Place(north, south, nora, sam, ann, bob)

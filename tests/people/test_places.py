"""Clubs and team members: configuration, changed by people who see everything."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment_addon.core.errors import Forbidden, InUse, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.people import service
from enrollment_addon.people.errors import CurrencyInUse
from enrollment_addon.people.models import Club, ReachChoice, TeamMember, team_member_clubs
from tests import factories

from .conftest import Place

WEST = {"name": "West", "timezone": "Asia/Tokyo", "currency": "JPY"}


def test_a_club_has_a_place_on_the_clock_and_a_currency(session: Session) -> None:
    club = service.create_club(session, actor=SYSTEM, address="1 Pier\nHarbour", **WEST)
    assert (club.name, club.timezone, club.currency, club.active) == ("West", "Asia/Tokyo", "JPY", True)
    service.update_club(session, id=club.id, actor=SYSTEM, active=False, address="")
    assert (club.active, club.address) == (False, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "North"), ("name", "x" * 121), ("timezone", "Mars/Olympus"), ("timezone", ""),
        ("timezone", None), ("timezone", "../../etc/passwd"), ("currency", "eur"), ("currency", "XXQ"),
        ("currency", 5), ("address", "x" * 501), ("active", "on"), ("colour", "red"),
    ],
)
def test_a_bad_club_is_refused_by_its_field(session: Session, place: Place, field: str, value: Any) -> None:
    for verb in (
        lambda: service.create_club(session, actor=SYSTEM, **{**WEST, field: value}),
        lambda: service.update_club(session, id=place.south.id, actor=SYSTEM, **{field: value}),
    ):
        with pytest.raises(InvalidInput) as refused:
            verb()
        assert list(refused.value.fields) == [field]


def test_a_currency_stays_while_credits_are_valued_in_it(session: Session, place: Place) -> None:
    event_type = factories.make_event_type(session)
    factories.make_lot(session, place.ann, event_type)
    service.update_club(session, id=place.north.id, actor=SYSTEM, currency="USD")
    factories.make_lot(session, place.ann, event_type, unit_value=1500, currency="USD")
    with pytest.raises(CurrencyInUse) as refused:
        service.update_club(session, id=place.north.id, actor=SYSTEM, currency="EUR")
    assert "USD" in refused.value.text()
    service.update_club(session, id=place.north.id, actor=SYSTEM, currency="USD", name="Far North")
    service.update_club(session, id=place.south.id, actor=SYSTEM, currency="EUR")


def test_only_an_empty_club_can_be_deleted(session: Session, place: Place) -> None:
    with pytest.raises(InUse, match="clients"):
        service.delete_club(session, id=place.north.id, actor=SYSTEM)
    empty = service.create_club(session, actor=SYSTEM, **WEST)
    service.update_team_member(session, id=place.nora.id, actor=SYSTEM, club_ids=[empty.id, place.north.id])
    service.delete_club(session, id=empty.id, actor=SYSTEM)
    assert session.scalars(select(Club.name).order_by(Club.name)).all() == ["North", "South"]
    assert session.execute(select(team_member_clubs.c.club_id)).scalars().all() == [place.north.id]


def test_clubs_are_changed_by_those_whose_they_are(session: Session, place: Place) -> None:
    service.update_club(session, id=place.north.id, actor=place.own_clubs, address="New street 1")
    for actor in (place.own_clubs, place.own_clients):
        with pytest.raises(Forbidden):
            service.create_club(session, actor=actor, **WEST)
        with pytest.raises(Forbidden):
            service.update_club(session, id=place.south.id, actor=actor, name="Mine")
        with pytest.raises(Forbidden):
            service.delete_club(session, id=place.south.id, actor=actor)
    with pytest.raises(NotFound):
        service.update_club(session, id=987_654, actor=SYSTEM, name="Nowhere")


def test_a_user_becomes_a_team_member(session: Session, place: Place) -> None:
    user = factories.make_user_row(session)
    member = service.create_team_member(
        session, actor=SYSTEM, user_id=user.id, name="Maja", scope="own_clubs", club_ids=[place.north.id]
    )
    assert (member.scope, member.club_ids, member.active) == (ReachChoice.own_clubs, [place.north.id], True)
    service.update_team_member(session, id=member.id, actor=SYSTEM, club_ids=[], scope="everything")
    assert member.club_ids == []
    service.delete_team_member(session, id=member.id, actor=SYSTEM)
    assert session.get(type(user), user.id) is not None, "the user of the host stays"


def test_a_person_sees_their_own_clients_unless_told_otherwise(session: Session) -> None:
    user_id = factories.make_user_row(session).id
    member = service.create_team_member(session, actor=SYSTEM, user_id=user_id, name="Maja")
    assert member.scope == ReachChoice.own_clients


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("scope", "galaxy"), ("scope", None), ("club_ids", "1"), ("club_ids", ["1"]),
        ("active", 1), ("user_id", None), ("user_id", "1"),
    ],
)
def test_a_bad_team_member_is_refused_by_its_field(
    session: Session, place: Place, field: str, value: Any
) -> None:
    good = {"user_id": factories.make_user_row(session).id, "name": "Maja"}
    with pytest.raises(InvalidInput) as refused:
        service.create_team_member(session, actor=SYSTEM, **{**good, field: value})
    assert list(refused.value.fields) == [field]
    with pytest.raises(InvalidInput):
        service.update_team_member(session, id=place.nora.id, actor=SYSTEM, **{field: value})


def test_a_scope_of_clubs_needs_a_club(session: Session, place: Place) -> None:
    with pytest.raises(InvalidInput) as refused:
        service.update_team_member(session, id=place.nora.id, actor=SYSTEM, scope="own_clubs")
    assert list(refused.value.fields) == ["club_ids"]


def test_one_team_member_per_user_and_no_key_of_nothing(session: Session, place: Place) -> None:
    with pytest.raises(InvalidInput) as refused:
        service.create_team_member(session, actor=SYSTEM, user_id=place.nora.user_id, name="Nora again")
    assert list(refused.value.fields) == ["user_id"]
    for change in ({"user_id": 987_654}, {"club_ids": [987_654]}):
        with pytest.raises(NotFound):
            service.update_team_member(session, id=place.nora.id, actor=SYSTEM, **change)


def test_nobody_widens_their_own_scope(session: Session, place: Place) -> None:
    user_id = factories.make_user_row(session).id
    session.commit()
    for actor in (place.own_clubs, place.own_clients):
        for verb in (
            lambda a=actor: service.update_team_member(
                session, id=place.nora.id, actor=a, scope="everything"
            ),
            lambda a=actor: service.create_team_member(session, actor=a, user_id=user_id, name="Double"),
            lambda a=actor: service.delete_team_member(session, id=place.sam.id, actor=a),
        ):
            with pytest.raises(Forbidden):
                verb()
    assert session.scalars(select(TeamMember.scope)).all() == [ReachChoice.own_clients] * 2


def test_a_team_member_with_clients_stays(session: Session, place: Place) -> None:
    with pytest.raises(InUse, match="clients"):
        service.delete_team_member(session, id=place.nora.id, actor=SYSTEM)

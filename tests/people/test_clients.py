"""Clients: what may be entered, who may enter it, and what becomes of it."""

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.catalog.models import EventType
from enrollment_addon.core.audit import AuditEvent
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import Forbidden, InUse, InvalidInput, NotFound
from enrollment_addon.core.holders import Holders
from enrollment_addon.core.scope import SYSTEM, Actor, Reach, acting_as
from enrollment_addon.people import hooks, service
from enrollment_addon.people.errors import ClientClosed
from enrollment_addon.people.models import Client, Participant, ParticipantKind
from tests import factories

from .conftest import Place


def add(session: Session, place: Place, actor: Actor = SYSTEM, **over: Any) -> Client:
    values = {"first_name": "Zoe", "last_name": "Zane", "club_id": place.north.id, **over}
    with acting_as(session, actor), unit_of_work(session):
        return service.create_client(session, actor=actor, **values)


def participants(session: Session, client: Client) -> list[Participant]:
    return list(session.scalars(select(Participant).where(Participant.client_id == client.id)))


def verbs(session: Session, client_id: int) -> list[str]:
    return list(session.scalars(
        select(AuditEvent.verb).where(AuditEvent.client_id == client_id).order_by(AuditEvent.id)
    ))


def test_a_new_client_takes_part_themself(session: Session, place: Place) -> None:
    client = add(
        session, place, first_name="  José ", last_name="Núñez", email=" Jose.Nunez@Example.ORG ",
        phone="+34 (91) 123-4567", birth_date=dt.date(1990, 2, 28), locale="pt-br",
        tags=["vip", "vip", " new "], notes="Prefers\nmornings",
    )
    assert (client.first_name, client.email, client.locale) == ("José", "jose.nunez@example.org", "pt_BR")
    assert client.tags == ["vip", "new"]
    assert client.notes == "Prefers\nmornings"
    assert not client.archived
    [own] = participants(session, client)
    assert (own.name, own.kind) == ("José Núñez", ParticipantKind.self)
    assert verbs(session, client.id) == ["create_client"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_name", ""), ("first_name", "   "), ("first_name", None), ("first_name", 7),
        ("first_name", "x" * 81), ("last_name", "a\x00b"), ("last_name", "\ud800"), ("last_name", "a\nb"),
        ("email", "no-at-sign"), ("email", "a@b"), ("email", "a b@example.org"), ("email", "a@@example.org"),
        ("email", "a@exa mple.org"), ("email", "a..b@example.org"), ("email", "x@example.org\nbcc: y@a.org"),
        ("email", "a" * 65 + "@example.org"), ("email", "a@" + "b" * 250 + ".org"), ("email", ["a@b.org"]),
        ("phone", "123456"), ("phone", "1" * 21), ("phone", "+49 30 CALL ME"), ("phone", "555#123456"),
        ("birth_date", dt.date(1899, 12, 31)), ("birth_date", "1990-01-01"),
        ("birth_date", dt.date.today() + dt.timedelta(days=2)), ("birth_date", dt.datetime(1990, 1, 1)),
        ("locale", "klingon"), ("locale", "../etc"), ("club_id", None), ("club_id", "1"), ("club_id", 2**63),
        ("club_id", True), ("tags", "vip"), ("tags", ["x" * 41]), ("tags", [1]),
        ("tags", [str(n) for n in range(21)]), ("notes", "x" * 10_001), ("archived", "yes"), ("archived", 1),
        ("household_id", -1), ("relationship_to_head", "landlord"), ("erased_at", None), ("id", 5),
    ],
)
def test_a_bad_value_is_refused_by_its_field(session: Session, place: Place, field: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        add(session, place, **{field: value})
    assert list(refused.value.fields) == [field]
    assert str(refused.value.fields[field])
    assert session.scalars(select(Client.id).where(Client.last_name == "Zane")).all() == []


def test_every_wrong_field_is_named_at_once(session: Session) -> None:
    with pytest.raises(InvalidInput) as refused:
        service.create_client(session, actor=SYSTEM, first_name="", email="nonsense", phone="1")
    assert set(refused.value.fields) == {"first_name", "last_name", "club_id", "email", "phone"}


@pytest.mark.parametrize("field", ["club_id", "team_member_id", "household_id", "portal_user_id"])
def test_a_key_of_nothing_is_not_found(session: Session, place: Place, field: str) -> None:
    with pytest.raises(NotFound):
        add(session, place, **{field: 987_654})
    with pytest.raises(NotFound):
        service.update_client(session, id=place.ann.id, actor=SYSTEM, **{field: 987_654})


def test_an_address_belongs_to_one_client(session: Session, place: Place) -> None:
    for actor in (SYSTEM, place.own_clients):  # also when the other one is out of sight
        with pytest.raises(InvalidInput) as refused:
            add(session, place, actor, email="BOB@example.org")
        assert list(refused.value.fields) == ["email"]
    with pytest.raises(InvalidInput):
        service.update_client(session, id=place.ann.id, actor=SYSTEM, email="bob@example.org")
    service.update_client(session, id=place.bob.id, actor=SYSTEM, email="BOB@example.org")


def test_a_portal_account_belongs_to_one_client(session: Session, place: Place) -> None:
    user_id = factories.make_user_row(session).id
    service.update_client(session, id=place.ann.id, actor=SYSTEM, portal_user_id=user_id)
    with pytest.raises(InvalidInput) as refused:
        service.update_client(session, id=place.bob.id, actor=SYSTEM, portal_user_id=user_id)
    assert list(refused.value.fields) == ["portal_user_id"]


def test_two_people_enter_the_same_address_at_once(
    session_factory: sessionmaker[Session], place: Place
) -> None:
    start, outcomes, club_id = threading.Barrier(6), [], place.north.id

    def enter(number: int) -> None:
        with session_factory() as session:
            start.wait()
            try:
                with unit_of_work(session):
                    service.create_client(
                        session, actor=SYSTEM, first_name="Eve", last_name=f"Copy {number}",
                        club_id=club_id, email="eve@example.org",
                    )
                outcomes.append("saved")
            except InvalidInput as refused:
                outcomes.append(",".join(refused.fields))

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["email"] * 5 + ["saved"]
    with session_factory() as session:
        assert len(session.scalars(select(Client).where(Client.email == "eve@example.org")).all()) == 1


def test_the_participant_that_is_the_client_follows_their_name(session: Session, place: Place) -> None:
    client = add(session, place)
    child = factories.make_participant(session, client, name="Zoe Zane")
    service.update_client(session, id=client.id, actor=SYSTEM, last_name="Young")
    session.expire_all()
    assert {(p.name, p.kind) for p in participants(session, client)} == {
        ("Zoe Young", ParticipantKind.self), ("Zoe Zane", ParticipantKind.child),
    }
    own = next(p for p in participants(session, client) if p.id != child.id)
    service.update_participant(session, id=own.id, actor=SYSTEM, name="Zo")
    service.update_client(session, id=client.id, actor=SYSTEM, first_name="Chloe")
    session.expire_all()
    assert own.name == "Zo", "a name that somebody chose stays"


def test_fields_that_are_not_named_stay(session: Session, place: Place) -> None:
    service.update_client(session, id=place.ann.id, actor=SYSTEM, phone="030 1234567")
    ann = place.ann
    assert (ann.first_name, ann.email, ann.phone) == ("Ann", "ann@example.org", "030 1234567")
    service.update_client(session, id=place.ann.id, actor=SYSTEM, email=None)
    assert place.ann.email is None
    with pytest.raises(InvalidInput):
        service.update_client(session, id=place.ann.id, actor=SYSTEM, last_name=None)


def test_archiving_hides_and_brings_back(session: Session, place: Place) -> None:
    service.update_client(session, id=place.ann.id, actor=SYSTEM, archived=True)
    assert place.ann.archived
    service.update_client(session, id=place.ann.id, actor=SYSTEM, archived=False)
    service.update_client(session, id=place.ann.id, actor=SYSTEM, archived=False)
    assert not place.ann.archived
    assert verbs(session, place.ann.id) == ["archive_client", "unarchive_client"], "once each"


def test_whoever_sees_own_clients_gets_the_new_one(session: Session, place: Place) -> None:
    client = add(session, place, place.own_clients)
    assert client.team_member_id == place.nora.id
    with pytest.raises(NotFound):
        add(session, place, place.own_clients, team_member_id=place.sam.id)


def test_whoever_sees_own_clubs_chooses_one_of_them(session: Session, place: Place) -> None:
    assert add(session, place, place.own_clubs, team_member_id=place.sam.id).club_id == place.north.id
    with pytest.raises(NotFound):
        add(session, place, place.own_clubs, club_id=place.south.id)


@pytest.mark.parametrize("reach", [Reach.portal, Reach.nothing])
def test_clients_and_strangers_add_nobody(session: Session, place: Place, reach: Reach) -> None:
    with pytest.raises(Forbidden):
        add(session, place, Actor(user_id=place.nora.user_id, reach=reach))


@pytest.mark.parametrize(
    "verb",
    [
        lambda s, key, actor: service.update_client(s, id=key, actor=actor, first_name="Mallory"),
        lambda s, key, actor: service.update_client(s, id=key, actor=actor, archived=True),
        lambda s, key, actor: service.delete_client(s, id=key, actor=actor),
        lambda s, key, actor: service.erase_client(
            s, client_id=key, reason="asked", typed_name="Bob Baker", actor=actor
        ),
        lambda s, key, actor: service.export_client_data(s, client_id=key, actor=actor),
        lambda s, key, actor: service.create_participant(
            s, actor=actor, client_id=key, name="X", kind="child"
        ),
        lambda s, key, actor: service.create_household(s, actor=actor, name="X", head_id=key),
    ],
)
def test_a_client_out_of_reach_does_not_exist(
    session: Session, place: Place, verb: Callable[[Session, int, Actor], Any]
) -> None:
    for actor in (place.own_clients, place.own_clubs, Actor(reach=Reach.nothing)):
        with acting_as(session, actor), pytest.raises(NotFound), unit_of_work(session):
            verb(session, place.bob.id, actor)
    session.expire_all()
    assert (place.bob.first_name, place.bob.archived, place.bob.household_id) == ("Bob", False, None)


def test_nobody_hands_a_client_out_of_their_own_reach(session: Session, place: Place) -> None:
    for actor, change in (
        (place.own_clients, {"team_member_id": place.sam.id}),
        (place.own_clients, {"team_member_id": None}),
        (place.own_clubs, {"club_id": place.south.id}),
    ):
        with acting_as(session, actor), pytest.raises(NotFound), unit_of_work(session):
            service.update_client(session, id=place.ann.id, actor=actor, **change)
    session.expire_all()
    assert (place.ann.team_member_id, place.ann.club_id) == (place.nora.id, place.north.id)


def test_a_client_without_history_can_be_deleted(session: Session, place: Place) -> None:
    client = add(session, place)
    service.delete_client(session, id=client.id, actor=SYSTEM)
    assert session.scalars(select(Participant).where(Participant.client_id == client.id)).all() == []
    with pytest.raises(NotFound):
        service.delete_client(session, id=client.id, actor=SYSTEM)


def test_what_hangs_on_a_client_is_named_when_they_cannot_be_deleted(session: Session, place: Place) -> None:
    factories.make_lot(session, place.ann, factories.make_event_type(session))
    factories.make_household(session, place.ann)
    with pytest.raises(InUse) as refused:
        service.delete_client(session, id=place.ann.id, actor=SYSTEM)
    assert "session credits" in refused.value.text()
    assert "household" in refused.value.text()


def test_credits_given_while_a_client_is_being_deleted_are_not_lost(
    session_factory: sessionmaker[Session], session: Session, place: Place, monkeypatch: pytest.MonkeyPatch,
) -> None:
    key, type_id = place.ann.id, factories.make_event_type(session).id
    session.commit()

    def give_credits(asked: Session, keys: list[int]) -> set[int]:
        """What another person saves right after this holder was asked."""
        client, event_type = asked.get(Client, key), asked.get(EventType, type_id)
        factories.make_lot(asked, client, event_type)
        return set()

    monkeypatch.setattr(hooks, "client_holders", Holders())
    hooks.register_client_holder("nothing yet", give_credits)
    with pytest.raises(InUse, match="added just now"), unit_of_work(session):
        service.delete_client(session, id=key, actor=SYSTEM)
    with session_factory() as later:
        assert later.get(Client, key) is not None


def test_an_erased_client_stays_as_they_are(session: Session, place: Place) -> None:
    service.erase_client(
        session, client_id=place.ann.id, reason="asked", typed_name="ann archer", actor=SYSTEM
    )
    for change in ({"archived": False}, {"first_name": "Ann"}):
        with pytest.raises(ClientClosed):
            service.update_client(session, id=place.ann.id, actor=SYSTEM, **change)
    with pytest.raises(ClientClosed):
        service.create_participant(session, actor=SYSTEM, client_id=place.ann.id, name="X", kind="child")

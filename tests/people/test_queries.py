"""Finding people, and what a client card reads."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

from enrollment_addon.core import search
from enrollment_addon.core.errors import NotFound
from enrollment_addon.core.scope import NOBODY, SYSTEM, acting_as
from enrollment_addon.core.search import SearchWord
from enrollment_addon.people import queries, service
from enrollment_addon.people.models import Client
from tests import factories

from .conftest import Place


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def found(session: Session, text: str, **over: int) -> list[str]:
    return [client.full_name for client in queries.search_clients(session, text, **over)]


@pytest.fixture
def people(session: Session, place: Place) -> None:
    for first, last, email, phone in (
        ("Jean-Luc", "Müller", "jl@example.com", "+49 (30) 555-1234"),
        ("Ольга", "Петрова", "olga@example.ru", None),
        ("ليلى", "حداد", None, "+20 100 200 3000"),
        ("Anneliese", "Straße", "a.strasse@example.de", None),
        ("Mary Ann", "O'Neill", None, None),
    ):
        service.create_client(
            session, actor=SYSTEM, first_name=first, last_name=last, email=email, phone=phone,
            club_id=place.north.id,
        )
    session.commit()


@pytest.mark.all_databases
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("müller", ["Jean-Luc Müller"]), ("MULL", ["Jean-Luc Müller"]), ("luc", ["Jean-Luc Müller"]),
        ("jean mül", ["Jean-Luc Müller"]), ("mül jean", ["Jean-Luc Müller"]),
        ("jl@exam", ["Jean-Luc Müller"]),
        ("+49 30 555", ["Jean-Luc Müller"]), ("4930", ["Jean-Luc Müller"]), ("петр", ["Ольга Петрова"]),
        ("حدا", ["ليلى حداد"]), ("strasse", ["Anneliese Straße"]), ("o'ne", ["Mary Ann O'Neill"]),
        ("ann", ["Ann Archer", "Mary Ann O'Neill", "Anneliese Straße"]), ("ann o'", ["Mary Ann O'Neill"]),
        ("uller", []), ("ann nobody", []), ("%", []), ("_", []), ("a\x00n", []), ("\ud800", None), ("'", []),
        ("x" * 500, []),
    ],
)
def test_every_word_of_the_question_begins_a_word_of_the_client(
    session: Session, people: None, text: str, expected: list[str] | None
) -> None:
    assert found(session, text) == (found(session, "") if expected is None else expected)


def test_archived_clients_are_not_proposed_and_pages_follow_each_other(
    session: Session, place: Place, people: None
) -> None:
    everybody = found(session, "")
    assert len(everybody) == 7
    first = queries.search_clients(session, "", limit=3)
    rest = queries.search_clients(session, "", after=first[-1].id)
    assert [client.full_name for client in (*first, *rest)] == everybody
    service.update_client(session, id=place.ann.id, actor=SYSTEM, archived=True)
    assert "Ann Archer" not in found(session, "")
    with pytest.raises(NotFound):
        queries.search_clients(session, "", after=987_654)


def test_search_follows_the_name(session: Session, place: Place) -> None:
    service.update_client(session, id=place.ann.id, actor=SYSTEM, last_name="Zeta", email=None)
    assert (found(session, "archer"), found(session, "ann@"), found(session, "zet")) == ([], [], ["Ann Zeta"])
    key = place.bob.id
    service.delete_client(session, id=key, actor=SYSTEM)
    assert session.scalars(select(SearchWord).where(SearchWord.record_id == key)).all() == []


def test_a_search_that_fits_very_many_finds_the_same(
    session: Session, people: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = ("", "ann", "ann o'", "jean mül", "zzz", "a")
    few = [found(session, question) for question in questions]
    monkeypatch.setattr(search, "FEW", 0)
    assert [found(session, question) for question in questions] == few


def test_nobody_finds_who_is_out_of_reach(session: Session, place: Place) -> None:
    with acting_as(session, place.own_clients):
        assert found(session, "b") == []
        assert found(session, "") == ["Ann Archer"]
        with pytest.raises(NotFound):
            queries.client_card(session, place.bob.id)
        with pytest.raises(NotFound):
            queries.search_clients(session, "", after=place.bob.id)
    factories.make_household(session, place.bob, name="Bakers")
    with acting_as(session, place.own_clients):
        assert queries.search_households(session, "bak") == []
    assert [str(home) for home in queries.search_households(session, "BAK")] == ["Bakers"]


def test_clubs_team_members_and_users_are_found_by_name(session: Session, place: Place) -> None:
    assert [str(club) for club in queries.search_clubs(session, "sou")] == ["South"]
    assert [str(club) for club in queries.search_clubs(session, "", among=[place.north.id])] == ["North"]
    assert [str(club) for club in queries.search_clubs(session, "", after=place.north.id)] == ["South"]
    assert [str(member) for member in queries.search_team_members(session, "NO")] == ["Nora"]
    free = factories.make_user_row(session, first_name="Free", last_name="Fall", email="free@example.org")
    factories.make_user_row(session, first_name="Free", last_name="Gone", active=False)
    service.update_client(
        session, id=place.ann.id, actor=SYSTEM, portal_user_id=factories.make_user_row(session).id
    )
    assert [user.id for user in queries.users_without_team_member(session, "")] == [free.id]
    assert [user.id for user in queries.users_without_team_member(session, "fre FA")] == [free.id]
    assert queries.users_without_team_member(session, "100%") == []
    assert queries.user_names(session, [free.id, 987_654]) == {free.id: "Free Fall"}


def test_team_members_choose_among_themselves_and_who_shares_a_club(session: Session, place: Place) -> None:
    """Whoever is responsible for a client in reach keeps their name in a form, from wherever they are."""
    kim = factories.make_team_member(session, name="Kim", clubs=[place.north])
    factories.make_client(session, club=place.north, team_member_id=place.sam.id)
    keys = [place.nora.id, place.sam.id, kim.id]
    for actor, offered, named in (
        (place.own_clients, ["Nora"], ["Nora"]),
        (place.own_clubs, ["Kim", "Nora"], ["Kim", "Nora", "Sam"]),
        (SYSTEM, ["Kim", "Nora", "Sam"], ["Kim", "Nora", "Sam"]),
        (NOBODY, [], []),
    ):
        with acting_as(session, actor):
            assert [str(member) for member in queries.search_team_members(session, "")] == offered
            assert sorted(str(member) for member in queries.named_team_members(session, keys)) == named


def test_a_card_takes_three_queries(engine: Engine, session: Session, place: Place) -> None:
    for number in range(5):
        factories.make_participant(session, place.ann, name=f"Child {number}")
    cat = factories.make_client(session, club=place.north, first_name="Cat", team_member_id=place.nora.id)
    factories.make_household(session, place.ann, cat, name="Home")
    session.commit()
    key, actor = place.ann.id, place.own_clients
    session.expire_all()
    with acting_as(session, actor), counted(engine) as statements:
        card = queries.client_card(session, key)
        told = (
            str(card.client.club), str(card.client.team_member), str(card.client.household),
            [str(member) for member in card.members], len(card.participants),
        )
    assert told == ("North", "Nora", "Home", [cat.full_name], 5)
    assert len(statements) == 3


def test_the_timeline_is_newest_first_and_bounded(session: Session, place: Place) -> None:
    for number in range(5):
        service.update_client(session, id=place.ann.id, actor=place.own_clients, phone=f"030 123456{number}")
    factories.make_lot(session, place.ann, factories.make_event_type(session, name="Yoga"), quantity=4)
    told = queries.story(session, place.ann.id, limit=3)
    assert [item.verb for item in told] == ["credits_grant", "update_client", "update_client"]
    assert told[0].details == {
        "event_type": "Yoga", "credits": 4, "batch_id": None, "undoable": False, "lots": 1, "until": None,
        "gives": True, "converted": False,
    }
    assert told[1].actor_id == place.nora.user_id
    assert [item.at for item in told] == sorted((item.at for item in told), reverse=True)


def test_a_merged_chain_is_one_person(session: Session, place: Place) -> None:
    first, second, third = (factories.make_client(session, club=place.north) for _ in range(3))
    first.merged_into_id, second.merged_into_id = second.id, third.id
    session.flush()
    assert queries.identities(session, third.id) == [third.id, second.id, first.id]
    assert queries.identities(session, first.id) == [first.id]
    assert session.get(Client, first.id).merged_into_id == second.id

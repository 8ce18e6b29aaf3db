"""A receptionist's morning: places and people are added, listed, changed and removed."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from enrollment_addon.catalog.models import EventType
from tests import factories
from tests.conftest import PASSWORD
from tests.hosts import QueryCount
from tests.rest.conftest import BASE, Caller, Town, endpoints_of, refusal, wrong_fields

MOST_QUERIES = 20


def test_a_studio_opens(owner: Caller, make_user: Any) -> None:
    """From an empty database to a family with a dog, each answer saying what was stored."""
    club = owner.made("/clubs/", {"name": "Riverside", "timezone": "Europe/Berlin", "currency": "EUR"})
    by_default = owner.made("/clubs/", {"name": "Hillside"})
    assert (by_default["timezone"], by_default["currency"]) == ("UTC", "EUR"), "as the host's settings say"
    trainer = owner.made(
        "/team_members/",
        {"user_id": make_user("tom", []), "name": "Tom", "scope": "own_clubs", "club_ids": [club["id"]]},
    )
    assert trainer["club_ids"] == [club["id"]]
    yoga = owner.made("/event_types/", {"name": "Yoga", "kind": "class", "duration_minutes": 75})
    assert (yoga["label"], yoga["active"], yoga["colour"]) == ("Yoga", True, None)
    maya = owner.made(
        "/clients/",
        {
            "first_name": "Maya", "last_name": "Fischer", "email": "Maya@Example.org", "birth_date": "1991-05-17",
            "club_id": club["id"], "team_member_id": trainer["id"], "tags": ["yoga", "yoga", "vip"],
        },
    )
    assert maya["email"] == "maya@example.org"
    assert maya["tags"] == ["yoga", "vip"]
    assert maya["birth_date"] == "1991-05-17"
    assert dt.datetime.fromisoformat(maya["created_at"]).utcoffset() == dt.timedelta(0), "instants carry an offset"
    paul = owner.made("/clients/", {"first_name": "Paul", "last_name": "Weber", "club_id": club["id"]})
    family = owner.made(
        "/households/",
        {"name": "Fischer", "head_id": maya["id"],
         "members": [{"client_id": paul["id"], "relationship": "partner"}]},
    )
    assert owner.result(f"/clients/{paul['id']}")["household_id"] == family["id"]
    dog = owner.made(
        "/participants/", {"client_id": maya["id"], "name": "Rocky", "kind": "pet", "species": "dog"}
    )
    found = owner.get("/participants/", q=f"(filters:!((col:client_id,opr:eq,value:{maya['id']})))")
    assert [p["kind"] for p in found.get_json()["result"]] == ["self", "pet"]
    assert owner.delete(f"/participants/{dog['id']}").status_code == 200
    assert refusal(owner.get(f"/participants/{dog['id']}")) == (404, "not_found")


def test_a_change_names_the_fields_it_changes_and_leaves_the_others(owner: Caller, town: Town) -> None:
    path = f"/clients/{town.ann.client}"
    before = owner.result(path)
    answer = owner.put(path, {"phone": "+49 30 1234567", "notes": "Two\nlines"})
    assert answer.status_code == 200
    after = answer.get_json()["result"]
    assert (after["phone"], after["notes"]) == ("+49 30 1234567", "Two\nlines")
    assert dt.datetime.fromisoformat(after["updated_at"]) > dt.datetime.fromisoformat(before["updated_at"])
    same = set(before) - {"phone", "notes", "updated_at"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert owner.put(path, {"phone": None}).get_json()["result"]["phone"] is None


def test_what_is_used_cannot_be_deleted_and_says_by_what(
    owner: Caller, town: Town, sessions: Callable[..., Any]
) -> None:
    """Also a club whose only traces are others' records: a class, a session, a package that is sold nowhere else."""
    with sessions() as session:
        yoga, kept = session.get(factories.EventType, town.yoga), []
        for _ in range(2):
            club = factories.make_club(session)
            kept.append((club.id, factories.make_team_member(session).id, club))
        (classes, teacher, first), (shop, guest, second) = kept
        factories.make_class_group(session, first, yoga, team_member_id=teacher)
        factories.make_session(session, first, yoga, team_member_id=guest)
        factories.make_package(session, yoga, clubs=[second])
    for path, holder in (
        (f"/clients/{town.ann.client}", "household"), (f"/clubs/{town.north}", "clients"),
        (f"/event_types/{town.yoga}", "credits"), (f"/team_members/{town.nora}", "clients"),
        (f"/clubs/{classes}", "class groups, sessions"), (f"/team_members/{teacher}", "class groups"),
        (f"/team_members/{guest}", "sessions"), (f"/clubs/{shop}", "packages that are sold only there"),
        (f"/clubs/{town.south}", "enrollments"),
    ):
        answer = owner.delete(path)
        assert refusal(answer) == (409, "in_use"), path
        assert holder in answer.get_json()["error"]["params"]["holders"], path
        assert owner.get(path).status_code == 200
    free = owner.made("/event_types/", {"name": "Boxing"})
    assert owner.delete(f"/event_types/{free['id']}").status_code == 200
    assert refusal(owner.delete(f"/event_types/{free['id']}")) == (404, "not_found")


def test_a_value_that_only_one_may_have_is_refused_by_name(owner: Caller, town: Town) -> None:
    ann = owner.result(f"/team_members/{town.nora}")
    again = {
        "/clubs/": ({"name": "North"}, "name"),
        "/event_types/": ({"name": "Yoga"}, "name"),
        "/clients/": (
            {"first_name": "A", "last_name": "A", "club_id": town.north, "email": "ANN@example.org"}, "email"
        ),
        "/team_members/": ({"user_id": ann["user_id"], "name": "Twin"}, "user_id"),
    }
    for path, (body, field) in again.items():
        assert wrong_fields(owner.post(path, body)) == {field}, path
    assert wrong_fields(owner.put(f"/clubs/{town.south}", {"name": "North"})) == {"name"}
    assert wrong_fields(owner.put(f"/clients/{town.bob.client}", {"email": "ann@example.org"})) == {"email"}
    assert refusal(owner.post("/households/", {"name": "X", "head_id": town.ann.client})) == (
        409, "already_in_household"
    )


# ---- lists -------------------------------------------------------------------------------------------------


@pytest.fixture
def many(owner: Caller, town: Town, sessions: Any) -> list[int]:
    """Thirty clients of North called Zoe, each with credits; their keys."""
    with sessions() as session:
        yoga = session.get_one(EventType, town.yoga)
        made = []
        for number in range(30):
            client = factories.make_client(
                session, club_id=town.north, first_name="Zoe", last_name=f"Z{number:02}", tags=["swim"],
                team_member_id=town.nora,
            )
            factories.make_lot(session, client, yoga)
            factories.make_participant(session, client)
            factories.make_household(session, client)
            made.append(client.id)
        return made


@pytest.mark.databases("sqlite")
def test_a_list_is_filtered_ordered_and_paged(owner: Caller, many: list[int]) -> None:
    only_zoes = "filters:!((col:first_name,opr:eq,value:Zoe))"
    rison = f"({only_zoes},order_column:last_name,order_direction:desc,page:1,page_size:10)"
    as_json = (
        '{"filters": [{"col": "first_name", "opr": "eq", "value": "Zoe"}], "order_column": "last_name",'
        ' "order_direction": "desc", "page": 1, "page_size": 10}'
    )
    expected = [f"Z{number:02}" for number in range(19, 9, -1)]
    for path in ("/clients/", "/clients"):
        for query in ({"q": rison}, {"q": as_json}):
            body = owner.get(path, **query).get_json()
            assert [row["last_name"] for row in body["result"]] == expected
            assert body["count"] == 30
    by_url = owner.get("/clients/", q=f"({only_zoes},page:5)", page=2, page_size=12).get_json()
    assert [row["last_name"] for row in by_url["result"]] == [f"Z{number:02}" for number in range(24, 30)]
    assert owner.get("/clients/", search="zoe z0").get_json()["count"] == 10
    assert len(owner.get("/clients/").get_json()["result"]) == 25
    assert len(owner.get("/clients/", page_size=100_000).get_json()["result"]) == 32


@pytest.mark.databases("sqlite")
def test_a_long_walk_meets_every_record_once(owner: Caller, many: list[int], town: Town) -> None:
    met: list[int] = []
    after = 0
    while rows := owner.get("/clients/", after=after, page_size=7).get_json()["result"]:
        met += [row["id"] for row in rows]
        after = met[-1]
        if len(met) == 7:
            owner.delete(f"/clients/{town.ann.client}")
            owner.made("/clients/", {"first_name": "New", "last_name": "Comer", "club_id": town.north})
    assert met == sorted(set(met))
    assert set(many) < set(met)


@pytest.mark.databases("sqlite")
def test_a_count_stops_where_the_settings_say(
    app: Flask, owner: Caller, many: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    extension = app.extensions["enrollment"]
    monkeypatch.setattr(extension, "settings", replace(extension.settings, count_cap=10))
    body = owner.get("/clients/", page=1, page_size=20).get_json()
    assert (body["count"], body["count_capped"], len(body["result"])) == (10, True, 12)
    assert "count_capped" not in owner.get("/clubs/").get_json(), "what is counted to the end is exact"


@pytest.mark.databases("sqlite")
def test_a_list_gives_the_fields_that_are_asked_for(owner: Caller, town: Town) -> None:
    for path, columns in (
        ("/clients/", ["email", "id"]), ("/sessions/", ["booked"]), ("/enrollments/", ["remaining", "status"]),
        ("/jobs/", ["created_by"]), ("/credits/expiring/", ["forfeited"]),
    ):
        rows = owner.get(path, q=json.dumps({"columns": columns})).get_json()["result"]
        assert all(set(row) == set(columns) for row in rows), path
        assert rows or path == "/credits/expiring/"
        assert wrong_fields(owner.get(path, q='{"columns": ["password"]}')) == {"columns"}, path
    assert owner.result("/clubs/", q="(keys:!(label_columns))") == owner.result("/clubs/")


@pytest.mark.databases("sqlite")
def test_a_request_with_a_key_is_done_once(owner: Caller, town: Town) -> None:
    """Adding, changing and deleting: a repeat gets the first answer, another request with the key is a conflict."""
    club = {"name": "Hillside"}
    made = owner.made("/clubs/", club, key="k1")
    assert owner.made("/clubs", club, key="k1") == made
    assert refusal(owner.post("/clubs/", {"name": "Seaside"}, key="k1")) == (409, "idempotency_mismatch")
    path, headers = f"/clubs/{made['id']}", {"headers": {"Idempotency-Key": "k2"}}
    assert owner("PUT", path, {"name": "Hilltop"}, **headers).status_code == 200
    assert owner.put(path, {"name": "Summit"}).status_code == 200
    again = owner("PUT", path, {"name": "Hilltop"}, **headers)
    assert (again.status_code, again.get_json()["result"]["name"]) == (200, "Summit"), "it was not changed back"
    assert refusal(owner("DELETE", path, **headers)) == (409, "idempotency_mismatch")
    headers = {"headers": {"Idempotency-Key": "k3"}}
    assert [owner("DELETE", path, **headers).status_code for _ in range(2)] == [200, 200]
    assert refusal(owner.delete(path)) == (404, "not_found")
    booking = f"/bookings/{town.ann.booking}/attendance"
    assert owner.post(booking, {"state": "attended"}, key="k4").status_code == 200
    assert refusal(owner.post(booking, {"state": "no_show"}, key="k4")) == (409, "idempotency_mismatch")
    assert owner.post(booking, {"state": "attended"}, key="k4").get_json()["result"]["state"] == "attended"
    for verb in ("delete", "restore"):
        path, body = f"/enrollments/{town.bob.enrollment}/{verb}", {"reason": "X"} if verb == "delete" else {}
        assert [owner.post(path, body, key=verb).status_code for _ in range(2)] == [200, 200], verb
        assert refusal(owner.post(path, body))[0] == 409, "without the key it would be done again"
    present = f"/sessions/{town.ann.session}/all_present"
    assert owner.post(booking, {"state": "booked"}).status_code == 200
    assert [owner.post(present, key="k5").get_json()["result"] for _ in range(2)] == [{"present": 1}] * 2


JUNK: tuple[dict[str, Any], ...] = (
    {"q": "(page:"}, {"q": "!!!"}, {"q": "hello"}, {"q": "!(1,2)"}, {"q": "[1]"}, {"q": "(" * 5_000},
    {"q": "[" * 50_000}, {"q": "(colour:red)"}, {"q": "(page:one)"}, {"q": "(page_size:!n)"},
    {"q": "(filters:first_name)"}, {"q": "(filters:!(first_name))"}, {"q": "(filters:!((col:first_name)))"},
    {"q": "(filters:!((col:password,opr:eq,value:x)))"}, {"q": "(filters:!((col:id,opr:eq,value:x)))"},
    {"q": "(filters:!((col:first_name,opr:like,value:x)))"},
    {"q": "(filters:!((col:first_name,opr:eq,value:x,and:y)))"},
    {"q": "(filters:!((col:club_id,opr:eq,value:99999999999999999999)))"},
    {"q": "(filters:!((col:birth_date,opr:eq,value:yesterday)))"},
    {"q": "(filters:!((col:archived,opr:eq,value:maybe)))"},
    {"q": '{"filters": [{"col": "first_name", "opr": "eq", "value": "a\\u0000b"}]}'},
    {"q": '{"filters": [{"col": "first_name", "opr": "eq", "value": "\\ud800"}]}'},
    {"q": "(order_column:password)"},
    {"q": "(columns:!(password))"}, {"q": "(order_column:first_name,order_direction:sideways)"},
    {"page": "x"}, {"page": ""}, {"page": "1.5"}, {"page": "9" * 5_000}, {"page_size": "all"},
    {"page_size": "null"}, {"after": "abc"}, {"after": "1 OR 1=1"},
)


@pytest.mark.databases("sqlite")
def test_junk_in_a_list_is_refused(owner: Caller, town: Town) -> None:
    for query in JUNK:
        assert refusal(owner.get("/clients/", **query))[0] == 422, str(query)[:200]
    assert owner.get("/clients/").status_code == 200


BOUNDS: tuple[tuple[dict[str, Any], int], ...] = (
    ({"page": -1}, 2), ({"page": 10**18}, 0), ({"page_size": 0}, 1), ({"page_size": -5}, 1),
    ({"after": -1}, 2), ({"after": 2**63 - 1}, 0), ({"after": 10**40}, 0), ({"search": "\x00"}, 2),
    ({"search": "%"}, 0), ({"search": "ann" * 1_000}, 0), ({"unknown": 1}, 2),
    ({"q": "(filters:!((col:first_name,opr:ct,value:'%25')))"}, 0),
    ({"q": "(filters:!((col:credits,opr:gt,value:9000000000000000000)))"}, 0),
)


@pytest.mark.databases("sqlite")
def test_numbers_of_a_list_are_kept_within_bounds(owner: Caller, town: Town) -> None:
    for query, rows in BOUNDS:
        answer = owner.get("/clients/", **query)
        assert answer.status_code == 200, query
        assert len(answer.get_json()["result"]) == rows, query


@pytest.mark.databases("sqlite")
def test_a_list_takes_few_queries_however_many_rows(
    app: Flask, owner: Caller, many: list[int], town: Town
) -> None:
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
    lists = [e for e in endpoints_of(app) if e.operation.many and e.method == "GET"]
    assert len(lists) >= 9
    for endpoint in lists:
        path = endpoint.at(town.ann.lot)
        taken = []
        for size in (1, 100):
            with QueryCount(engine) as counted:
                assert owner.get(path, page_size=size).status_code == 200
            taken.append(len(counted.statements))
        assert taken[0] == taken[1] <= MOST_QUERIES, (endpoint.name, taken)


# ---- the log-in of the framework ---------------------------------------------------------------------------


@pytest.mark.databases("sqlite")
def test_a_wrong_password_gets_no_token(app: Flask, owner: Caller) -> None:
    login = {"username": "olga", "password": PASSWORD + "!", "provider": "db"}
    answer = app.test_client().post("/api/v1/security/login", json=login)
    assert answer.status_code == 401
    assert app.test_client().get(f"{BASE}/clients/").status_code == 401

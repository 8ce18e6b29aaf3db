"""Who gets in, with what, and how far: log-in, tokens of browsers, permissions, and what is out of reach."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import create_refresh_token
from sqlalchemy import update

from enrollment_addon.core import clock, roles
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.core.web import access
from enrollment_addon.people.models import Client, TeamMember
from enrollment_addon.people.service import erase_client
from tests.conftest import csrf_token
from tests.rest.conftest import BASE, REACHES, Caller, Endpoint, Possessions, Town, reaching, refusal, wrong_fields

KEY = 4_711
"""A key of nothing."""
SHARED = (
    "/clubs", "/team_members", "/skills", "/event_types", "/packages",
    "/class_categories", "/activity_levels", "/semesters",
)
"""Records that belong to no client: whoever has the permission sees all of them."""

LogIn = Callable[[str], Caller]


def closed(endpoints: list[Endpoint]) -> list[Endpoint]:
    found = [e for e in endpoints if not e.operation.open]
    assert {e.path for e in endpoints} - {e.path for e in found} == {
        "/health", "/_openapi", "/online_payments/webhook"
    }
    return found


# ---- log-in ------------------------------------------------------------------------------------------------


@pytest.mark.databases("sqlite")
def test_every_endpoint_asks_who_is_there(
    app: Flask, endpoints: list[Endpoint], make_user: Callable[..., int], log_in: LogIn
) -> None:
    make_user("olga", [roles.OWNER])
    good = log_in("olga").headers["Authorization"]
    with app.app_context():
        refresh = create_refresh_token(identity="1")
    tokens = {
        "none": {}, "junk": {"Authorization": "Bearer junk"}, "cut": {"Authorization": good[:-3]},
        "basic": {"Authorization": "Basic b2xnYTpwdw=="}, "refresh": {"Authorization": f"Bearer {refresh}"},
    }
    for name, headers in tokens.items():
        caller = Caller(app, **headers)
        for endpoint in closed(endpoints):
            answer = caller(endpoint.method, endpoint.at(KEY))
            assert refusal(answer) == (401, "unauthorized"), (name, endpoint.name)


@pytest.mark.databases("sqlite")
def test_a_user_who_was_switched_off_is_nobody(
    app: Flask, make_user: Callable[..., int], log_in: LogIn
) -> None:
    user_id = make_user("olga", [roles.OWNER])
    olga = log_in("olga")
    assert olga.get("/clubs/").status_code == 200
    with app.app_context():
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        user = security.get_user_by_id(user_id)
        user.active = False
        security.update_user(user)
    assert refusal(olga.get("/clubs/")) == (401, "unauthorized")


@pytest.mark.databases("sqlite")
def test_a_bad_token_is_refused_although_the_browser_is_logged_in(
    http: FlaskClient, login: Callable[..., FlaskClient], make_user: Callable[..., int]
) -> None:
    make_user("olga", [roles.OWNER])
    login(http, "olga")
    assert http.get(f"{BASE}/clubs/").status_code == 200
    answer = http.get(f"{BASE}/clubs/", headers={"Authorization": "Bearer junk"})
    assert refusal(answer) == (401, "unauthorized")


@pytest.mark.databases("sqlite")
def test_a_browser_needs_its_token_for_everything_that_writes(
    http: FlaskClient, endpoints: list[Endpoint], login: Callable[..., FlaskClient],
    make_user: Callable[..., int],
) -> None:
    make_user("olga", [roles.OWNER])
    login(http, "olga")
    token = csrf_token(http.get("/enrollment/clubs/add").get_data(as_text=True))
    assert token
    writing = [e for e in closed(endpoints) if e.method != "GET"]
    assert len(writing) > 20
    for endpoint in writing:
        url = BASE + endpoint.at(KEY)
        for headers in ({}, {"X-CSRFToken": "junk"}):
            answer = http.open(url, method=endpoint.method, json={}, headers=headers)
            assert refusal(answer) == (403, "csrf_failed"), endpoint.name
        answer = http.open(url, method=endpoint.method, json={}, headers={"X-CSRFToken": token})
        assert refusal(answer)[0] in (404, 422), endpoint.name


# ---- permissions -------------------------------------------------------------------------------------------


@pytest.mark.databases("sqlite")
def test_a_person_without_any_permission_gets_nothing(
    endpoints: list[Endpoint], make_user: Callable[..., int], log_in: LogIn
) -> None:
    make_user("kim", [roles.CLIENT])
    kim = log_in("kim")
    for endpoint in closed(endpoints):
        answer = kim(endpoint.method, endpoint.at(KEY), {})
        assert refusal(answer) == (403, "forbidden"), endpoint.name


@pytest.mark.databases("sqlite")
def test_each_endpoint_takes_its_own_permission(
    app: Flask, endpoints: list[Endpoint], all_verbs: str, make_user: Callable[..., int], log_in: LogIn
) -> None:
    """A role with all permissions is refused nothing; one after the other is taken away from it."""
    make_user("vera", [all_verbs])
    vera = log_in("vera")
    by_permission = defaultdict(list)
    for endpoint in closed(endpoints):
        by_permission[endpoint.operation.permission, endpoint.menu].append(endpoint)
        # Clubs and team members are written by people who reach everything only, which Vera does not.
        if not (endpoint.path.startswith(SHARED[:2]) and endpoint.method != "GET"):
            assert vera(endpoint.method, endpoint.at(KEY), {}).status_code != 403, endpoint.name
    for (permission, menu), its_endpoints in by_permission.items():
        assert permission in app.extensions["enrollment"].permissions[menu], "it is one that can be granted"
        with app.app_context():
            security = app.appbuilder.sm  # type: ignore[attr-defined]
            held = security.find_permission_view_menu(f"can_{permission}", menu)
            security.del_permission_role(security.find_role(all_verbs), held)
        for endpoint in its_endpoints:
            answer = vera(endpoint.method, endpoint.at(KEY), {})
            assert refusal(answer) == (403, "forbidden"), endpoint.name


# ---- reach -------------------------------------------------------------------------------------------------


def bodies(theirs: Possessions) -> dict[str, Any]:
    """What each verb is sent about somebody; verbs that are not named here get an empty change."""
    return {
        "POST /credits/extend": {"lot_ids": [theirs.lot], "expires_on": None, "reason": "a reason"},
        "POST /credits/void": {"lot_ids": [theirs.lot], "reason": "a reason"},
        "POST /batches/<pk>/undo": {"reason": "a reason"},
        "POST /charges/<pk>/free": {"reason": "a reason"},
        "POST /charges/<pk>/void": {"reason": "a reason"},
        "PUT /clients/<pk>": {"first_name": "Mallory"},
        "PUT /participants/<pk>": {"name": "Mallory"},
        "PUT /households/<pk>": {"name": "Mallory"},
        "POST /bookings/<pk>/attendance": {"state": "booked"},
        "POST /closures/<pk>/undo": {"reason": "a reason"},
        "PUT /class_groups/<pk>": {"name": "Mallory"},
        "PUT /sessions/<pk>": {"room": "Mallory"},
        "PUT /training_reports/<pk>": {"worked_on": "Mallory"},
        "POST /enrollments/<pk>/update_sessions": {"total": 11},
        "POST /enrollments/<pk>/cancel": {"refund": "none"},
        "POST /enrollments/<pk>/pause": {
            "ends_on": (clock.now() + dt.timedelta(days=7)).date().isoformat(), "reason": "a reason",
        },
        "POST /enrollments/<pk>/undo": {"reason": "a reason"},
        "POST /enrollments/<pk>/delete": {"reason": "a reason"},
        "POST /clients/<pk>/merge_preview": {"target_id": theirs.client},
        "POST /clients/<pk>/merge": {"target_id": theirs.client, "reason": "a reason"},
        "POST /clients/<pk>/erase": {"typed_name": "Bob Baker", "reason": "a reason"},
        "POST /households/<pk>/add_member": {"client_id": theirs.client, "relationship": "partner"},
        "POST /households/<pk>/remove_member": {"client_id": theirs.client},
        "POST /households/<pk>/change_head": {"head_id": theirs.client, "relationships": []},
    }


def about_one(endpoints: list[Endpoint], theirs: Possessions) -> list[tuple[Endpoint, str, Any]]:
    """Every endpoint that is about one thing of a client, with the path and the body for it."""
    asked = []
    for endpoint in closed(endpoints):
        if endpoint.path.startswith(SHARED):
            continue
        if "<pk>" not in endpoint.path and endpoint.name not in bodies(theirs):
            assert endpoint.method == "GET" or endpoint.name in NEW_ROWS, f"say whose {endpoint.name} is"
            continue
        key = theirs.key_for(endpoint.path) if "<pk>" in endpoint.path else 0
        assert key is not None, f"say what the key in {endpoint.name} is"
        asked.append((endpoint, endpoint.at(key), bodies(theirs).get(endpoint.name, {})))
    return asked


STAFF_ONLY = ("PUT /class_groups/<pk>", "PUT /sessions/<pk>")
"""Clients see where they are booked, and change nothing of it but their booking."""
NOT_NOW = ("POST /bookings/<pk>/take_place",)
"""Ann waits for nothing."""
STORIES = (
    "/enrollments/<pk>/", "/clients/<pk>/merge", "/clients/<pk>/erase", "/households/<pk>/add_member",
    "/households/<pk>/remove_member", "/imports/<pk>/check", "/imports/<pk>/start",
)
"""Verbs that exclude each other or take more than one client: stories tell what they do, here is who may not."""
NEW_ROWS = {
    "POST /class_groups", "POST /sessions", "POST /bookings", "POST /closures", "POST /enrollments",
    "POST /clients", "POST /participants", "POST /households", "POST /credits/grant", "POST /charges",
    "POST /bookings/walk_in", "POST /bookings/appointment", "POST /calendar_links",
    "POST /imports",
    "POST /online_payments",
    "POST /payments", "POST /refunds", "POST /training_reports", "POST /credits/transfer",
    "POST /credits/convert", "POST /credits/transfer_lots", "POST /credits/convert_many",
}
"""Tested below: the row is new, the rows it points to are somebody's."""


@pytest.mark.parametrize("person", REACHES, indirect=True)
def test_what_is_out_of_reach_is_not_there(
    person: Caller, endpoints: list[Endpoint], town: Town, owner: Caller
) -> None:
    before = owner.result(f"/clients/{town.bob.client}"), owner.result(f"/clients/{town.bob.client}/credits")
    asked = about_one(endpoints, town.bob)
    assert len(asked) > 15
    for endpoint, path, body in asked:
        assert refusal(person(endpoint.method, path, body)) == (404, "not_found"), endpoint.name
        if endpoint.method == "GET":
            assert owner.get(path).status_code == 200, f"{endpoint.name} is there for others"
    after = owner.result(f"/clients/{town.bob.client}"), owner.result(f"/clients/{town.bob.client}/credits")
    assert after == before


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("person", REACHES[:3], indirect=True)
def test_what_is_in_reach_is_there(
    person: Caller, endpoints: list[Endpoint], town: Town, request: pytest.FixtureRequest
) -> None:
    is_client = request.node.callspec.params["person"] == "portal"
    # An undone batch leaves nothing to extend, so undoing comes last.
    asked = sorted(about_one(endpoints, town.ann), key=lambda one: one[0].path.endswith("/undo"))
    for endpoint, path, body in asked:
        if endpoint.path.startswith(STORIES) and endpoint.method == "POST":
            continue
        if endpoint.name in NOT_NOW:
            continue
        if endpoint.method != "DELETE" and not (is_client and endpoint.name in STAFF_ONLY):
            assert person(endpoint.method, path, body).status_code == 200, endpoint.name


@pytest.mark.parametrize("person", REACHES, indirect=True)
def test_lists_show_and_count_only_what_is_in_reach(
    person: Caller, endpoints: list[Endpoint], town: Town, request: pytest.FixtureRequest
) -> None:
    lists = [
        e for e in closed(endpoints)
        if e.operation.many and "<pk>" not in e.path and not e.path.startswith(SHARED)
    ]
    assert {e.path for e in lists} == {
        "/batches", "/bookings", "/calendar_links", "/charges", "/class_groups", "/clients", "/closures",
        "/credits/expiring", "/credits/ledger", "/enrollments", "/households", "/imports", "/jobs", "/lots", "/notices",
        "/online_payments", "/participants", "/payments", "/sessions", "/training_reports",
    }
    reaches_ann = request.node.callspec.params["person"] != "nothing"
    for endpoint in lists:
        if endpoint.path == "/credits/ledger":
            continue  # has several entries of hers
        nothing = not reaches_ann or endpoint.path == "/credits/expiring"  # the town's lots never expire
        expected = [] if nothing else [town.ann.key_for(f"{endpoint.path}/")]
        for query in ({}, {"after": 0}, {"page_size": 100}):
            body = person.get(f"{endpoint.path}/", **query).get_json()
            assert [row["id"] for row in body["result"]] == expected, (endpoint.path, query)
            assert body["count"] == len(expected), endpoint.path
    ledger = person.get("/credits/ledger/").get_json()["result"]
    assert {row["client_id"] for row in ledger} == ({town.ann.client} if reaches_ann else set())
    for endpoint in lists:
        name = {
            "clients": "club_id", "lots": "client_id", "charges": "client_id", "payments": "client_id",
            "credits/ledger": "client_id",
        }.get(endpoint.path.strip("/"))
        if name:
            theirs = town.south if name == "club_id" else town.bob.client
            answer = person.get(f"{endpoint.path}/", q=f"(filters:!((col:{name},opr:eq,value:{theirs})))")
            assert answer.get_json() == {"count": 0, "ids": [], "result": []}
    assert person.get("/clients/", search="Baker").get_json()["count"] == 0


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("person", REACHES, indirect=True)
def test_new_rows_cannot_point_to_what_is_out_of_reach(
    person: Caller, town: Town, owner: Caller, request: pytest.FixtureRequest
) -> None:
    count = owner.get("/clients/").get_json()["count"]
    client = {"first_name": "Eve", "last_name": "Evans"}
    answers = {
        "participant": person.post("/participants/", {"client_id": town.bob.client, "name": "X", "kind": "child"}),
        "household": person.post("/households/", {"name": "X", "head_id": town.bob.client}),
        "charge": person.post("/charges/", {"client_id": town.bob.client, "what": "X", "amount": "1"}),
        "payment": person.post("/payments/", {"client_id": town.bob.client, "amount": "1", "method": "cash"}),
        "payment of theirs": person.post(
            "/payments/",
            {"client_id": town.ann.client, "charge_ids": [town.bob.charge], "amount": "1", "method": "account"},
        ),
        "online payment": person.post("/online_payments/", {"client_id": town.bob.client}),
        "online payment of theirs": person.post(
            "/online_payments/", {"client_id": town.ann.client, "charge_ids": [town.bob.charge]}
        ),
        "report": person.post(
            "/training_reports/", {"participant_id": town.bob.participant, "worked_on": "X", "enrollment_id": 1}
        ),
        "refund": person.post("/refunds/", {"payment_id": town.bob.payment, "amount": "1", "reason": "X"}),
        **{
            f"credits {way}": person.post(
                "/credits/transfer",
                {"from_client_id": source, "to_client_id": target, "event_type_id": town.yoga, "quantity": 1,
                 "reason": "X"},
            )
            for way, source, target in (
                ("of theirs", town.bob.client, town.ann.client), ("to them", town.ann.client, town.bob.client),
            )
        },
        **{
            f"lots {way}": person.post(
                "/credits/transfer_lots", {"lot_ids": [lot], "to_client_id": target, "reason": "X"}
            )
            for way, lot, target in (
                ("of theirs", town.bob.lot, town.ann.client), ("to them", town.ann.lot, town.bob.client),
            )
        },
        "conversions": person.post(
            "/credits/convert_many",
            {"client_ids": [town.bob.client], "from_event_type_id": town.yoga,
             "to_event_type_id": owner.made("/event_types/", {"name": "Swimming", "kind": "class"})["id"],
             "give": 1, "get": 1, "reason": "X"},
        ),
        "conversion": person.post(
            "/credits/convert",
            {"client_id": town.bob.client, "from_event_type_id": town.yoga, "to_event_type_id": town.yoga,
             "quantity": 1, "give": 1, "get": 1, "reason": "X"},
        ),
        "member": person.post(
            "/households/",
            {"name": "X", "head_id": town.ann.client,
             "members": [{"client_id": town.bob.client, "relationship": "child"}]},
        ),
        "client in their household": person.post(
            "/clients/", {**client, "club_id": town.north, "household_id": town.bob.household}
        ),
        "client of theirs": person.post(
            "/clients/", {**client, "club_id": town.south, "team_member_id": town.sam}
        ),
    }
    starts_at = (clock.now() + dt.timedelta(days=3)).isoformat()
    answers |= {
        "enrollment": person.post("/enrollments/", {"client_id": town.bob.client, "package_id": town.package}),
        "booking": person.post("/bookings/", {"client_id": town.bob.client, "session_id": town.ann.session}),
        "booking there": person.post("/bookings/", {"client_id": town.ann.client, "session_id": town.bob.session}),
        "walk-in": person.post("/bookings/walk_in", {"client_id": town.bob.client, "session_id": town.ann.session}),
        "walk-in there": person.post(
            "/bookings/walk_in", {"client_id": town.ann.client, "session_id": town.bob.session}
        ),
        "appointment": person.post(
            "/bookings/appointment",
            {"client_id": town.bob.client, "event_type_id": town.yoga, "starts_at": starts_at, "pay_with": "nothing"},
        ),
        "calendar of theirs": person.post("/calendar_links/", {"client_id": town.bob.client}),
        "calendar of their group": person.post("/calendar_links/", {"class_group_id": town.bob.group}),
        "session of theirs": person.post(
            "/sessions/", {"class_group_id": town.bob.group, "starts_at": starts_at}
        ),
        "session there": person.post(
            "/sessions/", {"club_id": town.south, "event_type_id": town.yoga, "starts_at": starts_at}
        ),
        "group there": person.post(
            "/class_groups/",
            {"name": "X", "club_id": town.south, "event_type_id": town.yoga, "weekday": 1, "starts_at_time": "18:00",
             "duration_minutes": 60},
        ),
    }
    theirs = owner.made("/sessions/", {"club_id": town.south, "event_type_id": town.yoga, "starts_at": starts_at})["id"]
    owner.made("/bookings/", {"client_id": town.ann.client, "participant_id": town.ann.participant,
                              "session_id": theirs, "pay_with": "nothing"})
    for there in (
        {"session_ids": [town.bob.session]}, {"session_ids": [theirs]},
        {"club_id": town.south, "first_date": starts_at[:10], "last_date": starts_at[:10]},
    ):
        closed_there = person.post("/closures/", {**there, "reason": "X"})
        assert refusal(closed_there)[1] in ("nothing_to_close", "not_found"), "that Ann is booked there is not enough"
    assert owner.result(f"/sessions/{theirs}")["status"] == "scheduled"
    if request.node.callspec.params["person"] != "own_clients":  # who may have clients of their own anywhere
        answers["client in their club"] = person.post("/clients/", {**client, "club_id": town.south})
    for name, answer in answers.items():
        assert refusal(answer)[0] in (403, 404, 409), name
    granted = person.post(
        "/credits/grant", {"client_ids": [town.bob.client], "event_type_id": town.yoga, "quantity": 1}
    )
    assert refusal(granted) == (422, "nobody_selected")
    assert owner.get("/clients/").get_json()["count"] == count
    assert len(owner.result(f"/clients/{town.bob.client}/credits")["lots"]) == 1


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("person", REACHES, indirect=True)
def test_nobody_moves_their_own_rows_to_somebody_else(
    person: Caller, town: Town, owner: Caller, request: pytest.FixtureRequest
) -> None:
    reach = request.node.callspec.params["person"]
    changes = {
        f"/participants/{town.ann.participant}": {"client_id": town.bob.client},
        f"/clients/{town.ann.client}": {"household_id": town.bob.household},
    }
    if reach in ("own_clubs", "nothing"):
        changes[f"/clients/{town.ann.client}"] = {"club_id": town.south}
    if reach in ("own_clients", "nothing"):
        changes[f"/clients/{town.ann.client}"] = {"team_member_id": town.sam}
    for path, change in changes.items():
        before = owner.result(path)
        assert refusal(person.put(path, change))[0] in (404, 409, 422), path
        assert owner.result(path) == before


@pytest.mark.databases("sqlite")
def test_a_grant_to_a_mixed_list_serves_only_those_in_reach(
    town: Town, all_verbs: str, sessions: Callable[..., Any], make_user: Callable[..., int], log_in: LogIn
) -> None:
    nora = reaching("own_clients", town, all_verbs, sessions, make_user, log_in)
    made = nora.made(
        "/credits/grant",
        {"client_ids": [town.ann.client, town.bob.client, KEY], "event_type_id": town.yoga, "quantity": 3},
    )
    assert made["granted"] == 1
    assert made["skipped"] == [
        {"client_id": key, "reason": "not_found"} for key in sorted((town.bob.client, KEY))
    ], "a stranger's client looks like one that does not exist"
    by_filter = nora.made(
        "/credits/grant", {"filter": [], "event_type_id": town.yoga, "quantity": 1}
    )
    assert (by_filter["granted"], by_filter["skipped"]) == (1, [])


@pytest.mark.databases("sqlite")
def test_a_team_member_adds_clients_of_their_own(
    town: Town, all_verbs: str, sessions: Callable[..., Any], make_user: Callable[..., int], log_in: LogIn
) -> None:
    nora = reaching("own_clients", town, all_verbs, sessions, make_user, log_in)
    new = {"first_name": "Cara", "last_name": "Cole", "club_id": town.north}
    cara = nora.made("/clients/", new)
    assert cara["team_member_id"] == town.nora
    assert nora.result(f"/clients/{cara['id']}") == cara
    assert refusal(nora.post("/clients/", {**new, "team_member_id": town.sam}))[0] == 404


@pytest.mark.databases("sqlite")
def test_the_permission_to_see_all_clients_reaches_everybody(
    app: Flask, town: Town, all_verbs: str, make_user: Callable[..., int], log_in: LogIn
) -> None:
    make_user("vera", [all_verbs])
    vera = log_in("vera")
    assert vera.get("/clients/").get_json()["count"] == 0
    with app.app_context():
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        held = security.find_permission_view_menu(f"can_{access.SEE_ALL}", access.MENU)
        security.add_permission_role(security.find_role(all_verbs), held)
    assert vera.get("/clients/").get_json()["count"] == 2


@pytest.mark.databases("sqlite")
def test_only_an_account_of_nobody_who_works_here_becomes_a_portal_account(
    app: Flask, town: Town, all_verbs: str, owner: Caller, sessions: Callable[..., Any], make_user: Callable[..., int],
    log_in: LogIn,
) -> None:
    """Being linked shows somebody their client only, and an erased client's account is closed."""
    keys = {name: make_user(name, held) for name, held in (
        ("tina", [roles.TEAM]), ("grit", []), ("paula", [roles.CLIENT]), ("portia", []))}
    with app.app_context(), unit_of_work(access.current_session()):
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        olga = security.find_user("olga").id
        grit, team = security.get_user_by_id(keys["grit"]), security.find_role(roles.TEAM)
        security.add_group("Staff", "Staff", "", roles=[team], users=[grit])
    nora = reaching("own_clubs", town, all_verbs, sessions, make_user, log_in)
    ann, bob = (f"/clients/{client}" for client in (town.ann.client, town.bob.client))
    with sessions() as session:
        member = session.get_one(TeamMember, town.sam).user_id
    for user_id in (olga, keys["tina"], keys["grit"], member):
        assert wrong_fields(owner.put(bob, {"portal_user_id": user_id})) == {"portal_user_id"}, user_id
        new = {"first_name": "X", "last_name": "Y", "club_id": town.south, "portal_user_id": user_id}
        assert wrong_fields(owner.post("/clients/", new)) == {"portal_user_id"}, user_id
    assert refusal(nora.put(ann, {"portal_user_id": keys["paula"]})) == (403, "forbidden")
    assert nora.put(ann, {"portal_user_id": None, "phone": "030 1234567"}).status_code == 200, "nothing changes in it"
    assert owner.put(ann, {"portal_user_id": keys["paula"]}).status_code == 200
    assert wrong_fields(owner.put(bob, {"portal_user_id": keys["paula"]})) == {"portal_user_id"}
    assert owner.put(bob, {"portal_user_id": keys["portia"]}).status_code == 200
    assert refusal(nora.put(ann, {"portal_user_id": None})) == (403, "forbidden")

    with sessions() as session:  # linked long ago, or made an owner since
        session.execute(update(Client).where(Client.id == town.ann.client).values(portal_user_id=olga))
    assert owner.get("/clients/").get_json()["count"] == 2, "who works here reaches what they did before"
    with sessions() as session:
        for client, name in ((town.ann.client, "Ann Archer"), (town.bob.client, "Bob Baker")):
            erase_client(session, client_id=client, reason="Asked", typed_name=name, actor=SYSTEM)
    assert owner.get("/clients/").status_code == 200
    with app.app_context():
        accounts = [app.appbuilder.sm.get_user_by_id(key) for key in (olga, keys["portia"])]  # type: ignore[attr-defined]
        assert [(user.active, user.username) for user in accounts] == [
            (True, "olga"), (False, f"erased-{town.bob.client}")
        ]

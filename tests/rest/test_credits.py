"""Credits through the interface: given to many, looked at, voided, undone; twice with one key; and background jobs."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from enrollment_addon.core import clock, roles
from enrollment_addon.jobs.dispatch import session_for
from enrollment_addon.jobs.models import Job, JobError, JobState
from enrollment_addon.jobs.runner import run_waiting
from tests import factories
from tests.rest.conftest import Caller, Town, reaching, refusal, wrong_fields

ZONE = "Europe/Berlin"


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    """More than five clients are a background job."""
    return {**config, "ENROLLMENT_JOB_THRESHOLD": 5}


@pytest.fixture
def swimmers(town: Town, sessions: Callable[..., Any]) -> list[int]:
    """Eight clients of North with the tag “swim”, the last of them archived."""
    with sessions() as session:
        return [
            factories.make_client(
                session, club_id=town.north, first_name="Swim", last_name=f"S{number}", tags=["swim"],
                archived=number == 7,
            ).id
            for number in range(8)
        ]


def available(owner: Caller, client_id: int) -> int:
    return sum(balance["available"] for balance in owner.result(f"/clients/{client_id}/credits")["balances"])


def test_credits_are_given_looked_at_and_taken_back(owner: Caller, town: Town, swimmers: list[int]) -> None:
    today = clock.today(ZONE)
    asked = {
        "client_ids": [*swimmers[:4], swimmers[7], 4_711], "event_type_id": town.yoga, "quantity": 10,
        "expires_in": {"weeks": 2}, "priority": 10, "unit_value": "15.50", "shared": True, "note": "Spring",
    }
    planned = owner.post("/credits/grant", {**asked, "preview": True})
    assert planned.status_code == 200
    last_day = (today + dt.timedelta(weeks=2)).isoformat()
    made = owner.made("/credits/grant", asked)
    assert planned.get_json()["result"] == {
        "clients": 4, "credits": 40, "expires_on": [last_day], "currency": "EUR", "skipped": made["skipped"],
        "skipped_count": made["skipped_count"],
    }
    assert available(owner, swimmers[0]) == 10, "the preview gave nothing"
    assert made["granted"] == 4
    assert made["skipped"] == [
        {"client_id": swimmers[7], "reason": "archived"}, {"client_id": 4_711, "reason": "not_found"},
    ]
    credits = owner.result(f"/clients/{swimmers[0]}/credits")
    assert credits["balances"] == [
        {
            "event_type_id": town.yoga, "available": 10, "reserved": 0, "used": 0, "lapsed": 0,
            "next_expiry": (today + dt.timedelta(weeks=2)).isoformat(),
        }
    ]
    lot = credits["lots"][0]
    assert (lot["unit_value"], lot["currency"], lot["priority"], lot["shared"], lot["note"]) == (
        "15.50", "EUR", 10, True, "Spring"
    ), "money is a decimal string beside its currency"
    assert (lot["origin"], lot["enrollment_id"], lot["batch_id"]) == ("manual", None, made["batch_id"])
    assert owner.result(f"/lots/{lot['id']}") == lot
    entries = owner.result(f"/credits/lots/{lot['id']}/entries")
    assert [(e["kind"], e["available_change"], e["who"]) for e in entries] == [("grant", 10, "Olga Test")]
    assert dt.datetime.fromisoformat(entries[0]["at"]).utcoffset() is not None
    ledger = owner.result("/credits/ledger", q=f"(filters:!((col:lot_id,opr:eq,value:{lot['id']})))")
    told = ("id", "kind", "available_change", "at", "who", "batch_id")
    assert [[e[name] for name in told] for e in ledger] == [[e[name] for name in told] for e in entries]

    voided = owner.post("/credits/void", {"lot_ids": [lot["id"]], "reason": "Sold by mistake"})
    assert voided.get_json()["result"]["voided"] == 10
    path = f"/batches/{voided.get_json()['result']['batch_id']}/undo"
    before = owner.post(path, {"preview": True}).get_json()["result"]
    assert before == {"taken_back": 10, "kept_spent": 0, "clients": 1, "lapsed": 0, "closed": 0}
    assert owner.post(path, {"reason": "It was right"}).get_json()["result"]["taken_back"] == 10
    assert refusal(owner.post(path, {"reason": "Again"})) == (409, "state_conflict")
    assert available(owner, swimmers[0]) == 10
    assert owner.post("/credits/void", {"lot_ids": [lot["id"]], "reason": "Sold by mistake"}).status_code == 200
    entries = [
        entry for entry in owner.result(f"/credits/lots/{lot['id']}/entries")
        if not entry["reversed"] and not entry["reversal_of_id"]
    ]
    assert [(e["kind"], e["running_available"], e["reason"]) for e in entries] == [
        ("grant", 10, None), ("void", 0, "Sold by mistake"),
    ]

    path = f"/batches/{made['batch_id']}"
    assert owner.result(path)["state"] == "done"
    expected = {"taken_back": 30, "kept_spent": 0, "clients": 4}
    preview = owner.post(f"{path}/undo", {"preview": True}).get_json()["result"]
    assert preview == {**expected, "lapsed": 0, "closed": 0}
    assert available(owner, swimmers[1]) == 10, "a preview takes nothing back"
    assert wrong_fields(owner.post(f"{path}/undo", {})) == {"reason"}
    assert owner.post(f"{path}/undo", {"reason": "Wrong list"}).get_json()["result"] == expected
    assert available(owner, swimmers[1]) == 0
    assert owner.result(path)["state"] == "undone"
    again = owner.post(f"{path}/undo", {"reason": "Wrong list"})
    assert refusal(again) == (409, "state_conflict")


def test_credits_are_transferred_converted_and_extended(owner: Caller, town: Town, swimmers: list[int]) -> None:
    giver, taker = swimmers[:2]
    reason = {"reason": "As agreed"}
    owner.made("/credits/grant", {"client_ids": [giver], "event_type_id": town.yoga, "quantity": 6})
    ends = {"from_client_id": giver, "to_client_id": taker, "event_type_id": town.yoga}
    moved = owner.post("/credits/transfer", {**ends, "quantity": 4, **reason}, key="t1")
    assert moved.get_json()["result"]["transferred"] == 4
    again = owner.post("/credits/transfer", {**ends, "quantity": 4, **reason}, key="t1")
    assert again.get_json() == moved.get_json()
    assert (available(owner, giver), available(owner, taker)) == (2, 4)
    assert refusal(owner.post("/credits/transfer", {**ends, "quantity": 3, **reason})) == (409, "not_enough_credits")
    assert wrong_fields(owner.post("/credits/transfer", {**ends, "quantity": 1})) == {"reason"}
    (lot,) = owner.result(f"/clients/{taker}/credits")["lots"]
    (entry,) = owner.result(f"/credits/lots/{lot['id']}/entries")
    assert (entry["kind"], entry["batch_id"]) == ("transfer_in", moved.get_json()["result"]["batch_id"])

    swim = owner.made("/event_types/", {"name": "Swimming", "kind": "class", "duration_minutes": 45})["id"]
    asked = {"client_id": taker, "from_event_type_id": town.yoga, "to_event_type_id": swim, "give": 3, "get": 2}
    made = owner.post("/credits/convert", {**asked, "quantity": 4, **reason}).get_json()["result"]
    assert {k: made[k] for k in ("converted", "received", "left")} == {"converted": 3, "received": 2, "left": 1}
    day = (clock.today(ZONE) + dt.timedelta(days=40)).isoformat()
    answer = owner.post("/credits/extend", {"lot_ids": [lot["id"]], "expires_on": day, **reason})
    assert answer.get_json()["result"]["extended"] == 1
    assert owner.result(f"/lots/{lot['id']}")["expires_on"] == day
    entries = owner.result(f"/credits/lots/{lot['id']}/entries")
    assert (entries[-1]["kind"], entries[-1]["new_expires_on"]) == ("extend", day)
    owner.made("/credits/grant", {"client_ids": swimmers[:5], "event_type_id": town.yoga, "quantity": 1})
    lots = [row["id"] for row in owner.get("/lots/", page_size=100).get_json()["result"] if row["available"]]
    job = owner.post("/credits/extend", {"lot_ids": lots, "expires_on": None, **reason})
    assert job.status_code == 202
    assert set(job.get_json()["result"]) == {"batch_id", "job_id"}
    undone = owner.post(f"/batches/{made['batch_id']}/undo", {"reason": "No"}).get_json()["result"]
    assert undone["taken_back"] == 2


@pytest.mark.databases("sqlite")
def test_lots_go_to_one_client_and_what_many_have_is_converted(
    app: Flask, owner: Caller, town: Town, swimmers: list[int]
) -> None:
    reason, taker = {"reason": "As agreed"}, swimmers[0]
    owner.made("/credits/grant", {"client_ids": swimmers[1:4], "event_type_id": town.yoga, "quantity": 3})
    lots = [row["id"] for key in swimmers[1:3] for row in owner.result(f"/clients/{key}/credits")["lots"]]
    asked = {"lot_ids": [*lots, 99_999], "to_client_id": taker}
    told = {"transferred": 6, "lots": 2, "skipped_count": 1}
    preview = owner.post("/credits/transfer_lots", {**asked, "preview": True}).get_json()["result"]
    assert {**preview, **told, "batch_id": None} == preview
    assert wrong_fields(owner.post("/credits/transfer_lots", asked)) == {"reason"}
    moved = owner.post("/credits/transfer_lots", {**asked, **reason}, key="t1").get_json()["result"]
    assert {**moved, **told, "skipped": [{"lot_id": 99_999, "reason": "not_found"}]} == moved
    again = owner.post("/credits/transfer_lots", {**asked, **reason}, key="t1")
    assert again.get_json()["result"] == moved
    theirs = {"filter": {"client_id": taker}, "to_client_id": taker, **reason}
    assert refusal(owner.post("/credits/transfer_lots", theirs)) == (409, "nothing_to_transfer")

    swim = owner.made("/event_types/", {"name": "Swimming", "kind": "class", "duration_minutes": 45})["id"]
    ratio = {"from_event_type_id": town.yoga, "to_event_type_id": swim, "give": 2, "get": 1}
    chosen = {"client_ids": [taker, *swimmers[2:4]], **ratio}
    preview = owner.post("/credits/convert_many", {**chosen, "preview": True}).get_json()["result"]
    assert (preview["clients"], preview["converted"], preview["left_out"]) == (2, 8, {"empty": 1})
    assert wrong_fields(owner.post("/credits/convert_many", {**chosen, "client_ids": None, **reason})) == {"client_ids"}
    made = owner.post("/credits/convert_many", {**chosen, "quantity": 4, **reason}, key="c1").get_json()["result"]
    assert {k: made[k] for k in ("clients", "converted", "received")} == {"clients": 2, "converted": 6, "received": 3}
    assert available(owner, taker) == 2 + 2
    undone = owner.post(f"/batches/{made['batch_id']}/undo", reason).get_json()["result"]
    assert undone == {"taken_back": 3, "kept_spent": 0, "clients": 2}
    owner.made("/credits/grant", {"client_ids": swimmers[:4], "event_type_id": town.yoga, "quantity": 2})
    for path, body in (
        ("/credits/convert_many", {"filter": [], **ratio}),
        ("/credits/transfer_lots", {"filter": {"event_type_id": town.yoga}, "to_client_id": swimmers[6]}),
    ):
        job = owner.post(path, {**body, **reason})
        assert (job.status_code, set(job.get_json()["result"])) == (202, {"batch_id", "job_id"}), path
        work(app)
        ended = owner.result(f"/jobs/{job.get_json()['result']['job_id']}")
        assert (ended["state"], ended["failed"]) == ("done", 0), path
    undone = owner.post(f"/batches/{job.get_json()['result']['batch_id']}/undo", {"preview": True})
    assert undone.get_json()["result"]["taken_back"] == available(owner, swimmers[6]) > 0


@pytest.mark.databases("sqlite")
def test_all_lots_that_match_are_extended_and_voided(
    owner: Caller, town: Town, swimmers: list[int], sessions: Any, make_user: Any, log_in: Any
) -> None:
    today = clock.today(ZONE)
    days = [(today + dt.timedelta(days=number)).isoformat() for number in (10, 17, 40)]
    for key, day in ((swimmers[0], days[0]), (swimmers[1], days[2]), (swimmers[2], None), (town.bob.client, days[0])):
        owner.made(
            "/credits/grant", {"client_ids": [key], "event_type_id": town.yoga, "quantity": 2, "expires_on": day}
        )
    wanted = {"filter": [{"col": "available", "opr": "eq", "value": 2}]}
    week = {**wanted, "extend_by": {"weeks": 1}, "reason": "Closed"}
    north = reaching("own_clubs", town, roles.MANAGER, sessions, make_user, log_in)
    would = {"batch_id": None, "extended": 2, "shortened": 0, "skipped": [], "skipped_count": 0}
    assert north.post("/credits/extend", {**week, "preview": True}).get_json()["result"] == would
    assert wrong_fields(north.post("/credits/extend", {**week, "reason": ""})) == {"reason"}
    made = north.post("/credits/extend", week).get_json()["result"]
    assert {**made, "batch_id": None} == would, "a search ends with the reach"
    (lot,) = owner.result(f"/clients/{swimmers[0]}/credits")["lots"]
    assert lot["expires_on"] == days[1]
    shorter = north.post("/credits/extend", {**wanted, "expires_on": days[1], "reason": "r", "preview": True})
    assert (shorter.get_json()["result"]["extended"], shorter.get_json()["result"]["shortened"]) == (3, 2)
    voided = north.post("/credits/void", {**wanted, "reason": "r"}).get_json()["result"]
    assert (voided["voided"], voided["skipped_count"]) == (6, 0)
    assert available(owner, town.bob.client) == 12
    assert refusal(north.post("/credits/void", {**wanted, "reason": "r"})) == (422, "nothing_selected")
    for junk in ({"search": 5}, [{"col": "salary", "value": 1}], "all"):
        assert refusal(owner.post("/credits/void", {"filter": junk, "reason": "r"})) == (422, "invalid_input")
    assert wrong_fields(owner.post("/credits/void", {**wanted, "lot_ids": [1], "reason": "r"})) == {"lot_ids"}


@pytest.mark.databases("sqlite")
def test_what_expires_soon_is_told_with_the_value_forfeited(
    owner: Caller, town: Town, swimmers: list[int], sessions: Any, make_user: Any, log_in: Any
) -> None:
    today = clock.today(ZONE)
    body = {"event_type_id": town.yoga, "quantity": 2, "unit_value": "12.50"}
    for client, days in ((swimmers[0], 50), (swimmers[1], 10), (swimmers[2], 95), (town.bob.client, 30)):
        day = (today + dt.timedelta(days=days)).isoformat()
        owner.made("/credits/grant", {"client_ids": [client], "expires_on": day, **body})
    answer = owner.get("/credits/expiring/").get_json()
    assert (answer["count"], [row["client_id"] for row in answer["result"]]) == (2, [swimmers[1], town.bob.client])
    first = answer["result"][0]
    assert (first["available"], first["unit_value"], first["forfeited"]) == (2, "12.50", "25.00")
    assert first["expires_on"] == (today + dt.timedelta(days=10)).isoformat()
    assert answer["forfeited"] == [{"currency": "EUR", "credits": 4, "value": "50.00"}]
    wider = owner.get("/credits/expiring", within=60, page_size=2, page=1).get_json()
    assert (wider["count"], [row["client_id"] for row in wider["result"]]) == (3, [swimmers[0]])
    mine = owner.get("/credits/expiring", within=90, q=f"(filters:!((col:client_id,opr:eq,value:{swimmers[0]})))")
    assert mine.get_json()["count"] == 1
    for junk in ("31", "", "soon", "-30"):
        assert wrong_fields(owner.get("/credits/expiring", within=junk)) == {"within"}, junk
    north = reaching("own_clubs", town, roles.MANAGER, sessions, make_user, log_in).get("/credits/expiring").get_json()
    assert [row["client_id"] for row in north["result"]] == [swimmers[1]], "the list and the sums end with the reach"
    assert north["forfeited"] == [{"currency": "EUR", "credits": 2, "value": "25.00"}]


@pytest.mark.databases("sqlite")
def test_credits_as_of_a_past_day(owner: Caller, town: Town) -> None:
    path = f"/clients/{town.ann.client}/credits"
    today = clock.today(ZONE)
    assert available(owner, town.ann.client) == 10
    assert owner.result(path, as_of=today.isoformat())["balances"][0]["available"] == 10
    nothing = {"balances": [], "lots": [], "shared": []}
    assert owner.result(path, as_of=(today - dt.timedelta(days=2)).isoformat()) == nothing
    entries = f"/credits/lots/{town.ann.lot}/entries"
    assert len(owner.result(entries, as_of=today.isoformat())) == len(owner.result(entries)) == 1
    assert owner.result(entries, as_of=(today - dt.timedelta(days=2)).isoformat()) == []
    for day in ("0001-01-01", "9999-12-31"):
        assert owner.get(path, as_of=day).status_code == 200, day
    for junk in ("", "yesterday", "2026-02-30", "2026-13-01", "\x00"):
        assert wrong_fields(owner.get(path, as_of=junk)) == {"as_of"}, junk


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "wanted",
    [
        [{"col": "first_name", "opr": "eq", "value": "Swim"}],
        [{"col": "first_name", "value": "Swim"}],
        {"filters": [{"col": "first_name", "opr": "sw", "value": "sw"}]},
        {"first_name": "Swim"},
        {"search": "swim"},
        {"filters": [], "search": "swim"},
    ],
    ids=str,
)
def test_the_clients_may_be_those_that_match_a_filter(
    app: Flask, owner: Caller, town: Town, swimmers: list[int], wanted: Any
) -> None:
    answer = owner.post("/credits/grant", {"filter": wanted, "event_type_id": town.yoga, "quantity": 2})
    assert answer.status_code == 202, "seven clients are above the threshold"
    work(app)
    assert [available(owner, key) for key in swimmers] == [2] * 7 + [0]
    assert available(owner, town.ann.client) == 10, "who does not match gets nothing"


NOT_UNDERSTOOD: tuple[Any, ...] = (
    None, "everybody", 7, True, {"filters": None}, {"filters": "all"}, {"filters": [], "archived": False},
    {"filters": [{"col": "first_name", "value": "Swim"}], "first_name": "Swim"}, {"search": 5},
    {"search": "x" * 101}, ["first_name"], [[]], [{}], [{"col": "first_name"}],
    [{"col": "first_name", "value": "Swim", "or": 1}], [{"col": "nothing", "value": 1}],
    [{"col": "first_name", "opr": "regex", "value": "."}], [{"col": "club_id", "value": "x"}],
    [{"col": "club_id", "value": 2**63}], [{"col": "club_id", "value": [1]}], {"salary": 1},
)


@pytest.mark.databases("sqlite")
def test_a_filter_that_is_not_understood_selects_nobody(owner: Caller, town: Town, swimmers: list[int]) -> None:
    for wanted in NOT_UNDERSTOOD:
        answer = owner.post("/credits/grant", {"filter": wanted, "event_type_id": town.yoga, "quantity": 2})
        assert refusal(answer) == (422, "invalid_input"), wanted
    assert owner.get("/batches/").get_json()["count"] == 2, "the two that the town came with"


def refused_grants(town: Town) -> dict[str, tuple[dict[str, Any], set[str]]]:
    """What is wrong → changes of a good grant, the fields that are named."""
    yesterday = (clock.today(ZONE) - dt.timedelta(days=2)).isoformat()
    return {
        "no credits": ({"quantity": 0}, {"quantity"}),
        "fewer than none": ({"quantity": -1}, {"quantity"}),
        "too many": ({"quantity": 1001}, {"quantity"}),
        "far too many": ({"quantity": 2**70}, {"quantity"}),
        "a word": ({"quantity": "ten"}, {"quantity"}),
        "a number as text": ({"quantity": "10"}, {"quantity"}),
        "half a credit": ({"quantity": 1.5}, {"quantity"}),
        "yes": ({"quantity": True}, {"quantity"}),
        "nothing": ({"quantity": None}, {"quantity"}),
        "expired": ({"expires_on": yesterday}, {"expires_on"}),
        "no day": ({"expires_on": "2026-02-30"}, {"expires_on"}),
        "a day and an hour": ({"expires_on": "2030-01-01T10:00:00"}, {"expires_on"}),
        "a day and a period": ({"expires_on": "2090-01-01", "expires_in": {"days": 1}}, {"expires_on"}),
        "two periods": ({"expires_in": {"days": 1, "weeks": 1}}, {"expires_in"}),
        "no period": ({"expires_in": {}}, {"expires_in"}),
        "a period of nothing": ({"expires_in": {"days": 0}}, {"expires_in"}),
        "a century": ({"expires_in": {"months": 1200}}, {"expires_in"}),
        "an unknown period": ({"expires_in": {"years": 1}}, {"expires_in"}),
        "an unknown event type": ({"event_type_id": 4_711}, {"event_type_id"}),
        "a key that is none": ({"event_type_id": 0}, {"event_type_id"}),
        "a key too large": ({"event_type_id": 2**63}, {"event_type_id"}),
        "priority": ({"priority": 101}, {"priority"}),
        "no money": ({"unit_value": "free"}, {"unit_value"}),
        "negative money": ({"unit_value": "-1"}, {"unit_value"}),
        "infinite money": ({"unit_value": "Infinity"}, {"unit_value"}),
        "too exact": ({"unit_value": "1.005"}, {"unit_value"}),
        "too much money": ({"unit_value": "1e30"}, {"unit_value"}),
        "money as a float": ({"unit_value": 15.0}, {"unit_value"}),
        "a long note": ({"note": "x" * 501}, {"note"}),
        "shared, somehow": ({"shared": "yes"}, {"shared"}),
        "an unknown field": ({"colour": "red"}, {"colour"}),
        "clients twice": ({"filter": []}, {"client_ids"}),
        "no list": ({"client_ids": 7}, {"client_ids"}),
        "words": ({"client_ids": ["ann"]}, {"client_ids"}),
        "too many keys": ({"client_ids": list(range(1, 10_002))}, {"client_ids"}),
    }


@pytest.mark.databases("sqlite")
def test_a_grant_that_makes_no_sense_is_refused_by_field_and_writes_nothing(owner: Caller, town: Town) -> None:
    good = {"client_ids": [town.ann.client], "event_type_id": town.yoga, "quantity": 1}
    for what, (change, fields) in refused_grants(town).items():
        answer = owner.post("/credits/grant", {**good, **change})
        assert wrong_fields(answer) == fields, what
        if "quantity" in fields:
            told = answer.get_json()["error"]["params"]["fields"]["quantity"]
            assert told == "This must be a whole number from 1 to 1000.", what
    for body in ({}, {**good, "client_ids": None}, {"quantity": 1, "event_type_id": town.yoga}):
        assert refusal(owner.post("/credits/grant", body))[0] == 422
    for keys in ([], [4_711], [0, -1, 2**64]):
        assert refusal(owner.post("/credits/grant", {**good, "client_ids": keys})) == (422, "nobody_selected")
    matches_nobody = {"event_type_id": town.yoga, "quantity": 1, "filter": {"last_name": "Nobody"}}
    assert refusal(owner.post("/credits/grant", matches_nobody)) == (422, "nobody_selected")
    assert available(owner, town.ann.client) == 10
    assert owner.get("/batches/").get_json()["count"] == 2, "the two that the town came with"


@pytest.mark.databases("sqlite")
def test_an_event_type_that_is_not_active_any_more_cannot_be_granted(owner: Caller, town: Town) -> None:
    assert owner.put(f"/event_types/{town.yoga}", {"active": False}).status_code == 200
    body = {"client_ids": [town.ann.client], "event_type_id": town.yoga, "quantity": 1}
    assert wrong_fields(owner.post("/credits/grant", body)) == {"event_type_id"}


@pytest.mark.databases("sqlite")
def test_money_of_one_currency_is_not_given_to_clients_of_another(
    owner: Caller, town: Town, sessions: Callable[..., Any]
) -> None:
    with sessions() as session:
        tokyo = factories.make_club(session, currency="JPY")
        kenji = factories.make_client(session, club=tokyo).id
    body = {"client_ids": [town.ann.client, kenji], "event_type_id": town.yoga, "quantity": 1}
    assert refusal(owner.post("/credits/grant", {**body, "unit_value": "5"})) == (422, "mixed_currencies")
    assert owner.made("/credits/grant", body)["granted"] == 2
    owner.made("/credits/grant", {**body, "client_ids": [kenji], "unit_value": "1500"})
    lots = owner.result(f"/clients/{kenji}/credits")["lots"]
    assert [(lot["unit_value"], lot["currency"]) for lot in lots] == [("1500", "JPY"), ("0", "JPY")]


def test_the_same_key_gives_the_first_answer_and_other_input_is_a_conflict(
    owner: Caller, town: Town, make_user: Any, log_in: Any
) -> None:
    body = {"client_ids": [town.ann.client], "event_type_id": town.yoga, "quantity": 3}
    first = owner.post("/credits/grant", body, key="order 7")
    second = owner.post("/credits/grant", body, key="order 7")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json() == second.get_json()
    assert available(owner, town.ann.client) == 13
    other = owner.post("/credits/grant", {**body, "quantity": 4}, key="order 7")
    assert refusal(other) == (409, "idempotency_mismatch")
    lots = {"lot_ids": [town.ann.lot], "reason": "again"}
    assert refusal(owner.post("/credits/void", lots, key="order 7")) == (409, "idempotency_mismatch")

    make_user("otto", ["Enrollment Owner"])
    assert log_in("otto").post("/credits/grant", body, key="order 7").status_code == 201, "keys are one's own"
    assert available(owner, town.ann.client) == 16
    for key in ("x" * 151, "tab\tkey"):
        assert refusal(owner.post("/credits/grant", body, key=key))[0] == 422

    for path, asked in (
        ("/credits/void", lots), (f"/batches/{first.get_json()['result']['batch_id']}/undo", {"reason": "r"}),
    ):
        answers = [owner.post(path, asked, key=f"once {path}").get_json() for _ in range(2)]
        assert answers[0] == answers[1]
        assert "result" in answers[0]


@pytest.mark.databases("sqlite")
def test_a_refused_request_does_not_use_its_key_up(owner: Caller, town: Town) -> None:
    body = {"client_ids": [town.ann.client], "event_type_id": town.yoga, "quantity": 0}
    assert wrong_fields(owner.post("/credits/grant", body, key="k")) == {"quantity"}
    assert owner.post("/credits/grant", {**body, "quantity": 1}, key="k").status_code == 201


@pytest.mark.databases("sqlite")
def test_voiding_needs_lots_and_a_reason(owner: Caller, town: Town) -> None:
    for body, fields in (
        ({"lot_ids": [town.ann.lot]}, {"reason"}), ({"lot_ids": [town.ann.lot], "reason": "  "}, {"reason"}),
        ({"lot_ids": [town.ann.lot], "reason": "x" * 501}, {"reason"}), ({"reason": "r"}, {"lot_ids"}),
        ({"lot_ids": [], "reason": "r"}, {"lot_ids"}), ({"lot_ids": ["x"], "reason": "r"}, {"lot_ids"}),
        ({"lot_ids": [0], "reason": "r"}, {"lot_ids"}), ({"lot_ids": [2**63], "reason": "r"}, {"lot_ids"}),
        ({"lot_ids": list(range(1, 2_002)), "reason": "r"}, {"lot_ids"}),
    ):
        assert wrong_fields(owner.post("/credits/void", body)) == fields
    for body in ({"expires_on": None, "extend_by": {"days": 1}}, {}, {"extend_by": {"days": 0}}, {"extend_by": {}}):
        given = {"lot_ids": [town.ann.lot], "reason": "r", **body}
        assert len(wrong_fields(owner.post("/credits/extend", given)) & {"expires_on", "extend_by"}) == 1, body
    assert refusal(owner.post("/credits/void", {"lot_ids": [4_711], "reason": "r"})) == (404, "not_found")
    assert available(owner, town.ann.client) == 10
    mixed = owner.post("/credits/void", {"lot_ids": [town.ann.lot, 4_711], "reason": "r"}).get_json()["result"]
    assert (mixed["voided"], mixed["skipped"]) == (10, [{"lot_id": 4_711, "reason": "not_found"}])
    assert mixed["skipped_count"] == 1


# ---- background jobs ---------------------------------------------------------------------------------------


def work(app: Flask) -> None:
    """What the worker does when it wakes."""
    run_waiting(session_for(app), lease_seconds=30)


def test_above_the_threshold_a_job_does_it_and_shows_how_far_it_is(
    app: Flask, owner: Caller, town: Town, swimmers: list[int], sessions: Callable[..., Any]
) -> None:
    grant = {"client_ids": swimmers, "event_type_id": town.yoga, "quantity": 2}
    answer = owner.post("/credits/grant", grant, key="many")
    assert answer.status_code == 202
    result = answer.get_json()["result"]
    assert set(result) == {"batch_id", "job_id"}
    assert owner.post("/credits/grant", grant, key="many").get_json() == answer.get_json()
    job = owner.result(f"/jobs/{result['job_id']}")
    assert (job["kind"], job["state"], job["total"], job["done"]) == ("credits.grant", "queued", 7, 0)
    assert owner.result(f"/batches/{result['batch_id']}")["state"] == "open"
    assert refusal(owner.post(f"/batches/{result['batch_id']}/undo", {"reason": "r"})) == (409, "state_conflict")
    assert refusal(owner.post(f"/jobs/{result['job_id']}/retry")) == (409, "state_conflict")

    assert owner.post(f"/jobs/{result['job_id']}/cancel").get_json()["result"]["state"] == "cancelled"
    assert refusal(owner.post(f"/jobs/{result['job_id']}/cancel")) == (409, "state_conflict")
    work(app)
    assert available(owner, swimmers[0]) == 0
    assert owner.post(f"/jobs/{result['job_id']}/retry").get_json()["result"]["state"] == "queued"
    work(app)
    job = owner.result(f"/jobs/{result['job_id']}")
    assert (job["state"], job["done"], job["failed"], job["errors"]) == ("done", 7, 0, [])
    assert dt.datetime.fromisoformat(job["finished_at"]).utcoffset() is not None
    assert [available(owner, key) for key in swimmers] == [2] * 7 + [0]

    undo = owner.post(f"/batches/{result['batch_id']}/undo", {"reason": "Wrong list"})
    assert undo.status_code == 202
    work(app)
    assert owner.result(f"/jobs/{undo.get_json()['result']['job_id']}")["state"] == "done"
    assert [available(owner, key) for key in swimmers] == [0] * 8
    assert owner.result(f"/batches/{result['batch_id']}")["undone_at"] is not None
    kinds = "(filters:!((col:state,opr:eq,value:done)),order_column:created_at,order_direction:desc)"
    assert [j["kind"] for j in owner.get("/jobs/", q=kinds).get_json()["result"]] == [
        "credits.undo", "credits.grant"
    ]


@pytest.mark.databases("sqlite")
def test_a_job_names_what_failed(owner: Caller, town: Town, sessions: Callable[..., Any]) -> None:
    with sessions() as session:
        job = session.get_one(Job, town.ann.job)
        job.state, job.failed, job.total = JobState.done, 51, 51
        session.add_all(
            JobError(job_id=job.id, item={"row": n}, code="not_found", message="This record was not found.")
            for n in range(51)
        )
        session.add(Job(kind="credits.expire", state=JobState.done, input={}, by_system=True))
    first = owner.result(f"/jobs/{town.ann.job}")
    assert len(first["errors"]) == 50
    rest = owner.get(f"/jobs/{town.ann.job}", errors_after=first["next_errors"]).get_json()["result"]
    assert (rest["errors"], rest["next_errors"]) == (
        [{"item": {"row": 50}, "code": "not_found", "message": "This record was not found."}], None,
    )
    assert refusal(owner.get(f"/jobs/{town.ann.job}", errors_after="x")) == (422, "invalid_input")
    mine, others = (
        owner.get("/jobs/", q=f"(filters:!((col:mine,opr:eq,value:{value})))").get_json()["result"]
        for value in ("1", "0")
    )
    assert mine == []
    assert "The system" in [row["created_by"] for row in others]
    assert {row["created_by_id"] for row in others} >= {None}

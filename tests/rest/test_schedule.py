"""The day of a studio by REST: what its pages can do, other systems can."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from enrollment_addon.core import clock
from enrollment_addon.enrollments.models import Enrollment
from tests import factories
from tests.rest.conftest import Caller, Town, refusal, wrong_fields

pytestmark = pytest.mark.databases("sqlite")
FREE = {"pay_with": "nothing"}


@pytest.fixture(autouse=True)
def morning() -> Iterator[None]:
    """Nine o’clock of today."""
    with clock.frozen(clock.now().replace(hour=9)):
        yield


@pytest.fixture
def zoes(town: Town, sessions: Callable[..., Any]) -> list[int]:
    """Three clients of North who take part themselves."""
    with sessions() as session:
        made = [factories.make_client(session, club_id=town.north) for _ in range(3)]
        for client in made:
            factories.make_participant(session, client, kind="self")
        return [client.id for client in made]


def test_walk_ins_waitlist_appointments_and_attendance(owner: Caller, town: Town, zoes: list[int]) -> None:
    now = clock.now()
    lesson: dict[str, Any] = {"club_id": town.north, "event_type_id": town.yoga, "capacity": 2}
    today = owner.made("/sessions/", {**lesson, "starts_at": (now + dt.timedelta(hours=1)).isoformat()})["id"]
    booked = owner.made("/bookings/", {"client_id": zoes[0], "session_id": today, **FREE})
    came = owner.made("/bookings/walk_in", {"client_id": zoes[1], "session_id": today, **FREE}, key="once")
    assert came["state"] == "attended"
    assert owner.made("/bookings/walk_in", {"client_id": zoes[1], "session_id": today, **FREE}, key="once") == came
    full = owner.post("/bookings/walk_in", {"client_id": zoes[2], "session_id": today, **FREE})
    assert refusal(full) == (409, "capacity_exceeded")
    assert owner.post(f"/sessions/{today}/all_present").get_json()["result"] == {"present": 1}
    assert owner.result(f"/bookings/{booked['id']}")["state"] == "attended"

    next_week = (now + dt.timedelta(days=7)).isoformat()
    later = owner.made("/sessions/", {**lesson, "capacity": 1, "starts_at": next_week})["id"]
    first, second = (
        owner.made("/bookings/", {"client_id": client, "session_id": later, **FREE})["id"] for client in zoes[:2]
    )
    early = owner.post(f"/bookings/{first}/attendance", {"state": "attended", "early": False})
    assert refusal(early) == (409, "session_not_begun")
    assert refusal(owner.post(f"/bookings/{second}/take_place")) == (409, "capacity_exceeded")
    made = owner.made(
        "/bookings/appointment",
        {"client_id": zoes[1], "event_type_id": town.yoga, "starts_at": next_week, "pay_with": {"charge": True,
         "amount": "30.00"}},
    )
    assert (made["pays"], owner.result(f"/sessions/{made['session_id']}")["kind"]) == ("charge", "appointment")
    assert owner.post(f"/bookings/{first}/cancel").status_code == 200
    assert owner.result(f"/bookings/{second}")["state"] == "waitlisted", "she has her appointment then"
    assert refusal(owner.post(f"/bookings/{second}/take_place")) == (409, "overlap")
    given = owner.post(f"/bookings/{second}/take_place", {"confirm_overlap": True}).get_json()["result"]
    assert given["state"] == "booked"


def test_a_closure_and_its_undo_are_seen_before_they_are_done(owner: Caller, town: Town, zoes: list[int]) -> None:
    starts_at = clock.now() + dt.timedelta(days=2)
    item = owner.made(
        "/sessions/", {"club_id": town.north, "event_type_id": town.yoga, "starts_at": starts_at.isoformat()}
    )["id"]
    booking = owner.made("/bookings/", {"client_id": zoes[0], "session_id": item, **FREE})["id"]
    plan = owner.post("/closures/", {"session_ids": [item], "preview": True})
    assert plan.status_code == 200
    assert plan.get_json()["result"] == {
        "session_ids": [item], "sessions": 1, "booked": 1, "waiting": 0, "clients": 1, "credits": 0,
    }
    assert owner.result(f"/sessions/{item}")["status"] == "scheduled", "nothing was done"
    closure = owner.made("/closures/", {"session_ids": [item], "reason": "Flood"})["batch_id"]
    listed = owner.get("/closures/").get_json()
    assert closure in listed["ids"]
    shown = owner.result(f"/closures/{closure}")
    assert (shown["state"], shown["reason"], shown["booked"], shown["undo_result"]) == ("done", "Flood", 1, None)
    assert owner.result(f"/closures/{closure}/undo_plan")["bookings"] == 1
    assert owner.post(f"/closures/{closure}/undo", {"reason": "Dry"}).get_json()["result"]["taken_back"] == 1
    assert owner.result(f"/bookings/{booking}")["state"] == "booked"
    assert refusal(owner.get(f"/closures/{closure}/undo_plan")) == (409, "state_conflict")
    assert refusal(owner.get(f"/closures/{town.ann.batch}")) == (404, "not_found"), "a batch of another kind"


def test_calendar_links_and_deleted_enrollments(
    app: Flask, owner: Caller, town: Town, sessions: Callable[..., Any]
) -> None:
    made = owner.made("/calendar_links/", {"team_member_id": town.nora})
    link = made.pop("url").partition("http://localhost")[2]
    assert app.test_client().get(link).mimetype == "text/calendar"
    assert made in owner.get("/calendar_links/").get_json()["result"]
    assert owner.delete(f"/calendar_links/{made['id']}").status_code == 200
    assert app.test_client().get(link).status_code == 404
    for wrong in ({}, {"team_member_id": town.nora, "client_id": town.ann.client}):
        assert wrong_fields(owner.post("/calendar_links/", wrong)) == set()

    with sessions() as session:
        session.get_one(Enrollment, town.bob.enrollment).deleted_at = clock.now()
    for value, expected in (("y", [town.bob.enrollment]), ("n", [town.ann.enrollment])):
        answer = owner.get("/enrollments/", q=f"(filters:!((col:deleted,opr:eq,value:{value})))").get_json()
        assert answer["ids"] == expected
    assert owner.get("/enrollments/").get_json()["ids"] == [town.ann.enrollment]

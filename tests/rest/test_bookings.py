"""Bookings as other programs make them: what cannot be is refused by a code, in words that say why."""

import datetime as dt
from typing import Any

import pytest

from enrollment_addon.core import clock
from tests.rest.conftest import Caller, Town, refusal, wrong_fields

pytestmark = pytest.mark.databases("sqlite")


def test_what_cannot_be_booked_noted_or_cancelled_says_why(owner: Caller, town: Town) -> None:
    begins = clock.now().replace(minute=0, second=0, microsecond=0) + dt.timedelta(days=3)
    place = {"club_id": town.north, "event_type_id": town.yoga, "capacity": 1}

    def session_at(starts_at: dt.datetime) -> int:
        return int(owner.made("/sessions/", {**place, "starts_at": starts_at.isoformat()})["id"])

    early, same, late, off = (session_at(begins + dt.timedelta(hours=hours)) for hours in (0, 0, 2, 4))
    assert owner.post("/closures/", {"session_ids": [off], "reason": "Storm"}).status_code == 201
    ann = {"client_id": town.ann.client, "participant_id": town.ann.participant}
    bob = {"client_id": town.bob.client, "participant_id": town.bob.participant}
    sold = owner.made("/enrollments/", {"client_id": town.ann.client, "package_id": town.package})["id"]
    own = {"pay_with": {"enrollment_id": sold}}
    used = owner.made("/bookings/", {**ann, "session_id": early, **own})["id"]

    refused: list[tuple[dict[str, Any], tuple[int, str], str]] = [
        ({**ann, "session_id": early}, (409, "already_booked"), "is already booked in this session"),
        ({**ann, "session_id": same}, (409, "overlap"), "This overlaps with another session of"),
        ({**ann, "session_id": town.bob.session, "confirm_overlap": True}, (409, "session_over"), "has already begun"),
        ({**ann, "session_id": off}, (409, "session_cancelled"), "is cancelled"),
        ({**bob, "participant_id": town.ann.participant, "session_id": late}, (404, "not_found"), "not found among"),
    ]
    for body, expected, words in refused:
        answer = owner.post("/bookings/", body)
        assert refusal(answer) == expected, body
        assert words in answer.json["error"]["message"]  # type: ignore[index]
    for amount in ("-1", "0.001", "much"):
        body = {**bob, "session_id": late, "pay_with": {"charge": True, "amount": amount}}
        assert wrong_fields(owner.post("/bookings/", body)) == {"amount"}, amount
    times = {"starts_at": begins.isoformat(), "ends_at": (begins - dt.timedelta(hours=1)).isoformat()}
    assert wrong_fields(owner.post("/sessions/", {**place, **times})) == {"ends_at"}
    past = {"starts_at": (clock.now() - dt.timedelta(days=1)).isoformat()}
    assert refusal(owner.post("/sessions/", {**place, **past})) == (409, "session_over")

    owner.made("/bookings/", {**ann, "session_id": late, **own})
    assert owner.post(f"/bookings/{used}/cancel", {"return_credit": False}).status_code == 200
    waits = owner.made("/bookings/", {**bob, "session_id": late})
    assert waits["state"] == "waitlisted"
    total = owner.post(f"/enrollments/{sold}/update_sessions", {"total": 1})
    assert refusal(total) == (422, "total_below_floor")
    assert total.json["error"]["message"] == "At least 2: 1 are used and 1 are reserved."  # type: ignore[index]
    for path, body, state in (
        (f"/bookings/{used}/cancel", {}, "“Cancelled”; possible from there: nothing."),
        (f"/bookings/{waits['id']}/attendance", {"state": "late_cancel"},
         "“On the waitlist”; possible from there: Booked, Cancelled."),
    ):
        answer = owner.post(path, body)
        assert refusal(answer) == (409, "state_conflict")
        assert answer.json["error"]["message"].endswith(state)  # type: ignore[index]
    assert wrong_fields(owner.post(f"/bookings/{waits['id']}/attendance", {"state": "asleep"})) == {"state"}

"""The main job over HTTP: credits for many at once, seen, taken back."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import csrf_token
from tests.scenarios.conftest import Studio, assert_ledger_is_consistent, balances

SEARCH = "search=fischer"


def open_form(http: FlaskClient, **selection: Any) -> tuple[str, dict[str, str]]:
    """Choose Actions → Add session credits in the list; the form and its hidden fields."""
    page = http.get(f"/enrollment/clients/list/?{SEARCH}").text
    answer = http.post(
        "/enrollment/clients/action_post",
        data={"csrf_token": csrf_token(page), "action": "add_session_credits", **selection},
    )
    assert answer.status_code == 200
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', answer.text))
    return answer.text, hidden


def save(http: FlaskClient, hidden: dict[str, str], **typed: Any) -> Any:
    return http.post("/enrollment/credits/save", data={**hidden, "expiry": "none", "period_unit": "months", **typed})


def test_credits_for_all_that_match_a_search_and_their_undo(ana: FlaskClient, app: Flask, studio: Studio) -> None:
    """Ana adds three credits to everybody called Fischer, looks at a card, and takes the batch back."""
    _page, hidden = open_form(ana, all="1", filter=SEARCH)
    preview = ana.post(
        "/enrollment/credits/preview",
        data={**hidden, "event_type_id": studio.yoga, "quantity": 3, "expiry": "none", "period_unit": "months"},
    )
    assert "Add 120 credits to 40 clients" in preview.text
    assert balances(app) == {}, "nothing is written before Save"

    saved = save(ana, hidden, event_type_id=studio.yoga, quantity=3, note="Autumn thank-you")
    assert saved.status_code == 302
    batch = ana.get(saved.location)
    assert "Autumn thank-you" in batch.text
    assert balances(app) == dict.fromkeys(studio.clients, 3)
    card = ana.get(f"/enrollment/clients/show/{studio.clients[0]}").text
    assert "Yoga class" in card

    undo_url = f"{saved.location.replace('/show/', '/undo/')}"
    question = ana.get(undo_url).text
    assert "all 120 credits are taken back" in question
    done = ana.post(
        undo_url, data={"csrf_token": csrf_token(question), "reason": "wrong clients", "idempotency_key": "u1"}
    )
    assert done.status_code == 302
    assert set(balances(app).values()) == {0}
    assert "wrong clients" in ana.get(f"/enrollment/credits/explain/{studio.clients[0]}").text
    assert_ledger_is_consistent(app)


@pytest.mark.databases("sqlite")
def test_a_double_click_on_save_gives_the_credits_once(ana: FlaskClient, app: Flask, studio: Studio) -> None:
    _page, hidden = open_form(ana, rowid=[str(k) for k in studio.clients[:2]])
    first = save(ana, hidden, event_type_id=studio.yoga, quantity=5)
    second = save(ana, hidden, event_type_id=studio.yoga, quantity=5)
    assert first.location == second.location
    assert balances(app) == {studio.clients[0]: 5, studio.clients[1]: 5}


@pytest.mark.databases("sqlite")
def test_the_same_form_with_other_figures_is_refused(ana: FlaskClient, app: Flask, studio: Studio) -> None:
    """Going back in the browser and changing the number is another request, not a repeat of the first."""
    _page, hidden = open_form(ana, rowid=str(studio.clients[0]))
    save(ana, hidden, event_type_id=studio.yoga, quantity=5)
    changed = save(ana, hidden, event_type_id=studio.yoga, quantity=6)
    assert changed.status_code == 409
    assert balances(app) == {studio.clients[0]: 5}


def test_a_team_member_gives_to_their_own_clients_only(jonas: FlaskClient, app: Flask, studio: Studio) -> None:
    """Jonas selects all that match; the neighbours' clients are not among them, however he asks."""
    _page, hidden = open_form(jonas, all="1", filter=SEARCH)
    save(jonas, hidden, event_type_id=studio.yoga, quantity=1)
    assert balances(app) == dict.fromkeys(studio.jonas_clients, 1)
    _page, hidden = open_form(jonas, rowid=[str(studio.jonas_clients[0]), str(studio.clients[20])])
    save(jonas, hidden, event_type_id=studio.yoga, quantity=1)
    assert balances(app) == {**dict.fromkeys(studio.jonas_clients, 1), studio.jonas_clients[0]: 2}
    assert jonas.get(f"/enrollment/clients/show/{studio.clients[20]}").status_code == 404


@pytest.mark.databases("sqlite")
def test_what_cannot_be_given_is_said_and_the_form_keeps_what_was_typed(
    ana: FlaskClient, app: Flask, studio: Studio
) -> None:
    wrong: list[dict[str, Any]] = [
        {"quantity": 0}, {"quantity": -1}, {"quantity": 1001}, {"quantity": "many"}, {"quantity": ""},
        {"expiry": "date", "expires_on": "2020-01-01"}, {"expiry": "date", "expires_on": ""},
        {"expiry": "date", "expires_on": "tomorrow"}, {"expiry": "period", "period_count": -1},
        {"event_type_id": ""}, {"event_type_id": 999_999}, {"unit_value": "-1"}, {"unit_value": "0.001"},
        {"unit_value": "free"}, {"priority": 101}, {"note": "x" * 501},
    ]
    for typed in wrong:
        _page, hidden = open_form(ana, rowid=str(studio.clients[0]))
        given = {"event_type_id": studio.yoga, "quantity": 2, "note": "For the move", **typed}
        answer = save(ana, hidden, **given)
        assert answer.status_code == 422, typed
        assert "aria-invalid" in answer.text, f"{typed} is marked"
        assert str(given["note"]) in answer.text, f"{typed}: the note stays"
    assert balances(app) == {}


@pytest.mark.databases("sqlite")
def test_a_filter_that_matches_nobody_is_told(ana: FlaskClient, app: Flask, studio: Studio) -> None:
    _page, hidden = open_form(ana, all="1", filter="search=nobody-is-called-this")
    answer = save(ana, hidden, event_type_id=studio.yoga, quantity=1)
    assert answer.status_code == 422
    assert "Nobody matches" in answer.text


@pytest.mark.databases("sqlite")
def test_archived_clients_are_skipped_and_named(ana: FlaskClient, app: Flask, studio: Studio) -> None:
    page = ana.get(f"/enrollment/clients/edit/{studio.clients[0]}").text
    ana.post(
        f"/enrollment/clients/edit/{studio.clients[0]}",
        data={"csrf_token": csrf_token(page), "first_name": "Maya", "last_name": "Fischer",
              "club_id": studio.uptown, "archived": "y"},
    )
    _page, hidden = open_form(ana, rowid=[*studio.clients[:3], *range(990_001, 990_008)])
    asked = {**hidden, "event_type_id": studio.yoga, "quantity": 1, "expiry": "none", "period_unit": "months"}
    preview = ana.post("/enrollment/credits/preview", data=asked).text
    for told in ("8 clients are skipped", "Maya Fischer: Archived", "Number 990001: Not found", "and 3 more"):
        assert told in preview, told
    _page, hidden = open_form(ana, rowid=[str(k) for k in studio.clients[:3]])
    saved = save(ana, hidden, event_type_id=studio.yoga, quantity=1)
    assert balances(app) == dict.fromkeys(studio.clients[1:3], 1)
    assert "Archived" in ana.get(saved.location).text

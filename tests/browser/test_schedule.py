"""The calendar in a browser under a strict policy: drag to move, confirm, and a phone's list."""

import datetime as dt
import re
from collections.abc import Callable
from contextlib import nullcontext
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from playwright.sync_api import Page, Route, expect

from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.schedule.models import ScheduledSession
from tests import factories
from tests.scenarios.conftest import Studio

pytestmark = pytest.mark.databases("sqlite")
POLICY = {"Content-Security-Policy-Report-Only": "default-src 'self'; script-src 'self'; style-src 'self'"}
NOTE_VIOLATIONS = """
    window.violations = [];
    document.addEventListener('securitypolicyviolation', e => window.violations.push(e.sourceFile));
"""


@pytest.fixture
def session_id(app: Flask, studio: Studio) -> int:
    """A class of Jonas’s tomorrow week at nine, by the club’s clock."""
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        from enrollment_addon.catalog.models import EventType
        from enrollment_addon.people.models import Club

        club = session.get_one(Club, studio.uptown)
        zone = ZoneInfo(club.timezone)
        day = clock.now().astimezone(zone).date() + dt.timedelta(days=8)
        item = factories.make_session(
            session, club, session.get_one(EventType, studio.yoga), team_member_id=studio.jonas, capacity=8,
            starts_at=dt.datetime.combine(day, dt.time(9), zone),
        )
        return int(item.id)


def local_start(app: Flask, key: int) -> dt.datetime:
    with app.app_context():
        item = app.appbuilder.session.get(ScheduledSession, key)  # type: ignore[attr-defined]
        return item.starts_at.astimezone(ZoneInfo(item.club.timezone))  # type: ignore[no-any-return]


def test_a_session_is_dragged_and_the_question_names_both_times(
    open_as: Callable[..., Page], app: Flask, session_id: int
) -> None:
    before = local_start(app, session_id)
    page = open_as("ana")
    page.goto(f"/enrollment/schedule/?view=week&date={before.date()}")
    event = page.locator("#enr-calendar a", has_text="Yoga class")
    event.evaluate("element => element.scrollIntoView({block: 'center'})")
    box = event.bounding_box()
    assert box
    for answer in ("Go back", "Move session"):
        page.mouse.move(box["x"] + 10, box["y"] + 5)
        page.mouse.down()
        page.mouse.move(box["x"] + 10, box["y"] + box["height"] + 5, steps=5)
        page.mouse.move(box["x"] + 10, box["y"] + box["height"] * 2 + 5, steps=5)
        page.mouse.up()
        dialog = page.locator("#enr-move")
        expect(dialog).to_contain_text(re.compile(r"Move “Yoga class” from .*9:00.* to .*11:00"))
        with page.expect_response("**/move/*") if answer == "Move session" else nullcontext():
            dialog.get_by_role("button", name=answer).click()
        hour = 9 if answer == "Go back" else 11
        assert local_start(app, session_id) == before.replace(hour=hour)
    expect(page.locator("#enr-live")).to_contain_text("was moved to")
    assert f"date={before.date()}" in page.url


def test_a_phone_shows_a_list_that_leads_to_the_session(
    open_as: Callable[..., Page], app: Flask, session_id: int
) -> None:
    """And the calendar's scripts do nothing that a strict Content-Security-Policy forbids."""
    page = open_as("jonas", width=360)

    def strict(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, **POLICY})

    page.add_init_script(NOTE_VIOLATIONS)
    page.route("**/enrollment/schedule/?*", strict)
    page.goto(f"/enrollment/schedule/?date={local_start(app, session_id).date()}")
    expect(page.locator("#enr-calendar")).to_contain_text("Yoga class")
    assert "view=list" in page.url
    ours = re.compile(r"(fullcalendar|schedule|polyfill|classic)[^/]*\.js")
    assert not [file for file in page.evaluate("window.violations") if ours.search(file)]
    page.locator("#enr-calendar a", has_text="Yoga class").click()
    expect(page.get_by_role("heading", name=re.compile("Yoga class"))).to_be_visible()

"""Further stories of a studio in a browser: an enrollment's life, a closed week in which the clocks change, the last
place, and a neighbour's clients."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import insert, select

from enrollment_addon.catalog.models import EventType
from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits.service import grant_credits
from enrollment_addon.enrollments.service import create_enrollment
from enrollment_addon.people.models import Client, Club, Participant, ParticipantKind
from enrollment_addon.schedule import service as schedule
from enrollment_addon.schedule.calc import Pays, PayWith
from enrollment_addon.schedule.models import ScheduledSession
from tests import factories
from tests.live import Server
from tests.scenarios.conftest import Studio, assert_ledger_is_consistent

pytestmark = pytest.mark.databases("sqlite")
BERLIN = ZoneInfo("Europe/Berlin")
ONE_DAY = dt.timedelta(days=1)


@pytest.fixture
def server(app: Flask, database_url: str, studio: Studio, tmp_path: Path) -> Iterator[Server]:
    """What concerns more than a hundred people is a job."""
    server = Server(tmp_path, SQLALCHEMY_DATABASE_URI=database_url, ENROLLMENT_JOB_THRESHOLD=100).start()
    yield server
    server.stop()


def shown(day: dt.date) -> str:
    """A day as the pages write it."""
    return f"{day:%b} {day.day}, {day.year}"


def test_an_enrollment_is_raised_rests_over_a_holiday_and_is_completed_with_sessions_left(
    open_as: Callable[..., Page], app: Flask, studio: Studio
) -> None:
    today = clock.today("Europe/Berlin")
    first, last, ends_on = today + 7 * ONE_DAY, today + 13 * ONE_DAY, today + 59 * ONE_DAY
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        yoga, club = session.get_one(EventType, studio.yoga), session.get_one(Club, studio.uptown)
        maya = session.get_one(Client, studio.clients[0])
        factories.make_participant(session, maya, kind=ParticipantKind.self, name=maya.full_name)
        package = factories.make_package(session, yoga, name="Ten classes", valid_days=60, clubs=[club])
        sold = create_enrollment(session, client_id=maya.id, package_id=package.id, actor=SYSTEM).id
        for day in (first, last + ONE_DAY):
            starts_at = dt.datetime.combine(day, dt.time(9), BERLIN)
            item = factories.make_session(session, club, yoga, starts_at=starts_at, capacity=5, kind="class")
            schedule.book(session, client_id=maya.id, session_id=item.id, actor=SYSTEM)
    page = open_as("ana")

    def press(link: str, button: str, **typed: str) -> None:
        page.get_by_role("link", name=link, exact=True).click()
        for label, text in typed.items():
            page.get_by_label(label.replace("_", " ")).fill(text)
        page.get_by_role("button", name=button, exact=True).click()

    def fact(name: str) -> Any:
        return page.locator("dl.enr-facts > div", has=page.get_by_text(name, exact=True)).locator("dd").first

    page.goto(f"/enrollment/enrollments/show/{sold}")
    page.get_by_role("link", name="Update sessions").click()
    page.get_by_label("New total of sessions").fill("1")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("At least 2: 0 are used and 2 are reserved.", exact=True)).to_be_visible()
    page.get_by_label("New total of sessions").fill("12")
    expect(page.get_by_text("Proposed: €20.00")).to_be_visible()
    page.get_by_label("Charge for more sessions").fill("18")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("The enrollment now has 12 sessions.")).to_be_visible()
    expect(fact("Price")).to_have_text("€118.00")
    expect(fact("Still open")).to_have_text("€118.00")

    expect(fact("Ends on")).to_have_text(shown(ends_on))
    press("Pause", "Pause", First_day_of_the_pause=f"{first}", Last_day_of_the_pause=f"{last}", Reason="Holiday")
    expect(fact("Ends on")).to_have_text(shown(ends_on + 7 * ONE_DAY))
    bookings = page.locator(".enr-row, tr", has_text="Yoga class")
    expect(bookings.filter(has_text="Cancelled")).to_have_count(1)
    expect(bookings.filter(has_text=re.compile("Booked(?! again)"))).to_have_count(1)
    expect(page.get_by_text(re.compile("Holiday")).first).to_be_visible()

    page.get_by_role("link", name="Mark completed").click()
    expect(page.get_by_text("11 sessions are left, worth €108.17.")).to_be_visible()
    page.get_by_role("radio", name="Void them").check()
    page.get_by_role("button", name="Mark completed").click()
    expect(page.locator(".enr-badge", has_text="Completed").first).to_be_visible()
    assert_ledger_is_consistent(app)


def next_change() -> dt.date:
    """The next Sunday on which the clocks change in Berlin."""
    day = clock.today("Europe/Berlin") + 2 * ONE_DAY
    while dt.datetime.combine(day, dt.time(), BERLIN).utcoffset() == dt.datetime.combine(
        day + ONE_DAY, dt.time(), BERLIN
    ).utcoffset():
        day += ONE_DAY
    return day


def two_hundred(session: Any, studio: Studio, sunday: dt.date) -> None:
    """A class every day at nine, in the week that ends with this Sunday and on the Monday after, and 200 people in
    its first seven sessions."""
    group = schedule.create_class_group(
        session, actor=SYSTEM, name="Morning yoga", club_id=studio.uptown, event_type_id=studio.yoga, capacity=40,
        first_date=sunday - 6 * ONE_DAY, last_date=sunday + ONE_DAY,
        slots=[{"weekday": day, "starts_at_time": dt.time(9), "duration_minutes": 60} for day in range(7)],
    )
    schedule.generate_sessions(session, actor=SYSTEM, class_group_ids=[group.id], weeks=60)
    week = list(
        session.scalars(
            select(ScheduledSession.id)
            .where(ScheduledSession.class_group_id == group.id).order_by(ScheduledSession.starts_at)
        )
    )
    assert len(week) == 8
    stamps = {"created_at": clock.now(), "updated_at": clock.now()}
    session.execute(insert(Client), [
        {"first_name": "Cleo", "last_name": f"Crowd {n:03}", "club_id": studio.uptown, "tags": [], "archived": False,
         **stamps}
        for n in range(200)
    ])
    crowd = list(session.scalars(select(Client.id).where(Client.last_name.startswith("Crowd"))))
    session.execute(insert(Participant), [
        {"client_id": key, "name": f"Cleo {key}", "kind": ParticipantKind.self, **stamps} for key in crowd
    ])
    grant_credits(
        session, clients=crowd, event_type_id=studio.yoga, quantity=1, actor=SYSTEM, threshold=1000, chunk=1000,
        expires_in=None, note="",
    )
    for number, key in enumerate(crowd):
        schedule.book(session, client_id=key, session_id=week[number % 7], actor=SYSTEM)


def test_the_week_of_changing_clocks_is_closed_for_200_people_and_opened_again(
    open_as: Callable[..., Page], app: Flask, studio: Studio
) -> None:
    """The calendar shows nine o'clock on every day, wherever the browser is; the closing fills its bar by itself."""
    sunday = next_change()
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        two_hundred(session, studio, sunday)
    page = open_as("ana", timezone_id="America/New_York")
    for day in (sunday - ONE_DAY, sunday, sunday + ONE_DAY):
        page.goto(f"/enrollment/schedule/?view=day&date={day}")
        event = page.locator("#enr-calendar a", has_text="Morning yoga")
        expect(event).to_have_count(1)
        expect(event).to_contain_text(re.compile(r"9(:00)?\s*(–|-)\s*10"))

    page.goto("/enrollment/closures/close")
    page.locator("#club_id-ts-control").press_sequentially("upt")
    page.get_by_role("option", name="Uptown").click()
    page.get_by_label("First day").fill(f"{sunday - 6 * ONE_DAY}")
    page.get_by_label("Last day").fill(f"{sunday}")
    page.get_by_label("Reason").fill("Flood")
    page.get_by_role("button", name="See what happens").click()
    expect(page.get_by_text("Credits that go back")).to_be_visible()
    page.get_by_role("button", name="Close 7 sessions for 200 people").click()
    expect(page.locator("[data-enr-progress-text]")).to_have_text("7 of 7", timeout=30_000)
    page.get_by_role("link", name="Show the result").click(timeout=30_000)
    expect(page.get_by_role("heading", name="Flood")).to_be_visible()

    page.get_by_role("link", name="Undo").click()
    expect(page.locator("dl div", has_text="Bookings").first).to_contain_text("200")
    page.get_by_label("Reason").fill("It dried up")
    page.get_by_role("button", name="Undo the closure").click()
    page.get_by_role("link", name="Show the result").click(timeout=30_000)
    expect(page.locator("dl div", has_text="Bookings that came back")).to_contain_text("200")
    page.goto(f"/enrollment/schedule/?view=day&date={sunday}")
    expect(page.locator("#enr-calendar a", has_text="Morning yoga")).not_to_contain_text("Cancelled")
    assert_ledger_is_consistent(app)


def test_the_last_place_is_gone_and_a_neighbours_clients_are_nowhere(
    open_as: Callable[..., Page], app: Flask, studio: Studio
) -> None:
    """Jonas is told that he came too late and offered the waitlist; of who was quicker he learns only that they are
    one more, on whatever page he looks."""
    mine, other = studio.jonas_clients[0], studio.clients[11]
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        yoga, club = session.get_one(EventType, studio.yoga), session.get_one(Club, studio.uptown)
        for key in (mine, other):
            client = session.get_one(Client, key)
            person = factories.make_participant(session, client, kind=ParticipantKind.self, name=client.full_name)
            factories.make_lot(session, client, yoga, quantity=2)
        package = factories.make_package(session, yoga, clubs=[club])
        sold = create_enrollment(session, client_id=other, package_id=package.id, actor=SYSTEM).id
        report, person_id = factories.make_training_report(session, person, enrollment_id=sold).id, person.id
        starts_at = clock.now().replace(second=0, microsecond=0) + 2 * ONE_DAY
        item = factories.make_session(
            session, club, yoga, starts_at=starts_at, capacity=1, kind="class", team_member_id=studio.jonas
        ).id
    page = open_as("jonas")
    page.goto(f"/enrollment/sessions/book/{item}?client_id={mine}")
    expect(page.get_by_text("1 place is free")).to_be_visible()
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        quicker = schedule.book(
            session, client_id=other, session_id=item, actor=SYSTEM, pay_with=PayWith(Pays.nothing)
        ).id
    page.get_by_role("button", name="Book", exact=True).click()
    expect(page.get_by_text("The last place has just been taken.")).to_be_visible()
    expect(page.get_by_text("the booking goes on the waitlist")).to_be_visible()
    page.get_by_role("button", name="Put on the waitlist").click()
    own_row = page.locator(".enr-roster", has_text="Maya 00 Fischer")
    expect(own_row.locator(".enr-badge")).to_have_text("On the waitlist")
    expect(page.get_by_text("1 more person")).to_be_visible()

    named = re.compile("Maya 11")
    expect(page.get_by_text(named)).to_have_count(0)
    for place in ("clients", "participants", "bookings", "enrollments", "lots", "ledger", "charges", "payments",
                  "training-reports", "expiring", "notices"):
        for file in ("list/", "export/csv"):
            answer = page.request.get(f"/enrollment/{place}/{file}")
            assert answer.ok, (place, file)
            assert "Maya 11" not in answer.text(), (place, file)
    page.goto("/enrollment/clients/list/?search=maya+11")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    for address in (
        f"clients/show/{other}", f"clients/edit/{other}", f"credits/add/{other}", f"credits/explain/{other}",
        f"enrollments/show/{sold}", f"enrollments/cancel/{sold}", f"training-reports/show/{report}",
        f"training-reports/print/{report}", f"sessions/cancel_booking/{quicker}",
        f"sessions/book/{item}?client_id={other}", f"sessions/appointment/{other}", f"participants/show/{person_id}",
    ):
        assert page.request.get(f"/enrollment/{address}").status in (403, 404), address
    page.goto(f"/enrollment/sessions/who/{item}")
    page.locator("#client_id-ts-control").press_sequentially("maya 11")
    expect(page.locator(".ts-dropdown .no-results, .ts-dropdown-content .option").first).to_be_visible()
    expect(page.get_by_role("option", name=named)).to_have_count(0)
    page.goto(f"/enrollment/schedule/?view=day&date={starts_at.astimezone(BERLIN).date()}")
    expect(page.locator("#enr-calendar a", has_text="Yoga class")).to_be_visible()
    expect(page.get_by_text(named)).to_have_count(0)

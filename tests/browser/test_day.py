"""A studio's day in a browser: sell, book, one tap on a phone, a refund changed by hand; a waitlist; a closure."""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from enrollment_addon.catalog.models import EventType
from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.enrollments.service import create_enrollment
from enrollment_addon.people.models import Client, Club, ParticipantKind
from enrollment_addon.schedule import service as schedule
from enrollment_addon.schedule.calc import Pays, PayWith
from tests import factories
from tests.scenarios.conftest import Studio

pytestmark = pytest.mark.databases("sqlite")


@dataclass(frozen=True)
class Day:
    """Keys: a package of ten, a session of two places in a few minutes with one of them taken, two clients."""

    package: int
    session: int
    maya: int
    late: int


@pytest.fixture
def day(app: Flask, studio: Studio) -> Day:
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        yoga, club = session.get_one(EventType, studio.yoga), session.get_one(Club, studio.uptown)
        package = factories.make_package(session, yoga, name="Ten classes", price=10_000, clubs=[club])
        soon = clock.now().replace(second=0, microsecond=0) + dt.timedelta(minutes=3)
        item = factories.make_session(session, club, yoga, starts_at=soon, capacity=2, kind="class")
        for key in studio.clients[:3]:
            client = session.get_one(Client, key)
            factories.make_participant(session, client, kind=ParticipantKind.self, name=client.full_name)
        schedule.book(
            session, client_id=studio.clients[2], session_id=item.id, actor=SYSTEM, pay_with=PayWith(Pays.nothing)
        )
        return Day(package.id, item.id, studio.clients[0], studio.clients[1])


def test_a_package_is_sold_booked_attended_and_cancelled_with_a_refund(
    open_as: Callable[..., Page], app: Flask, day: Day
) -> None:
    """Also: who comes after the last place waits, and a closure says whom it sends home."""
    page = open_as("ana")
    page.goto(f"/enrollment/clients/show/{day.maya}")
    page.get_by_label("Create new enrollment").select_option(str(day.package))
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("100.00").first).to_be_visible()
    page.get_by_role("button", name="Enroll Maya 00 Fischer").click()
    expect(page.get_by_text("Maya 00 Fischer is enrolled: Ten classes.")).to_be_visible()
    page.get_by_role("link", name="Take payment").first.click()
    page.get_by_role("button", name=re.compile("payment", re.IGNORECASE)).click()

    for client, told in ((day.maya, "Booked"), (day.late, "On the waitlist")):
        page.goto(f"/enrollment/sessions/book/{day.session}?client_id={client}")
        if client == day.late:
            expect(page.get_by_text("the booking goes on the waitlist")).to_be_visible()
        page.get_by_role("button", name="Put on the waitlist" if client == day.late else "Book", exact=True).click()
        row = page.locator(".enr-roster", has_text=f"Maya 0{int(client == day.late)} Fischer")
        expect(row.locator(".enr-badge")).to_have_text(told)

    phone = open_as("ana", width=360)
    phone.goto(f"/enrollment/sessions/show/{day.session}")
    attended = phone.get_by_role("form", name="Attendance of Maya 00 Fischer").get_by_role("button", name="Attended")
    box = attended.bounding_box()
    assert box
    assert box["height"] >= 44
    attended.tap()
    expect(attended).to_have_attribute("aria-pressed", "true")

    page.goto(f"/enrollment/clients/show/{day.maya}")
    page.get_by_role("link", name="Ten classes").first.click()
    page.get_by_role("link", name="Cancel enrollment").click()
    page.get_by_role("radio", name=re.compile("Part")).check()
    amount = page.get_by_label("Amount to refund")
    expect(amount).to_have_value("90.00")
    amount.fill("45")
    expect(page.locator("[data-enr-share]")).to_have_text(re.compile("45"))
    page.get_by_label("Reason").fill("Moving away")
    page.get_by_role("button", name=re.compile("Cancel")).last.click()
    expect(page.get_by_text("€45.00").first).to_be_visible()
    expect(page.get_by_text("Cancelled").first).to_be_visible()


def test_one_of_three_enrollments_pays_and_the_freed_place_passes_over_who_cannot_pay(
    open_as: Callable[..., Page], app: Flask, studio: Studio, day: Day
) -> None:
    """At last the session is closed, which says whom it sends home, and opened again."""
    able = studio.clients[3]
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        client = session.get_one(Client, able)
        factories.make_participant(session, client, kind=ParticipantKind.self, name=client.full_name)
        factories.make_lot(session, client, session.get_one(EventType, studio.yoga), quantity=1)
        sold = [
            create_enrollment(session, client_id=day.maya, package_id=day.package, actor=SYSTEM).id for _of in range(3)
        ]
    page = open_as("ana")
    page.goto(f"/enrollment/sessions/book/{day.session}?client_id={day.maya}")
    page.get_by_label("Paid by").select_option(f"enrollment:{sold[1]}")
    page.get_by_role("button", name="Book", exact=True).click()
    expect(page.get_by_text("2 of 2 places")).to_be_visible()
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        for key in (day.late, able):
            assert schedule.book(session, client_id=key, session_id=day.session, actor=SYSTEM).state == "waitlisted"

    maya = page.locator(".enr-roster", has_text="Maya 00 Fischer")
    maya.get_by_role("link", name="Cancel the booking of Maya 00 Fischer").click()
    expect(page.get_by_text(f"Enrollment {sold[1]}")).to_be_visible()
    expect(page.get_by_text("Nothing: the credit is forfeited.")).to_be_visible()
    expect(page.get_by_text("Maya 01 Fischer, the first in line")).to_be_visible()
    page.get_by_label("Return it").check()
    page.get_by_role("button", name="Cancel the booking").click()
    expect(page.get_by_text("the credit is back")).to_be_visible()
    for name, told in (("01", "On the waitlist"), ("03", "Booked")):
        row = page.locator(".enr-roster", has_text=f"Maya {name} Fischer")
        expect(row.locator(".enr-badge")).to_have_text(told)

    page.get_by_role("link", name="Close session").click()
    page.get_by_label("Reason").fill("Burst pipe")
    page.get_by_role("button", name="See what happens").click()
    page.get_by_role("button", name="Close 1 session for 3 people").click()
    expect(page.get_by_text("1 session was closed.")).to_be_visible()
    page.get_by_role("link", name="Undo").first.click()
    page.get_by_label("Reason").fill("Repaired")
    page.get_by_role("button", name=re.compile("[Uu]ndo|back|[Oo]pen")).last.click()
    page.goto(f"/enrollment/sessions/show/{day.session}")
    expect(page.locator(".enr-roster", has_text="Maya 02 Fischer").locator(".enr-badge")).to_have_text("Booked")

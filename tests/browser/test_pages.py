"""Every page of ours: readable for assistive technology, no sideways scrolling, right-to-left where it belongs."""

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Page

from enrollment_addon.core import clock, roles
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits import service
from enrollment_addon.credits.imports import service as imports
from enrollment_addon.credits.imports.calc import Options
from enrollment_addon.credits.imports.upload import upload
from tests.scenarios.conftest import Studio

pytestmark = pytest.mark.databases("sqlite")

SERIOUS = ("serious", "critical")
NOTE_VIOLATIONS = """
    window.violations = [];
    document.addEventListener('securitypolicyviolation', e => {
        if (e.sourceFile.includes('/enrollment/static/') || (e.target.closest && e.target.closest('.enr')))
            window.violations.push(`${e.violatedDirective} ${e.sourceFile}:${e.lineNumber} ${e.sample}`);
    });
"""
"""What a strict policy would stop in our part of a page or in our scripts; the host's own frame is the host's."""
RUN_AXE = """axe.run({resultTypes: ['violations'], rules: Object.fromEntries(
    axe._audit.rules.filter(r => ['minor', 'moderate'].includes(r.impact)).map(r => [r.id, {enabled: false}])
)})"""
"""Without the rules that can't find anything serious: half of the time."""
ONE_DAY = dt.timedelta(days=1)


@pytest.fixture
def pages(app: Flask, studio: Studio, make_user: Callable[..., int]) -> dict[str, list[str]]:
    """Addresses of all pages, with something on them, by who may open them."""
    from tests import factories

    maya = make_user("maya", [roles.CLIENT])
    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        with unit_of_work(session):
            made = service.grant_credits(
                session, clients=studio.clients[:12], event_type_id=studio.yoga, quantity=5, actor=SYSTEM,
                threshold=100, chunk=100, expires_in={"days": 10}, note="Autumn thank-you",
            )
            first, second = (session.get(_client(), key) for key in studio.clients[:2])
            first.portal_user_id = maya
            first.last_name = "Wolfeschlegelsteinhausenbergerdorff"  # no page is too narrow for a name
            household = factories.make_household(session, first, second).id
            keys = _day(session, first, studio)
            factories.make_notice(session, first)
        _check_file(session, studio)
        batch = made["batch_id"]
    one = studio.clients[0]
    team = [
        "/enrollment/clients/list/", "/enrollment/clients/list/?search=nobody", f"/enrollment/clients/show/{one}",
        "/enrollment/clients/add", f"/enrollment/clients/edit/{one}", f"/enrollment/credits/add/{one}",
        f"/enrollment/credits/explain/{one}", "/enrollment/households/list/",
        f"/enrollment/households/show/{household}", f"/enrollment/households/head/{household}",
        "/enrollment/participants/list/", "/enrollment/participants/add", "/enrollment/lots/list/",
        "/enrollment/expiring/list/", "/enrollment/expiring-clients/list/",
        "/enrollment/lots/show/1", "/enrollment/ledger/list/", "/enrollment/batches/list/", "/enrollment/jobs/list/",
        "/enrollment/clubs/list/", "/enrollment/team-members/list/", "/enrollment/event-types/list/",
        "/enrollment/schedule/", "/enrollment/calendar-links/", "/enrollment/notices/list/",
    ]
    owner = [
        *team, f"/enrollment/clients/merge/{one}", f"/enrollment/clients/merge/{one}?other_id={studio.clients[1]}",
        f"/enrollment/clients/erase/{one}", f"/enrollment/clients/delete/{one}",
        f"/enrollment/batches/show/{batch}", f"/enrollment/batches/undo/{batch}", "/enrollment/lots/void/1",
        "/enrollment/lots/extend/1", "/enrollment/lots/transfer/1", f"/enrollment/credit-moves/convert/{one}",
        "/enrollment/clubs/add", f"/enrollment/clubs/show/{studio.uptown}", "/enrollment/team-members/add",
        "/enrollment/event-types/add", f"/enrollment/event-types/edit/{studio.yoga}", "/enrollment/team-permissions/",
        "/enrollment/imports/list/", "/enrollment/imports/add", "/enrollment/imports/columns/1",
        "/enrollment/imports/show/1", "/enrollment/clients/show/999999",
        "/enrollment/notices/show/1", *_pages_of_the_day(one, **keys),
    ]
    return {"ana": owner, "jonas": team, "maya": [
        "/enrollment/my/", "/enrollment/my/credits/", "/enrollment/my/pay/", "/enrollment/my/pay/?charge_id=1",
    ]}


def _day(session: Any, client: Any, studio: Studio) -> dict[str, int]:
    """A client's enrollment, a session of today with them on its roster, one to come that they cancelled, a renewal,
    and a report; their keys."""
    from tests import factories

    yoga = session.get(factories.EventType, studio.yoga)
    package = factories.make_package(session, yoga)
    enrollment = factories.make_enrollment(session, client, package)
    factories.make_enrollment(session, client, package, renewed_from_id=enrollment.id)
    participant = factories.make_participant(session, client)
    lesson = factories.make_session(session, client.club, yoga, starts_at=clock.now() + ONE_DAY, kind="class")
    factories.make_booking(
        session, lesson, participant, enrollment_id=enrollment.id, pays="enrollment", state="cancelled", live=None
    )
    item = factories.make_session(session, client.club, yoga, starts_at=clock.now())
    booking = factories.make_booking(session, item, participant, enrollment_id=enrollment.id, pays="enrollment").id
    report = factories.make_training_report(session, participant, session_id=item.id, enrollment_id=enrollment.id)
    factories.make_skill(session)
    link = {"state": "open", "closed_at": None, "url": f"https://stripe.example/pay/{'a' * 300}"}
    charge, _other = (factories.make_charge(session, client) for _ in range(2))
    factories.make_online_payment(session, charge, **link)
    return {"enrollment": enrollment.id, "item": item.id, "booking": booking, "report": report.id}


def _pages_of_the_day(client: int, *, enrollment: int, item: int, booking: int, report: int) -> list[str]:
    return [
        "/enrollment/enrollments/list/", f"/enrollment/enrollments/show/{enrollment}",
        f"/enrollment/enrollments/cancel/{enrollment}", "/enrollment/sessions/list/",
        f"/enrollment/sessions/show/{item}", f"/enrollment/sessions/book/{item}?client_id={client}",
        f"/enrollment/sessions/cancel_booking/{booking}", "/enrollment/closures/close",
        "/enrollment/online-payments/list/", "/enrollment/online-payments/show/1", "/enrollment/online-payment/done",
        f"/enrollment/online-request/{client}", f"/enrollment/online-request/{client}?charge_id=1",
        "/enrollment/training-reports/list/",
        f"/enrollment/training-reports/show/{report}", f"/enrollment/training-reports/print/{report}",
        f"/enrollment/training-reports/add?client_id={client}", "/enrollment/skills/list/", "/enrollment/skills/add",
    ]


def _check_file(session: Any, studio: Studio) -> None:
    """A file whose dry run says something of every kind."""
    content = b"First name,Last name,E-mail\nIda,Long-Name-Without-An-End,ida@example.org\nJo,,jo@example.org\n"
    key = upload(session, file=io.BytesIO(content), name="a-long-name-of-a-file-of-clients.csv", actor=SYSTEM)
    options = Options({"first_name": 0, "last_name": 1, "email": 2}, studio.uptown)
    with unit_of_work(session):
        imports.check_import(session, import_id=key, options=options, actor=SYSTEM, threshold=100)


def _client() -> Any:
    from enrollment_addon.people.models import Client

    return Client


@pytest.mark.parametrize(
    ("usernames", "language", "width"),
    [(["ana"], "en", 1280), (["ana"], "ar", 360), (["maya", "jonas"], "de", 360)],
    ids=["owner", "owner-rtl-phone", "client-and-team-phone"],
)
def test_every_page(
    open_as: Callable[..., Page], pages: dict[str, list[str]], usernames: list[str], language: str, width: int
) -> None:
    for username in usernames:
        page = open_as(username, language=language, width=width)
        page.add_init_script(NOTE_VIOLATIONS)
        for url in pages[username]:
            look(page, url, language, width, seriously=username != "jonas")  # who sees a part of the owner's pages
        page.evaluate("document.querySelector('.enr').insertAdjacentHTML('beforeend', '<p style=\"color: red\">')")
        page.wait_for_function("window.violations.length === 1")  # the policy is in force, and told of


def look(page: Page, url: str, language: str, width: int, *, seriously: bool) -> None:
    """Open a page and assert what holds for all of them; `seriously` lets axe look at it."""
    answer = page.goto(url)
    assert answer
    assert answer.status == 200 or url.endswith("/999999"), url
    html = page.locator("html")
    assert html.get_attribute("lang") == language, url
    assert html.get_attribute("dir") == ("rtl" if language == "ar" else "ltr"), url
    wide = page.evaluate("document.scrollingElement.scrollWidth")
    assert wide <= width, f"{url} scrolls sideways: {wide}"
    assert page.evaluate("window.violations") == [], url
    if seriously:
        page.evaluate(Axe().axe_script)
        found = [v for v in page.evaluate(RUN_AXE)["violations"] if v["impact"] in SERIOUS]
        assert not found, f"{url}: " + "; ".join(f"{v['id']} {v['nodes'][0]['html'][:200]}" for v in found)


def test_targets_are_large_enough_for_fingers(
    open_as: Callable[..., Page], pages: dict[str, list[str]], studio: Studio
) -> None:
    """At 360 pixels nothing that one taps is lower than 44 pixels, links within a sentence aside."""
    people = {name: open_as(name, width=360) for name in ("jonas", "maya")}
    visits = [(page, url) for name, page in people.items() for url in pages[name][:8]]
    for page, url in visits:
        page.goto(url)
        small = page.evaluate(
            """() => [...document.querySelectorAll(
                    '.enr :is(button, .enr-btn, select, .ts-control, input:not([type=hidden]))')]
                .filter(e => e.checkVisibility({visibilityProperty: true, opacityProperty: true}))
                .filter(e => !['checkbox', 'radio'].includes(e.type) && !e.parentElement.matches('.ts-control'))
                .map(e => [e.outerHTML.slice(0, 120), e.getBoundingClientRect().height])
                .filter(([_, height]) => height > 0 && height < 43.5)"""
        )
        assert small == [], url

"""What a page is made of: nothing that a strict policy forbids, nothing of what somebody typed as markup."""

import datetime as dt
import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text as sql
from sqlalchemy import update
from sqlalchemy.orm import Session

import enrollment_addon
from enrollment_addon.core import clock, roles
from enrollment_addon.core.audit import record_event
from enrollment_addon.core.batches import Batch
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.core.web.access import SEE_ALL
from enrollment_addon.credits.models import CreditLot
from enrollment_addon.jobs.models import Job, JobError, JobState
from enrollment_addon.people.models import Client, Club, Household, Participant, TeamMember
from tests import factories
from tests.conftest import PASSWORD, csrf_token
from tests.core.web.conftest import AsUser, Visitor, World, content, writes
from tests.core.web.routes import all_routes, key_for

pytestmark = pytest.mark.databases("sqlite")

NASTY = "<img src=x onerror=alert(1)>\"'{{7*7}}</script>"


class Policy(HTMLParser):
    """Collects what `script-src 'nonce-…'; style-src 'self'` would stop."""

    def __init__(self, nonce: str) -> None:
        super().__init__()
        self.nonce = nonce
        self.found: list[str] = []
        self.ours = 0
        self.scripts = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if "enr" in (given.get("class") or "").split():
            self.ours += 1
        if tag == "script":
            self.scripts += 1
            if given.get("nonce") != self.nonce:
                self.found.append(f"script without the nonce: {given}")
        if not self.ours:
            return
        if tag == "style":
            self.found.append("a style element")
        for name, value in given.items():
            if name.startswith("on") or name == "style" or (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f"{tag} {name}={value}")
            if name in ("src", "href", "action") and (value or "").startswith(("http:", "https:", "//")):
                self.found.append(f"another server: {value}")


def pages_of(app: Flask, world: World, visitor: Visitor) -> dict[str, str]:
    """Every page that a GET shows, by its URL; and the pages that refuse."""
    found = {}
    for route in all_routes(app):
        if route.is_page and route.method == "GET":
            url = route.at(key_for(route, world.own))
            answer = visitor.get(url)
            if answer.mimetype == "text/html" and not answer.is_streamed and answer.status_code != 302:
                found[url] = answer.text
    assert len(found) > 40
    return found


def test_pages_keep_to_a_strict_policy(app: Flask, world: World, as_user: AsUser) -> None:
    app.jinja_env.globals["csp_nonce"] = lambda: "n0nce"
    owner = as_user("owner")
    owner.post("/enrollment/clients/add", {"first_name": "Nobody"})
    pages = pages_of(app, world, owner)
    pages["a refused form"] = owner.post("/enrollment/clients/add", {"first_name": "Nobody"}).text
    pages["a selection"] = owner.post(
        "/enrollment/clients/action_post", {"action": "add_session_credits", "rowid": world.ann}
    ).text
    broken = {}
    for url, text in pages.items():
        policy = Policy("n0nce")
        policy.feed(text)
        if policy.found or not policy.ours or (policy.scripts < 3 and "/print/" not in url):
            broken[url] = policy.found
    assert broken == {}
    unnamed = [url for url, text in pages.items() if "object at 0x" in text]
    assert unnamed == [], unnamed


def test_no_template_has_what_a_strict_policy_stops() -> None:
    """Also in the parts that no page of the test above shows."""
    templates = sorted((Path(enrollment_addon.__path__[0]) / "templates").rglob("*.html"))
    assert templates
    stopped = re.compile(r"""<style|\sstyle=|\son[a-z]+=["']|javascript:|<script(?![^>]*nonce=)""")
    found = {path.name: stopped.findall(path.read_text(encoding="utf-8")) for path in templates}
    assert {name: what for name, what in found.items() if what} == {}


def test_what_people_type_is_never_markup(app: Flask, world: World, session: Session, as_user: AsUser) -> None:
    session.get_one(Client, world.ann).last_name = NASTY
    session.get_one(Client, world.ann).notes = NASTY
    session.get_one(Client, world.ann).tags = [NASTY]
    for model, name in (
        (Club, "ClubView"), (Household, "HouseholdView"), (Participant, "ParticipantView"),
        (TeamMember, "TeamMemberView"), (factories.EventType, "EventTypeView"),
    ):
        session.get_one(model, world.own[name]).name = NASTY
    session.get_one(Batch, world.own["BatchView"]).note = NASTY
    session.commit()
    owner = as_user("owner")
    pages = pages_of(app, world, owner)
    asked = {"search": NASTY, "_flt_0_tag": NASTY, NASTY: NASTY}
    pages["search"] = owner.get("/enrollment/clients/list/", query_string=asked).text
    typed = {"first_name": NASTY, "last_name": NASTY, "email": NASTY, "club_id": world.own["ClubView"], "tags": NASTY}
    pages["refused"] = owner.post("/enrollment/clients/add", typed).text
    saved = owner.post(f"/enrollment/clients/edit/{world.ann}", {**typed, "email": "", "tags": "new"})
    assert saved.status_code == 302
    pages["notice"] = owner.get(saved.headers["Location"]).text
    assert unescape(pages["notice"]).count("<img src=x") > 3
    assert [url for url, text in pages.items() if "<img src=x" in text] == []
    assert owner.get("/enrollment/options/clients?q=img").mimetype == "application/json"


def test_a_way_back_stays_on_this_server(world: World, as_user: AsUser) -> None:
    owner = as_user("owner")

    def back(referrer: str) -> str:
        page = owner.get("/enrollment/clients/show/999999", headers={"Referer": referrer})
        links = re.findall(r'<a class="enr-btn primary" href="([^"]*)"', content(page))
        assert len(links) == 1
        return unescape(links[0])

    assert back("http://localhost/enrollment/clients/list/?search=a&b=c") == "/enrollment/clients/list/?search=a&b=c"
    for evil in (
        "https://evil.example/x", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http:evil.example",
        "http://localhost@evil.example/", "\thttps://evil.example", "http://localhost:81/", "data:text/html,x", "",
        "http://[",
    ):
        assert "evil" not in back(evil), evil
        assert back(evil) == "/" or back(evil).startswith("/enrollment/"), evil


def test_after_the_log_in_one_is_where_one_wanted_to_go(app: Flask, world: World) -> None:
    http = app.test_client()

    def log_in(url: str) -> str:
        page = http.get(url).text
        typed = {"username": "owner", "password": PASSWORD, "csrf_token": csrf_token(page)}
        location: str = http.post(url, data=typed).headers["Location"]
        http.get("/logout/")
        return location

    sent = http.get("/enrollment/clients/list/?search=ann").headers["Location"]
    assert log_in(sent).endswith("/enrollment/clients/list/?search=ann")
    for evil in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        assert re.fullmatch(r"/(?![/\\]).*|/", log_in(f"/login/?next={evil}")), evil


def test_a_refusal_is_a_page_with_the_right_status(world: World, as_user: AsUser) -> None:
    sam = as_user("sam")
    missing, denied = sam.get("/enrollment/clients/show/999999"), sam.get("/enrollment/team-permissions/")
    assert (missing.status_code, denied.status_code) == (404, 403)
    assert "This record was not found." in content(missing)
    assert "You do not have permission to do this." in content(denied)


class TestTooMuch:
    @pytest.fixture
    def config(self) -> dict[str, Any]:
        return {"MAX_CONTENT_LENGTH": 50_000}

    def test_a_form_that_is_too_large_is_a_page(self, app: Flask, world: World, as_user: AsUser) -> None:
        owner = as_user("owner")
        with writes(app) as changed:
            for size in (60_000, 900_000):
                page = owner.post("/enrollment/clients/add", {"notes": "a" * size})
                assert page.status_code == 413
                assert "This is too much to send at once." in content(page)
        assert changed == []

    def test_a_url_that_is_too_long_is_no_crash(self, world: World, as_user: AsUser) -> None:
        owner = as_user("owner")
        long = "&".join(f"_flt_0_first_name={'a' * 150}" for _ in range(100))
        assert owner.get(f"/enrollment/clients/list/?{long}").status_code == 200
        assert owner.get(f"/enrollment/clients/export/csv?{long}").status_code == 422


class TestMistake:
    @pytest.fixture
    def config(self) -> dict[str, Any]:
        return {"TESTING": False}

    def test_a_mistake_of_ours_is_not_the_readers(self, session: Session, world: World, as_user: AsUser) -> None:
        owner = as_user("owner")
        session.execute(sql("ALTER TABLE enrollment_notice RENAME TO enrollment_mislaid"))
        session.commit()
        page = owner.get("/enrollment/notices/list/")
        assert page.status_code == 500
        assert "Something went wrong." in content(page)
        assert "Please try again" in content(page)
        assert "check your input" not in content(page)


def menu_of(page: Any) -> list[str]:
    """The addresses of the add-on in the navigation bar."""
    bar = page.text.partition('<div class="navbar')[2].partition("<main")[0]
    return sorted(set(re.findall(r'href="(/enrollment/[^"#]+)"', bar)))


def test_failed_items_of_a_job_come_in_words_and_page_by_page(world: World, session: Session, as_user: AsUser) -> None:
    owner = as_user("owner")
    job = Job(kind="credits.expire", state=JobState.done, input={}, by_system=True, total=51, failed=51)
    session.add(job)
    session.flush()
    session.add_all(JobError(job_id=job.id, item=n, code="no", message="No.") for n in range(100, 151))
    session.commit()
    url = f"/enrollment/jobs/show/{job.id}"
    page = content(owner.get(url))
    for told in ("Expire session credits", "The system", "Lot 100<", "Lot 149<", "Retry failed"):
        assert told in page, told
    assert "Lot 150<" not in page
    rest = re.findall(rf'{url}\?after=\d+', page)
    page = content(owner.get(rest[0]))
    assert "Lot 150<" in page
    assert "Lot 149<" not in page
    assert content(owner.get(f"{url}?after=x")).count("Lot ") == 50

    stopped = Job(kind="credits.expire", state=JobState.failed, input={}, by_system=True, total=51, done=20)
    session.add(stopped)
    session.commit()
    page = content(owner.get(f"/enrollment/jobs/show/{stopped.id}"))
    assert ("Resume" in page, "Retry failed" in page) == (True, False), "nothing failed: it goes on where it was"


def test_the_menu_leads_only_where_one_may_go(app: Flask, world: World, as_user: AsUser) -> None:
    entries = {}
    for name in ("owner", "manager", "sam"):
        visitor = as_user(name)
        entries[name] = menu_of(visitor.get("/enrollment/clients/list/"))
        for url in entries[name]:
            assert visitor.get(url).status_code == 200, (name, url)
    assert "/enrollment/team-permissions/" in entries["owner"]
    assert set(entries["sam"]) <= set(entries["manager"]) < set(entries["owner"])
    assert "/enrollment/clients/list/" in entries["sam"]
    for name, menu in (("portal", ["/enrollment/my/"]), ("stranger", [])):
        assert menu_of(as_user(name).get("/enrollment/clients/list/")) == menu


def test_a_page_offers_only_what_one_may_do(
    app: Flask, world: World, as_user: AsUser, make_user: Callable[..., int]
) -> None:
    sam, owner = as_user("sam"), as_user("owner")
    offers = ("/clients/merge/", "/clients/erase/", "/clients/delete/", "/clients/data/")
    shown, all_shown = (content(v.get(f"/enrollment/clients/show/{world.bob}")) for v in (sam, owner))
    assert [o for o in offers if o in shown] == []
    assert [o for o in offers if o in all_shown] == list(offers)
    assert "/clients/edit/" in shown
    batch = f"/enrollment/batches/show/{world.foreign['BatchView']}"
    assert "/batches/undo/" not in content(sam.get(batch))
    assert "/batches/undo/" in content(owner.get(batch))
    lot, card = f"/enrollment/lots/show/{world.foreign['LotView']}", f"/enrollment/clients/show/{world.bob}"
    assert "/lots/void/" not in content(sam.get(lot))
    assert "/lots/void/" in content(owner.get(lot))
    security = app.appbuilder.sm  # type: ignore[attr-defined]
    with app.app_context():
        role = security.add_role("Only lots")
        for permission, menu in ((SEE_ALL, "Enrollment"), ("read", "EnrollmentCredits")):
            security.add_permission_role(role, security.find_permission_view_menu(f"can_{permission}", menu))
    make_user("lotte", ["Only lots"])
    pages = [content(visitor.get(lot)) for visitor in (owner, as_user("lotte"))]
    assert [("Bob" in page, card in page) for page in pages] == [(True, True), (True, False)]


TOLD = {
    "EnrollmentParticipant": ('id="enr-participants"', "said of participant"),
    "EnrollmentHousehold": ('id="enr-household"', "said of household"),
    "EnrollmentCredits": ("All grants", "Yoga: 10 credits"),
    "EnrollmentCharge": ("Balance due", "said of charge"),
    "EnrollmentPayment": ("said of payment", "said of refund"),
    "EnrollmentBooking": ("said of booking",),
    "EnrollmentEnrollment": ("said of enrollment",),
    "EnrollmentTrainingReport": ("said of training_report",),
}
"""By the records that one must be permitted to read: what only the card of a client tells of them."""


def test_a_card_and_a_list_tell_only_what_one_may_read(
    app: Flask, world: World, session: Session, as_user: AsUser, make_user: Callable[..., int]
) -> None:
    """Lea may use every verb, also to export, and read clients; then one kind of record after the other."""
    records = {text.removeprefix("said of ") for told in TOLD.values() for text in told if text.startswith("said of ")}
    for record in sorted(records):
        reason = f"said of {record}"
        record_event(session, actor=SYSTEM, verb="update", record=record, client_id=world.ann, reason=reason)
    session.commit()
    with app.app_context():
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        reception = security.add_role("Reception")
        verbs = app.extensions["enrollment"].permissions["Enrollment"]
        for permission, menu in [*((verb, "Enrollment") for verb in verbs), ("read", "EnrollmentClient")]:
            security.add_permission_role(reception, security.find_permission_view_menu(f"can_{permission}", menu))
    make_user("lea", ["Reception"])
    lea, card, clients = as_user("lea"), f"/enrollment/clients/show/{world.ann}", "/enrollment/clients"
    rest = "/api/v1/enrollment/clients?q=(filters:!((col:credits,opr:gt,value:{})))"

    def told() -> set[str]:
        page = lea.get(card).text
        return {text for texts in TOLD.values() for text in texts if text in page}

    assert told() == set()
    page = content(lea.get(f"{clients}/list/?_flt_1_credits=5"))
    assert "Next expiry" not in page
    assert ">Due<" not in re.sub(r"\s", "", page)
    assert 'href="/enrollment/imports/add"' in page
    assert "There is no filter “1_credits” here." in page
    assert "4 matches" in page, "nobody is found out by their credits"
    assert lea.get(f"{clients}/export/csv?_flt_1_credits=5").status_code == 422
    assert lea.get(rest.format(5)).status_code == 422
    seen: set[str] = set()
    for menu, texts in TOLD.items():
        with app.app_context():
            security = app.appbuilder.sm  # type: ignore[attr-defined]
            held = security.find_permission_view_menu("can_read", menu)
            security.add_permission_role(security.find_role("Reception"), held)
        seen |= set(texts)
        assert told() == seen, menu
    page = content(lea.get(f"{clients}/list/?_flt_1_credits=5"))
    assert "Next expiry" in page
    assert ">Due<" in re.sub(r"\s", "", page)
    assert "2 matches" in page
    assert lea.get(f"{clients}/export/csv?_flt_1_credits=5").text.count("\n") == 3
    assert lea.get(rest.format(5)).get_json()["count"] == 2


def test_clients_see_what_they_have_and_nothing_else(
    world: World, session: Session, as_user: AsUser, make_user: Callable[..., int]
) -> None:
    session.execute(update(CreditLot).values(note="Only for colleagues"))
    ann = session.get_one(Client, world.ann)
    lesson = factories.make_session(
        session, ann.club, factories.make_event_type(session, name="Boxing"),
        starts_at=clock.now() + dt.timedelta(days=2),
    )
    child = session.get_one(Participant, world.own["ParticipantView"])
    factories.make_booking(session, lesson, child, state="booked")
    for said, visible in (("Turns on both hands", True), ("Only for colleagues", False)):
        factories.make_training_report(
            session, child, session_id=lesson.id, worked_on=said, homework=f"{said} at home", visible_to_client=visible
        )
    session.commit()
    portal = as_user("portal")
    assert portal.get("/").headers["Location"] == "/enrollment/my/"
    page, explained = content(portal.get("/enrollment/my/")), content(portal.get("/enrollment/my/credits/"))
    assert '<a href="/enrollment/my/">My sessions and credits</a>' in explained, "the way back"
    assert "by whom" not in explained
    for words in ("Ann Archer", "Session credits", "Yoga", "never expire", "of 10 left", "Boxing", "Booked",
                  "Turns on both hands", "Homework", "Turns on both hands at home"):
        assert words in page, words
    assert "Added" in explained
    for shown in (page, explained):
        assert "Bob" not in shown
        assert "Only for colleagues" not in shown
        assert all(way.startswith("/enrollment/my/") for way in re.findall('href="(/[^"]*)"', shown))
    make_user("new", [roles.CLIENT])
    assert "does not belong to a client yet" in content(as_user("new").get("/enrollment/my/"))
    assert as_user("new").get("/enrollment/my/credits/").status_code == 404

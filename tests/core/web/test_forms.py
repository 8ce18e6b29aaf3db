"""Forms: what is typed is kept, what is wrong is told at its field, what is forged is refused, nothing crashes."""

import datetime as dt
import itertools
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment_addon.catalog.models import EventType
from enrollment_addon.core.web.views import RecordView
from enrollment_addon.people.models import Client, Household, Participant, TeamMember
from tests import factories
from tests.core.web import moments
from tests.core.web.conftest import AsUser, World, content, writes

JUNK = [
    "", " ", "-1", "x", "1.5", "9" * 5000, str(2**63), "99999999999", "a\x00b", "\x00", "a\x07b", "\ufffe", "🙂" * 90,
    "a" * 30_000, "0001-01-01", "9999-12-31", "2026-02-30", "<script>alert(1)</script>", "'; DROP TABLE x", "on",
]


class Fields(HTMLParser):
    """What a browser would send of the form on a page, as it stands."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self._name, self._text = "", ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        name, value = given.get("name", ""), given.get("value", "")
        if tag in ("select", "textarea"):
            self._name, self._text = name, ""
        elif tag == "option" and "selected" in given:
            self.values.setdefault(self._name, []).append(value)
        elif tag == "input" and name and (given.get("type") not in ("checkbox", "radio") or "checked" in given):
            self.values.setdefault(name, []).append(value)

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self.values[self._name] = [self._text.removeprefix("\n")]


def fields_of(page: Any) -> dict[str, list[str]]:
    reader = Fields()
    reader.feed(content(page).partition("<form")[2])
    return reader.values


def error_at(page: Any, field: str) -> str:
    """What the page says is wrong with a field."""
    found = re.search(rf'<p class="error" id="{field}-error">(.*?)</p>', content(page), re.S)
    assert found, f"{field} is marked in: {re.findall('class=.error. id=.([^ ]*).', content(page))}"
    return unescape(re.sub(r"<[^>]+>", "", found.group(1))).strip()


@pytest.mark.databases("sqlite")
def test_a_refused_form_keeps_what_was_typed_and_writes_nothing(app: Flask, world: World, as_user: AsUser) -> None:
    owner = as_user("owner")
    typed = {
        "first_name": "Zoë “Z” <b>", "last_name": "", "email": "no address", "phone": "+49 30 1234",
        "birth_date": "2026-02-30", "club_id": world.own["ClubView"], "tags": "vip, new", "notes": "First line\nSecond",
    }
    with writes(app) as changed:
        page = owner.post("/enrollment/clients/add", typed)
    assert page.status_code == 422
    assert changed == []
    shown = unescape(content(page))
    for text in ('value="Zoë “Z” <b>"', 'value="no address"', 'value="+49 30 1234"', 'value="vip, new"', "Second"):
        assert text in shown, text
    assert '<option value="1" selected>North</option>' in shown
    assert error_at(page, "last_name") == "Please fill this in."
    assert error_at(page, "birth_date")
    assert 'aria-invalid="true"' in shown
    assert "Nothing was saved yet." in shown
    email = owner.post("/enrollment/clients/add", {**typed, "last_name": "Zeh", "birth_date": ""})
    assert email.status_code == 422
    assert error_at(email, "email")


def test_a_form_that_is_opened_and_saved_changes_nothing(
    app: Flask, world: World, session: Session, as_user: AsUser
) -> None:
    ann = session.get_one(Client, world.ann)
    ann.tags, ann.notes, ann.birth_date, ann.locale = ["vip", "new"], "First\nSecond <b>", dt.date(1990, 2, 3), "pl"
    ann.phone = "+49301234567"
    event_type = session.get_one(EventType, world.own["EventTypeView"])
    event_type.active, event_type.colour = False, "#1f6feb"
    session.commit()
    owner = as_user("owner")
    for name, view in app.extensions["enrollment"].views.items():
        if not isinstance(view, RecordView) or "edit" not in view.permissions:
            continue
        url, columns = f"{view.route_base}/edit/{world.own[name]}", view.model.__table__.c
        row = select(*(c for c in columns if c.name != "updated_at")).where(columns.id == world.own[name])
        before = session.execute(row).one()
        saved = owner.post(url, fields_of(owner.get(url)))
        assert saved.status_code == 302, (name, content(saved))
        session.rollback()
        assert session.execute(row).one() == before, name


@pytest.mark.databases("sqlite")
def test_what_a_service_refuses_is_told_at_its_field(world: World, as_user: AsUser) -> None:
    owner = as_user("owner")
    taken = owner.post(f"/enrollment/event-types/edit/{world.own['EventTypeView']}", {
        "name": "", "kind": "class", "duration_minutes": "1441",
    })
    assert taken.status_code == 422
    assert error_at(taken, "name") == "Please fill this in."
    assert error_at(taken, "duration_minutes")
    form = content(owner.get("/enrollment/participants/add"))
    for name in ("species", "breed"):
        assert re.search(rf'<input[^>]*data-enr-show="kind=pet"[^>]*id="{name}"', form), "shown for a pet only"
    twice = owner.post("/enrollment/clubs/add", {"name": "North", "timezone": "UTC", "currency": "EUR"})
    assert twice.status_code == 422
    assert "North" in content(twice)
    assert error_at(twice, "name")


FORGED = [
    ("/enrollment/participants/add", {"name": "Kim", "kind": "child"}, "client_id", "ClientView"),
    ("/enrollment/households/add", {"name": "Home"}, "head_id", "ClientView"),
    ("/enrollment/households/join/{HouseholdView}", {"relationship": "child"}, "client_id", "ClientView"),
    ("/enrollment/clients/add", {"first_name": "A", "last_name": "B", "club_id": "1"}, "household_id",
     "HouseholdView"),
    ("/enrollment/clients/merge/{ClientView}", {}, "other_id", "ClientView"),
]


def test_a_forged_choice_is_refused_like_one_that_never_was(app: Flask, world: World, as_user: AsUser) -> None:
    nora = as_user("nora")
    with writes(app) as changed:
        for url, typed, field, record in FORGED:
            told = set()
            for key in (world.foreign[record], 10**6, -1, "x", "9" * 30):
                page = nora.post(url.format(**world.own), {**typed, field: key})
                assert page.status_code == 422, (url, key)
                assert "Baker" not in page.text
                told.add(error_at(page, field))
            assert told == {"Please choose one of the list."}, url
    assert changed == []


def test_nobody_moves_their_own_row_to_a_foreign_parent(world: World, session: Session, as_user: AsUser) -> None:
    nora, sam = as_user("nora"), as_user("sam")
    ann = {"first_name": "Ann", "last_name": "Archer", "club_id": world.own["ClubView"]}
    bob = {"first_name": "Bob", "last_name": "Baker"}
    for visitor, key, typed in (
        (nora, world.ann, {**ann, "team_member_id": world.own["TeamMemberView"]}),
        (sam, world.bob, {**bob, "club_id": world.own["ClubView"]}),
    ):
        refused = visitor.post(f"/enrollment/clients/edit/{key}", typed)
        assert refused.status_code == 422
        assert 'class="error"' in content(refused) or "This record was not found." in content(refused)
    child = world.own["ParticipantView"]
    typed = {"name": "Kim", "kind": "child", "client_id": world.bob}
    moved = nora.post(f"/enrollment/participants/edit/{child}", typed)
    assert moved.status_code == 302
    session.rollback()
    assert session.get_one(Participant, child).client_id == world.ann, "what the form does not show is not read"
    assert session.get_one(Client, world.ann).team_member_id != world.own["TeamMemberView"]
    assert session.get_one(Client, world.bob).club_id != world.own["ClubView"]


@pytest.mark.databases("sqlite")
def test_fields_that_a_form_does_not_have_are_not_written(world: World, session: Session, as_user: AsUser) -> None:
    """Who is linked to an account is a field for people who see everything, with accounts of nobody else."""
    typed = {
        "first_name": "Ann", "last_name": "Archer", "club_id": world.own["ClubView"], "id": 77, "portal_user_id": 1,
        "erased_at": "2026-01-01", "merged_into_id": world.bob, "team_member_id": world.own["TeamMemberView"],
    }
    url, owner, nora = f"/enrollment/clients/edit/{world.ann}", as_user("owner"), as_user("nora")
    session.get_one(Client, world.ann).locale = "pl"
    session.commit()
    form = nora.get(url)
    assert not {"portal_user_id", "household_id", "relationship_to_head"} & set(fields_of(form)), "Ann heads hers"
    assert '<option selected value="pl">polski</option>' in content(form), "the host offers no Polish"
    typed["team_member_id"] = session.get_one(Client, world.ann).team_member_id
    assert nora.post(url, typed).status_code == 302
    ann = session.get_one(Client, world.ann, populate_existing=True)
    assert (ann.merged_into_id, ann.erased_at) == (None, None)
    assert ann.portal_user_id not in (None, 1)
    assert error_at(owner.post(url, typed), "portal_user_id") == "Please choose one of the list."
    assert owner.post(url, {**fields_of(owner.get(url)), "portal_user_id": ""}).status_code == 302
    session.rollback()
    assert session.get_one(Client, world.ann, populate_existing=True).portal_user_id is None
    offered = {item["id"] for item in owner.get("/enrollment/options/portal_users").get_json()["results"]}
    assert {world.nora_user, world.sam_user, 1} & offered == set()
    assert offered, "Ann's account is free again"
    assert nora.get("/enrollment/options/portal_users").get_json()["results"] == []


@pytest.mark.databases("sqlite")
def test_a_household_out_of_reach_survives_the_form(world: World, session: Session, as_user: AsUser) -> None:
    """Sam sees Pat, but not Ann, who heads the household: his form shows none and says nothing about it."""
    pat = session.scalars(select(Client).where(Client.last_name == "of Ann")).one()
    pat.club_id = session.get_one(Client, world.bob).club_id
    session.commit()
    url, sam = f"/enrollment/clients/edit/{pat.id}", as_user("sam")
    page = sam.get(url)
    assert "Archer home" not in page.text
    assert sam.post(url, {**fields_of(page), "phone": "030 1234567"}).status_code == 302
    session.rollback()
    assert (pat.phone, pat.household_id, pat.relationship_to_head) == (
        "030 1234567", world.own["HouseholdView"], "partner"
    )
    home = world.foreign["HouseholdView"]
    chosen = {**fields_of(page), "household_id": home, "relationship_to_head": "child"}
    assert sam.post(url, chosen).status_code == 302, "what he says counts"
    session.rollback()
    assert (pat.household_id, pat.relationship_to_head) == (home, "child")


@pytest.mark.databases("sqlite")
def test_a_tick_can_be_taken_away_and_a_choice_outside_the_list_is_an_error(
    world: World, session: Session, as_user: AsUser
) -> None:
    owner, key = as_user("owner"), world.own["EventTypeView"]
    url, typed = f"/enrollment/event-types/edit/{key}", {"name": "Yoga", "kind": "class", "duration_minutes": 60}
    for kind in ("banana", "klass", "", "CLASS"):
        page = owner.post(url, {**typed, "kind": kind, "active": "y"})
        assert page.status_code == 422
        assert error_at(page, "kind") in ("Please choose one of the list.", "Please fill this in.")
    assert session.get_one(EventType, key).active
    assert owner.post(url, typed).status_code == 302
    session.rollback()
    assert session.get_one(EventType, key).active is False
    assert owner.post(url, {**typed, "active": "y"}).status_code == 302
    session.rollback()
    assert session.get_one(EventType, key).active is True


@pytest.mark.databases("sqlite")
def test_what_a_list_offers_is_in_the_readers_language(world: World, as_user: AsUser) -> None:
    reader = as_user("owner")
    for language, name in (("de", "USD – US-Dollar"), ("es", "USD – dólar estadounidense")):
        reader.get(f"/lang/{language}")
        assert name in content(reader.get("/enrollment/clubs/add"))


def test_no_field_of_any_form_crashes_on_junk(app: Flask, world: World, as_user: AsUser) -> None:
    owner, junk = as_user("owner"), itertools.cycle(JUNK)
    urls: dict[str, list[str]] = {
        f"/enrollment/households/join/{world.own['HouseholdView']}": ["client_id", "relationship"],
        f"/enrollment/households/head/{world.own['HouseholdView']}": ["head_id", "relationship_1", "relationship_2"],
        f"/enrollment/clients/merge/{world.ann}": ["other_id"],
        f"/enrollment/clients/merge/{world.ann}?other_id={world.bob}": ["reason", "take_email", "take_junk"],
        f"/enrollment/clients/erase/{world.ann}": ["reason", "typed_name"],
        "/enrollment/credits/save": [
            "rowid", "event_type_id", "quantity", "expiry", "expires_on", "period_count", "period_unit", "priority",
            "shared", "unit_value", "note", "idempotency_key",
        ],
        "/enrollment/credits/preview": ["rowid", "event_type_id", "quantity", "expiry", "expires_on", "unit_value"],
    }
    for view in app.extensions["enrollment"].views.values():
        if isinstance(view, RecordView) and "add" in view.permissions:
            with app.test_request_context():
                urls[f"{view.route_base}/add"] = [n for n in view.add_form()._fields if n != "csrf_token"]
    for url, names in urls.items():
        for _ in range(8):
            page = owner.post(url, {name: next(junk) for name in names})
            assert page.status_code in (200, 302, 404, 409, 422), (url, page.request.form)


WRONG_GRANTS = [
    ("quantity", {"quantity": "0"}), ("quantity", {"quantity": "1001"}), ("quantity", {"quantity": "two"}),
    ("quantity", {"quantity": "9" * 400}), ("expires_on", {"expiry": "date", "expires_on": "2001-01-01"}),
    ("expires_on", {"expiry": "date", "expires_on": ""}), ("expires_on", {"expiry": "date", "expires_on": "soon"}),
    ("period_count", {"expiry": "period", "period_count": ""}),
    ("period_count", {"expiry": "period", "period_count": "few"}), ("expiry", {"expiry": "never-ever"}),
    ("priority", {"priority": "101"}), ("priority", {"priority": "high"}), ("note", {"note": "a" * 501}),
    ("unit_value", {"unit_value": "-1"}), ("unit_value", {"unit_value": "NaN"}),
    ("unit_value", {"unit_value": "9" * 60}), ("unit_value", {"unit_value": "1.234"}),
    ("event_type_id", {"event_type_id": "99999"}),
    ("event_type_id", {"event_type_id": ""}),
]
TOLD_AT = {
    "quantity": "This must be a whole number from 1 to 1000.", "priority": "This must be a whole number from 0 to 100.",
}


@pytest.mark.databases("sqlite")
def test_a_wrong_grant_is_told_at_its_field(app: Flask, world: World, as_user: AsUser) -> None:
    owner = as_user("owner")
    good = {
        "rowid": world.ann, "event_type_id": world.own["EventTypeView"], "quantity": 1, "expiry": "none",
        "unit_value": "0", "priority": "50", "note": "Thanks",
    }
    with writes(app) as changed:
        for field, over in WRONG_GRANTS:
            page = owner.post("/enrollment/credits/save", {**good, **over})
            assert page.status_code == 422, over
            assert error_at(page, field), over
            if field in TOLD_AT:
                assert TOLD_AT[field] in error_at(page, field), over
            if field == "quantity":
                assert f'value="{over["quantity"]}"' in content(page), "what was typed stays"
            assert "note" in over or 'value="Thanks"' in content(page)
    assert changed == []
    assert owner.post("/enrollment/credits/save", good).status_code == 302


@pytest.mark.databases("sqlite")
def test_text_has_a_limit(app: Flask, world: World, as_user: AsUser) -> None:
    owner = as_user("owner")
    with writes(app) as changed:
        for url, text in (("clients", "notes"), ("clubs", "address"), ("event-types", "name"), ("households", "name")):
            page = owner.post(f"/enrollment/{url}/add", {text: "a" * 20_001})
            assert page.status_code == 422, url
            assert "characters" in error_at(page, text)
    assert changed == []


@pytest.fixture
def moment_app(app: Flask) -> Flask:
    moments.register(app)
    return app


MOMENTS = [
    ("2026-01-15T18:30", "2026-01-15T17:30:00+00:00"),
    ("2026-07-15T18:30", "2026-07-15T16:30:00+00:00"),
    ("2026-07-15T18:30:00", "2026-07-15T16:30:00+00:00"),
    ("2026-07-15 18:30", "2026-07-15T16:30:00+00:00"),
    ("2026-10-25T02:30", "2026-10-25T00:30:00+00:00"),  # comes twice: the first is meant
    ("2026-03-29T03:00", "2026-03-29T01:00:00+00:00"),
]
NO_MOMENTS = [
    "2026-03-29T02:30",  # skipped by daylight saving
    "2026-02-30T10:00", "2026-01-15", "tomorrow", "", "0001-01-01T00:00", "2026-01-15T18:30+09:00", "99999-01-01T00:00",
]


@pytest.mark.databases("sqlite")
def test_a_date_and_time_is_meant_as_the_clubs_clock_shows_it(
    moment_app: Flask, world: World, as_user: AsUser
) -> None:
    owner = as_user("owner")
    for typed, utc in MOMENTS:
        assert owner.post("/enrollment/moment/", {"moment": typed}).get_json() == {"utc": utc}, typed
    for typed in NO_MOMENTS:
        refused = owner.post("/enrollment/moment/", {"moment": typed})
        assert refused.status_code == 422, typed
        assert error_at(refused, "moment")
        assert f'value="{typed}"' in content(refused)
    skipped = owner.post("/enrollment/moment/", {"moment": NO_MOMENTS[0]})
    assert error_at(skipped, "moment") == "This hour does not exist that day: the clocks are put forward."


@pytest.mark.databases("sqlite")
def test_a_stored_moment_comes_back_as_it_was_typed(moment_app: Flask, world: World, as_user: AsUser) -> None:
    page = as_user("owner").get("/enrollment/moment/?at=2026-07-15T16:30:00%2B00:00")
    assert 'type="datetime-local" value="2026-07-15T18:30"' in content(page)


@pytest.mark.databases("sqlite")
def test_deleting_asks_first_and_names_what_holds_the_record(world: World, session: Session, as_user: AsUser) -> None:
    """What is deleted along is told as well; where nothing can be deleted there is no button for it."""
    owner, url = as_user("owner"), f"/enrollment/clients/delete/{world.ann}"
    asked = content(owner.get(url))
    assert "Delete Ann Archer?" in asked
    assert "because it is used by" in asked
    assert '<button type="submit"' not in asked
    assert owner.post(url).status_code == 422
    home = world.own["HouseholdView"]
    free = factories.make_club(session, name="Harbour")
    sam = session.get_one(TeamMember, world.foreign["TeamMemberView"])
    sam.clubs = [*sam.clubs, free]
    alone = factories.make_client(session, club=free, first_name="Eve")
    factories.make_participant(session, alone, name="Child of Eve")
    group = factories.make_class_group(session, alone.club, session.get_one(EventType, world.own["EventTypeView"]))
    factories.make_session(session, alone.club, group.event_type, class_group_id=group.id)
    guest = factories.make_team_member(session)
    session.commit()
    for page, words in (
        (f"clients/delete/{alone.id}", "Their participants are deleted with them: Child of Eve. This cannot be undone"),
        (f"class-groups/delete/{group.id}", "1 session of it is deleted with it. This cannot be undone."),
        (f"clubs/delete/{free.id}", "used by: clients, class groups, sessions."),
        (f"team-members/delete/{guest.id}", "Their user account stays."),
        (f"event-types/delete/{world.own['EventTypeView']}", " packages"),
        (f"packages/delete/{world.own['PackageView']}", "This cannot be undone."),
        (f"households/delete/{home}", "Its members stay as clients."),
    ):
        assert words in content(owner.get(f"/enrollment/{page}")), page
    for page in (f"class-groups/delete/{group.id}", f"clients/delete/{alone.id}"):
        assert owner.post(f"/enrollment/{page}").status_code == 302, page
    assert "These team members no longer work there: Sam." in content(owner.get(f"/enrollment/clubs/delete/{free.id}"))
    for page in (f"clubs/delete/{free.id}", f"households/delete/{home}"):
        assert owner.post(f"/enrollment/{page}").status_code == 302, page
    session.rollback()
    assert session.get(Household, home) is None
    assert session.get(Client, world.ann) is not None



"""Lists: whatever the URL says, a person sees their own rows, in bounded pages, and nobody else's search."""

import datetime as dt
import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from enrollment_addon.core import clock
from enrollment_addon.core.web.views import RecordView
from tests import factories
from tests.core.web.conftest import AsUser, Visitor, World, content

JUNK = [
    "-1", "0", "x", "1.5", "99999999999", str(2**63 - 1), str(2**63), "9" * 5000, "\x00", "%", "'; DROP TABLE x",
    "٣", "🙂", "a" * 3000, "true", "[]", "0001-01-01", "9999-12-31", "2026-02-30", "\ufffe", "\t",
]


def lists_of(app: Flask) -> list[RecordView]:
    views = app.extensions["enrollment"].views.values()
    return [view for view in views if isinstance(view, RecordView)]


def rows(answer: Any) -> list[str]:
    """What the first cell of each row says."""
    body = content(answer).partition("<tbody")[2].partition("</tbody>")[0]
    return [re.sub(r"<[^>]+>|\s+", " ", row).strip() for row in body.split("<tr")[1:]]


@pytest.mark.databases("sqlite")
def test_people_who_search_at_the_same_time_see_only_their_own_matches(
    app: Flask, world: World, session: Session, as_user: AsUser
) -> None:
    words = ["Alpha", "Bravo", "Delta", "Gamma", "Sigma", "Omega"]
    for place, word in enumerate(words, 1):
        for _ in range(place):
            factories.make_client(session, club_id=world.own["ClubView"], first_name="Kim", last_name=word)
    session.commit()

    def search(place: int) -> list[str]:
        word, wrong = words[place], []
        visitor = as_user("owner")
        for turn in range(8):
            arguments = {"_flt_2_last_name": word} if turn % 2 else {"search": word}
            page = visitor.get(f"/enrollment/clients/list/?{urlencode(arguments)}")
            shown = rows(page)
            others = [w for w in words if w != word and w in content(page)]
            chips = page.text.count('class="enr-chip"')
            if others or len(shown) != place + 1 or not all(word in r for r in shown) or chips != turn % 2:
                wrong.append(f"{word}: {len(shown)} rows, {chips} chips, others: {others}")
        return wrong

    with ThreadPoolExecutor(len(words)) as pool:
        assert [fault for faults in pool.map(search, range(len(words))) for fault in faults] == []


def test_junk_in_any_parameter_is_no_crash(app: Flask, world: World, as_user: AsUser) -> None:
    """Each request has another piece of junk in each of its parameters."""
    visitor, junk = as_user("nora"), itertools.cycle(JUNK)
    for view in lists_of(app):
        name, base = type(view).__name__, view.route_base
        names = [f"{p}{name}" for p in ("page_", "psize_", "_oc_", "_od_")]
        names += ["search", "after", "_flt_", "_flt_0_no", f"_flt_99_{name}"]
        names += [f"_flt_{n}_{entry.name}" for entry in view.filters for n in range(len(entry.ops))]
        for _ in range(3):
            page = visitor.get(f"{base}/list/?{urlencode({name: next(junk) for name in names})}")
            assert page.status_code == 200, page.request.url
            assert "Bob Baker" not in content(page), page.request.url
    for url, names in (
        (f"/enrollment/credits/explain/{world.ann}", ("as_of", "event_type_id", "after")),
        (f"/enrollment/batches/show/{world.own['BatchView']}", ("after",)),
        ("/enrollment/options/clients", ("page", "q")),
        ("/enrollment/participants/add", ("client_id",)),
        (f"/enrollment/clients/merge/{world.ann}", ("other_id",)),
    ):
        for _ in range(8):
            page = visitor.get(f"{url}?{urlencode({name: next(junk) for name in names})}")
            assert page.status_code in (200, 404), page.request.url


@pytest.mark.databases("sqlite")
def test_arguments_with_a_meaning_for_the_server_stay_ordinary_arguments(world: World, as_user: AsUser) -> None:
    page = as_user("owner").get(
        "/enrollment/clients/list/?_scheme=javascript&_external=1&_anchor=x&_method=POST&endpoint=x&values=1&pk=1&fmt=x"
    )
    assert page.status_code == 200
    links = re.findall(r'href="([^"]*)"', content(page))
    assert len(links) > 5
    assert {link.partition("/")[0] for link in links} == {""}


@pytest.mark.databases("sqlite")
def test_pages_are_capped_and_show_every_row_once(
    app: Flask, world: World, session: Session, as_user: AsUser
) -> None:
    client = session.get_one(factories.Client, world.ann)
    for _ in range(130):
        factories.make_participant(session, client, name="Same name")
    session.commit()
    visitor = as_user("owner")

    def keys(page: int, size: int) -> list[str]:
        name = "ParticipantView"
        url = f"/enrollment/participants/list/?psize_{name}={size}&page_{name}={page}&_oc_{name}=name&_od_{name}=desc"
        return re.findall(r'/participants/show/(\d+)"', content(visitor.get(url)))

    assert len(keys(0, 1_000_000)) == app.extensions["enrollment"].views["ParticipantView"].largest_page == 100
    walked = [key for page in range(6) for key in keys(page, 25)]
    assert len(walked) == len(set(walked)) == 132
    assert keys(10**9, 25), "behind the last page the last page is shown"
    for url, turned, counted in (
        ("participants/list/", True, True), ("clubs/list/", False, True), ("expiring/list/", False, False),
        ("clubs/list/?_flt_0_active=0", False, True),
    ):
        page = content(visitor.get(f"/enrollment/{url}"))
        assert ('class="enr-pager"' in page, re.search(r"\d match", page) is not None) == (turned, counted), url
    closures = content(visitor.get("/enrollment/closures/list/"))
    assert 'class="enr-filters"' not in closures, "there is nothing to filter by"


@pytest.mark.databases("sqlite")
def test_a_bad_filter_is_told_and_the_others_still_hold(world: World, as_user: AsUser) -> None:
    page = as_user("owner").get("/enrollment/clients/list/?_flt_0_club_id=north&_flt_2_last_name=Archer&_flt_0_who=1")
    assert len(rows(page)) == 1
    assert "“north” cannot be used" in content(page)
    assert "There is no filter “0_who” here." in content(page)


def test_a_foreign_key_in_a_filter_finds_and_names_nobody(world: World, as_user: AsUser) -> None:
    nora = as_user("nora")
    for url in (
        f"/enrollment/lots/list/?_flt_0_client_id={world.bob}",
        f"/enrollment/ledger/list/?_flt_0_client_id={world.bob}",
        f"/enrollment/ledger/list/?_flt_0_lot_id={world.foreign['LotView']}",
        f"/enrollment/participants/list/?_flt_0_client_id={world.bob}",
        f"/enrollment/clients/list/?_flt_0_household_id={world.foreign['HouseholdView']}",
        "/enrollment/clients/list/?_flt_1_last_name=Bak",
        "/enrollment/clients/list/?search=Bob",
        "/enrollment/households/list/?search=Baker",
        "/enrollment/batches/list/?_flt_0_note=Bob",
        "/enrollment/batches/list/?_flt_0_mine=0",
        "/enrollment/jobs/list/?_flt_0_mine=0",
    ):
        page = nora.get(url)
        assert rows(page) == [], url
        assert "Bob Baker" not in page.text, url
        assert "0 matches" in content(page), url


@pytest.mark.databases("sqlite")
def test_options_show_the_reach_and_take_the_permission(world: World, as_user: AsUser) -> None:
    nora, sam = as_user("nora"), as_user("sam")

    def names(visitor: Visitor, source: str, text: str = "") -> list[str]:
        answer = visitor.get(f"/enrollment/options/{source}?q={text}")
        assert answer.status_code == 200
        return [item["text"] for item in answer.get_json()["results"]]

    assert names(nora, "clients") == ["Ann Archer", "Pat of Ann"]
    assert names(sam, "clients") == ["Bob Baker", "Pat of Bob"]
    assert names(nora, "clients", "bob") == []
    assert names(nora, "households") == ["Archer home"]
    assert "Owner Test" in names(nora, "free_users")
    assert sam.get("/enrollment/options/free_users").status_code == 403, "only who adds team members sees accounts"
    assert nora.get("/enrollment/options/passwords").status_code == 404


@pytest.mark.databases("sqlite")
def test_options_come_in_pages(world: World, session: Session, as_user: AsUser) -> None:
    for _ in range(30):
        factories.make_event_type(session)
    session.commit()
    owner = as_user("owner")
    first, second = (owner.get(f"/enrollment/options/event_types?page={n}").get_json() for n in (0, 1))
    assert [len(first["results"]), first["more"]] == [25, True]
    assert [len(second["results"]), second["more"]] == [6, False]


@pytest.mark.databases("sqlite")
def test_names_are_found_and_shown_in_the_language_of_the_reader(world: World, as_user: AsUser) -> None:
    owner, named = as_user("owner"), {"name": "Dancing", "active": "y", "name_in_de": "Tanzkurs"}
    group = {
        "club_id": world.own["ClubView"], "event_type_id": world.own["EventTypeView"], "capacity": 5,
        "weekday_1": clock.today("Europe/Berlin").weekday(), "time_1": "12:00", "minutes_1": 60,
    }
    days = {"first_date": "2026-02-01", "last_date": "2026-06-30"}
    kinds: dict[str, dict[str, Any]] = {
        "event-types": {"kind": "class", "duration_minutes": 60}, "class-categories": {},
        "activity-levels": {"rank": 1}, "semesters": days, "class-groups": group,
    }

    def found(kind: str, text: str) -> list[str]:
        answer = owner.get(f"/enrollment/options/{kind.replace('-', '_')}?q={text}")
        return [i["text"] for i in answer.get_json()["results"]]

    for kind, more in kinds.items():
        made = owner.post(f"/enrollment/{kind}/add", {**named, **more})
        assert made.status_code == 302, kind
        key = made.location.rsplit("/", 1)[1]
        assert 'value="Tanzkurs"' in owner.get(f"/enrollment/{kind}/edit/{key}").text, "the form has it again"
        assert found(kind, "danc") == found(kind, "tanz") == ["Dancing"], kind
        assert len(rows(owner.get(f"/enrollment/{kind}/list/?search=Tanz"))) == 1, kind
    owner.get("/lang/de")
    for kind in kinds:
        assert found(kind, "danc") == found(kind, "tanz") == ["Tanzkurs"], kind
        assert "Tanzkurs" in rows(owner.get(f"/enrollment/{kind}/list/?search=danc"))[0], kind
    first = clock.today("Europe/Berlin")
    shown = owner.get(f"/enrollment/schedule/events?start={first}&end={first + dt.timedelta(days=8)}").get_json()
    assert {"Tanzkurs"} <= {event["title"] for event in shown}
    assert "Dancing" not in {event["title"] for event in shown}
    owner.get("/lang/fr")
    for kind in kinds:
        assert found(kind, "danc") == ["Dancing"], "without a translation the own name is shown"

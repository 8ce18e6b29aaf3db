"""Every way in, one by one: who gets in, what a request without a token does, what a foreign key finds."""

import itertools
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask
from flask_wtf import CSRFProtect
from werkzeug.test import TestResponse

from enrollment_addon.core.web import forms
from tests.conftest import csrf_token
from tests.core.web.conftest import AsUser, Visitor, World, writes
from tests.core.web.routes import Route, all_routes, key_for

pytestmark = pytest.mark.databases("sqlite")

EVERYBODYS = (
    "ClubView", "TeamMemberView", "EventTypeView", "PackageView", "ClassCategoryView", "ActivityLevelView",
    "SemesterView", "SkillView",
)
"""The pages of records that belong to no client."""
OWN_PAGES = ("OwnPageView", "OwnCreditsView", "OwnPaymentView")
"""The pages that clients have themselves."""
UNSAFE = ("POST", "PUT", "DELETE", "PATCH")


def send(visitor: Visitor, route: Route, url: str, token: str | None) -> TestResponse:
    """Use a route as a page's form or script does, with this token."""
    if route.method == "GET":
        return visitor.http.get(url)
    if route.is_page:
        return visitor.http.open(url, method=route.method, data={} if token is None else {"csrf_token": token})
    headers = {} if token is None else {"X-CSRFToken": token}
    return visitor.http.open(url, method=route.method, json={}, headers=headers)


def offenders(app: Flask, expected: Any, answer: Any) -> dict[str, Any]:
    """The routes whose answer is not as expected; both get the route."""
    found = {}
    for route in all_routes(app):
        wanted, got = expected(route), answer(route)
        if wanted is not None and got not in wanted:
            found[f"{route.method} {route.url}"] = got
    return found


def test_every_way_in_names_its_permission(app: Flask) -> None:
    routes = list(all_routes(app))
    assert len(routes) > 100
    without = {r.endpoint for r in routes if not r.permission and not r.open}
    assert without == {"OptionsView.options"}, "options ask for the permission of the record they are of"
    anyone = {"HealthApi.health", "HealthApi.description", "HealthView.health", "CalendarFileView.read",
              "OnlinePaymentApi.webhook", "OnlineReturnView.done", "OnlineReturnView.left"}
    assert {r.endpoint for r in routes if r.open} == anyone


def test_the_generated_extras_of_the_framework_are_not_served(app: Flask) -> None:
    ours = {r.endpoint.partition(".")[2] for r in all_routes(app) if r.is_page}
    assert not ours & {"download", "action", "api", "api_read", "api_create", "api_update", "api_delete"}


def test_nobody_gets_in_without_logging_in(app: Flask, world: World) -> None:
    visitor = Visitor(app.test_client())
    visitor.token = csrf_token(visitor.http.get("/login/").text)
    assert visitor.token

    def expected(route: Route) -> Any:
        if route.open:
            return None
        return (302,) if route.is_page and route.endpoint != "OptionsView.options" else (401,)

    def answer(route: Route) -> int:
        url = route.at(key_for(route, world.own))
        got = send(visitor, route, url, visitor.token)
        if got.status_code == 302:
            assert got.headers["Location"].startswith("/login/"), url
            if route.method == "GET":
                assert unquote(got.headers["Location"]).startswith(f"/login/?next={url}")
        return got.status_code

    with writes(app) as changed:
        assert offenders(app, expected, answer) == {}
    assert changed == []


def test_every_way_in_is_closed_without_its_permission(app: Flask, world: World, as_user: AsUser) -> None:
    with writes(app) as changed:
        for name in ("stranger", "portal"):
            visitor, methods = as_user(name), ("GET",) if name == "portal" else ("GET", *UNSAFE)
            assert visitor.get("/enrollment/clients/list/").status_code == 403
            own = (200,) if name == "portal" else (403,)
            assert offenders(
                app,
                lambda route: (own if route.name in OWN_PAGES else (403,))  # noqa: B023
                if route.method in methods and not route.open else None,  # noqa: B023
                lambda route: send(visitor, route, route.at(key_for(route, world.own)), visitor.token).status_code  # noqa: B023
                if route.method in methods and not route.open else None,  # noqa: B023
            ) == {}
            for source in forms.sources:
                assert visitor.get(f"/enrollment/options/{source}").status_code == 403
    assert changed == []


def test_a_page_that_nobody_could_be_allowed_is_not_there(app: Flask, world: World, as_user: AsUser) -> None:
    owner, lot, club = as_user("owner"), world.own["LotView"], world.own["ClubView"]
    assert owner.get(f"/enrollment/clubs/edit/{club}").status_code == 200
    for url in ("/enrollment/lots/add", f"/enrollment/lots/edit/{lot}", f"/enrollment/lots/delete/{lot}"):
        assert owner.get(url).status_code == 404
    assert owner.get(f"/enrollment/lots/show/{lot}").status_code == 200
    assert owner.get("/enrollment/imports/add").status_code == 200, "a page with a permission of its own"


class TestReading:
    @pytest.fixture
    def config(self) -> dict[str, Any]:
        """Files of two rows are large ones already."""
        return {"ENROLLMENT_EXPORT_JOB_ROWS": 1}

    def test_a_get_never_changes_anything(self, app: Flask, world: World, as_user: AsUser) -> None:
        visitor = as_user("owner")
        changing = {}
        for route in all_routes(app):
            if route.method == "GET":
                with writes(app) as changed:
                    status = visitor.http.get(route.at(key_for(route, world.own))).status_code
                if changed or status >= 500:
                    changing[route.url] = changed or status
        assert changing == {}


@pytest.mark.parametrize("host", ["unprotected", "protected"])
def test_nothing_is_posted_without_the_token_of_the_person(
    app: Flask, world: World, as_user: AsUser, host: str
) -> None:
    if host == "protected":
        CSRFProtect(app)
    visitor, other = as_user("owner"), as_user("manager")
    other.get("/enrollment/clubs/list/")
    with writes(app) as changed:
        for token in (None, other.token):
            assert offenders(
                app,
                lambda route: (400, 403) if route.method in UNSAFE else None,
                lambda route: send(visitor, route, route.at(key_for(route, world.own)), token).status_code  # noqa: B023
                if route.method in UNSAFE else None,
            ) == {}, token
    assert changed == []


def test_a_spoilt_token_is_refused(app: Flask, world: World, as_user: AsUser) -> None:
    visitor = as_user("owner")
    url, typed = "/enrollment/clubs/add", {"name": "West", "timezone": "UTC", "currency": "EUR"}
    visitor.get(url)
    good = visitor.token
    for token in ("", "x", good[:-1], good + "x", good.swapcase(), good.partition(".")[0]):
        assert visitor.http.post(url, data={**typed, "csrf_token": token}).status_code == 403, token
    assert visitor.post(url, typed).status_code == 302


def test_an_expired_page_says_so_and_a_fresh_token_works(app: Flask, world: World, as_user: AsUser) -> None:
    visitor = as_user("owner")
    url, typed = "/enrollment/clubs/add", {"name": "West", "timezone": "UTC", "currency": "EUR"}
    refused = visitor.http.post(url, data=typed)
    assert refused.status_code == 403
    assert "nothing was saved" in refused.text
    assert visitor.post(url, typed).status_code == 302


def test_rows_out_of_reach_do_not_exist(app: Flask, world: World, as_user: AsUser) -> None:
    """Nora holds every permission, so that only the reach can refuse."""
    visitor = as_user("nora")
    assert visitor.get(f"/enrollment/clients/show/{world.ann}").status_code == 200

    def foreign(route: Route) -> bool:
        name = route.name.replace("Api", "View")
        return "pk" in route.places and name not in EVERYBODYS

    def read_only(route: Route) -> bool:
        """The forms of records that nobody may add, edit or delete have a permission that nobody can hold."""
        assert route.permission
        return route.permission[1] is None and f"can_{route.permission[0]}" not in route.view.base_permissions

    with writes(app) as changed:
        assert offenders(
            app,
            lambda route: ((403,) if read_only(route) else (404, 422)) if foreign(route) else None,
            lambda route: send(
                visitor, route, route.at(key_for(route, world.foreign)), visitor.token
            ).status_code if foreign(route) else None,
        ) == {}
    assert changed == []


JUNK = ["0", "-1", "x", "1.5", "9" * 18, "9" * 400, "1%00", "%F0%9F%92%A9", "1;2", "²", "%2e%2e", "1%27--"]


def test_junk_in_the_path_is_not_found(app: Flask, world: World, as_user: AsUser) -> None:
    visitor = as_user("owner")
    visitor.get("/enrollment/clubs/list/")
    turns = itertools.cycle(JUNK)

    def answer(route: Route) -> int | None:
        junk = next(turns)
        url = route.at(junk, fmt=junk, source=junk)
        return send(visitor, route, url, visitor.token).status_code if route.places else None

    assert offenders(app, lambda route: (403, 404, 422) if route.places else None, answer) == {}
    for junk in JUNK:
        assert visitor.get(f"/enrollment/clients/show/{junk}").status_code == 404, junk
        assert visitor.get(f"/api/v1/enrollment/clients/{junk}").status_code == 404, junk

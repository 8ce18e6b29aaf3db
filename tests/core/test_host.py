"""What a host gets: a start that works or stops with a reason, and nothing of its own changed."""

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, url_for
from flask_appbuilder.security.sqla.models import PermissionView
from flask_wtf import CSRFProtect
from sqlalchemy import Column, Integer, MetaData, String, Table, event, insert, inspect, select, text

from enrollment_addon import manifest
from enrollment_addon.core import roles
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.extension import Verb
from enrollment_addon.core.web import access
from enrollment_addon.jobs import registry, texts
from enrollment_addon.settings import MODULES, SettingsError
from tests import factories
from tests.conftest import PASSWORD, csrf_token
from tests.hosts import Command, QueryCount, make_host
from tests.servers import dispose

pytestmark = pytest.mark.databases("sqlite")

ROOT = Path(__file__).parents[2]
MOST_QUERIES_AT_START = 10

MakeHost = Callable[..., Flask]


@pytest.fixture
def host(database_url: str) -> Iterator[MakeHost]:
    """Start hosts on the test's database."""
    started: list[Flask] = []

    def start(url: str = database_url, **options: Any) -> Flask:
        started.append(make_host(url, **options))
        return started[-1]

    yield start
    for app in started:
        dispose(app)


@pytest.fixture
def installed_url(new_database: Callable[..., str]) -> str:
    """A database after `flask enrollment init`."""
    return new_database(installed=True)


@pytest.fixture
def installed(host: MakeHost, installed_url: str) -> Flask:
    """A host on such a database."""
    return host(installed_url)


def permissions_in_database(app: Flask) -> set[tuple[str, str]]:
    """All (permission, menu) pairs of the add-on, as the host's tables have them."""
    query = text(
        "SELECT p.name, v.name FROM ab_permission_view pv JOIN ab_permission p ON p.id = pv.permission_id "
        "JOIN ab_view_menu v ON v.id = pv.view_menu_id WHERE v.name LIKE 'Enrollment%'"
    )
    with app.app_context():
        return {(row[0], row[1]) for row in app.appbuilder.session.execute(query)}  # type: ignore[attr-defined]


def permissions_in_manifest(modules: tuple[str, ...] = MODULES) -> set[tuple[str, str]]:
    chosen = [m for m in manifest.MODULES if m.name in modules]
    records = {
        (f"can_{name}", menu) for menu, names in manifest.permissions(chosen).items() for name in names
    }
    places = {place for m in chosen for v in m.views if v.name for place in (v.name, v.category) if place}
    return records | {("menu_access", place) for place in places}


def paths(app: Flask) -> set[str]:
    return {rule.rule for rule in app.url_map.iter_rules()}


# ---- a start that stops ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"ENROLLMENT_JOB_TRESHOLD": 10}, "ENROLLMENT_JOB_TRESHOLD is not a setting"),
        ({"ENROLLMENT_JOB_THRESHOLD": "many"}, "ENROLLMENT_JOB_THRESHOLD = 'many'"),
        ({"ENROLLMENT_GRACE_DAYS": True}, "a number from 0 to 365"),
        ({"ENROLLMENT_CURRENCY": "Euro"}, "an ISO 4217 code"),
        ({"ENROLLMENT_TIMEZONE": "Mars/Base"}, "an IANA time zone"),
        ({"ENROLLMENT_MODULES": "people"}, "a list out of people, catalog, credits, billing"),
        ({"ENROLLMENT_MODULES": ["people", "ghosts"]}, "a list out of people, catalog, credits, billing"),
        ({"ENROLLMENT_MODULES": ["people", "credits"]}, "credits needs catalog"),
        ({"ENROLLMENT_MODULES": ["catalog"]}, "catalog needs people"),
        ({"ENROLLMENT_MODULES": [["people"]]}, "a list out of people, catalog, credits, billing"),
        ({"ENROLLMENT_CURRENCY": ["EUR"]}, "an ISO 4217 code"),
        ({"ENROLLMENT_BROKER_URL": "localhost:6379"}, "a URL such as redis://"),
        ({"ENROLLMENT_BROKER_URL": "redis://localhost:port/0"}, "a URL such as redis://"),
        ({"ENROLLMENT_EXPORT_FOLDER": "/dev/null/exports"}, "a folder that can be written to"),
        ({"ENROLLMENT_STRIPE_KEY": "pk_live_of_the_page"}, "^ENROLLMENT_STRIPE_KEY cannot be used: it takes a secret"),
        ({"ENROLLMENT_STRIPE_URL": "stripe.example.org"}, "a URL such as https://"),
        ({"SECRET_KEY": None}, "SECRET_KEY"),
    ],
)
def test_a_configuration_that_cannot_work_stops_the_start(
    host: MakeHost, config: dict[str, Any], told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        host(**config)


def test_another_version_of_the_framework_stops_the_start(
    host: MakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "5.2.1")
    with pytest.raises(SettingsError, match=r"needs Flask-AppBuilder 5\.3; this host has 5\.2\.1"):
        host()


def test_an_error_while_a_module_registers_stops_the_start(
    host: MakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(app: Flask, settings: Any) -> None:
        raise LookupError("half an add-on")

    broken = replace(manifest.MODULES[-1], wire=fail)
    monkeypatch.setattr(manifest, "MODULES", (*manifest.MODULES[:-1], broken))
    with pytest.raises(LookupError, match="half an add-on"):
        host()


# ---- what is registered ------------------------------------------------------------------------------------


def test_everything_in_the_manifest_is_registered(installed: Flask) -> None:
    views = {v.view for m in manifest.MODULES for v in m.views} | {
        a for m in manifest.MODULES for a in m.apis
    }
    registered = {type(view) for view in installed.appbuilder.baseviews}  # type: ignore[attr-defined]
    assert views <= registered
    assert {view.__name__ for view in views} <= set(installed.blueprints)
    for entry in (v for m in manifest.MODULES for v in m.views if v.name):
        assert installed.appbuilder.menu.find(entry.name), entry.name  # type: ignore[attr-defined]


def test_every_kind_of_job_has_words(installed: Flask) -> None:
    kinds = {kind for kind in registry._steps if not kind.startswith("test.")}
    assert kinds >= {*installed.extensions["enrollment"].due, "credits.grant", "export"}
    assert kinds == set(texts.KINDS)
    assert set(texts.ITEMS) == {kind for kind in kinds if registry.retry_handler(kind)} - {"credits.undo"}


def test_listed_permissions_are_those_in_the_database(installed: Flask) -> None:
    assert permissions_in_database(installed) == permissions_in_manifest()


def test_a_host_that_synchronises_at_every_start_comes_to_the_same_permissions(host: MakeHost) -> None:
    app = host(FAB_UPDATE_PERMS=True)
    assert permissions_in_database(app) == permissions_in_manifest()
    Command(app)("init")
    assert permissions_in_database(app) == permissions_in_manifest()


def test_the_administrator_may_do_everything(installed: Flask) -> None:
    with installed.app_context():
        admin = installed.appbuilder.sm.find_role("Admin")  # type: ignore[attr-defined]
        held = {(p.permission.name, p.view_menu.name) for p in admin.permissions}
    assert permissions_in_manifest() <= held


def test_every_verb_is_checked_somewhere() -> None:
    """A permission that nothing asks for would promise what it does not keep."""
    asked = set()
    for module in manifest.MODULES:
        for place in (*(v.view for v in module.views), *module.apis):
            for name in dir(place):
                method = getattr(place, name, None)
                needs = getattr(method, "enrollment_needs", None)
                operation = getattr(method, "enrollment_operation", None)
                asked |= {needs[0]} if needs else set()
                asked |= {operation.permission} if operation else set()
    verbs = {v.name for m in manifest.MODULES for v in m.verbs}
    decide = {access.SEE_ALL: "about rows, not about a page", "adjust_refund_amount": "within a cancellation"}
    assert verbs - asked == set(decide)


def test_a_host_with_people_only_has_nothing_of_the_rest(host: MakeHost) -> None:
    app = host(ENROLLMENT_MODULES=("people",))
    Command(app)("init")
    verbs: list[Verb] = app.extensions["enrollment"].verbs
    assert "merge_clients" in {v.name for v in verbs}
    assert "add_session_credits" not in {v.name for v in verbs}
    assert not [path for path in paths(app) if "credit" in path or "batch" in path or "event_type" in path]
    assert app.appbuilder.menu.find("Enrollment Clients")  # type: ignore[attr-defined]
    assert not app.appbuilder.menu.find("Enrollment Event types")  # type: ignore[attr-defined]
    assert not app.appbuilder.menu.find("Enrollment Lots")  # type: ignore[attr-defined]
    assert permissions_in_database(app) == permissions_in_manifest(("people",))
    assert app.extensions["enrollment"].client_parts == []


@pytest.mark.parametrize("count", range(1, len(MODULES)))
def test_the_pages_of_a_host_with_some_modules_work(host: MakeHost, installed_url: str, count: int) -> None:
    """Its pages lead nowhere that isn't there, and what is switched off has no page, no REST and no menu."""
    app = host(installed_url, ENROLLMENT_MODULES=MODULES[:count])
    off = [m for m in manifest.MODULES if m.name not in MODULES[:count]]
    gone = {place.__name__ for m in off for place in (*(v.view for v in m.views), *m.apis)}
    assert not gone & set(app.blueprints)
    assert not [v.name for m in off for v in m.views if v.name and app.appbuilder.menu.find(v.name)]  # type: ignore[attr-defined]
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        client = factories.make_client(session).id
    http = browser_of(app, roles.OWNER)
    places, visited = ["/enrollment/team-permissions/", f"/enrollment/clients/show/{client}"], set()
    while places:
        path = places.pop()
        if path not in visited:
            visited.add(path)
            answer = http.get(path)
            assert answer.status_code == 200, path
            links = re.findall(r'href="(/enrollment/[^"?#]*)', answer.text) if answer.mimetype == "text/html" else ()
            places += [link for link in links if "/export/" not in link and "/static/" not in link]
    assert len(visited) > 10
    Command(app)("run-due")


# ---- hosts with something of their own ---------------------------------------------------------------------


def browser_of(app: Flask, role: str) -> Any:
    """A browser with a person of this role logged in, through the host's own page."""
    with app.app_context():
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        assert security.add_user(
            "ana", "Ana", "Ruiz", "ana@example.org", security.find_role(role), password=PASSWORD
        )
    http = app.test_client()
    token = csrf_token(http.get("/login/").get_data(as_text=True))
    answer = http.post("/login/", data={"username": "ana", "password": PASSWORD, "csrf_token": token})
    assert answer.status_code == 302
    return http


def test_permissions_come_from_roles_groups_and_the_configuration(host: MakeHost, installed_url: str) -> None:
    """As the framework says, without its three objects per permission, which cost more than a whole request."""
    app = host(installed_url, FAB_ROLES={"Bookkeeper": [["EnrollmentPayment", "can_read"]]})
    with app.test_request_context():
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        desk = security.add_group("Desk", "", "", [security.find_role(roles.TEAM)])
        named = [security.find_role("Bookkeeper"), security.find_role(roles.CLIENT)]
        user = security.add_user("kim", "Kim", "Ray", "kim@example.org", named, password=PASSWORD, groups=[desk])
        app.appbuilder.session.expunge_all()  # type: ignore[attr-defined]
        user = security.get_user_by_id(user.id)
        made: list[Any] = []
        event.listen(PermissionView, "load", lambda item, _context: made.append(item))
        held = access.permissions_of(user)
        assert made == []
        told = security.get_user_roles_permissions(user)
    assert made, "the framework itself makes them"
    assert {"Bookkeeper", roles.CLIENT, roles.TEAM} == set(told)
    assert held == {pair for pairs in told.values() for pair in pairs} > {("can_read", "EnrollmentPayment")}


def protect(app: Flask, db: Any) -> None:
    CSRFProtect(app)


@pytest.mark.parametrize(
    "options", [{}, {"before": protect}, {"after": protect}], ids=["none", "before", "after"]
)
def test_forms_and_rest_are_protected_whatever_the_host_does(
    host: MakeHost, installed_url: str, options: dict[str, Any]
) -> None:
    """A host without CSRF protection, and with it set up before or after the framework."""
    app = host(installed_url, **options)
    http = browser_of(app, roles.OWNER)
    club = {"name": "North", "timezone": "Europe/Berlin", "currency": "EUR"}
    token = csrf_token(http.get("/enrollment/clubs/add").get_data(as_text=True))
    assert http.post("/enrollment/clubs/add", data=club).status_code in (400, 403)
    assert http.post("/api/v1/enrollment/clubs/", json=club).status_code in (400, 403)
    assert club_names(app) == []
    assert http.post("/enrollment/clubs/add", data={**club, "csrf_token": token}).status_code == 302
    with_header = http.post(
        "/api/v1/enrollment/clubs/", json={**club, "name": "South"}, headers={"X-CSRFToken": token}
    )
    assert with_header.status_code == 201
    logged_in = app.test_client()
    bearer = {"Authorization": f"Bearer {bearer_of(app)}"}
    by_bearer = logged_in.post("/api/v1/enrollment/clubs/", json={**club, "name": "West"}, headers=bearer)
    assert by_bearer.status_code == 201, by_bearer.text
    assert club_names(app) == ["North", "South", "West"]


def bearer_of(app: Flask) -> str:
    from flask_jwt_extended import create_access_token

    with app.app_context():
        user = app.appbuilder.sm.find_user(username="ana")  # type: ignore[attr-defined]
        return create_access_token(identity=str(user.id), fresh=True)


def club_names(app: Flask) -> list[str]:
    with app.app_context():
        return list(app.appbuilder.session.scalars(text("SELECT name FROM enrollment_club ORDER BY name")))  # type: ignore[attr-defined]


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
def test_tables_and_migrations_of_the_host_are_left_alone(
    host: MakeHost, new_database: Callable[..., str]
) -> None:
    app = host(new_database(empty=True))
    own = MetaData()
    version = Table("alembic_version", own, Column("version_num", String(32)))
    notes = Table("host_note", own, Column("id", Integer, primary_key=True), Column("text", String(20)))
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        own.create_all(engine)
        with engine.begin() as connection:
            connection.execute(insert(version).values(version_num="host17"))
            connection.execute(insert(notes).values(id=1, text="mine"))
        command = Command(app)
        command("init")
        command("db", "check")
        before = {t for t in inspect(engine).get_table_names() if not t.startswith("enrollment_")}
        command("db", "downgrade", "base", "--drop-data")
        assert {
            t for t in inspect(engine).get_table_names() if not t.startswith("enrollment_alembic")
        } == before
        with engine.connect() as connection:
            assert connection.scalar(select(version.c.version_num)) == "host17"
            assert connection.execute(select(notes)).all() == [(1, "mine")]


def test_two_applications_in_one_process_are_apart(host: MakeHost, new_database: Callable[..., str]) -> None:
    first = host(new_database(installed=True), ENROLLMENT_GRACE_DAYS=3)
    second = host(new_database(installed=True), ENROLLMENT_MODULES=("people",))
    assert first.extensions["enrollment"].settings.grace_days == 3
    assert second.extensions["enrollment"].settings.grace_days == 14
    assert any("credits" in path for path in paths(first))
    assert not any("credits" in path for path in paths(second))
    assert first.extensions["enrollment"].client_parts
    assert not second.extensions["enrollment"].client_parts
    assert first.extensions["enrollment"].dispatcher is not second.extensions["enrollment"].dispatcher
    token = csrf_token(
        (http := browser_of(first, roles.OWNER)).get("/enrollment/clubs/add").get_data(as_text=True)
    )
    club = {"name": "North", "timezone": "Europe/Berlin", "currency": "EUR", "csrf_token": token}
    assert http.post("/enrollment/clubs/add", data=club).status_code == 302
    assert (club_names(first), club_names(second)) == (["North"], [])


# ---- init --------------------------------------------------------------------------------------------------


def everything_in(app: Flask) -> dict[str, list[Any]]:
    """All rows of roles, permissions and of the add-on."""
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        names = [n for n in inspect(engine).get_table_names() if n.startswith(("enrollment_", "ab_"))]
        with engine.connect() as connection:
            return {
                name: sorted(map(repr, connection.execute(text(f"SELECT * FROM {name}")))) for name in names
            }


def test_init_a_second_time_changes_nothing(installed: Flask) -> None:
    Command(installed)("init")
    before = everything_in(installed)
    assert "up to date" in Command(installed)("init").stdout
    assert everything_in(installed) == before


def holds(app: Flask, role: str, permission: str, menu: str = access.MENU) -> bool:
    with app.app_context():
        found = app.appbuilder.sm.find_role(role)  # type: ignore[attr-defined]
        return (permission, menu) in {(p.permission.name, p.view_menu.name) for p in found.permissions}


def test_what_an_administrator_changed_survives_init_and_a_new_start(
    host: MakeHost, installed_url: str, installed: Flask
) -> None:
    with installed.app_context():
        security = installed.appbuilder.sm  # type: ignore[attr-defined]
        team = security.find_role(roles.TEAM)
        add, void = (
            security.find_permission_view_menu(f"can_{verb}", access.MENU)
            for verb in ("add_session_credits", "void_session_credits")
        )
        security.del_permission_role(team, add)
        security.add_permission_role(team, void)
    Command(installed)("init")
    again = host(installed_url, FAB_UPDATE_PERMS=True)
    Command(again)("init")
    assert not holds(again, roles.TEAM, "can_add_session_credits")
    assert holds(again, roles.TEAM, "can_void_session_credits")


def test_init_gives_a_permission_that_is_new_in_a_version_once(
    host: MakeHost, installed_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = manifest.MODULES[-1]
    newer = replace(
        last,
        verbs=(*last.verbs, Verb("freeze_credits", "Freeze", manifest.CREDITS, roles=(roles.OWNER,))),
    )
    monkeypatch.setattr(manifest, "MODULES", (*manifest.MODULES[:-1], newer))
    app = host(installed_url)
    assert f"{roles.OWNER}: 1 permissions added" in Command(app)("init").stdout
    assert holds(app, roles.OWNER, "can_freeze_credits")
    assert not holds(app, roles.MANAGER, "can_freeze_credits")


def test_a_host_may_start_before_init_and_says_that_it_is_not_ready(
    host: MakeHost, new_database: Callable[..., str]
) -> None:
    app = host(url := new_database(empty=True))
    answer = app.test_client().get("/api/v1/enrollment/health")
    assert answer.status_code == 503
    assert answer.json["result"] == {  # type: ignore[index]
        "live": True,
        "ready": False,
        "database": True,
        "migrations": False,
        "broker": None,
    }
    page = app.test_client().get("/enrollment/health")
    assert (page.status_code, page.json) == (503, answer.json["result"])  # type: ignore[index]
    Command(app)("init")
    assert app.test_client().get("/enrollment/health").status_code == 200
    away = host(url, ENROLLMENT_BROKER_URL="redis://127.0.0.1:1/0").test_client().get("/enrollment/health")
    assert (away.status_code, away.json["ready"], away.json["broker"]) == (200, True, False)  # type: ignore[index]
    assert app.test_client().get("/api/v1/enrollment/health").json["ready"] is True  # type: ignore[index]


def test_metrics_are_served_where_the_host_wants_them(host: MakeHost, installed_url: str) -> None:
    with_metrics, without = host(installed_url, ENROLLMENT_METRICS=True).test_client(), host(installed_url)
    with_metrics.get("/api/v1/enrollment/health")
    told = with_metrics.get("/enrollment/metrics").text
    assert 'flask_http_request_total{method="GET",status="200"}' in told
    assert 'endpoint="HealthApi.health"' in told
    assert without.test_client().get("/enrollment/metrics").status_code == 404


def test_several_processes_count_together(installed_url: str, tmp_path: Path) -> None:
    """As behind gunicorn: each process writes its share into the folder, and any of them tells the sum."""
    ask = (
        "import sys; from tests.hosts import make_host; "
        "http = make_host(sys.argv[1], ENROLLMENT_METRICS=True).test_client(); "
        "http.get('/api/v1/enrollment/health'); print(http.get('/enrollment/metrics').text)"
    )
    for processes in (1, 2):
        told = subprocess.run(
            [sys.executable, "-c", ask, installed_url], check=True, capture_output=True, text=True,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}, cwd=ROOT,
        ).stdout
        assert f'flask_http_request_total{{method="GET",status="200"}} {processes}.0' in told


# ---- start of a production worker --------------------------------------------------------------------------


def queries_at_start(host: MakeHost, url: str, *, addon: bool) -> int:
    counts: list[QueryCount] = []
    host(url, addon=addon, before=lambda app, db: counts.append(QueryCount(db.engine).__enter__()))
    return len(counts[0].statements)


@pytest.mark.databases("sqlite", "postgresql")
def test_a_start_without_permission_sync_asks_the_database_little(host: MakeHost, installed_url: str) -> None:
    bare = queries_at_start(host, installed_url, addon=False)
    assert bare > 0, "the framework itself asks something"
    assert queries_at_start(host, installed_url, addon=True) - bare <= MOST_QUERIES_AT_START


def test_a_start_does_not_wait_for_what_few_requests_need(installed_url: str) -> None:
    """Neither for their libraries, nor for the garbage collector, which then works as before and on what is new."""
    ask = (
        "import gc, sys; from tests.hosts import make_host; "
        "make_host(sys.argv[1], addon=False); before = {*sys.modules}; make_host(sys.argv[1]); "
        "young = sum(len(gc.get_objects(generation)) for generation in (0, 1)); "
        "print(*sorted({name.split('.')[0] for name in {*sys.modules} - before}), gc.isenabled(), "
        "gc.get_freeze_count(), young < 20_000)"
    )
    told = subprocess.run(
        [sys.executable, "-c", ask, installed_url], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout
    assert told.splitlines()[-1] == "enrollment_addon True 0 True"


def test_the_routes_of_the_host_are_left_alone(host: MakeHost, installed_url: str) -> None:
    """Only the add-on's own compile what builds their URLs late."""

    def add_page(app: Flask, db: Any) -> None:
        app.add_url_rule("/own/<int:pk>", "own", lambda pk: str(pk))

    app = host(installed_url, after=add_page)
    kinds = {rule.endpoint: type(rule).__name__ for rule in app.url_map.iter_rules()}
    assert (kinds["own"], kinds["UserDBModelView.list"], kinds["ClientView.show"]) == ("Rule", "Rule", "LateRule")
    with app.test_request_context():
        assert url_for("ClientView.show", pk=7, tab="a b") == "/enrollment/clients/show/7?tab=a+b"

"""What happens when the machine does not play along: kills, a locked database, a full disk."""

import re
import sqlite3
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, make_url

from enrollment_addon.core import roles
from enrollment_addon.core.db import unit_of_work
from tests import factories
from tests.conftest import PASSWORD, csrf_token
from tests.live import Server
from tests.scenarios.conftest import Studio, assert_ledger_is_consistent, balances

CLIENTS = 6_000


class Visitor:
    """A browser without pictures: cookies, pages and forms over a real connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> str:
        with self._opener.open(self.url + path, timeout=60) as answer:
            return str(answer.read().decode())

    def post(self, path: str, data: dict[str, Any]) -> tuple[str, str]:
        """The page that the form leads to, and its address."""
        body = urllib.parse.urlencode(data, doseq=True).encode()
        with self._opener.open(self.url + path, body, timeout=60) as answer:
            return str(answer.read().decode()), str(answer.geturl())

    def log_in(self, username: str) -> None:
        page = self.get("/login/")
        _page, url = self.post(
            "/login/", {"username": username, "password": PASSWORD, "csrf_token": csrf_token(page)}
        )
        assert "/login" not in url


def many_clients(app: Flask, count: int) -> int:
    """Clients as an import would leave them, and an event type; its key."""
    from sqlalchemy import insert

    from enrollment_addon.core import clock
    from enrollment_addon.people.models import Client

    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        with unit_of_work(session):
            club = factories.make_club(session)
            rows = [
                {"first_name": "Cleo", "last_name": f"Client {n}", "club_id": club.id, "tags": [], "archived": False,
                 "created_at": clock.now(), "updated_at": clock.now()}
                for n in range(count)
            ]
            session.execute(insert(Client), rows)
            return int(factories.make_event_type(session).id)


def test_a_killed_server_finishes_the_batch_after_its_restart(
    app: Flask, database_url: str, make_user: Callable[..., int], tmp_path: Path
) -> None:
    """kill -9 in the middle of 6,000 clients: after the restart each of them has the credits exactly once."""
    make_user("ana", [roles.OWNER])
    yoga = many_clients(app, CLIENTS)
    server = Server(
        tmp_path, SQLALCHEMY_DATABASE_URI=database_url, ENROLLMENT_GRANT_CHUNK=75, ENROLLMENT_JOB_LEASE_SECONDS=2
    ).start()
    try:
        visitor = Visitor(server.url)
        visitor.log_in("ana")
        page = visitor.get("/enrollment/clients/list/")
        form, _url = visitor.post(
            "/enrollment/clients/action_post",
            {"csrf_token": csrf_token(page), "action": "add_session_credits", "all": "1", "filter": ""},
        )
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
        _page, job_url = visitor.post(
            "/enrollment/credits/save",
            {**hidden, "event_type_id": yoga, "quantity": 2, "expiry": "none", "period_unit": "months"},
        )
        job = job_url.rsplit("/", 1)[-1]
        _wait(lambda: _done(app, job) > 0)
        server.kill()
        reached = _done(app, job)
        assert 0 < reached < CLIENTS, "it was killed half-way"
        server.start()
        _wait(lambda: _state(app, job) == "done")
    finally:
        server.stop()
    assert _done(app, job) == CLIENTS
    given = balances(app)
    assert len(given) == CLIENTS
    assert set(given.values()) == {2}
    assert_ledger_is_consistent(app)


def _wait(reached: Callable[[], bool], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < until, "it happens in time"
        time.sleep(0.02)


def _job(app: Flask, key: str) -> Any:
    from sqlalchemy import select

    from enrollment_addon.jobs.models import Job

    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        return session.execute(select(Job.done, Job.state).where(Job.id == int(key))).one()


def _done(app: Flask, key: str) -> int:
    return int(_job(app, key).done)


def _state(app: Flask, key: str) -> str:
    return str(_job(app, key).state)


@contextmanager
def unwell(app: Flask, trouble: str) -> Iterator[None]:
    """The database is `locked` by a writer that does not end, `taken` whole by another program, or its disk `full`."""
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
    hurry = ["PRAGMA busy_timeout = 50", *(["PRAGMA max_page_count = 1"] if trouble == "full" else [])]

    def connected(connection: Any, _record: Any) -> None:
        for pragma in hurry:
            connection.execute(pragma)

    def connect(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
        options["timeout"] = 0.05

    engine.dispose()
    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", connected)
    other = sqlite3.connect(make_url(engine.url).database or "", isolation_level=None)
    try:
        if trouble == "full":
            other.execute("VACUUM")
        else:
            if trouble == "taken":
                other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE enrollment_write_lock SET turn = turn")
        yield
    finally:
        other.close()
        event.remove(engine, "do_connect", connect)
        event.remove(engine, "connect", connected)
        engine.dispose()


def bearer(app: Flask, username: str) -> dict[str, str]:
    answer = app.test_client().post(
        "/api/v1/security/login", json={"username": username, "password": PASSWORD, "provider": "db"}
    )
    assert answer.json is not None
    return {"Authorization": f"Bearer {answer.json['access_token']}"}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("trouble", ["locked", "full"])
def test_what_could_not_be_saved_is_said_kept_and_saved_later(
    app: Flask, ana: FlaskClient, studio: Studio, trouble: str
) -> None:
    """A form shows again what was typed; REST answers 503; the same requests go through once the trouble is over."""
    typed = {
        "first_name": "Ruth", "last_name": "Rothe", "club_id": studio.uptown, "notes": "Left knee. " * 400,
        "csrf_token": csrf_token(ana.get("/enrollment/clients/add").text),
    }
    rest = app.test_client(use_cookies=False)
    grant = {
        "json": {"client_ids": studio.clients, "event_type_id": studio.yoga, "quantity": 3, "note": "n" * 400},
        "headers": {**bearer(app, "ana"), "Idempotency-Key": "once"},
    }
    with unwell(app, trouble):
        form = ana.post("/enrollment/clients/add", data=typed)
        assert form.status_code == 503
        assert "Nothing was saved; please try again" in form.text
        assert 'value="Rothe"' in form.text
        assert typed["notes"].strip() in form.text
        refused = rest.post("/api/v1/enrollment/credits/grant", **grant)
        assert (refused.status_code, refused.json["error"]["code"]) == (503, "busy")
        assert rest.get("/api/v1/enrollment/clients", headers=grant["headers"]).json["count"] == 45, "one can read"
    assert balances(app) == {}
    assert_ledger_is_consistent(app)

    assert ana.post("/enrollment/clients/add", data=typed).status_code == 302
    assert rest.post("/api/v1/enrollment/credits/grant", **grant).status_code == 201
    assert rest.get("/api/v1/enrollment/clients", headers=grant["headers"]).json["count"] == 46
    assert balances(app) == dict.fromkeys(studio.clients, 3)


@pytest.mark.databases("sqlite")
def test_a_database_that_cannot_be_read_is_said_in_the_readers_language(
    app: Flask, ana: FlaskClient, studio: Studio
) -> None:
    ana.get("/lang/de")
    headers = bearer(app, "ana")
    rest = app.test_client(use_cookies=False)
    pages = ("/enrollment/clients/list/", f"/enrollment/clients/show/{studio.clients[0]}", "/enrollment/jobs/list/")
    with unwell(app, "taken"):
        for page in pages:
            answer = ana.get(page)
            assert answer.status_code == 503, page
            assert "Die Datenbank ist ausgelastet oder voll" in answer.text
            assert 'lang="de"' in answer.text
        answer = rest.get("/api/v1/enrollment/clients", headers=headers)
        assert (answer.status_code, answer.json["error"]["code"]) == (503, "busy")
    assert [ana.get(page).status_code for page in pages] == [200, 200, 200]

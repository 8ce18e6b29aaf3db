"""What happens to a bulk grant when the machine does not play along."""

import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from flask import Flask

from enrollment_addon.core import roles
from enrollment_addon.core.db import unit_of_work
from tests import factories
from tests.conftest import PASSWORD, csrf_token
from tests.live import Server
from tests.scenarios.conftest import assert_ledger_is_consistent, balances

CLIENTS = 20_000


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
    """kill -9 in the middle of 20,000 clients: after the restart each of them has the credits exactly once."""
    make_user("ana", [roles.OWNER])
    yoga = many_clients(app, CLIENTS)
    server = Server(
        tmp_path, SQLALCHEMY_DATABASE_URI=database_url, ENROLLMENT_GRANT_CHUNK=250, ENROLLMENT_JOB_LEASE_SECONDS=2
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

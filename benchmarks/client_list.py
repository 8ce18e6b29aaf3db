"""The list of clients with balances: queries of a page, and its time among a million clients."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.cli.tables import install_permissions
from enrollment_addon.core import roles
from enrollment_addon.demo import create_app
from tests.conftest import PASSWORD, csrf_token

from .databases import analyze, databases, filled, new_event_type
from .grant import plain_sql
from .registry import Comparison, Options, SideBySide, benchmark

SMALL, LARGE = 1_000, 1_000_000
PAGES = 20
"""Pages per run, so that one run takes long enough to measure."""
URL = "/enrollment/clients/list/"


def host(engine: Engine) -> Flask:
    """The demo host on a filled database, with its owner."""
    url = engine.url.render_as_string(hide_password=False)
    app = create_app({"SQLALCHEMY_DATABASE_URI": url, "FAB_UPDATE_PERMS": False, "ENROLLMENT_WORKER": False})
    with app.app_context():
        install_permissions()
        security: Any = app.appbuilder.sm  # type: ignore[attr-defined]
        security.add_user("ana", "Ana", "Ruiz", "ana@example.org", security.find_role(roles.OWNER), password=PASSWORD)
    return app


def log_in(app: Flask) -> FlaskClient:
    http = app.test_client()
    token = csrf_token(http.get("/login/").text)
    http.post("/login/", data={"username": "ana", "password": PASSWORD, "csrf_token": token})
    assert http.get(URL).status_code == 200
    return http


def pages(http: FlaskClient, url: str = URL) -> Callable[[], float]:
    """Milliseconds per page."""

    def run() -> float:
        begin = time.perf_counter()
        for _ in range(PAGES):
            assert http.get(url).status_code == 200
        return (time.perf_counter() - begin) / PAGES * 1000

    return run


def queries_of(app: Flask, http: FlaskClient, url: str = URL) -> int:
    """Statements that one page sends."""
    sent: list[str] = []
    with app.app_context():
        engine: Engine = app.extensions["sqlalchemy"].engine

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    http.get(url)
    event.remove(engine, "before_cursor_execute", note)
    return len(sent)


@benchmark("client-list")
def measure_client_list(options: Options) -> Iterator[Comparison]:
    """A page of 25 with balances among a million clients against one among a thousand, on PostgreSQL."""
    with databases() as servers, ExitStack() as stack:
        browsers: dict[int, FlaskClient] = {}
        for size in (SMALL, LARGE):
            engine, factory = stack.enter_context(filled(servers, "postgresql", size))
            give_credits(factory, size)
            analyze(engine)
            app = host(engine)
            browsers[size] = log_in(app)
            yield Comparison(
                f"queries of the client list, {size:,} clients", queries_of(app, browsers[size]), "queries", at_most=20
            )
        times = SideBySide().run(options.runs, pages(browsers[LARGE]), pages(browsers[SMALL]))
        yield Comparison(
            f"client list, {LARGE:,} clients against {SMALL:,}", times.ratio, at_most=2.0,
            detail=times.show("ms a page").replace("service", f"{LARGE:,}:").replace("plain", f"{SMALL:,}:"),
        )


def give_credits(factory: sessionmaker[Session], clients: int) -> None:
    """A lot and a balance for every client."""
    new_event_type(factory)
    plain_sql(factory, clients)

"""Databases, sessions and the application for every test.

A test that uses any of the fixtures below runs on SQLite and PostgreSQL. `@pytest.mark.all_databases` adds
MariaDB; `@pytest.mark.databases("sqlite")` names the kinds itself.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.core import scope
from tests.servers import (
    KINDS,
    Databases,
    compile_statements_once,
    connect,
    dispose,
    fast_folder,
    load_models,
    make_app,
)

PASSWORD = "a long passphrase"
_FOLDER = "ENROLLMENT_TEST_RUN_FOLDER"

load_models()
compile_statements_once()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        folder = Path(tempfile.mkdtemp(prefix="enrollment-", dir=fast_folder()))
        folder.chmod(0o755)
        os.environ[_FOLDER] = str(folder)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        Databases(Path(os.environ.pop(_FOLDER))).stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" not in metafunc.fixturenames:
        return
    named = metafunc.definition.get_closest_marker("databases")
    everything = metafunc.definition.get_closest_marker("all_databases")
    kinds = named.args if named else KINDS if everything else ("sqlite", "postgresql")
    metafunc.parametrize("database", kinds, indirect=True)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    databases = Databases(Path(os.environ[_FOLDER]))
    yield databases
    databases.close()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database this run of the test is for: sqlite, postgresql or mariadb."""
    kind: str = request.param
    return kind


@pytest.fixture
def new_database(database: str, databases: Databases) -> Iterator[Callable[..., str]]:
    """Make a further database of the test's kind, with the schema, `installed` or `empty`; its URL."""
    made: list[str] = []

    def make(*, empty: bool = False, installed: bool = False) -> str:
        made.append(databases.empty(database) if empty else databases.new(database, installed=installed))
        return made[-1]

    yield make
    for url in made:
        databases.drop(url)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, new_database: Callable[..., str]) -> str:
    """The test's own database; with the add-on's roles and permissions when the test uses the application."""
    return new_database(installed="app" in request.fixturenames)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def session_factory(engine: Engine) -> sessionmaker[Session]:
    """Sessions that work for the system and see everything; `scope.set_actor` changes that."""
    factory = sessionmaker(engine)
    scope.install(factory)
    factory.configure(info={scope.ACTOR: scope.SYSTEM})
    return factory


@pytest.fixture
def session(session_factory: sessionmaker[Session]) -> Iterator[Session]:
    with session_factory() as session:
        yield session


@pytest.fixture
def config() -> dict[str, Any]:
    """Settings of the application under test, for a test or module to override."""
    return {}


@pytest.fixture
def app(database_url: str, config: dict[str, Any]) -> Iterator[Flask]:
    """The demo host on a fresh database."""
    app = make_app(database_url, **{"FAB_UPDATE_PERMS": False, **config})
    yield app
    dispose(app)


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def make_user(app: Flask) -> Callable[..., Any]:
    """Create a user of the host with the named roles; their password is `PASSWORD`. Gives the user's key."""

    def make(username: str, roles: list[str], **over: Any) -> int:
        with app.app_context():
            security = app.appbuilder.sm  # type: ignore[attr-defined]
            found = [security.find_role(role) for role in roles]
            assert all(found), f"roles {roles} exist"
            user = security.add_user(
                username, over.get("first_name", username.title()), over.get("last_name", "Test"),
                over.get("email", f"{username}@example.org"), found, password=PASSWORD,
            )
            assert user, f"{username} was created"
            return int(user.id)

    return make


@pytest.fixture
def login() -> Callable[[FlaskClient, str], FlaskClient]:
    """Log a browser in through the host's own form."""

    def log_in(http: FlaskClient, username: str) -> FlaskClient:
        page = http.get("/login/").get_data(as_text=True)
        answer = http.post(
            "/login/", data={"username": username, "password": PASSWORD, "csrf_token": csrf_token(page)}
        )
        assert answer.status_code == 302, "the login form leads on"
        assert "/login" not in answer.headers["Location"], f"{username} was logged in"
        return http

    return log_in


def csrf_token(page: str) -> str:
    """The token in a form of this page; empty when it has none."""
    _, found, rest = page.partition('name="csrf_token"')
    return rest.partition('value="')[2].partition('"')[0] if found else ""

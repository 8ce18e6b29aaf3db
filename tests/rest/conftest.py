"""A town with two clubs, the people who work there and how far each of them reaches, and callers by token."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask_appbuilder.security.sqla.models import PermissionView, Role, ViewMenu
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.test import TestResponse

from enrollment_addon.core import roles
from enrollment_addon.core.batches import Batch, BatchState, batches
from enrollment_addon.core.web import access
from enrollment_addon.core.web.api import Operation
from enrollment_addon.credits.imports.models import ClientImport, ImportRow
from enrollment_addon.jobs.models import Job, JobState
from enrollment_addon.jobs.queries import jobs
from enrollment_addon.people.models import Client, Club, ReachChoice, TeamMember
from enrollment_addon.schedule.models import CalendarFeed
from tests import factories
from tests.conftest import PASSWORD

BASE = "/api/v1/enrollment"
ALL_VERBS = "Everything but all clients"
"""A role with every permission except the one that lets people without a team member record reach everybody."""


class Caller:
    """Somebody who uses the interface."""

    def __init__(self, app: Flask, **headers: str) -> None:
        self.http, self.headers = app.test_client(use_cookies=False), headers

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> TestResponse:
        headers = {**self.headers, **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        return self.http.open(f"{BASE}{path}", method=method, headers=headers, **options)

    def get(self, path: str, **query: Any) -> TestResponse:
        return self("GET", path, query_string=query)

    def post(self, path: str, body: Any = None, key: str | None = None, **query: Any) -> TestResponse:
        headers = {"Idempotency-Key": key} if key else {}
        return self("POST", path, {} if body is None else body, headers=headers, query_string=query)

    def put(self, path: str, body: Any) -> TestResponse:
        return self("PUT", path, body)

    def delete(self, path: str) -> TestResponse:
        return self("DELETE", path)

    def result(self, path: str, **query: Any) -> Any:
        """What a GET gives, when it gives something."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json["result"]  # type: ignore[index]

    def made(self, path: str, body: Any, **options: Any) -> Any:
        """What a POST made."""
        answer = self.post(path, body, **options)
        assert answer.status_code == 201, answer.text
        return answer.json["result"]  # type: ignore[index]


def refusal(answer: TestResponse) -> tuple[int, str]:
    """Status and code of a refusal; also asserts that it has the one shape all refusals have."""
    assert answer.is_json, answer.text
    body = answer.get_json()
    assert set(body) == {"error"}, body
    error = body["error"]
    assert set(error) == {"code", "message", "params"}
    assert isinstance(error["params"], dict)
    assert error["message"]
    assert "%(" not in error["message"], "placeholders are filled"
    return answer.status_code, error["code"]


def wrong_fields(answer: TestResponse) -> set[str]:
    """The fields that a 422 names."""
    assert refusal(answer)[0] == 422, answer.text
    return set(answer.get_json()["error"]["params"].get("fields", {}))


@dataclass(frozen=True)
class Endpoint:
    """One registered endpoint: method and path, `<pk>` in it where a key goes."""

    method: str
    path: str
    menu: str
    operation: Operation

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def at(self, key: int) -> str:
        return self.path.replace("<pk>", str(key))


def endpoints_of(app: Flask) -> list[Endpoint]:
    """Every endpoint that is registered, so that a new one can't be forgotten by a test that asks for all."""
    found = {}
    for api in app.extensions["enrollment"].apis:
        for attribute in dir(type(api)):
            method = getattr(type(api), attribute)
            operation = getattr(method, "enrollment_operation", None)
            for url, (verb,) in getattr(method, "_urls", ()) if operation else ():
                path = f"{api.route_base}{url}".removeprefix(BASE).rstrip("/")
                menu = operation.menu or api.class_permission_name
                found[verb, path] = Endpoint(verb, path, menu, operation)
    assert found
    return sorted(found.values(), key=lambda e: (e.path, e.method))


@pytest.fixture
def sessions(session_factory: sessionmaker[Session]) -> Callable[..., Any]:
    """Open a session that works for the system, in a transaction of its own."""
    return session_factory.begin


@pytest.fixture
def endpoints(app: Flask) -> list[Endpoint]:
    return endpoints_of(app)


@pytest.fixture
def nobody(app: Flask) -> Caller:
    """A caller without a token."""
    return Caller(app)


@pytest.fixture
def log_in(app: Flask) -> Callable[[str], Caller]:
    """A caller with the token that a user gets for their password."""

    def by_token(username: str) -> Caller:
        answer = app.test_client().post(
            "/api/v1/security/login", json={"username": username, "password": PASSWORD, "provider": "db"}
        )
        assert answer.status_code == 200, answer.text
        return Caller(app, Authorization=f"Bearer {answer.json['access_token']}")  # type: ignore[index]

    return by_token


@pytest.fixture
def owner(make_user: Callable[..., int], log_in: Callable[[str], Caller]) -> Caller:
    """Olga, who owns the place and reaches everything."""
    make_user("olga", [roles.OWNER])
    return log_in("olga")


@dataclass
class Town:
    """Keys of what is there. Ann (in North, Nora's client) and Bob (in South, Sam's client) have one of each."""

    north: int
    south: int
    nora: int
    sam: int
    yoga: int
    package: int
    ann: "Possessions"
    bob: "Possessions"


@dataclass
class Possessions:
    """A client and what hangs on them."""

    client: int
    participant: int
    household: int
    lot: int
    batch: int
    job: int
    charge: int
    payment: int
    online: int
    report: int
    notice: int
    group: int
    session: int
    booking: int
    closure: int
    link: int
    enrollment: int
    file: int

    def key_for(self, path: str) -> int | None:
        """The key that goes into a path about something of this client's."""
        kinds = {
            "/clients/": self.client, "/participants/": self.participant, "/households/": self.household,
            "/lots/": self.lot, "/credits/lots/": self.lot, "/batches/": self.batch, "/jobs/": self.job,
            "/charges/": self.charge, "/payments/": self.payment,
            "/online_payments/": self.online, "/training_reports/": self.report,
            "/enrollments/": self.enrollment,
            "/class_groups/": self.group, "/sessions/": self.session, "/bookings/": self.booking,
            "/closures/": self.closure, "/notices/": self.notice, "/imports/": self.file, "/calendar_links/": self.link,
        }
        return next((key for start, key in kinds.items() if path.startswith(start)), None)


def _possessions(session: Session, yoga: Any, user_id: int, **client: Any) -> Possessions:
    person = factories.make_client(session, **client)
    batch = Batch(
        kind="credits.grant", created_by_id=user_id, state=BatchState.done, total=1, done=1, skipped=[],
        input={"event_type_id": yoga.id, "quantity": 10, "left_out": {}},
    )
    job = Job(kind="credits.grant", input={"batch_id": 0}, created_by_id=user_id, state=JobState.queued)
    closure = Batch(
        kind="schedule.close", created_by_id=user_id, state=BatchState.done, total=0, done=0, skipped=[],
        input={"booked": 0, "clients": 0, "credits": 0},
    )
    link = CalendarFeed(client_id=person.id, secret_hash=str(person.id))
    file = ClientImport(
        name="clients.csv", digest="", header=["first name", "last name"], total=1, created_by_id=user_id
    )
    session.add_all([batch, job, closure, link, file])
    session.flush()
    session.add(ImportRow(import_id=file.id, number=2, cells=["Mallory", "Import"]))
    participant = factories.make_participant(session, person)
    enrollment = factories.make_enrollment(session, person, factories.make_package(session, yoga))
    charge = factories.make_charge(session, person)
    group = factories.make_class_group(session, person.club, yoga, team_member_id=person.team_member_id)
    lesson = factories.make_session(
        session, person.club, yoga, class_group_id=group.id, team_member_id=person.team_member_id
    )
    return Possessions(
        client=person.id,
        participant=participant.id,
        household=factories.make_household(session, person).id,
        lot=factories.make_lot(session, person, yoga, batch_id=batch.id).id,
        batch=batch.id,
        job=job.id,
        charge=charge.id,
        enrollment=enrollment.id,
        online=factories.make_online_payment(session, charge).id,
        payment=factories.make_payment(session, person, charge=charge).id,
        group=group.id,
        session=lesson.id,
        booking=factories.make_booking(session, lesson, participant, state="booked").id,
        closure=closure.id,
        file=file.id,
        link=link.id,
        notice=factories.make_notice(session, person).id,
        report=factories.make_training_report(
            session, participant, enrollment_id=enrollment.id, visible_to_client=True
        ).id,
    )


@pytest.fixture
def town(sessions: Callable[..., Any]) -> Town:
    """Written directly, so that a test can start in any state."""
    with sessions() as session:
        north, south = (factories.make_club(session, name=name) for name in ("North", "South"))
        nora = factories.make_team_member(session, name="Nora", clubs=[north])
        sam = factories.make_team_member(session, name="Sam", clubs=[south])
        yoga = factories.make_event_type(session, name="Yoga")
        ann = _possessions(
            session, yoga, nora.user_id, club=north, team_member_id=nora.id, first_name="Ann",
            last_name="Archer", email="ann@example.org",
        )
        bob = _possessions(
            session, yoga, sam.user_id, club=south, team_member_id=sam.id, first_name="Bob",
            last_name="Baker", email="bob@example.org",
        )
        package = factories.make_package(session, yoga)
        return Town(north.id, south.id, nora.id, sam.id, yoga.id, package.id, ann, bob)


@pytest.fixture
def all_verbs(app: Flask) -> str:
    """The name of a role that may do everything, so that only the reach of its people limits them."""
    known = app.extensions["enrollment"].permissions.items()
    wanted = {(f"can_{name}", menu) for menu, names in known for name in names}
    wanted.remove((f"can_{access.SEE_ALL}", access.MENU))
    with app.app_context():
        session = app.appbuilder.session  # type: ignore[attr-defined]
        ours = PermissionView.view_menu.has(ViewMenu.name.in_(dict(known)))
        pairs = session.scalars(select(PermissionView).where(ours))
        held = [pair for pair in pairs if (pair.permission.name, pair.view_menu.name) in wanted]
        assert len(held) == len(wanted), "all of them were installed"
        session.add(Role(name=ALL_VERBS, permissions=held))
        session.commit()
    return ALL_VERBS


REACHES = ("own_clients", "own_clubs", "portal", "nothing")


@pytest.fixture
def person(
    request: pytest.FixtureRequest, town: Town, all_verbs: str, sessions: Callable[..., Any],
    make_user: Callable[..., int], log_in: Callable[[str], Caller],
) -> Caller:
    """Somebody who may use every verb and reaches Ann, by one reach or another, or nobody; never Bob."""
    return reaching(request.param, town, all_verbs, sessions, make_user, log_in)


def reaching(
    reach: str, town: Town, role: str, sessions: Callable[..., Any], make_user: Callable[..., int],
    log_in: Callable[[str], Caller],
) -> Caller:
    """A caller of this reach: Nora's own clients, the clients of North, the portal account of Ann, or nobody."""
    user_id = make_user(reach, [role])
    with sessions() as session:
        if reach == "own_clients":
            session.execute(update(TeamMember).where(TeamMember.id == town.nora).values(user_id=user_id))
        elif reach == "own_clubs":
            factories.make_team_member(
                session, user_id=user_id, scope=ReachChoice.own_clubs, clubs=[session.get_one(Club, town.north)]
            )
        elif reach == "portal":
            session.execute(update(Client).where(Client.id == town.ann.client).values(portal_user_id=user_id))
        if reach != "nothing":
            own = batches.c.id.in_((town.ann.batch, town.ann.closure))
            session.execute(update(batches).where(own).values(created_by_id=user_id))
            session.execute(update(jobs).where(jobs.c.id == town.ann.job).values(created_by_id=user_id))
            session.execute(update(ClientImport).where(ClientImport.id == town.ann.file).values(created_by_id=user_id))
    return log_in(reach)

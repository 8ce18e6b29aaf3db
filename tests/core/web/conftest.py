"""Two clubs with their people and credits, and browsers in which somebody is logged in."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from enrollment_addon.core import roles
from enrollment_addon.core.batches import Batch, BatchState
from enrollment_addon.credits.imports.models import ClientImport
from enrollment_addon.credits.models import CreditEntry
from enrollment_addon.jobs.models import Job, JobState
from enrollment_addon.people.models import Client, ReachChoice
from tests import factories
from tests.hosts import QueryCount


@dataclass(frozen=True)
class World:
    """Nora may do everything, but reaches only Ann, in North. Sam is a team member of South, where Bob is.

    `own` and `foreign` name, by view, the keys of records within and out of Nora's reach; clubs, event types and
    team members are everybody's.
    """

    own: Mapping[str, int]
    foreign: Mapping[str, int]
    nora_user: int
    sam_user: int

    @property
    def ann(self) -> int:
        return self.own["ClientView"]

    @property
    def bob(self) -> int:
        return self.foreign["ClientView"]


class Visitor:
    """Somebody at a browser: follows no redirects, and sends the token of the page with every form."""

    def __init__(self, http: FlaskClient) -> None:
        self.http = http
        self.token = ""

    def get(self, url: str, **options: Any) -> TestResponse:
        answer = self.http.get(url, **options)
        if answer.mimetype == "text/html":
            _, found, rest = answer.text.partition('<meta name="csrf-token" content="')
            self.token = rest.partition('"')[0] if found else self.token
        return answer

    def post(self, url: str, data: Mapping[str, Any] | None = None, **options: Any) -> TestResponse:
        if not self.token:
            self.get("/enrollment/clients/list/")
        return self.http.post(url, data={"csrf_token": self.token, **(data or {})}, **options)


AsUser = Callable[[str], Visitor]


def content(answer: TestResponse) -> str:
    """The part of a page that is the add-on's own."""
    _, found, rest = answer.text.partition("<main")
    assert found, f"a page of the add-on, not {answer.status}: {answer.text[:200]}"
    return rest.partition("</main>")[0]


@contextmanager
def writes(app: Flask) -> Iterator[list[str]]:
    """The statements by which the application changes data meanwhile; its lock of a transaction is none."""
    found: list[str] = []
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
    with QueryCount(engine) as count:
        yield found
    found += [
        s for s in count.statements
        if s.lstrip().split(" ", 1)[0].upper() in ("INSERT", "UPDATE", "DELETE") and "write_lock" not in s
    ]


@pytest.fixture
def as_user(app: Flask) -> AsUser:
    """A browser with the cookie of this user's log-in; the form itself would be the slowest part of most tests."""

    def open_browser(username: str) -> Visitor:
        http = app.test_client()
        with app.app_context():
            user = app.appbuilder.sm.find_user(username=username)  # type: ignore[attr-defined]
            key = str(user.id)
        with http.session_transaction() as cookie:
            cookie.update({"_user_id": key, "_fresh": True})
        return Visitor(http)

    return open_browser


@pytest.fixture
def world(session: Session, make_user: Callable[..., int]) -> World:
    """Also with the users owner, manager, portal (who is Ann) and stranger (who holds no role)."""
    for name, held in (("owner", [roles.OWNER]), ("manager", [roles.MANAGER]), ("stranger", [])):
        make_user(name, held)
    portal_user = make_user("portal", [roles.CLIENT])
    nora_user, sam_user = make_user("nora", [roles.OWNER]), make_user("sam", [roles.TEAM])
    north = factories.make_club(session, name="North")
    south = factories.make_club(session, name="South")
    nora = factories.make_team_member(session, name="Nora", user_id=nora_user)
    sam = factories.make_team_member(
        session, name="Sam", user_id=sam_user, scope=ReachChoice.own_clubs, clubs=[south]
    )
    yoga = factories.make_event_type(session, name="Yoga")
    ann = factories.make_client(
        session, club=north, team_member_id=nora.id, first_name="Ann", last_name="Archer", portal_user_id=portal_user
    )
    bob = factories.make_client(session, club=south, team_member_id=sam.id, first_name="Bob", last_name="Baker")
    kinds = factories.make_class_records(session)
    package = factories.make_package(session, yoga)
    common = {"ClubView": north.id, "TeamMemberView": sam.id, "EventTypeView": yoga.id,
              "PackageView": package.id, "SkillView": factories.make_skill(session).id, **kinds}
    keys = [
        {**common, **_belongings(session, client, yoga, user)} for client, user in ((ann, nora_user), (bob, sam_user))
    ]
    session.commit()
    return World(own=keys[0], foreign=keys[1], nora_user=nora_user, sam_user=sam_user)


def _belongings(session: Session, client: Client, event_type: Any, user_id: int) -> dict[str, int]:
    """Something of everything that hangs on a client or a person who works here."""
    lot = factories.make_lot(session, client, event_type)
    child = factories.make_participant(session, client, name=f"Child of {client.first_name}")
    partner = factories.make_client(
        session, club_id=client.club_id, team_member_id=client.team_member_id, first_name="Pat",
        last_name=f"of {client.first_name}",
    )
    home = factories.make_household(session, client, partner, name=f"{client.last_name} home")
    batch = Batch(
        kind="credits.grant", state=BatchState.done, created_by_id=user_id, total=1, done=1, skipped=[],
        note=f"For {client.first_name}", input={"event_type_id": event_type.id, "quantity": 10, "left_out": {}},
    )
    job = Job(kind="credits.grant", state=JobState.done, input={}, result={}, created_by_id=user_id)
    file = ClientImport(name=f"{client.first_name}.csv", digest="", header=["a", "b"], total=1, created_by_id=user_id)
    session.add_all([batch, job, file])
    session.flush()
    enrollment = factories.make_enrollment(session, client, factories.make_package(session, event_type))
    charge = factories.make_charge(session, client, what=f"Lesson for {client.first_name}")
    asked = factories.make_online_payment(session, charge)
    payment = factories.make_payment(session, client, charge=charge)
    lot.batch_id = batch.id
    group = factories.make_class_group(session, client.club, event_type, team_member_id=client.team_member_id)
    lesson = factories.make_session(
        session, client.club, event_type, class_group_id=group.id, team_member_id=client.team_member_id, capacity=5
    )
    booking = factories.make_booking(session, lesson, child)
    report = factories.make_training_report(session, child, session_id=lesson.id)
    closure = Batch(
        kind="schedule.close", state=BatchState.done, created_by_id=user_id, total=1, done=1, skipped=[],
        note=f"Closed for {client.first_name}", input={"booked": 1, "clients": 1, "credits": 0},
    )
    session.add(closure)
    session.flush()
    entry = session.scalars(select(CreditEntry.id).where(CreditEntry.lot_id == lot.id)).one()
    return {
        "ClientView": client.id, "CreditsView": client.id, "CreditMovesView": client.id,
        "ExpiringClientsView": client.id, "ParticipantView": child.id, "HouseholdView": home.id,
        "EnrollmentView": enrollment.id,
        "LotView": lot.id, "EntryView": entry, "BatchView": batch.id, "JobView": job.id, "ImportView": file.id,
        "ClassGroupView": group.id, "SessionView": lesson.id, "BookingView": booking.id, "ClosureView": closure.id,
        "NoticeView": factories.make_notice(session, client).id,
        "MoneyView": client.id, "TrainingReportView": report.id, "ChargeView": charge.id, "PaymentView": payment.id,
        "OnlinePaymentView": asked.id, "OnlineRequestView": client.id,
    }

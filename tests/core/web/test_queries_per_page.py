"""How many queries a page takes: few, and as many with fifty rows as with five."""

import datetime as dt
from collections.abc import Mapping

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from enrollment_addon.core import clock
from enrollment_addon.core.audit import record_event
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.jobs.models import Job, JobError
from enrollment_addon.people.models import Client
from enrollment_addon.schedule.models import ScheduledSession
from tests import factories
from tests.core.web.conftest import AsUser, World
from tests.hosts import QueryCount

MOST = 20
CARD = 25
"""The card of a client shows something of every domain."""


def grow(session: Session, world: World, rows: int) -> None:
    """More of everything that a page lists, around Ann and around Bob."""
    for keys, user_id in ((world.own, world.nora_user), (world.foreign, world.sam_user)):
        _grow(session, keys, user_id, rows)
    session.commit()


def _grow(session: Session, keys: Mapping[str, int], user_id: int, rows: int) -> None:
    head = session.get_one(Client, keys["ClientView"])
    event_type = session.get_one(factories.EventType, keys["EventTypeView"])
    for number in range(rows):
        client = factories.make_client(
            session, club_id=head.club_id, team_member_id=head.team_member_id, household_id=head.household_id,
            relationship_to_head="child",
        )
        soon = clock.now().date() + dt.timedelta(days=5)
        factories.make_lot(session, client, event_type, batch_id=keys["BatchView"], expires_on=soon)
        factories.make_lot(session, head, event_type)
        child = factories.make_participant(session, head)
        factories.make_booking(session, session.get_one(ScheduledSession, keys["SessionView"]), child)
        lesson = factories.make_session(
            session, head.club, event_type, team_member_id=head.team_member_id, class_group_id=keys["ClassGroupView"],
            starts_at=clock.now() + dt.timedelta(days=1 + number),
        )
        factories.make_booking(session, lesson, child, state="booked")
        for owing in (client, head):
            factories.make_payment(session, owing, charge=factories.make_charge(session, owing))
        factories.make_household(session, factories.make_client(
            session, club_id=head.club_id, team_member_id=head.team_member_id,
        ))
        record_event(session, actor=SYSTEM, verb="update_client", record="client", record_id=head.id, client_id=head.id)
        session.add(Job(kind="export", state="done", input={}, created_by_id=user_id))
        session.add(JobError(job_id=keys["JobView"], item={"client_id": client.id}, code="x", message=f"No {number}"))


def pages(keys: Mapping[str, int]) -> list[str]:
    return [
        *(f"/enrollment/{name}/list/" for name in (
            "clients", "lots", "ledger", "participants", "batches", "jobs", "households", "clubs", "team-members",
            "event-types", "charges", "payments", "sessions", "class-groups", "bookings", "closures",
            "class-categories", "expiring", "expiring-clients",
        )),
        "/enrollment/sessions/list/?_flt_0_period=all",
        f"/enrollment/sessions/show/{keys['SessionView']}",
        f"/enrollment/class-groups/show/{keys['ClassGroupView']}",
        "/enrollment/clients/list/?psize_ClientView=100&_flt_0_club_id=1&search=cl",
        f"/enrollment/clients/show/{keys['ClientView']}",
        f"/enrollment/clients/edit/{keys['ClientView']}",
        f"/enrollment/households/show/{keys['HouseholdView']}",
        f"/enrollment/credits/add/{keys['ClientView']}",
        f"/enrollment/credits/explain/{keys['ClientView']}",
        f"/enrollment/batches/show/{keys['BatchView']}",
        f"/enrollment/jobs/show/{keys['JobView']}",
        f"/enrollment/lots/show/{keys['LotView']}",
        f"/enrollment/charges/show/{keys['ChargeView']}",
        f"/enrollment/payments/show/{keys['PaymentView']}",
        f"/enrollment/money/pay/{keys['ClientView']}",
        "/enrollment/charges/list/?_flt_0_status=overdue&search=cl",
        "/enrollment/options/clients?q=cl",
        "/api/v1/enrollment/clients/?page_size=100",
        "/api/v1/enrollment/lots/?page_size=100",
        f"/api/v1/enrollment/clients/{keys['ClientView']}/charges",
        "/api/v1/enrollment/payments/?page_size=100",
    ]


@pytest.mark.databases("sqlite")
def test_pages_take_few_queries_however_many_rows(
    app: Flask, world: World, session: Session, as_user: AsUser
) -> None:
    """Asked by the owner about Ann and by a team member, whom the scope narrows, about Bob."""
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
    visits = [("owner", url) for url in [*pages(world.own), "/enrollment/team-permissions/"]]
    visits += [("sam", url) for url in pages(world.foreign)]
    visitors = {name: as_user(name) for name in ("owner", "sam")}

    def queries() -> dict[tuple[str, str], int]:
        found = {}
        for name, url in visits:
            with QueryCount(engine) as count:
                assert visitors[name].http.get(url).status_code == 200, url
            found[name, url] = len(count.statements)
        return found

    grow(session, world, 5)
    few = queries()
    grow(session, world, 45)
    many = queries()
    above = {visit: n for visit, n in many.items() if n > MOST}
    assert {visit: n for visit, n in above.items() if n > CARD or "/clients/show/" not in visit[1]} == {}
    assert {visit: (few[visit], n) for visit, n in many.items() if n > few[visit]} == {}

"""Where credits came from and went: on the page that explains them, on the card, over REST."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from enrollment_addon.catalog.models import EventType
from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.credits import service
from enrollment_addon.people.models import Client, Club, ParticipantKind
from enrollment_addon.schedule import service as schedule
from tests import factories
from tests.scenarios.conftest import Studio

MONDAY = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    with clock.frozen(MONDAY):
        yield


@pytest.fixture
def made(app: Flask, studio: Studio) -> dict[str, int]:
    """Maya 00, Jonas’s client: three credits of an enrollment and three given, of which one goes to Maya 20, who is
    not his. Of two bookings she cancels one and loses the credit."""
    giver, taker = studio.clients[0], studio.clients[20]
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        maya, yoga = session.get_one(Client, giver), session.get_one(EventType, studio.yoga)
        factories.make_participant(session, maya, kind=ParticipantKind.self, name=maya.full_name)
        enrollment = factories.make_enrollment(session, maya, factories.make_package(session, yoga, name="Spring yoga"))
        lot = factories.make_lot(session, maya, yoga, quantity=3, enrollment_id=enrollment.id)
        service.grant_credits(
            session, clients=[giver], event_type_id=yoga.id, quantity=3, priority=10, actor=SYSTEM, threshold=500,
            chunk=100,
        )
        batch = service.transfer_credits(
            session, from_client_id=giver, to_client_id=taker, event_type_id=yoga.id, quantity=1, reason="a present",
            actor=SYSTEM,
        )["batch_id"]
        club = session.get_one(Club, studio.uptown)
        sessions = [
            factories.make_session(session, club, yoga, starts_at=MONDAY + dt.timedelta(days=days)) for days in (3, 4)
        ]
        bookings = [schedule.book(session, client_id=giver, session_id=s.id, actor=SYSTEM) for s in sessions]
        schedule.cancel_booking(session, booking_id=bookings[0].id, return_credit=False, actor=SYSTEM)
        return {"enrollment": enrollment.id, "lot": lot.id, "batch": batch, "session": sessions[1].id}


def rows(http: FlaskClient, client: int, **arguments: Any) -> str:
    page = http.get(f"/enrollment/credits/explain/{client}", query_string=arguments)
    assert page.status_code == 200
    return page.text


def test_every_entry_leads_to_what_it_belongs_to(
    ana: FlaskClient, jonas: FlaskClient, studio: Studio, made: dict[str, int]
) -> None:
    giver, taker = studio.clients[0], studio.clients[20]
    told = rows(ana, giver)
    assert f'href="/enrollment/sessions/show/{made["session"]}"' in told
    assert "<bdi>Yoga class</bdi> · <bdi>Mar 6, 2026" in told
    assert told.count("Forfeited") == 1, "the credit of the cancelled booking is lost, in words"
    assert f'href="/enrollment/enrollments/show/{made["enrollment"]}"' in told
    assert "Spring yoga" in told
    assert f'href="/enrollment/batches/show/{made["batch"]}"' in told
    assert "to Maya 20 Fischer: Yoga class" in told
    arrived = told.partition(f"/enrollment/credits/explain/{taker}?")[2].partition('"')[0]
    there = rows(ana, taker)
    assert f'id="{arrived.partition("#")[2]}"' in there, "the link leads to the lot in the other ledger"
    assert "from Maya 00 Fischer: Yoga class" in there
    assert f"/enrollment/credits/explain/{giver}?" in there
    seen = rows(jonas, giver)
    assert "to another client: Yoga class" in seen
    assert "Maya 20" not in seen
    assert f"/enrollment/credits/explain/{taker}" not in seen
    entries = f"/api/v1/enrollment/credits/lots/{made['lot'] + 1}/entries"
    others = [[entry["others"] for entry in http.get(entries).get_json()["result"]] for http in (ana, jonas)]
    assert [[side["client_id"] for sides in found for side in sides] for found in others] == [[taker], []]


def test_a_credit_that_comes_back_late_is_in_grace(ana: FlaskClient, app: Flask, studio: Studio) -> None:
    """Maya’s lot expired while two of its credits were booked; one of them comes back, and says until when."""
    key = studio.clients[0]
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        maya, yoga = session.get_one(Client, key), session.get_one(EventType, studio.yoga)
        factories.make_participant(session, maya, kind=ParticipantKind.self, name=maya.full_name)
        lot = factories.make_lot(session, maya, yoga, quantity=3, expires_on=dt.date(2026, 3, 3)).id
        club = session.get_one(Club, studio.uptown)
        for hour in (0, 2):
            lesson = factories.make_session(session, club, yoga, starts_at=MONDAY + dt.timedelta(days=1, hours=hour))
            booking = schedule.book(session, client_id=key, session_id=lesson.id, actor=SYSTEM).id
    pages = (
        f"/enrollment/credits/explain/{key}", f"/enrollment/lots/show/{lot}", f"/enrollment/clients/show/{key}",
        "/enrollment/lots/list/",
    )
    with clock.frozen(MONDAY + dt.timedelta(days=8)):
        with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
            service.expire_lots(session, size=100, actor=SYSTEM)
            schedule.cancel_booking(session, booking_id=booking, return_credit=True, actor=SYSTEM)
        for url in pages:
            told = ana.get(url).text.partition("<main")[2]
            assert "Grace" in told, url
            assert ("Grace until Mar 24, 2026" in told) is (url != pages[-1])
            assert ">Expired</span>" not in told, "one credit of it can still be used"
    with clock.frozen(MONDAY + dt.timedelta(days=30)):
        told = rows(ana, key)
        assert ">Expired</span>" in told
        assert "Grace until" not in told
        assert "Grace until" in rows(ana, key, as_of="2026-03-20"), "as it was that day"


def test_the_filter_by_credits_counts_as_the_column_does(ana: FlaskClient, app: Flask, studio: Studio) -> None:
    """What lapsed and is not swept yet is in neither; a day is over when it is over in the client's club."""
    here, there = studio.clients[30], studio.downtown_clients[0]
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        for key in (here, there):
            client, yoga = session.get_one(Client, key), session.get_one(EventType, studio.yoga)
            factories.make_lot(session, client, yoga, quantity=5, expires_on=dt.date(2026, 3, 1))
            factories.make_lot(session, client, yoga, quantity=2, expires_on=dt.date(2026, 3, 9))

    def with_credits(operator: int, number: int) -> set[int]:
        page = ana.get(f"/enrollment/clients/list/?_flt_{operator}_credits={number}&psize_ClientView=100").text
        return {key for key in (here, there) if f"/enrollment/clients/show/{key}" in page}

    with clock.frozen(dt.datetime(2026, 3, 2, 3, 0, tzinfo=dt.UTC)):  # still Sunday in New York
        assert [with_credits(2, 2), with_credits(2, 7), with_credits(1, 6)] == [{here}, {there}, {there}]
    assert [with_credits(2, 2), with_credits(1, 2), with_credits(0, 3)] == [{here, there}, set(), {here, there}]


def test_a_member_sees_what_the_household_shares_and_it_is_in_no_sum(
    ana: FlaskClient, jonas: FlaskClient, app: Flask, studio: Studio
) -> None:
    owner, member = studio.clients[20], studio.clients[1]
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        factories.make_household(session, *(session.get_one(Client, key) for key in (owner, member)))
        service.grant_credits(
            session, clients=[owner], event_type_id=studio.yoga, quantity=9, shared=True, member_cap=7,
            actor=SYSTEM, threshold=500, chunk=100,
        )
    for http, named in ((ana, True), (jonas, False)):
        for url in (f"/enrollment/clients/show/{member}", f"/enrollment/credits/explain/{member}"):
            page = http.get(url).text.partition("<main")[2]
            shared = page.partition("Shared in the household")[2]
            assert '<span class="strong big">7</span>' in shared, url
            assert "No session credits yet." not in page
            assert (f"/enrollment/credits/explain/{owner}?" in shared) is named, "whose they are only in reach"
        found = http.get(f"/api/v1/enrollment/clients/{member}/credits").get_json()["result"]
        owners = [owner] if named else []
        shared_row = {"event_type_id": studio.yoga, "available": 7, "next_expiry": None, "owner_ids": owners}
        assert found == {"balances": [], "lots": [], "shared": [shared_row]}
    assert ana.get(f"/api/v1/enrollment/clients/{owner}/credits").get_json()["result"]["shared"] == []

"""The schedule as a calendar: what it shows to whom, its filters, and moving a session in it."""

import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert

from enrollment_addon.core import clock, roles
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.schedule.calc import Pays, SessionKind
from enrollment_addon.schedule.models import ClassGroup, ScheduledSession
from tests import factories
from tests.conftest import csrf_token
from tests.hosts import QueryCount
from tests.scenarios.conftest import Studio

EVENTS = "/enrollment/schedule/events"
MONDAY = (clock.now() + dt.timedelta(days=14)).date()
MONDAY -= dt.timedelta(days=MONDAY.weekday())
WEEK = {"start": MONDAY.isoformat(), "end": (MONDAY + dt.timedelta(days=7)).isoformat()}


def at(hour: int, zone: str = "Europe/Berlin", days: int = 0) -> dt.datetime:
    return dt.datetime.combine(MONDAY + dt.timedelta(days=days), dt.time(hour), ZoneInfo(zone))


@pytest.fixture
def plan(app: Flask, studio: Studio) -> dict[str, int]:
    """Keys of four sessions on Monday: a class and an appointment of Jonas's uptown, one of nobody, one downtown."""
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        from enrollment_addon.catalog.models import ClassCategory, EventType
        from enrollment_addon.people.models import Client, Club

        uptown, downtown = (session.get_one(Club, key) for key in (studio.uptown, studio.downtown))
        uptown.timezone = "Europe/Berlin"
        yoga = session.get_one(EventType, studio.yoga)
        category = ClassCategory(name="Calm")
        session.add(category)
        session.flush()
        group = ClassGroup(
            name="Morning Yoga", club_id=uptown.id, event_type_id=yoga.id, category_id=category.id,
            team_member_id=studio.jonas, first_date=MONDAY, capacity=8, colour="#f2c14e",
        )
        session.add(group)
        session.flush()
        of_jonas = {"team_member_id": studio.jonas}
        morning = factories.make_session(
            session, uptown, yoga, kind=SessionKind.klass, class_group_id=group.id, starts_at=at(8), capacity=8,
            **of_jonas,
        )
        factories.make_booking(
            session, morning, factories.make_participant(session, session.get_one(Client, studio.clients[0])),
            state="booked",
        )
        return {
            "morning": morning.id,
            "noon": factories.make_session(session, uptown, yoga, starts_at=at(12), **of_jonas).id,
            "late": factories.make_session(session, uptown, yoga, starts_at=at(19)).id,
            "away": factories.make_session(session, downtown, yoga, starts_at=at(9, "America/New_York")).id,
            "category": category.id,
        }


def shown(http: FlaskClient, **filters: Any) -> dict[int, dict[str, Any]]:
    answer = http.get(EVENTS, query_string={**WEEK, **filters})
    assert answer.status_code == 200, answer.text
    return {int(event["id"]): event for event in answer.get_json()}


def test_each_sees_their_part_of_the_week_by_the_clock_of_the_club(
    app: Flask, ana: FlaskClient, jonas: FlaskClient, studio: Studio, plan: dict[str, int]
) -> None:
    sessions = [plan[name] for name in ("morning", "noon", "late", "away")]
    week = shown(ana)
    assert sorted(week) == sorted(sessions)
    morning, away = week[plan["morning"]], week[plan["away"]]
    assert (morning["title"], morning["start"][11:], morning["color"]) == ("Morning Yoga", "08:00:00", "#f2c14e")
    assert morning["contrastColor"] == "#000"
    assert morning["extendedProps"]["about"] == "1 of 8 booked · Jonas Weber · Uptown"
    assert (away["title"], away["start"]) == ("Yoga class", f"{MONDAY}T09:00:00")
    assert set(shown(jonas)) == {plan["morning"], plan["noon"]}, "what he gives; nothing of others"
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        from enrollment_addon.people.models import Client

        late, his = session.get_one(ScheduledSession, plan["late"]), session.get_one(Client, studio.clients[1])
        factories.make_booking(session, late, factories.make_participant(session, his), state="booked")
    movable = {key: event["editable"] for key, event in shown(jonas).items()}
    assert movable == {plan["morning"]: True, plan["noon"]: True, plan["late"]: False}, "his client's is not his"
    assert all(event["editable"] for event in shown(ana).values())

    for filters, wanted in (
        ({"club_id": studio.downtown}, ["away"]),
        ({"team_member_id": studio.jonas}, ["morning", "noon"]),
        ({"category_id": plan["category"], "club_id": studio.uptown}, ["morning"]),
        ({"club_id": 999_999}, []),
        ({"start": WEEK["end"], "end": str(MONDAY + dt.timedelta(days=14))}, []),
    ):
        assert set(shown(ana, **filters)) == {plan[name] for name in wanted}, filters
    page = ana.get(f"/enrollment/schedule/?view=month&club_id={studio.downtown}")
    assert f"club_id={studio.downtown}" in page.text.partition('data-events="')[2].partition('"')[0]
    assert f"/enrollment/sessions/list/?_flt_0_club_id={studio.downtown}" in page.text, "the same as a table"
    assert 'data-view="dayGridMonth"' in page.text
    calm = f"/enrollment/sessions/list/?_flt_0_category_id={plan['category']}"
    assert calm in ana.get(f"/enrollment/schedule/?category_id={plan['category']}").text
    listed = {url: ana.get(url).text for url in (calm, calm.replace("_0_", "_1_"))}
    assert [f'/sessions/show/{plan["morning"]}"' in text for text in listed.values()] == [True, False]
    assert [f'/sessions/show/{plan["late"]}"' in text for text in listed.values()] == [False, True]
    assert ana.get("/enrollment/schedule/?view=x&date=y&club_id=z&team_member_id=999999").status_code == 200


@pytest.mark.databases("sqlite")
def test_junk_and_who_may_not_read(
    app: Flask, ana: FlaskClient, make_user: Callable[..., int], login: Callable[..., FlaskClient]
) -> None:
    for wrong in (
        {}, {"start": "x", "end": "y"}, {"start": WEEK["end"], "end": WEEK["start"]},
        {"start": "2026-01-01", "end": "2027-01-01"}, {"start": "0001-01-01", "end": "0001-01-08"},
        {**WEEK, "club_id": "x"}, {**WEEK, "team_member_id": "-3"}, {**WEEK, "category_id": "9" * 40},
    ):
        answer = ana.get(EVENTS, query_string=wrong)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (422, "invalid_input"), wrong
    make_user("portal", [roles.CLIENT])
    portal = login(app.test_client(), "portal")
    for path in ("/enrollment/schedule/", f"{EVENTS}?start={WEEK['start']}&end={WEEK['end']}"):
        assert portal.get(path).status_code == 403
        assert app.test_client().get(path).status_code == 302, "who is not logged in goes there first"


def test_a_session_is_moved_after_a_word_about_overlaps(
    app: Flask, ana: FlaskClient, jonas: FlaskClient, plan: dict[str, int]
) -> None:
    page = ana.get("/enrollment/schedule/").text
    token = {"X-CSRFToken": page.partition('name="csrf-token" content="')[2].partition('"')[0]}
    move = f"/enrollment/schedule/move/{plan['morning']}"

    def drop(http: FlaskClient, to: str, *, url: str = move, headers: Any = token, **more: Any) -> Any:
        times = {"starts_at": f"{MONDAY}T{to}:00", "ends_at": f"{MONDAY}T{int(to) + 1}:00"}
        return http.post(url, data={**times, **more}, headers=headers)

    assert drop(ana, "15", headers={}).status_code == 403, "without the token of the page"
    overlap = drop(ana, "12")
    assert (overlap.status_code, overlap.get_json()["error"]["code"]) == (409, "overlap")
    assert drop(ana, "12", confirm_overlap="1").status_code == 200
    moved = drop(ana, "15")
    assert moved.status_code == 200
    assert "Morning Yoga was moved to" in moved.get_json()["text"]
    assert shown(ana)[plan["morning"]]["start"] == f"{MONDAY}T15:00:00"
    with app.app_context():
        item = app.appbuilder.session.get(ScheduledSession, plan["morning"])  # type: ignore[attr-defined]
        assert item.starts_at == at(15)
        assert item.moved

    junk = ana.post(move, data={"starts_at": "x"}, headers=token)
    assert (junk.status_code, junk.get_json()["error"]["code"]) == (422, "invalid_input")
    assert ana.post(move, data={"starts_at": f"{MONDAY}T15:00", "ends_at": f"{MONDAY}T14:00"}, headers=token
                    ).status_code == 422
    past = ana.post(move, data={"starts_at": "2020-01-01T10:00", "ends_at": "2020-01-01T11:00"}, headers=token)
    assert past.status_code == 409
    own = {"X-CSRFToken": csrf_token(jonas.get("/enrollment/clients/add").text)}
    assert drop(jonas, "16", url=f"/enrollment/schedule/move/{plan['away']}", headers=own).status_code in (403, 404)
    assert drop(ana, "16", url="/enrollment/schedule/move/999999").status_code == 404
    assert shown(ana)[plan["morning"]]["start"] == f"{MONDAY}T15:00:00"


@pytest.mark.databases("sqlite")
def test_moving_into_a_pause_or_beyond_an_expiry_names_who_is_concerned(
    app: Flask, ana: FlaskClient, studio: Studio, plan: dict[str, int]
) -> None:
    """Maya's enrollment rests on Tuesday and Wednesday, and ends on Thursday."""
    day = dt.timedelta(days=1)
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        from enrollment_addon.catalog.models import EventType
        from enrollment_addon.enrollments.models import EnrollmentPause
        from enrollment_addon.people.models import Client
        from enrollment_addon.schedule.models import Booking

        maya, yoga = session.get_one(Client, studio.clients[0]), session.get_one(EventType, studio.yoga)
        enrollment = factories.make_enrollment(session, maya, factories.make_package(session, yoga))
        lot = factories.make_lot(session, maya, yoga, enrollment_id=enrollment.id, expires_on=MONDAY + 3 * day)
        booking = session.query(Booking).one()
        booking.pays, booking.enrollment_id, booking.lot_id = Pays.enrollment, enrollment.id, lot.id
        session.add(EnrollmentPause(
            enrollment_id=enrollment.id, client_id=maya.id, begins_on=MONDAY + day, ends_on=MONDAY + 2 * day, days=2
        ))
        name = booking.participant.name
    page = ana.get("/enrollment/schedule/").text
    token = {"X-CSRFToken": page.partition('name="csrf-token" content="')[2].partition('"')[0]}

    def drop(days: int, **more: Any) -> Any:
        to = MONDAY + days * day
        times = {"starts_at": f"{to}T15:00", "ends_at": f"{to}T16:00"}
        return ana.post(f"/enrollment/schedule/move/{plan['morning']}", data={**times, **more}, headers=token)

    for days in (2, 4):
        error = drop(days).get_json()["error"]
        assert error["code"] == "credits_not_valid"
        assert f"1 ({name})" in error["message"]
    assert drop(3).status_code == 200, "the last day is good"
    assert drop(0).status_code == 200
    assert drop(2, confirm_validity="1").status_code == 200

    edit = f"/enrollment/sessions/edit/{plan['morning']}"
    typed = {"csrf_token": csrf_token(ana.get(edit).text), "starts_at": f"{MONDAY + 2 * day}T15:00"}
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        factories.make_booking(
            session, session.get_one(ScheduledSession, plan["morning"]),
            factories.make_participant(session, session.get_one(Client, studio.clients[1])), state="booked",
        )
    fewer = ana.post(edit, data={**typed, "capacity": "1"})
    assert fewer.status_code == 422
    assert "2 places are taken or held: there can be no fewer." in fewer.text


@pytest.mark.databases("sqlite")
def test_a_full_week_takes_few_queries_and_a_fuller_one_is_refused(
    app: Flask, ana: FlaskClient, jonas: FlaskClient, studio: Studio, plan: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        engine = session.get_bind()
        session.execute(insert(ScheduledSession), [
            {"kind": "class", "event_type_id": studio.yoga, "club_id": studio.uptown, "capacity": 5,
             "team_member_id": studio.jonas, "starts_at": at(6 + n % 14, days=n % 7),
             "ends_at": at(7 + n % 14, days=n % 7)}
            for n in range(500)
        ])
    for http, wanted in ((ana, 504), (jonas, 502)):
        with QueryCount(engine) as count:
            assert len(shown(http)) == wanted
        assert len(count.statements) <= 12, count.statements
    monkeypatch.setattr("enrollment_addon.schedule.calendar.MOST", 400)
    answer = ana.get(EVENTS, query_string=WEEK)
    assert answer.status_code == 422
    assert "more than 400 sessions" in answer.get_json()["error"]["message"]

"""Links for calendar programs: what a real parser reads there, and how a link is made, changed and ended."""

import datetime as dt
import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from icalendar import Calendar

from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.schedule import service
from enrollment_addon.schedule.calc import BookingState, Pays, PayWith, SessionKind, SessionStatus
from enrollment_addon.schedule.models import CalendarFeed, ClassGroup, ScheduledSession
from tests import factories
from tests.conftest import csrf_token
from tests.scenarios.conftest import Studio

LINKS = "/enrollment/calendar-links/"
BERLIN = ZoneInfo("Europe/Berlin")


def in_days(days: int, hour: int) -> dt.datetime:
    day = (clock.now() + dt.timedelta(days=days)).date()
    return dt.datetime.combine(day, dt.time(hour), BERLIN)


@pytest.fixture
def plan(app: Flask, studio: Studio) -> dict[str, int]:
    """Jonas’s class in 3 and in 200 days, on either side of a change of clocks; Maya is booked in both."""
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        from enrollment_addon.catalog.models import EventType
        from enrollment_addon.people.models import Client, Club

        club = session.get_one(Club, studio.uptown)
        club.timezone, club.address = "Europe/Berlin", "Lindenstraße 1; Berlin, “Hof 2”"
        yoga = session.get_one(EventType, studio.yoga)
        group = ClassGroup(
            name="Morgen-Yoga, früh", club_id=club.id, event_type_id=yoga.id, team_member_id=studio.jonas,
            first_date=clock.now().date(), capacity=8,
        )
        session.add(group)
        session.flush()
        maya = factories.make_participant(session, session.get_one(Client, studio.clients[0]))
        keys = {"group": group.id}
        for name, days in (("soon", 3), ("later", 200)):
            item = factories.make_session(
                session, club, yoga, kind=SessionKind.klass, class_group_id=group.id, team_member_id=studio.jonas,
                starts_at=in_days(days, 8), capacity=8, room="Saal 1",
            )
            keys[name] = item.id
            keys[f"{name}_booking"] = factories.make_booking(session, item, maya, state=BookingState.booked).id
        return keys


def make_link(http: FlaskClient, kind: str, key: int, **more: str) -> str:
    page = http.get(LINKS)
    answer = http.post(LINKS, data={"csrf_token": csrf_token(page.text), "kind": kind, f"{kind}_id": key, **more})
    assert answer.status_code == 200, answer.text
    found = re.search(r'href="http://localhost(/enrollment/calendar/[\w-]{40,}\.ics)"', answer.text)
    assert found
    return found[1]


def events(app: Flask, link: str) -> list[Any]:
    """What a calendar without any cookie reads."""
    answer = app.test_client().get(link)
    assert answer.status_code == 200
    assert answer.mimetype == "text/calendar"
    return list(Calendar.from_ical(answer.data).events)


def test_a_calendar_reads_sessions_changes_and_cancellations(
    app: Flask, ana: FlaskClient, studio: Studio, plan: dict[str, int]
) -> None:
    targets = {"team_member": studio.jonas, "client": studio.clients[0], "class_group": plan["group"]}
    links = {kind: make_link(ana, kind, key) for kind, key in targets.items()}
    for kind, link in links.items():
        soon, later = events(app, link)
        assert (soon["SUMMARY"], soon["STATUS"]) == ("Morgen-Yoga, früh", "CONFIRMED"), kind
        assert soon["LOCATION"] == "Saal 1, Uptown, Lindenstraße 1; Berlin, “Hof 2”"
        assert (soon.start, later.start) == (in_days(3, 8), in_days(200, 8))
        assert (soon.start.hour, later.start.hour) == (8, 8), "by the club’s clock, summer and winter"
        assert soon.end - soon.start == dt.timedelta(hours=1)
        assert soon["UID"] != later["UID"]
    text = app.test_client().get(links["client"]).text
    zone = next(iter(Calendar.from_ical(text).timezones))
    assert zone.tz_name == "Europe/Berlin"
    assert "DTSTART;TZID=Europe/Berlin" in text

    before = {kind: events(app, link) for kind, link in links.items()}
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        service.move_session(
            session, session_id=plan["later"], starts_at=in_days(200, 10), ends_at=in_days(200, 11), actor=SYSTEM
        )
        service.cancel_booking(session, booking_id=plan["soon_booking"], actor=SYSTEM)
    for kind, link in links.items():
        (soon, later), (old_soon, old_later) = events(app, link), before[kind]
        assert later.start == in_days(200, 10)
        assert later["UID"] == old_later["UID"]
        assert later["SEQUENCE"] > old_later["SEQUENCE"]
        assert soon["STATUS"] == ("CANCELLED" if kind == "client" else "CONFIRMED")
        assert (soon["SEQUENCE"] > old_soon["SEQUENCE"]) == (kind == "client")
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        service.close_sessions(session, session_ids=[plan["later"]], reason="Ill", actor=SYSTEM, threshold=9)
    for kind, link in links.items():
        assert [event["STATUS"] for event in events(app, link)][1] == str(SessionStatus.cancelled).upper(), kind


@pytest.mark.databases("sqlite")
def test_every_change_of_a_clients_place_has_a_higher_number_than_the_last(
    app: Flask, ana: FlaskClient, studio: Studio, plan: dict[str, int]
) -> None:
    """Waiting is tentative; a closure and its undo, a late cancellation and its correction all count on."""
    link = make_link(ana, "client", studio.clients[1])
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        from enrollment_addon.people.models import Client

        maya = factories.make_participant(session, session.get_one(Client, studio.clients[1]), kind="self").client_id
        service.update_session(session, id=plan["soon"], capacity=1, actor=SYSTEM)
    asked: dict[str, Any] = {"client_id": maya, "session_id": plan["soon"], "pay_with": PayWith(Pays.nothing)}
    done: dict[str, Any] = {}

    def do(verb: str, **asked: Any) -> tuple[str, int]:
        with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
            done[verb] = getattr(service, verb)(session, actor=SYSTEM, **asked)
            if verb == "book":
                done["booking"] = done[verb].id
        (event,) = events(app, link)
        return str(event["STATUS"]), int(event["SEQUENCE"])

    told = [do("book", **asked)]
    told.append(do("cancel_booking", booking_id=plan["soon_booking"]))
    told.append(do("close_sessions", session_ids=[plan["soon"]], reason="Ill", threshold=9))
    told.append(do("undo_closure", batch_id=done["close_sessions"]["batch_id"], reason="Well", threshold=9))
    told += [do("record_attendance", booking_id=done["booking"], state=state, early=True)
             for state in ("late_cancel", "booked")]
    told.append(do("cancel_booking", booking_id=done["booking"]))
    assert [status for status, _number in told] == [
        "TENTATIVE", "CONFIRMED", "CANCELLED", "CONFIRMED", "CANCELLED", "CONFIRMED", "CANCELLED",
    ]
    numbers = [number for _status, number in told]
    assert numbers == sorted(set(numbers)), "calendars leave out what has no higher number"


@pytest.mark.databases("sqlite")
def test_a_new_link_ends_the_old_one_and_only_its_maker_ever_sees_it(
    app: Flask, ana: FlaskClient, jonas: FlaskClient, studio: Studio, plan: dict[str, int]
) -> None:
    old = make_link(ana, "client", studio.clients[0])
    http = app.test_client()
    typed = {"csrf_token": csrf_token(jonas.get(LINKS).text), "kind": "client", "client_id": studio.clients[0]}
    asked = jonas.post(LINKS, data=typed)
    assert asked.status_code == 422
    assert "There is a link to this calendar." in asked.text
    assert http.get(old).status_code == 200, "it goes on until somebody says that it shall end"
    new = make_link(jonas, "client", studio.clients[0], replace="y")
    assert [http.get(link).status_code for link in (old, new)] == [404, 200]
    secret = new.rsplit("/", 1)[1].removesuffix(".ics")
    assert secret not in ana.get(LINKS).text
    with app.app_context():
        stored = app.appbuilder.session.query(CalendarFeed).one()  # type: ignore[attr-defined]
        assert secret not in stored.secret_hash
        feed_id = stored.id
    for junk in ("x", secret[:-1], f"{secret}x", "..", "%00", "ü" * 300):
        assert http.get(f"/enrollment/calendar/{junk}.ics").status_code == 404

    token = csrf_token(ana.get(LINKS).text)
    assert ana.post(f"{LINKS}end/{feed_id}").status_code == 403, "without the token"
    assert ana.post(f"{LINKS}end/{feed_id}", data={"csrf_token": token}).status_code == 302
    assert http.get(new).status_code == 404
    assert ana.post(f"{LINKS}end/{feed_id}", data={"csrf_token": token}).status_code == 404

    gone = make_link(ana, "client", studio.clients[0])
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        from enrollment_addon.people.models import Client

        session.get_one(Client, studio.clients[0]).erased_at = clock.now()
    assert http.get(gone).status_code == 404


@pytest.mark.databases("sqlite")
def test_nobody_links_to_what_they_do_not_reach(
    app: Flask, ana: FlaskClient, jonas: FlaskClient, studio: Studio, plan: dict[str, int], make_user: Any, login: Any
) -> None:
    make_link(ana, "client", studio.downtown_clients[0])
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        colleague = factories.make_team_member(session, name="Kim").id
        foreign = session.query(CalendarFeed).one().id
        group = session.get_one(ClassGroup, plan["group"])
        group.team_member_id = colleague
        session.query(ScheduledSession).update({"team_member_id": colleague})
    groups_link = make_link(ana, "class_group", plan["group"])
    token = csrf_token(jonas.get(LINKS).text)
    assert "Miller" not in jonas.get(LINKS).text
    for kind, key in (("client", studio.downtown_clients[0]), ("team_member", colleague), ("client", ""),
                      ("class_group", 999_999), ("class_group", plan["group"]), ("everybody", 1)):
        answer = jonas.post(LINKS, data={"csrf_token": token, "kind": kind, f"{kind}_id": key})
        assert answer.status_code == 422, (kind, key)
        assert "/enrollment/calendar/" not in answer.text
    assert "Morgen-Yoga" in jonas.get("/enrollment/class-groups/list/").text, "his client goes there"
    assert "Morgen-Yoga" not in jonas.get(LINKS).text
    for link_id in (foreign, foreign + 1):
        assert jonas.post(f"{LINKS}end/{link_id}", data={"csrf_token": token}).status_code == 404
    assert app.test_client().get(groups_link).status_code == 200, "still the owner's"
    make_user("stranger", ["Enrollment Client"])
    stranger = login(app.test_client(), "stranger")
    assert stranger.get(LINKS).status_code == 403
    assert make_link(jonas, "team_member", studio.jonas), "his own he may"

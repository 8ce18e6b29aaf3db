"""A studio's day over HTTP: groups, bookings, the roster, a closure, and what a neighbour must not see."""

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from enrollment_addon import cli
from enrollment_addon.catalog.models import EventType
from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.notices import mail
from enrollment_addon.notices.models import Notice
from enrollment_addon.people.models import Client, Club, Participant, ParticipantKind, TeamMember
from enrollment_addon.schedule import service
from enrollment_addon.schedule.models import Booking, ScheduledSession
from tests import factories
from tests.conftest import csrf_token
from tests.scenarios.conftest import Studio, assert_ledger_is_consistent, balances

MONDAY = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
GROUP = {
    "name": "Evening yoga", "capacity": "2", "weekday_1": "2", "time_1": "18:00", "minutes_1": "60", "active": "y",
    "dropin_price": "15.00",
}


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    with clock.frozen(MONDAY):
        yield


@pytest.fixture
def people(app: Flask, studio: Studio) -> Studio:
    """Everybody takes part themself; the first three have two credits each."""
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        for key in (*studio.clients[:12], *studio.downtown_clients[:2]):
            client = session.get_one(Client, key)
            factories.make_participant(session, client, kind=ParticipantKind.self, name=client.full_name)
        for key in studio.clients[:3]:
            factories.make_lot(
                session, session.get_one(Client, key), session.get_one(EventType, studio.yoga), quantity=2
            )
    return studio


def post(http: FlaskClient, url: str, status: int = 302, **typed: Any) -> Any:
    """Open a form and send it, as a browser does."""
    page = http.get(url).text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    answer = http.post(url, data={**hidden, **typed})
    assert answer.status_code == status, answer.text
    return answer


def tap(http: FlaskClient, page_url: str, url: str, status: int = 302, **typed: Any) -> Any:
    """Press a button of a page."""
    answer = http.post(url, data={"csrf_token": csrf_token(http.get(page_url).text), **typed})
    assert answer.status_code == status, answer.text
    return answer


def rows(app: Flask, model: Any) -> list[Any]:
    with app.app_context():
        found = app.appbuilder.session.scalars(select(model).order_by(model.id)).unique().all()  # type: ignore[attr-defined]
        return [dict(item.__dict__) for item in found]


def test_a_week_at_the_studio(ana: FlaskClient, app: Flask, people: Studio) -> None:
    """A group is made, two clients book its two places, one waits, one cancels, attendance is taken."""
    made = post(
        ana, "/enrollment/class-groups/add", club_id=people.uptown, event_type_id=people.yoga,
        team_member_id=people.jonas, **GROUP,
    )
    shown = ana.get(made.location).text
    assert "Wednesday" in shown
    assert "0 of 2 places" in shown
    ana.get("/lang/de")
    assert 'value="15,00"' in ana.get(made.location.replace("show", "edit")).text, "an amount as the reader writes it"
    ana.get("/lang/en")
    wrong = post(ana, "/enrollment/class-groups/add", 422, club_id=people.uptown, event_type_id=people.yoga,
                 **{**GROUP, "minutes_1": "", "name": "Half"})
    assert "Say weekday, time and minutes." in wrong.text
    assert 'value="Half"' in wrong.text, "what was typed is still there"
    sessions = rows(app, ScheduledSession)
    assert len(sessions) == 12
    first = sessions[0]["id"]
    roster = f"/enrollment/sessions/show/{first}"
    assert "Evening yoga" in ana.get("/enrollment/sessions/list/").text

    for client in people.clients[:3]:
        card = ana.get(f"/enrollment/clients/show/{client}").text
        assert f"/enrollment/sessions/where/{client}" in card
        chosen = post(ana, f"/enrollment/sessions/where/{client}", session_id=first)
        post(ana, chosen.location, participant_id=own(app, client), pays="auto")
    page = ana.get(roster).text
    assert page.count("Booked</span>") == 2
    assert "2 of 2 places" in page
    assert "On the waitlist" in page
    assert "Next bookings" in ana.get(f"/enrollment/clients/show/{people.clients[0]}").text

    booked = [b["id"] for b in rows(app, Booking)]
    question = ana.get(f"/enrollment/sessions/cancel_booking/{booked[0]}").text
    for said in ("Maya 00 Fischer", "In time until Mar 3, 2026", "Session credit", "The credit comes back.",
                 "As the notice says: return it", "It is offered to Maya 02 Fischer, the first in line."):
        assert said in question
    in_line = ana.get(f"/enrollment/sessions/cancel_booking/{booked[2]}").text
    assert "the place in line is given up" in in_line
    assert "As the notice says" not in in_line, "nothing was paid that could come back"
    post(ana, f"/enrollment/sessions/cancel_booking/{booked[0]}", give_back="auto", reason="Ill")
    assert [b["state"] for b in rows(app, Booking)] == ["cancelled", "booked", "booked"]
    early = tap(ana, roster, f"/enrollment/sessions/attendance/{booked[1]}", 409, state="attended")
    assert "from the day of the session on" in early.text
    ahead = ana.get(roster).text
    assert ("Late cancellation" in ahead, "No-show" in ahead, "All present" in ahead) == (True, False, False)
    page = ana.get(f"/enrollment/sessions/where/{people.clients[1]}").text
    crumbs = page.partition('class="enr-crumbs"')[2].partition("</nav>")[0]
    assert f'<a href="/enrollment/clients/show/{people.clients[1]}">Maya 01 Fischer</a>' in crumbs

    with clock.frozen(MONDAY + dt.timedelta(days=2, hours=9)):
        assert "No-show" in ana.get(roster).text
        tap(ana, roster, f"/enrollment/sessions/attendance/{booked[1]}", state="no_show")
        tap(ana, roster, f"/enrollment/sessions/attendance/{booked[1]}", state="booked")
        late = ana.get(f"/enrollment/sessions/cancel_booking/{booked[1]}").text
        assert "Too late since Mar 3, 2026" in late
        assert "Nothing: the credit is forfeited." in late
        tap(ana, roster, f"/enrollment/sessions/all_present/{first}")
    assert [b["state"] for b in rows(app, Booking)] == ["cancelled", "attended", "attended"]
    assert [balances(app)[key] for key in people.clients[:3]] == [2, 1, 1]
    assert "Session booked · Evening yoga · " in ana.get(f"/enrollment/clients/show/{people.clients[0]}").text
    assert "Attendance: Attended" in ana.get(f"/enrollment/clients/show/{people.clients[1]}").text
    assert ana.get("/enrollment/bookings/export/csv").status_code == 200
    assert_ledger_is_consistent(app)


def own(app: Flask, client_id: int) -> int:
    """The participant that a client is themself."""
    with app.app_context():
        key: int = app.appbuilder.session.scalars(  # type: ignore[attr-defined]
            select(Participant.id).where(Participant.client_id == client_id)
        ).first()
        return key


def make_group(ana: FlaskClient, people: Studio, **over: Any) -> None:
    typed = {"club_id": people.uptown, "event_type_id": people.yoga, **GROUP, **over}
    post(ana, "/enrollment/class-groups/add", **typed)


def test_a_week_is_closed_and_opened_again_and_an_appointment_made(
    ana: FlaskClient, app: Flask, people: Studio
) -> None:
    make_group(ana, people)
    first = rows(app, ScheduledSession)[0]["id"]
    for client in people.clients[:2]:
        post(ana, f"/enrollment/sessions/book/{first}?client_id={client}", participant_id=own(app, client), pays="auto")
    week = {"club_id": people.uptown, "first_date": "2026-03-02", "last_date": "2026-03-08", "reason": "Flood"}
    preview = post(ana, "/enrollment/closures/close", 200, **week)
    assert "Close 1 session for 2 people?" in preview.text
    assert "Evening yoga" in preview.text, "which one is said"
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', preview.text))
    done = ana.post("/enrollment/closures/close", data=hidden)
    assert done.status_code == 302
    assert "Flood" in ana.get(done.location).text
    assert balances(app)[people.clients[0]] == 2
    refused = post(
        ana, f"/enrollment/sessions/book/{first}?client_id={people.clients[2]}", 422,
        participant_id=own(app, people.clients[2]), pays="auto",
    )
    assert "This session is cancelled." in refused.text

    undo = done.location.replace("/show/", "/undo/")
    assert "Undo this closure?" in ana.get(undo).text
    post(ana, undo, reason="It dried up")
    assert [b["state"] for b in rows(app, Booking)] == ["booked", "booked"]
    assert balances(app)[people.clients[0]] == 1

    late = post(
        ana, f"/enrollment/sessions/appointment/{people.clients[5]}", 422, participant_id=own(app, people.clients[5]),
        event_type_id=people.yoga, starts_at="2026-03-05T10:00", pays="auto",
    )
    assert "There are no credits left" in late.text
    ana.get("/lang/de")
    made = post(
        ana, f"/enrollment/sessions/appointment/{people.clients[5]}", participant_id=own(app, people.clients[5]),
        event_type_id=people.yoga, starts_at="2026-03-05T10:00", pays="charge", amount="30,00",
    )
    ana.get("/lang/en")
    assert "Charge" in ana.get(made.location).text
    last = rows(app, Booking)[-1]["id"]
    assert "It is cancelled too." in ana.get(f"/enrollment/sessions/cancel_booking/{last}").text
    assert "€30.00" in ana.get(f"/enrollment/clients/show/{people.clients[5]}").text
    assert_ledger_is_consistent(app)


@pytest.mark.databases("sqlite")
def test_clients_are_told_of_a_place_and_of_a_closed_class_in_their_language(
    ana: FlaskClient, jonas: FlaskClient, app: Flask, people: Studio
) -> None:
    """Whoever has no address is listed, so that somebody can call; a mailer that fails is asked again."""
    make_group(ana, people, capacity="1")
    item = rows(app, ScheduledSession)[0]["id"]
    first, second, third = people.clients[0], people.clients[1], people.clients[11]
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        session.get_one(Client, second).locale = "de"
        session.get_one(Client, third).email = None
    for client in (first, second, third):
        post(
            ana, f"/enrollment/sessions/book/{item}?client_id={client}", participant_id=own(app, client),
            pays="nothing" if client == third else "auto",
        )
    place = rows(app, Booking)[0]["id"]
    post(ana, f"/enrollment/sessions/cancel_booking/{place}", give_back="auto")
    closed = post(ana, f"/enrollment/closures/close?session_id={item}", 200, reason="Flood")
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', closed.text))
    done = ana.post("/enrollment/closures/close", data=hidden)
    post(ana, done.location.replace("/show/", "/undo/"), reason="It dried up")

    roster = f"/enrollment/sessions/show/{item}"
    assert "Give a place" in ana.get(roster).text
    with clock.frozen(MONDAY + dt.timedelta(days=3)):
        assert "Give a place" not in ana.get(roster).text, "it is over"
    page = ana.get("/enrollment/notices/list/").text
    for said, count in (("You have a place: Evening yoga", 1), ("Evening yoga does not take place", 2),
                        ("Evening yoga takes place after all", 2)):
        assert page.count(said) == count, said
    assert "Maya 11" not in jonas.get("/enrollment/notices/list/").text
    told = ana.get("/enrollment/notices/show/1").text
    assert "in Evening yoga on Mar 4, 2026, 6:00" in told
    assert "it is yours. You are booked." in told
    assert re.findall(r"<dt>(\w+)</dt>", told) == ["Client", "Queued", "Sent"], "not its title again"
    assert "Mar 2, 2026, 10:00" in told, "by the clock of the client's club"
    assert "Mar 2, 2026, 10:00" in page

    sent: list[mail.Message] = []

    def away(message: mail.Message) -> None:
        raise OSError("the mail server is away")

    try:
        for mailer in (away, sent.append):
            mail.use_mailer(mailer)
            assert app.test_cli_runner().invoke(cli.enrollment, ["run-due", "--often"]).exit_code == 0
    finally:
        mail.use_mailer(None)
    assert [m.notice_id for m in sent] == [1, 3, 4], "what could not be sent is sent later, and nothing twice"
    assert {m.to for m in sent} == {rows(app, Client)[1]["email"]}
    assert all("04.03.2026" in m.text for m in sent), "as it is written in German"
    states = [row["state"] for row in rows(app, Notice)]
    assert states == ["sent", "unreachable", "sent", "sent", "unreachable"]
    assert "No e-mail address" in ana.get("/enrollment/notices/list/").text


@pytest.mark.databases("sqlite")
def test_double_bookings_are_asked_about_first(ana: FlaskClient, app: Flask, people: Studio) -> None:
    """Of an instructor by the pattern of a class group, of a participant by a place from the waitlist."""
    make_group(ana, people, capacity="1", team_member_id=people.jonas)
    beside = {"club_id": people.uptown, "event_type_id": people.yoga, "team_member_id": people.jonas,
              **GROUP, "name": "Beside", "time_1": "18:30"}
    assert "confirm_overlap" not in ana.get("/enrollment/class-groups/add").text, "nothing is there to be confirmed"
    asked = post(ana, "/enrollment/class-groups/add", 422, **beside)
    assert '<a href="#confirm_overlap">Save although it overlaps: Sessions that overlap' in asked.text
    assert re.search(r"the first on Mar 4, 2026, 6:30\sPM", asked.text), "as the reader's language writes it"
    assert "overlap with others of Jonas Weber: 12" in asked.text
    assert 'value="Beside"' in asked.text, "what was typed is still there"
    post(ana, "/enrollment/class-groups/add", confirm_overlap="y", **beside)
    for whether, count in (("1", 24), ("0", 0)):
        found = ana.get(f"/enrollment/sessions/list/?_flt_0_overlaps={whether}&page_size=100").text
        assert found.count("/enrollment/sessions/show/") == count, "staff find double bookings that nobody confirmed"
    said = ana.get(f"/enrollment/sessions/show/{rows(app, ScheduledSession)[0]['id']}").text
    assert "Jonas Weber has another session at that time, on Mar 4, 2026, 6:30" in said

    full, other = (row["id"] for row in rows(app, ScheduledSession)[::12])
    holder, waiter = people.clients[:2]
    for client, session_id in ((holder, full), (waiter, full), (waiter, other)):
        post(ana, f"/enrollment/sessions/book/{session_id}?client_id={client}", participant_id=own(app, client),
             pays="nothing")
    place, waiting, _other = (b["id"] for b in rows(app, Booking))
    post(ana, f"/enrollment/sessions/cancel_booking/{place}", give_back="auto")
    assert [b["state"] for b in rows(app, Booking)] == ["cancelled", "waitlisted", "booked"], "passed over"
    roster, take = f"/enrollment/sessions/show/{full}", f"/enrollment/sessions/take_place/{waiting}"
    question = tap(ana, roster, take, 409)
    assert "Give Maya 01 Fischer the place?" in question.text
    assert 'name="confirm_overlap" value="1"' in question.text
    tap(ana, roster, take, confirm_overlap="1")
    assert [b["state"] for b in rows(app, Booking)] == ["cancelled", "booked", "booked"]


@pytest.mark.databases("sqlite")
def test_a_flood_sends_200_people_home_for_a_week_and_then_it_does_not(
    ana: FlaskClient, app: Flask, people: Studio
) -> None:
    """The pages say how many before anything is done, everybody gets their credit back, and the undo takes it again."""
    for day in range(5):
        make_group(ana, people, name=f"Day {day}", weekday_1=str(day), capacity="40")
    week = [row["id"] for row in rows(app, ScheduledSession) if row["starts_at"] < MONDAY + dt.timedelta(days=6)]
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        yoga, club = session.get_one(EventType, people.yoga), session.get_one(Club, people.uptown)
        crowd = [factories.make_client(session, club=club) for _ in range(200)]
        for number, client in enumerate(crowd):
            factories.make_participant(session, client, kind=ParticipantKind.self)
            factories.make_lot(session, client, yoga, quantity=1)
            service.book(session, client_id=client.id, session_id=week[number % 5], actor=SYSTEM)
        keys = [client.id for client in crowd]

    def left() -> set[int]:
        found = balances(app)
        return {found[key] for key in keys}

    asked = {"club_id": people.uptown, "first_date": "2026-03-02", "last_date": "2026-03-08", "reason": "Flood"}
    preview = post(ana, "/enrollment/closures/close", 200, **asked)
    assert "Close 5 sessions for 200 people?" in preview.text
    assert left() == {0}, "nothing has happened yet"
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', preview.text))
    done = ana.post("/enrollment/closures/close", data=hidden)
    assert ana.post("/enrollment/closures/close", data=hidden).location == done.location, "a second tap changes nothing"
    assert left() == {1}
    assert "5 sessions were closed." in ana.get(done.location).text

    undo = done.location.replace("/show/", "/undo/")
    assert re.search(r"<dt>Bookings</dt>\s*<dd><bdi>200</bdi>", ana.get(undo).text)
    assert "200 bookings came back." in ana.get(post(ana, undo, reason="It dried up").location).text
    assert left() == {0}
    assert {b["state"] for b in rows(app, Booking)} == {"booked"}
    assert_ledger_is_consistent(app)


@pytest.mark.databases("sqlite")
def test_the_sunday_on_which_the_clocks_change(ana: FlaskClient, app: Flask, people: Studio) -> None:
    """29 March 2026 has 23 hours in Berlin: classes keep their hour, the day is closed from midnight to midnight."""
    for name, weekday, time in (("Brunch", "6", "10:00"), ("Late", "6", "23:30"), ("Early", "0", "00:30")):
        make_group(ana, people, name=name, weekday_1=weekday, time_1=time)
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        assert session.get_one(Club, people.uptown).timezone == "Europe/Berlin"

    def listed(first: str, after: str, status: str = "") -> dict[str, str]:
        found = ana.get("/enrollment/schedule/events", query_string={"start": first, "end": after}).get_json()
        return {event["start"]: event["title"] for event in found if event["title"].startswith(status)}

    assert listed("2026-03-22", "2026-03-24") == {
        "2026-03-22T10:00:00": "Brunch", "2026-03-22T23:30:00": "Late", "2026-03-23T00:30:00": "Early",
    }
    sunday = {"2026-03-29T10:00:00": "Brunch", "2026-03-29T23:30:00": "Late"}
    assert listed("2026-03-29", "2026-03-30") == sunday
    starts = sorted(row["starts_at"] for row in rows(app, ScheduledSession))
    for day, hour in ((22, 9), (29, 8)):
        assert dt.datetime(2026, 3, day, hour, tzinfo=dt.UTC) in starts
    asked = {"club_id": people.uptown, "first_date": "2026-03-29", "reason": "Clocks"}
    preview = post(ana, "/enrollment/closures/close", 200, **asked)
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', preview.text))
    assert ana.post("/enrollment/closures/close", data=hidden).status_code == 302
    assert set(listed("2026-03-28", "2026-04-01", "Cancelled: ")) == set(sunday)

    item = next(row["id"] for row in rows(app, ScheduledSession) if row["starts_at"].day == 22)
    edit = f"/enrollment/sessions/edit/{item}"
    post(ana, edit, starts_at="2026-03-29T11:00", capacity="2")
    assert listed("2026-03-29", "2026-03-30")["2026-03-29T11:00:00"] == "Brunch", "by the clock of that day"


def test_a_team_member_sees_nothing_of_the_neighbours(
    ana: FlaskClient, jonas: FlaskClient, app: Flask, people: Studio
) -> None:
    """Jonas looks after ten clients; he meets others' only as a number, and downtown not at all."""
    make_group(ana, people, capacity="5")
    make_group(ana, people, club_id=people.downtown, name="Downtown yoga")
    sessions = rows(app, ScheduledSession)
    shared, downtown = sessions[0]["id"], sessions[12]["id"]
    mine, other, away = people.clients[0], people.clients[11], people.downtown_clients[0]
    for client, session_id in ((mine, shared), (other, shared), (away, downtown)):
        post(
            ana, f"/enrollment/sessions/book/{session_id}?client_id={client}", participant_id=own(app, client),
            pays="nothing",
        )
    booking = {b["client_id"]: b["id"] for b in rows(app, Booking)}

    listed = jonas.get("/enrollment/sessions/list/").text
    assert "Evening yoga" in listed
    assert "Downtown yoga" not in listed
    roster = jonas.get(f"/enrollment/sessions/show/{shared}").text
    assert "Maya 00 Fischer" in roster
    assert "Maya 11 Fischer" not in roster
    assert "1 more person" in roster
    assert "Maya 11" not in jonas.get("/enrollment/bookings/list/").text
    assert "Maya 11" not in jonas.get("/enrollment/bookings/export/csv").text
    assert jonas.get("/enrollment/options/sessions?q=downtown").get_json()["results"] == []
    api = "/api/v1/enrollment"
    headers = {"X-CSRFToken": csrf_token(jonas.get(f"/enrollment/sessions/book/{shared}?client_id={mine}").text)}
    for method, path, body in (
        ("GET", f"/enrollment/sessions/show/{downtown}", None),
        ("GET", f"/enrollment/sessions/cancel_booking/{booking[other]}", None),
        ("GET", f"/enrollment/sessions/book/{shared}?client_id={other}", None),
        ("GET", f"{api}/sessions/{downtown}", None),
        ("GET", f"{api}/bookings/{booking[other]}", None),
        ("POST", f"{api}/bookings", {"client_id": other, "session_id": shared}),
        ("POST", f"{api}/bookings", {"client_id": mine, "session_id": downtown}),
        ("POST", f"{api}/bookings", {"client_id": mine, "session_id": shared, "participant_id": own(app, other)}),
        ("POST", f"{api}/bookings/{booking[other]}/cancel", {}),
        ("POST", f"{api}/bookings/{booking[other]}/attendance", {"state": "late_cancel"}),
        ("PUT", f"{api}/sessions/{downtown}", {"capacity": 3}),
    ):
        answer = jonas.open(path, method=method, json=body, headers=headers)
        assert answer.status_code == 404, (method, path, answer.text)
    assert {s["class_group_id"] for s in jonas.get(f"{api}/sessions").get_json()["result"]} == {1}
    assert [b["client_id"] for b in jonas.get(f"{api}/bookings").get_json()["result"]] == [mine]
    denied = jonas.post(f"{api}/closures", json={"session_ids": [shared], "reason": "x"}, headers=headers)
    assert denied.status_code == 403, "closing is the managers'"
    own_room = jonas.put(f"{api}/sessions/{shared}", json={"room": "Hall"}, headers=headers)
    assert own_room.status_code == 404, "a session that somebody else gives is not his to change"
    appointment = f"/enrollment/sessions/appointment/{mine}"
    form = jonas.get(appointment).text
    assert f'value="{people.jonas}" selected' in form, "he gives his appointments himself"
    with app.app_context(), unit_of_work(app.appbuilder.session) as session:  # type: ignore[attr-defined]
        lot = factories.make_lot(
            session, session.get_one(Client, mine), session.get_one(EventType, people.yoga), quantity=1
        ).id
        other_type = factories.make_event_type(session, name="Grooming").id
        assert session.get_one(TeamMember, people.jonas).club_ids == []
    typed = {
        "participant_id": own(app, mine), "starts_at": "2026-03-05T10:00", "pays": f"lot:{lot}",
        "event_type_id": people.yoga, "team_member_id": people.jonas,
    }
    refused = post(jonas, appointment, 422, **{**typed, "team_member_id": ""}).text
    assert "You can only plan sessions that you give yourself." in refused
    assert "This record was not found." not in refused
    wrong_type = post(jonas, appointment, 422, **{**typed, "event_type_id": other_type}).text
    assert "These credits are for Yoga class." in wrong_type
    assert "Session credit · Yoga class · 1 left" in wrong_type
    made = post(jonas, appointment, **typed)
    assert "Session credit" in jonas.get(made.location).text
    assert rows(app, Booking)[-1]["lot_id"] == lot

"""Class groups and the sessions that are made from them."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from enrollment_addon.catalog import service as catalog
from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import InUse, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.schedule.calc import Slot, occurrences
from enrollment_addon.schedule.errors import GeneratedSession, GroupOverlap, Overlap, SessionOver
from enrollment_addon.schedule.models import ScheduledSession
from enrollment_addon.schedule.service import finish_sessions
from tests.schedule.conftest import Studio

BERLIN = ZoneInfo("Europe/Berlin")


def test_the_local_start_stays_when_the_clocks_change() -> None:
    """The last Sunday of March 2026 has no 2:30; the one of October has it twice."""
    slot = Slot(6, dt.time(2, 30), 60)
    spring = list(occurrences([slot], dt.date(2026, 3, 20), dt.date(2026, 4, 6), "Europe/Berlin"))
    assert [o.starts_at.isoformat() for o in spring] == [
        "2026-03-22T01:30:00+00:00", "2026-03-29T01:30:00+00:00", "2026-04-05T00:30:00+00:00",
    ]
    autumn = list(occurrences([slot], dt.date(2026, 10, 19), dt.date(2026, 11, 1), "Europe/Berlin"))
    assert [o.starts_at.isoformat() for o in autumn] == ["2026-10-25T00:30:00+00:00", "2026-11-01T01:30:00+00:00"]
    assert all(o.ends_at - o.starts_at == dt.timedelta(hours=1) for o in (*spring, *autumn))


@pytest.mark.all_databases
def test_sessions_follow_the_pattern_except_those_that_people_changed(studio: Studio) -> None:
    group = studio.group()
    made = studio.sessions(group)
    assert len(made) == 12
    assert {item.starts_at.astimezone(BERLIN).strftime("%a %H:%M") for item in made} == {"Wed 18:00"}
    assert studio.do("generate_sessions").made == 0, "nothing is made twice"

    booked, moved, cancelled = made[1], made[2], made[3]
    studio.book(studio.client(1), booked.id)
    studio.do("move_session", session_id=moved.id, starts_at=moved.starts_at + dt.timedelta(days=1))
    studio.do("close_sessions", session_ids=[cancelled.id], reason="Storm", threshold=9)
    with pytest.raises(GeneratedSession):
        studio.do("delete_session", id=made[0].id)

    studio.do("update_class_group", id=group, starts_at_time=dt.time(19), capacity=8, room="Hall")
    now = studio.sessions(group)
    times = [item.starts_at.astimezone(BERLIN).strftime("%a %H:%M") for item in now]
    assert times == ["Wed 19:00", "Wed 18:00", "Thu 18:00", "Wed 18:00", *["Wed 19:00"] * 8]
    assert [item.capacity for item in now] == [8, 10, 10, 10, *[8] * 8]

    studio.do("update_class_group", id=group, duration_minutes=90)
    assert {item.ends_at - item.starts_at for item in studio.sessions(group)[4:]} == {dt.timedelta(minutes=90)}
    studio.do("update_class_group", id=group, active=False)
    assert [item.id for item in studio.sessions(group)] == [booked.id, moved.id, cancelled.id]
    with pytest.raises(InUse):
        studio.do("delete_class_group", id=group)


def test_the_horizon_moves_on_and_ends_with_the_group(studio: Studio) -> None:
    group = studio.group(last_date=dt.date(2026, 6, 10))
    with studio.later(days=14):
        assert studio.do("generate_sessions").made == 2
    with studio.later(days=60):
        assert studio.do("generate_sessions").made == 1, "the last day is the group's"
        with unit_of_work(studio.session):
            assert finish_sessions(studio.session, size=100) == 9
    assert len(studio.sessions(group)) == 15
    other = studio.group(name="Short", last_date=dt.date(2026, 3, 4), first_date=dt.date(2026, 1, 1))
    studio.do("delete_class_group", id=other)
    assert studio.session.scalar(select(func.count()).where(ScheduledSession.class_group_id == other)) == 0


def test_a_semester_gives_its_days_and_bad_input_is_named(studio: Studio) -> None:
    with unit_of_work(studio.session):
        spring = catalog.create_semester(
            studio.session, name="Spring", first_date=dt.date(2026, 3, 1), last_date=dt.date(2026, 3, 31),
            actor=SYSTEM,
        ).id
        summer = catalog.create_semester(
            studio.session, name="Summer", first_date=dt.date(2026, 4, 1), last_date=dt.date(2026, 4, 14),
            actor=SYSTEM,
        ).id
    group = studio.group(semester_id=spring)
    assert len(studio.sessions(group)) == 4
    days = {"first_date": dt.date(2026, 3, 1), "last_date": dt.date(2026, 3, 31)}
    studio.do("update_class_group", id=group, semester_id=summer, **days)
    assert len(studio.sessions(group)) == 2, "the form sends the old days along; the new semester gives its own"
    days["last_date"] = dt.date(2026, 4, 7)
    assert studio.do("update_class_group", id=group, semester_id=spring, **days).last_date == days["last_date"]
    for wrong, field in (
        ({"slots": []}, "slots"),
        ({"slots": [{"weekday": 7, "starts_at_time": dt.time(9), "duration_minutes": 60}]}, "slots"),
        ({"capacity": 0}, "capacity"),
        ({"dropin_price": "-1"}, "dropin_price"),
        ({"dropin_price": "1.001"}, "dropin_price"),
        ({"first_date": dt.date(2026, 5, 1), "last_date": dt.date(2026, 4, 1)}, "last_date"),
        ({"colour": "red"}, "colour"),
        ({"invented": 1}, "invented"),
    ):
        with pytest.raises(InvalidInput) as refused:
            studio.group(**wrong)
        assert list(refused.value.fields) == [field]
    with pytest.raises(NotFound):
        studio.group(club_id=999_999)


def test_a_class_group_says_how_often_it_would_be_a_double_booking(studio: Studio) -> None:
    group = studio.group(team_member_id=studio.trainer_id, room="Hall")
    beside = [{"weekday": 2, "starts_at_time": dt.time(18, 30), "duration_minutes": 60}]
    for taken in ({"room": "Hall"}, {"team_member_id": studio.trainer_id}):
        with pytest.raises(GroupOverlap) as refused:
            studio.group(name="Pilates", slots=beside, **taken)
        assert (refused.value.params["number"], str(refused.value.params["at"])) == (12, "2026-03-04 18:30:00+01:00")
    assert len(studio.sessions(group)) == studio.session.scalar(select(func.count(ScheduledSession.id))), "none made"

    other = studio.group(name="Pilates", slots=beside, room="Studio")
    with pytest.raises(GroupOverlap):
        studio.do("update_class_group", id=other, room="Hall")
    studio.do("update_class_group", id=other, room="Hall", confirm_overlap=True)
    studio.do("update_class_group", id=other, name="Pilates for all")  # what was confirmed is not asked again
    twice = [*beside, {"weekday": 2, "starts_at_time": dt.time(19), "duration_minutes": 60}]
    with pytest.raises(GroupOverlap):
        studio.group(name="Twice", slots=twice, room="Garden")


def test_moving_a_session_says_who_else_is_there(studio: Studio) -> None:
    first = studio.sessions(studio.group(team_member_id=studio.trainer_id, room="Hall"))[0]
    later = dt.time(20)
    second = studio.sessions(
        studio.group(slots=[{"weekday": 2, "starts_at_time": later, "duration_minutes": 60}], room="Hall")
    )[0]
    with pytest.raises(Overlap) as refused:
        studio.do("move_session", session_id=second.id, starts_at=first.starts_at)
    assert refused.value.params["who"] == "Hall"
    moved = studio.do("move_session", session_id=second.id, starts_at=first.starts_at, confirm_overlap=True)
    assert (moved.moved, moved.sequence, moved.ends_at) == (True, 1, first.ends_at)
    with pytest.raises(SessionOver):
        studio.do("move_session", session_id=second.id, starts_at=clock.now() - dt.timedelta(days=1))
    with pytest.raises(InvalidInput):
        studio.do("update_session", id=second.id, ends_at=first.starts_at)
    client = studio.client(1)
    there = studio.do(
        "create_appointment", client_id=client, event_type_id=studio.yoga_id,
        starts_at=first.starts_at + dt.timedelta(days=1), team_member_id=studio.trainer_id, idempotency_key="once",
    )
    again = studio.do(
        "create_appointment", client_id=client, event_type_id=studio.yoga_id,
        starts_at=first.starts_at + dt.timedelta(days=1), team_member_id=studio.trainer_id, idempotency_key="once",
    )
    assert there.id == again.id
    assert studio.credits(client) == (0, 1, 0)

"""A session or class group that breaks does not stop the job; it is listed, and done again later."""

import pytest
from sqlalchemy.orm import sessionmaker

from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.jobs.service import queue_job
from enrollment_addon.schedule import jobs
from enrollment_addon.schedule.calc import BookingState
from tests.breaking import broken, run
from tests.schedule.conftest import Studio

pytestmark = pytest.mark.databases("sqlite")

SESSIONS, BOOKINGS = "enrollment_session", "enrollment_booking"


def test_closures_holds_and_the_horizon(studio: Studio, session_factory: sessionmaker) -> None:
    group = studio.group(capacity=1, team_member_id=studio.trainer_id)
    other = studio.group(name="Morning yoga", team_member_id=studio.trainer_id, confirm_overlap=True)
    items = [item.id for item in studio.sessions(group)[:3]]
    clients = [studio.client(3) for _ in range(3)]
    booked = [studio.book(client, item).id for client, item in zip(clients, items, strict=True)]

    with broken(studio.session, "UPDATE OF state", BOOKINGS, f"NEW.id = {booked[1]}"):
        closed = studio.do("close_sessions", session_ids=items, reason="Storm", threshold=0)
        view = run(session_factory, closed["job_id"])
        assert (view.done, [e.item for e in view.errors]) == (2, [items[1]])
        assert [studio.state(key) for key in booked] == ["cancelled", "booked", "cancelled"]
    assert run(session_factory, closed["job_id"], again=True).failed == 0
    assert [studio.credits(client) for client in clients] == [(3, 0, 0)] * 3

    with broken(studio.session, "UPDATE OF status", SESSIONS, f"NEW.id = {items[1]}"):
        undone = studio.do("undo_closure", batch_id=closed["batch_id"], reason="Sun", threshold=0)
        view = run(session_factory, undone["job_id"])
        assert (view.done, [e.item for e in view.errors]) == (2, [items[1]])
    view = run(session_factory, undone["job_id"], again=True)
    assert (view.failed, [studio.state(key) for key in booked]) == (0, ["booked"] * 3)

    studio.decide(waitlist_hold_hours=2)
    waiting = [studio.book(studio.client(1), item).id for item in items[:2]]
    for key in booked[:2]:
        studio.cancel(key)
    with studio.later(hours=3):
        with broken(studio.session, "UPDATE OF state", BOOKINGS, f"NEW.id = {waiting[0]}"):
            view = run(session_factory, queued(studio, jobs.HOLDS))
        assert (view.total, view.done, [e.item for e in view.errors]) == (2, 1, [items[0]])
        assert [studio.state(key) for key in waiting] == [BookingState.waitlisted, BookingState.cancelled]
        assert run(session_factory, view.id, again=True).failed == 0
        assert studio.state(waiting[0]) == BookingState.cancelled

    before = len(studio.sessions(other))
    with studio.later(weeks=2):
        with broken(studio.session, "INSERT", SESSIONS, f"NEW.class_group_id = {group}"):
            view = run(session_factory, queued(studio, jobs.HORIZON, chunk=100))
        assert (view.total, view.done, [e.item for e in view.errors]) == (2, 1, [group])
        assert len(studio.sessions(other)) == before + 2
        assert view.result == {"overlaps": 20}, "ten times the trainer gives both"
        view = run(session_factory, view.id, again=True)
        assert (view.failed, view.result) == (0, {"overlaps": 24}), "twice more, now that there are both"
        assert studio.sessions(group)[-1].starts_at == studio.sessions(other)[-1].starts_at


def queued(studio: Studio, kind: str, **input: int) -> int:
    with unit_of_work(studio.session):
        return queue_job(studio.session, kind=kind, input=input, actor=SYSTEM).id

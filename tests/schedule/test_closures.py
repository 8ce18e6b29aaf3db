"""Closing days and sessions, and taking that back."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from enrollment_addon.billing.models import Charge, ChargeStatus
from enrollment_addon.core.errors import InvalidInput, NotFound
from enrollment_addon.core.scope import Actor, Reach, acting_as
from enrollment_addon.credits.models import CreditLot, Origin
from enrollment_addon.jobs.models import Job
from enrollment_addon.schedule.calc import BookingState, Pays, PayWith, SessionStatus
from enrollment_addon.schedule.errors import ClosureStateConflict, NothingToClose
from enrollment_addon.schedule.models import Booking, ScheduledSession
from tests.schedule.conftest import Studio

WEEK = {"first_date": dt.date(2026, 3, 2), "last_date": dt.date(2026, 3, 8)}


@pytest.mark.all_databases
def test_a_week_is_closed_and_opened_again(studio: Studio) -> None:
    slots = [{"weekday": day, "starts_at_time": dt.time(18), "duration_minutes": 60} for day in range(1, 6)]
    group = studio.group(capacity=40, slots=slots)
    week = studio.sessions(group)[:5]
    until = dt.date(2026, 3, 20)
    clients = [studio.client(2, lot={"expires_on": until}) for _ in range(40)]
    for number, client in enumerate(clients):
        studio.book(client, week[number % 5].id)
    asked: dict[str, Any] = {"club_id": studio.club_id, "extend_days": 7, **WEEK}
    plan = studio.do("closure_plan", **asked)
    assert (plan.sessions, plan.booked, plan.clients, plan.credits) == (5, 40, 40, 40)

    done = studio.do("close_sessions", reason="Flood", threshold=500, idempotency_key="flood", **asked)
    assert studio.do("close_sessions", reason="Flood", threshold=500, idempotency_key="flood", **asked) == done
    assert studio.credits(clients[0]) == (2, 0, 0)
    assert studio.expiry(clients[0]) == until + dt.timedelta(days=7)
    assert {item.status for item in studio.sessions(group)[:6]} == {SessionStatus.cancelled, SessionStatus.scheduled}
    with pytest.raises(NothingToClose):
        studio.do("close_sessions", reason="Flood", threshold=500, **asked)

    spent, busy = clients[0], clients[1]
    for item in studio.sessions(group)[5:7]:
        studio.book(spent, item.id)
    meanwhile = studio.do(
        "create_appointment", client_id=busy, event_type_id=studio.yoga_id, starts_at=week[1].starts_at, room="Hall",
        pay_with=PayWith(Pays.nothing),
    )
    studio.session.get_one(ScheduledSession, week[1].id).room = "Hall"
    studio.session.commit()
    plan = studio.do("reopen_plan", batch_id=done["batch_id"])
    assert (plan.sessions, plan.bookings, plan.over, plan.taken, plan.busy) == (5, 40, 0, 1, 1)
    result = studio.do("undo_closure", batch_id=done["batch_id"], reason="It dried up", threshold=500)
    assert (result["taken_back"], result["kept_spent"], result["clients"]) == (39, 1, 40)
    assert result["overlaps"] == 1
    assert studio.state(meanwhile.id) == BookingState.booked
    assert studio.credits(clients[1]) == (1, 1, 0)
    assert studio.expiry(clients[1]) == until
    assert {item.status for item in studio.sessions(group)} == {SessionStatus.scheduled}
    with pytest.raises(ClosureStateConflict):
        studio.do("undo_closure", batch_id=done["batch_id"], reason="Again", threshold=500)


def test_money_goes_back_or_becomes_a_make_up(studio: Studio) -> None:
    first, second = studio.sessions(studio.group(capacity=1, dropin_price="12.00"))[:2]
    payer = studio.client()
    for item in (first, second):
        studio.book(payer, item.id, pay_with=PayWith(Pays.charge))
    waiting = studio.book(studio.client(1), first.id)
    studio.do("close_sessions", session_ids=[first.id], reason="Ill", threshold=500)
    made = studio.do("close_sessions", session_ids=[second.id], reason="Ill", threshold=500, makeups=True)
    charges = studio.session.scalars(select(Charge.status).order_by(Charge.id)).all()
    assert charges == [ChargeStatus.void, ChargeStatus.open]
    assert studio.credits(payer) == (1, 0, 0)
    assert studio.session.scalars(select(CreditLot.origin).where(CreditLot.client_id == payer)).all() == [
        Origin.makeup
    ]
    assert studio.state(waiting.id) == BookingState.cancelled
    studio.do("undo_closure", batch_id=made["batch_id"], reason="Well again", threshold=500)
    assert studio.credits(payer) == (0, 0, 0)
    assert studio.session.scalars(select(Booking.state).where(Booking.session_id == second.id)).all() == ["booked"]


@pytest.mark.databases("sqlite")
def test_only_ones_own_sessions_of_those_to_come_are_closed(studio: Studio) -> None:
    """A trainer's client is booked in the neighbour's class too: seeing it is not enough to send everybody home."""
    own = studio.sessions(studio.group(team_member_id=studio.trainer_id))[0].id
    others = studio.sessions(studio.group(name="Neighbour"))[0].id
    client = studio.client(team_member_id=studio.trainer_id)
    for key in (own, others):
        studio.book(client, key, pay_with=PayWith(Pays.nothing), confirm_overlap=True)
    by_clients = Actor(reach=Reach.own_clients, team_member_id=studio.trainer_id)
    by_club = Actor(reach=Reach.own_clubs, team_member_id=studio.trainer_id, club_ids=(studio.club_id,))
    elsewhere = replace(by_club, club_ids=(999_999,))
    week: dict[str, Any] = {"club_id": studio.club_id, **WEEK}
    with acting_as(studio.session, by_clients):
        assert {*studio.session.scalars(select(ScheduledSession.id))} >= {own, others}
        assert studio.do("closure_plan", actor=by_clients, session_ids=[own, others]).sessions == 1
        assert studio.do("closure_plan", actor=by_clients, **week).sessions == 1
        for verb, asked in (
            ("close_sessions", {"session_ids": [others], "threshold": 9, "reason": "Ill"}),
            ("delete_session", {"id": others}),
        ):
            with pytest.raises((NothingToClose, NotFound)):
                studio.do(verb, actor=by_clients, **asked)
    with acting_as(studio.session, by_club):
        assert studio.do("closure_plan", actor=by_club, **week).sessions == 2
    with acting_as(studio.session, elsewhere), pytest.raises(NotFound):
        studio.do("closure_plan", actor=elsewhere, **week)

    with studio.later(days=2, hours=8, minutes=30), pytest.raises(NothingToClose):
        studio.do("close_sessions", reason="Storm", threshold=9, **week)
    assert studio.session.scalars(select(Booking.state)).all() == ["booked", "booked"], "who was there stays"


def test_a_place_whose_owner_spent_the_credit_goes_to_the_queue_when_the_class_comes_back(studio: Studio) -> None:
    first, second = studio.sessions(studio.group(capacity=1))[:2]
    owner, waits = studio.client(1), studio.client(1)
    place, queued = (studio.book(client, first.id).id for client in (owner, waits))
    done = studio.do("close_sessions", session_ids=[first.id], reason="Ill", threshold=500)
    studio.book(owner, second.id)
    result = studio.do("undo_closure", batch_id=done["batch_id"], reason="Well again", threshold=500)
    assert (result["taken_back"], result["kept_spent"]) == (1, 1)
    assert (studio.state(place), studio.state(queued)) == (BookingState.cancelled, BookingState.booked)
    assert studio.credits(waits) == (0, 1, 0)


def test_a_large_closure_is_a_job(studio: Studio) -> None:
    items = studio.sessions(studio.group())[:2]
    client = studio.client(2)
    for item in items:
        studio.book(client, item.id)
    asked = {"session_ids": [item.id for item in items], "reason": "Ill"}
    queued = studio.do("close_sessions", threshold=1, **asked)
    assert studio.session.scalar(select(func.count()).where(Job.id == queued["job_id"])) == 1
    assert studio.credits(client) == (0, 2, 0), "nothing happens before the job runs"
    while not studio.do("close_chunk", batch_id=queued["batch_id"]).finished:
        pass
    assert studio.credits(client) == (2, 0, 0)


def test_what_a_closure_is_for_must_be_said(studio: Studio) -> None:
    for asked in (
        {}, {"session_ids": [1], "club_id": studio.club_id}, {"club_id": studio.club_id},
        {"club_id": studio.club_id, "first_date": dt.date(2026, 3, 8), "last_date": dt.date(2026, 3, 2)},
    ):
        with pytest.raises(InvalidInput):
            studio.do("closure_plan", **asked)
    with pytest.raises(InvalidInput):
        studio.do("close_sessions", reason=" ", threshold=1, session_ids=[1])

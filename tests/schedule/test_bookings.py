"""Booking, attendance, cancelling and the queue, on the ledger of credits."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.billing.models import Charge, ChargeStatus
from enrollment_addon.catalog.models import EventType
from enrollment_addon.catalog.queries import single_price
from enrollment_addon.core import clock
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.errors import AddonError, InvalidInput, NotFound
from enrollment_addon.core.scope import SYSTEM, Actor, Reach, acting_as
from enrollment_addon.credits.errors import NotEnoughCredits
from enrollment_addon.credits.models import CreditBalance
from enrollment_addon.credits.service import transfer_credits
from enrollment_addon.enrollments.models import Enrollment
from enrollment_addon.people.models import Client, Club
from enrollment_addon.schedule import service
from enrollment_addon.schedule.calc import BookingState, Pays, PayWith
from enrollment_addon.schedule.errors import (
    AlreadyBooked,
    BookingStateConflict,
    CapacityExceeded,
    Overlap,
    PriceMissing,
    SessionCancelled,
    SessionNotBegun,
    SessionOver,
    TrialUsed,
)
from enrollment_addon.schedule.models import Booking, ScheduledSession
from tests import factories
from tests.schedule.conftest import MONDAY, Studio

TRIAL, FREE = PayWith(Pays.trial), PayWith(Pays.nothing)


@pytest.mark.all_databases
def test_a_client_books_four_attends_two_misses_one_and_cancels_one_in_time(studio: Studio) -> None:
    sessions = [item.id for item in studio.sessions(studio.group())[:4]]
    client = studio.client(10)
    booked = [studio.book(client, key).id for key in sessions]
    assert studio.credits(client) == (6, 4, 0)

    assert studio.cancel(booked[3])["returned"]
    with pytest.raises(SessionNotBegun):
        studio.attend(booked[0])
    with studio.later(days=17):
        studio.attend(booked[0])
        studio.attend(booked[1])
        assert studio.credits(client) == (7, 1, 2)
        studio.attend(booked[2], "no_show")
        assert studio.credits(client) == (7, 0, 3), "a no-show forfeits the credit"
        studio.decide(no_show_forfeits=False)
        studio.attend(booked[2], "booked")
        studio.attend(booked[2], "no_show")
        assert studio.credits(client) == (8, 0, 2), "unless the studio decided otherwise"
        studio.attend(booked[2], "attended")
        assert studio.credits(client) == (7, 0, 3), "a correction takes the credit again"
        with pytest.raises(BookingStateConflict):
            studio.cancel(booked[2])
    with pytest.raises(BookingStateConflict):
        studio.cancel(booked[3])
    again = studio.book(client, sessions[3])
    assert again.pays == Pays.lot


def test_notice_decides_what_comes_back_unless_staff_say_otherwise(studio: Studio) -> None:
    wednesday, next_one = studio.sessions(studio.group())[:2]
    first, second = studio.client(3), studio.client(3)
    keys = [studio.book(client, wednesday.id).id for client in (first, second)]
    early = studio.book(first, next_one.id).id
    with studio.later(days=2):
        late = studio.cancel(keys[0])
        kind = studio.cancel(keys[1], return_credit=True, reason="ill")
        forfeited = studio.cancel(early, return_credit=False)
    assert (late["state"], late["returned"]) == ("late_cancel", False)
    assert (kind["state"], kind["credits"]) == ("cancelled", 1)
    assert (forfeited["state"], forfeited["returned"]) == ("cancelled", False)
    assert studio.credits(first) == (1, 0, 2)
    assert studio.credits(second) == (3, 0, 0)


def test_what_pays_is_as_asked(studio: Studio) -> None:
    group = studio.group(dropin_price="15.00")
    item = studio.sessions(group)[0]
    extra = studio.do(
        "create_session", event_type_id=studio.yoga_id, club_id=studio.club_id, capacity=5,
        starts_at=item.starts_at + dt.timedelta(hours=3),
    ).id
    client, poor = studio.client(2), studio.client()

    charged = studio.book(poor, item.id, pay_with=PayWith(Pays.charge))
    charge = studio.session.scalars(select(Charge).where(Charge.booking_id == charged.id)).one()
    assert (charge.gross, charge.currency, charge.status) == (1500, "EUR", ChargeStatus.open)
    assert charge.due_on == dt.date(2026, 3, 4)
    studio.cancel(charged.id)
    studio.session.refresh(charge)
    assert charge.status == ChargeStatus.void, "the charge goes with the booking"

    with pytest.raises(PriceMissing):
        studio.book(poor, extra, pay_with=PayWith(Pays.charge))
    yoga, club = studio.session.get(EventType, studio.yoga_id), studio.session.get(Club, studio.club_id)
    assert yoga
    assert club
    for sessions, price in ((10, 9_000), (3, 3_500)):
        factories.make_package(studio.session, yoga, name=f"{sessions}", sessions=sessions, price=price)
    assert single_price(studio.session, club.id, yoga.id) == 1167, "the smallest package, half-up"
    assert studio.book(poor, extra, pay_with=PayWith(Pays.charge, amount=990)).pays == Pays.charge
    with pytest.raises(NotEnoughCredits):
        studio.book(poor, item.id)
    trial = studio.book(poor, item.id, pay_with=TRIAL)
    with pytest.raises(TrialUsed):
        studio.book(poor, studio.sessions(group)[1].id, pay_with=TRIAL)
    studio.cancel(trial.id)
    assert studio.book(poor, studio.sessions(group)[1].id, pay_with=TRIAL).pays == Pays.trial
    assert studio.book(client, item.id, pay_with=FREE).pays == Pays.nothing
    assert studio.credits(client) == (2, 0, 0)


def test_refusals_of_a_booking_leave_nothing_behind(studio: Studio) -> None:
    group = studio.group(team_member_id=studio.trainer_id)
    first, second = studio.sessions(group)[:2]
    client, other = studio.client(5), studio.client(5)
    studio.book(client, first.id)
    stranger = studio.session.scalars(select(Booking.participant_id)).first()
    beside = studio.do(
        "create_session", event_type_id=studio.yoga_id, club_id=studio.club_id, capacity=5,
        starts_at=first.starts_at + dt.timedelta(minutes=30),
    ).id
    refused: list[tuple[type[AddonError], dict[str, Any]]] = [
        (AlreadyBooked, {"client_id": client, "session_id": first.id}),
        (NotFound, {"client_id": other, "session_id": first.id, "participant_id": stranger}),
        (NotFound, {"client_id": other, "session_id": 999_999}),
        (Overlap, {"client_id": client, "session_id": beside}),
    ]
    for error, asked in refused:
        with pytest.raises(error):
            studio.do("book", **asked)
    assert studio.do("book", client_id=client, session_id=beside, confirm_overlap=True).state == "booked"
    studio.do("close_sessions", session_ids=[second.id], reason="Storm", threshold=9)
    with pytest.raises(SessionCancelled):
        studio.book(other, second.id)
    with studio.later(days=3), pytest.raises(SessionOver):
        studio.book(other, first.id)
    with pytest.raises(Overlap):
        studio.do(
            "create_appointment", client_id=other, event_type_id=studio.yoga_id, starts_at=first.starts_at,
            team_member_id=studio.trainer_id,
        )
    assert studio.credits(other) == (5, 0, 0)
    assert studio.credits(client) == (3, 2, 0)


def test_the_same_request_twice_books_once(studio: Studio) -> None:
    item = studio.sessions(studio.group())[0]
    client = studio.client(5)
    first = studio.book(client, item.id, idempotency_key="tap")
    assert studio.book(client, item.id, idempotency_key="tap").id == first.id
    done = studio.cancel(first.id, idempotency_key="off")
    assert studio.cancel(first.id, idempotency_key="off") == done
    assert studio.credits(client) == (5, 0, 0)


@pytest.mark.databases("postgresql", "mariadb")
def test_the_last_place_asked_for_by_thirty_at_once(studio: Studio, session_factory: sessionmaker[Session]) -> None:
    """Then both places are given up while others ask: they are held for the first two in line, for nobody else.

    At last everybody at the desk taps the same person's attendance.
    """
    item = studio.sessions(studio.group(capacity=2))[0].id
    studio.book(studio.client(1), item)
    clients = [studio.client(1) for _ in range(42)]
    studio.session.rollback()

    def at_once(*asked: tuple[str, dict[str, Any]]) -> list[str]:
        def ask(one: tuple[str, dict[str, Any]]) -> str:
            with clock.frozen(MONDAY), session_factory() as session:
                try:
                    with unit_of_work(session):
                        done = getattr(service, one[0])(session, actor=SYSTEM, **one[1])
                        return str(done["state"] if isinstance(done, dict) else done.state)
                except CapacityExceeded:
                    return "full"

        with ThreadPoolExecutor(10) as pool:
            return list(pool.map(ask, asked))

    def booking(client_id: int) -> tuple[str, dict[str, int]]:
        return "book", {"client_id": client_id, "session_id": item}

    states = at_once(*map(booking, clients[:30]))
    assert states.count("booked") == 1
    assert states.count("waitlisted") == 29
    live = list(studio.session.scalars(select(Booking).order_by(Booking.id)))
    places = [booking.id for booking in live if booking.state == "booked"]
    queue = [booking.id for booking in live if booking.state == "waitlisted"]

    studio.decide(waitlist_hold_hours=4)
    studio.session.rollback()
    new = list(map(booking, clients[30:]))
    freed = [("cancel_booking", {"booking_id": key}) for key in places]
    told = at_once(*new[:4], freed[0], *new[4:8], freed[1], *new[8:])
    assert (told.count("waitlisted"), told.count("cancelled")) == (12, 2)
    held = select(Booking.id).where(Booking.held_until.is_not(None)).order_by(Booking.id)
    assert studio.session.scalars(held).all() == queue[:2]
    studio.session.rollback()
    assert at_once(*(("take_place", {"booking_id": key}) for key in queue[:3])) == ["booked", "booked", "full"]
    taps = [("record_attendance", {"booking_id": queue[0], "state": "attended", "early": True})] * 6
    assert set(at_once(*taps)) == {"attended"}
    assert studio.credits(studio.session.get_one(Booking, queue[0]).client_id) == (0, 0, 1), "six taps use one credit"


@pytest.mark.databases("postgresql")
def test_whose_credit_comes_back_is_locked_in_order_also_after_the_household_broke_up(
    studio: Studio, session_factory: sessionmaker[Session]
) -> None:
    """A booking is cancelled while its client and whoever shared the credit with them once exchange credits."""
    item = studio.sessions(studio.group())[0].id
    owner, guest = studio.client(4, lot={"shared": True}), studio.client()
    with unit_of_work(studio.session):
        couple = [studio.session.get_one(Client, key) for key in (owner, guest)]
        factories.make_household(studio.session, *couple)
    booking = studio.book(guest, item).id
    with unit_of_work(studio.session):
        factories.make_lot(studio.session, couple[1], studio.yoga, quantity=1)
        couple[1].household_id = couple[1].relationship_to_head = None
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def cancel() -> Any:
        with clock.frozen(MONDAY), session_factory() as session, unit_of_work(session):
            return service.cancel_booking(session, booking_id=booking, actor=SYSTEM)

    with ThreadPoolExecutor(1) as pool, session_factory() as session:
        with unit_of_work(session):
            session.execute(select(CreditBalance).where(CreditBalance.client_id == owner).with_for_update())
            cancelled = pool.submit(cancel)
            while not studio.session.execute(waiting).scalar():
                studio.session.rollback()
            transfer_credits(
                session, from_client_id=owner, to_client_id=guest, event_type_id=studio.yoga_id, quantity=1,
                reason="race", actor=SYSTEM,
            )
        assert cancelled.result()["credits"] == 1
    studio.session.rollback()
    assert (studio.credits(owner), studio.credits(guest)) == ((3, 0, 0), (2, 0, 0))


@pytest.mark.all_databases
def test_a_freed_place_goes_to_the_first_in_line_who_has_a_credit(studio: Studio) -> None:
    item = studio.sessions(studio.group(capacity=1, team_member_id=studio.trainer_id))[0].id
    holder, spent, ready, last = studio.client(1), studio.client(1), studio.client(1), studio.client(1)
    place = studio.book(holder, item)
    queue = [studio.book(client, item).id for client in (spent, ready, last)]
    assert [studio.state(key) for key in queue] == [BookingState.waitlisted] * 3
    assert studio.credits(spent) == (1, 0, 0), "waiting costs nothing"
    beside = studio.group(name="Other", team_member_id=studio.trainer_id, confirm_overlap=True)
    studio.book(spent, studio.sessions(beside)[1].id)
    assert service.count_double_booked(studio.session) == 24, "all of both groups, that the trainer gives at once"

    studio.cancel(place.id)
    assert [str(studio.state(key)) for key in queue] == ["waitlisted", "booked", "waitlisted"]
    assert studio.credits(ready) == (0, 1, 0)
    assert studio.told() == [("place_given", ready)]
    studio.cancel(queue[0])
    with pytest.raises(CapacityExceeded):
        studio.do("take_place", booking_id=queue[2])
    studio.do("update_session", id=item, capacity=2)
    assert studio.state(queue[2]) == BookingState.booked, "a further place is the queue's"


def test_a_late_cancellation_is_taken_back_only_while_there_is_a_place(studio: Studio) -> None:
    item = studio.sessions(studio.group(capacity=1))[0].id
    late = studio.book(studio.client(1), item).id
    waiting = studio.book(studio.client(1), item).id
    with studio.later(days=2):
        studio.attend(late, "late_cancel")
        assert studio.state(waiting) == BookingState.booked
        for state in ("booked", "attended", "no_show"):
            with pytest.raises(CapacityExceeded):
                studio.attend(late, state)
        studio.do("update_session", id=item, capacity=2)
        assert studio.attend(late, "attended").state == BookingState.attended


def test_a_held_place_waits_for_its_answer_and_then_goes_on(studio: Studio) -> None:
    """To whoever comes next in line, also when somebody new asks before the lapsed hold was noticed."""
    studio.decide(waitlist_hold_hours=4)
    item = studio.sessions(studio.group(capacity=1))[0].id
    place = studio.book(studio.client(1), item)
    slow, quick, late, new = (studio.client(1) for _ in range(4))
    first, second = studio.book(slow, item).id, studio.book(quick, item).id
    studio.cancel(place.id)
    assert studio.state(first) == BookingState.waitlisted
    third = studio.book(late, item).id
    assert studio.state(third) == BookingState.waitlisted, "a held place is taken"
    assert not service.has_queue_to_serve(studio.session)
    with studio.later(hours=5):
        assert service.has_queue_to_serve(studio.session)
        with pytest.raises(CapacityExceeded):
            studio.do("take_place", booking_id=first)
        fourth = studio.book(new, item).id
        assert [str(studio.state(key)) for key in (first, second, third, fourth)] == [
            "cancelled", "waitlisted", "waitlisted", "waitlisted"
        ], "who is new does not overtake the second in line"
        assert studio.do("take_place", booking_id=second).state == BookingState.booked
    assert studio.credits(quick) == (0, 1, 0)
    assert studio.credits(slow) == (1, 0, 0)
    studio.cancel(second)
    with studio.later(hours=5):
        assert studio.do("serve_queues", after=0) == item
        assert studio.do("serve_queues", after=item) is None
        assert [str(studio.state(key)) for key in (third, fourth)] == ["cancelled", "waitlisted"]
        assert studio.do("take_place", booking_id=fourth).state == BookingState.booked


def test_a_place_is_held_for_who_can_pay_and_theirs_once_they_can(studio: Studio) -> None:
    """Credits that the household shares pay as well; those that are past their day do not."""
    first, second = studio.sessions(studio.group(capacity=1))[:2]
    places = [studio.book(studio.client(1), item.id).id for item in (first, second)]
    poor, child, parent = studio.client(), studio.client(), studio.client(3, lot={"shared": True})
    with unit_of_work(studio.session):
        factories.make_household(
            studio.session, studio.session.get_one(Client, parent), studio.session.get_one(Client, child)
        )
    short = studio.client(2, lot={"expires_on": MONDAY.date()})
    queue = [studio.book(client, first.id).id for client in (poor, short, child)]
    studio.decide(waitlist_hold_hours=4)
    studio.cancel(places[0])
    assert studio.told() == [("place_held", child)]
    held = [studio.session.get_one(Booking, key, populate_existing=True).held_until for key in queue]
    assert [until is not None for until in held] == [False, False, True]
    assert studio.credits(parent) == (3, 0, 0), "trying to pay leaves nothing behind"
    assert studio.do("take_place", booking_id=queue[2]).state == BookingState.booked
    assert studio.credits(parent) == (2, 1, 0)

    studio.decide(waitlist_hold_hours=0)
    later = studio.book(poor, second.id).id
    studio.cancel(places[1])
    assert studio.state(later) == BookingState.waitlisted, "nobody can pay: the place stays free"
    assert not service.has_queue_to_serve(studio.session)
    with unit_of_work(studio.session):
        yoga, buyer = (studio.session.get_one(*key) for key in ((EventType, studio.yoga_id), (Client, poor)))
        factories.make_lot(studio.session, buyer, yoga, quantity=1)
    assert service.has_queue_to_serve(studio.session)
    newcomer = studio.book(studio.client(1), second.id)
    assert (studio.state(later), newcomer.state) == (BookingState.booked, BookingState.waitlisted)


def test_everybody_is_present_and_one_walks_in(studio: Studio) -> None:
    item = studio.sessions(studio.group(capacity=3))[0].id
    clients = [studio.client(1) for _ in range(2)]
    keys = [studio.book(client, item).id for client in clients]
    with studio.later(days=2, hours=10):
        assert studio.do("all_present", session_id=item) == 2
        guest = studio.client(1)
        came = studio.do("walk_in", client_id=guest, session_id=item)
        assert came.state == BookingState.attended
        assert studio.credits(guest) == (0, 0, 1)
        with pytest.raises(CapacityExceeded):
            studio.do("walk_in", client_id=studio.client(1), session_id=item)
        with pytest.raises(InvalidInput):
            studio.attend(keys[0], "waitlisted")
        studio.attend(keys[0], "late_cancel")
    assert [studio.credits(client) for client in clients] == [(0, 0, 1), (0, 0, 1)]
    live = studio.session.scalar(select(func.count()).where(Booking.session_id == item, Booking.live.is_(True)))
    assert live == 2


def test_an_enrollments_bookings_in_a_pause_are_cancelled_and_no_others(studio: Studio) -> None:
    items = studio.sessions(studio.group())[:3]
    client = studio.client()
    with unit_of_work(studio.session):
        enrollment = Enrollment(
            kind="course", client_id=client, club_id=studio.club_id, total=5, price=0, currency="EUR",
            begins_on=dt.date(2026, 3, 1),
        )
        studio.session.add(enrollment)
        studio.session.flush()
        factories.make_lot(
            studio.session, studio.session.get_one(Client, client), studio.yoga, quantity=5,
            enrollment_id=enrollment.id,
        )
        key = enrollment.id
    booked = [studio.book(client, item.id, pay_with=PayWith(Pays.enrollment, enrollment_id=key)) for item in items]
    assert [b.enrollment_id for b in booked] == [key] * 3
    off = studio.do(
        "cancel_enrollment_bookings", enrollment_id=key, begins=items[1].starts_at, ends=items[2].starts_at,
        reason="Holiday",
    )
    assert off == [booked[1].id]
    assert studio.credits(client) == (3, 2, 0)


@pytest.mark.databases("sqlite")
def test_whoever_is_booked_elsewhere_meanwhile_is_passed_over_or_asked_for(studio: Studio) -> None:
    """Two classes at once, one full: the queue of it goes on to the next; staff are told before they insist."""
    item = studio.sessions(studio.group(capacity=1))[0]
    beside = studio.sessions(studio.group(name="Beside"))[0].id
    place = studio.book(studio.client(1), item.id)
    both, only = studio.client(2), studio.client(1)
    first, second = (studio.book(client, item.id).id for client in (both, only))
    studio.book(both, beside)
    studio.cancel(place.id)
    assert [str(studio.state(key)) for key in (first, second)] == ["waitlisted", "booked"]
    studio.cancel(second)
    assert studio.state(first) == BookingState.waitlisted
    with pytest.raises(Overlap):
        studio.do("take_place", booking_id=first)
    assert studio.credits(both) == (1, 1, 0)
    assert studio.do("take_place", booking_id=first, confirm_overlap=True).state == "booked"
    assert studio.credits(both) == (0, 2, 0)


@pytest.mark.databases("sqlite")
def test_an_appointment_goes_and_comes_with_its_booking(studio: Studio) -> None:
    """A colleague of the trainer takes the booking of an own client off: room and trainer are free, then taken."""
    helper = factories.make_team_member(studio.session).id
    studio.session.commit()
    client = studio.client(3, team_member_id=helper)
    asked: dict[str, Any] = {
        "client_id": client, "event_type_id": studio.yoga_id, "team_member_id": studio.trainer_id,
        "starts_at": MONDAY + dt.timedelta(days=1),
    }
    made = studio.do("create_appointment", **asked)
    key, booking = made.session_id, made.id

    def status() -> tuple[str, int]:
        item = studio.session.get_one(ScheduledSession, key, populate_existing=True)
        return str(item.status), item.sequence

    helping = Actor(user_id=None, reach=Reach.own_clients, team_member_id=helper)
    with acting_as(studio.session, helping):
        studio.cancel(booking, actor=helping, reason="Ill")
    assert status() == ("cancelled", 1)
    elsewhere = studio.do("create_appointment", **{**asked, "client_id": studio.client(1)})
    with pytest.raises(Overlap):
        studio.book(client, key)
    studio.cancel(elsewhere.id)
    again = studio.book(client, key).id
    assert status() == ("scheduled", 2)
    studio.attend(again, "late_cancel")
    assert status() == ("cancelled", 3)
    studio.attend(again, "booked")
    assert status() == ("scheduled", 4), "the correction brings it back"
    closed = studio.do("close_sessions", session_ids=[key], reason="Storm", threshold=9)
    with pytest.raises(SessionCancelled):
        studio.book(studio.client(1), key)
    studio.do("undo_closure", batch_id=closed["batch_id"], reason="Sun", threshold=9)
    with studio.later(days=2):
        studio.cancel(again)
    assert status()[0] == "scheduled", "what has been is left as it was"

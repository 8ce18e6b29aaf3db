"""A studio's day: booking from many processes, making sessions, the week view, the card of an old client."""

import datetime as dt
import random
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, create_engine, delete, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from enrollment_addon.catalog.models import Package
from enrollment_addon.core import clock, scope
from enrollment_addon.core.db import unit_of_work
from enrollment_addon.core.scope import SYSTEM
from enrollment_addon.enrollments.service import create_enrollment
from enrollment_addon.people.models import Client, Club
from enrollment_addon.schedule.errors import AlreadyBooked
from enrollment_addon.schedule.models import ClassGroup, ScheduledSession
from enrollment_addon.schedule.service import book, generate_sessions
from tests import factories
from tests.servers import load_models

from . import spending
from .client_list import host, log_in, pages, queries_of
from .databases import analyze, databases, filled, new_event_type
from .registry import Comparison, Options, SideBySide, benchmark

BOOKABLE = 1_000
BOOKED = 2
"""Bookings of each client that are there before: statistics of an empty table make every plan a scan of all."""
GROUPS, SLOTS, WEEKS = 200, 5, 50
"""Class groups, times a week, weeks ahead: about 50,000 sessions."""
IN_A_WEEK = 500
FEW, MANY = (2, 2), (200, 2_000)
"""Enrollments and bookings of a client."""

_SELVES = (
    "INSERT INTO enrollment_participant (client_id, name, kind, created_at, updated_at) "
    "SELECT id, first_name || ' ' || last_name, 'self', now(), now() FROM enrollment_client"
)
_SESSIONS = (
    "INSERT INTO enrollment_session (kind, class_group_id, planned_at, event_type_id, club_id, capacity, starts_at, "
    "ends_at, status, moved, sequence, created_at, updated_at) "
)
_FREE_SESSIONS = _SESSIONS + (
    "SELECT 'class', NULL, NULL, :event_type_id, :club_id, 1000, :first + n * interval '1 hour', "
    ":first + n * interval '1 hour' + interval '45 minutes', 'scheduled', false, 0, now(), now() "
    "FROM generate_series(0, :count - 1) AS n"
)
_BOOKED = (
    "INSERT INTO enrollment_booking (client_id, participant_id, session_id, state, live, pays, created_at, updated_at) "
    "SELECT p.client_id, p.id, s.id, 'booked', true, 'nothing', now(), now() "
    "FROM enrollment_participant AS p JOIN enrollment_session AS s ON (s.id - p.id) % :apart = 0"
)
_PATTERN = _SESSIONS + (
    "SELECT 'class', g.id, start, g.event_type_id, g.club_id, g.capacity, start, start + interval '1 hour', "
    "'scheduled', false, 0, now(), now() FROM enrollment_class_group AS g "
    "JOIN enrollment_class_group_slot AS s ON s.class_group_id = g.id, "
    "generate_series(0, :weeks) AS week, "
    "LATERAL (SELECT (CURRENT_DATE + 1 + s.weekday + week * 7 + s.starts_at_time) AT TIME ZONE 'UTC') AS at (start)"
)


# ---- booking -----------------------------------------------------------------------------------------------


def book_loop(url: str, event_type_id: int, clients: range, seconds: float, number: int, salt: int) -> int:
    """Book one participant after the other into sessions of all until the time is over."""
    load_models()
    factory = sessionmaker(create_engine(url), info={"enrollment_actor": scope.SYSTEM})
    scope.install(factory)
    pick, done = random.Random(salt * spending.PROCESSES + number), 0
    with factory() as session:
        sessions = session.execute(
            select(ScheduledSession.id).where(ScheduledSession.event_type_id == event_type_id)
        ).scalars().all()

        def one() -> bool:
            try:
                with unit_of_work(session):
                    book(session, client_id=pick.choice(clients), session_id=pick.choice(sessions), actor=SYSTEM)
            except AlreadyBooked:
                return False
            return True

        while done < spending.WARM_UP:
            done += one()
        until = spending.start_together() + seconds
        while time.monotonic() < until:
            done += one()
    return done


@benchmark("booking")
def measure_booking(options: Options) -> Iterator[Comparison]:
    """Booking with credits through the service against a bare UPDATE and INSERT on tables of their own."""
    with (
        databases() as servers,
        filled(servers, "postgresql", spending.CLIENTS) as (engine, factory),
        filled(servers, "postgresql", spending.CLIENTS) as (bare_engine, bare_factory),
    ):
        event_type_id, bare_type_id = (spending.give(made, 1_000) for made in (factory, bare_factory))
        with factory() as session, unit_of_work(session):
            session.execute(text(_SELVES))
            _free_sessions(session, event_type_id, BOOKABLE, clock.now() + dt.timedelta(days=2))
            session.execute(text(_BOOKED), {"apart": BOOKABLE // BOOKED})
        analyze(engine)
        analyze(bare_engine)
        salt = iter(range(1, 1_000))

        def rate(loop: Any, on: Engine, event_type: int) -> float:
            clients = range(1, spending.CLIENTS + 1)
            made = spending.in_processes(loop, spending.url_of(on), event_type, clients, options.seconds, next(salt))
            return (made - spending.WARM_UP * spending.PROCESSES) / options.seconds

        rates = SideBySide().run(
            options.runs,
            lambda: rate(book_loop, engine, event_type_id),
            lambda: rate(spending.bare_loop, bare_engine, bare_type_id),
        )
        yield Comparison(
            f"booking, {spending.PROCESSES} processes, {BOOKABLE:,} sessions", rates.ratio, at_least=0.25,
            detail=rates.show("/s"),
        )


def _free_sessions(session: Session, event_type_id: int, count: int, first: dt.datetime) -> None:
    """So many classes of an hour each, one after the other."""
    club_id = session.execute(select(Club.id).order_by(Club.id).limit(1)).scalar_one()
    session.execute(
        text(_FREE_SESSIONS), {"event_type_id": event_type_id, "club_id": club_id, "first": first, "count": count}
    )


# ---- making sessions ---------------------------------------------------------------------------------------


@benchmark("sessions")
def measure_sessions(options: Options) -> Iterator[Comparison]:
    """Making the sessions of many class groups against one INSERT … SELECT of as many."""
    with databases() as servers, filled(servers, "postgresql", 10) as (engine, factory):
        event_type_id = new_event_type(factory)
        with factory() as session, unit_of_work(session):
            _groups(session, event_type_id)
        made: list[int] = []

        def timed(plain: bool) -> float:
            with factory() as session, unit_of_work(session):
                session.execute(delete(ScheduledSession))
            analyze(engine)
            began = time.perf_counter()
            with factory() as session, unit_of_work(session):
                if plain:
                    session.execute(text(_PATTERN), {"weeks": WEEKS - 1})
                else:
                    generate_sessions(session, actor=SYSTEM, weeks=WEEKS)
            seconds = time.perf_counter() - began
            with factory() as session:
                made.append(session.execute(select(func.count()).select_from(ScheduledSession)).scalar_one())
            return seconds

        times = SideBySide().run(options.runs, lambda: timed(plain=False), lambda: timed(plain=True))
        assert min(made) >= GROUPS * SLOTS * WEEKS, made
        yield Comparison(
            f"making {min(made):,} sessions", times.ratio, at_most=2.0, detail=times.show("s"),
        )


def _groups(session: Session, event_type_id: int) -> None:
    club = factories.make_club(session, timezone="UTC")
    event_type = session.get_one(factories.EventType, event_type_id)
    for _ in range(GROUPS):
        group = factories.make_class_group(
            session, club, event_type, first_date=clock.today("UTC") + dt.timedelta(days=1)
        )
        for weekday in range(1, SLOTS):
            session.add(
                factories.ClassGroupSlot(
                    class_group_id=group.id, weekday=weekday, starts_at_time=dt.time(17), duration_minutes=60
                )
            )
    session.flush()
    assert session.execute(select(func.count()).select_from(ClassGroup)).scalar_one() == GROUPS


# ---- pages -------------------------------------------------------------------------------------------------


@benchmark("day")
def measure_day(options: Options) -> Iterator[Comparison]:
    """Queries of a full week and of an old client's card, and the card's time against a new client's."""
    with databases() as servers, filled(servers, "postgresql", 10) as (engine, factory):
        event_type_id = new_event_type(factory)
        monday = clock.now() - dt.timedelta(days=700)
        with factory() as session, unit_of_work(session):
            session.execute(text(_SELVES))
            _free_sessions(session, event_type_id, 20_000, monday)
        old, new = _client_with(factory, 1, *MANY), _client_with(factory, 2, *FEW)
        analyze(engine)
        app = host(engine)
        http = log_in(app)
        first = (monday + dt.timedelta(days=30)).date()
        after = first + dt.timedelta(days=IN_A_WEEK // 24 + 1)
        url = f"/enrollment/schedule/events?start={first}&end={after}"
        shown = len(http.get(url).get_json())
        assert shown >= IN_A_WEEK, shown
        yield Comparison(
            f"calendar with {shown} sessions", queries_of(app, http, url), "queries", at_most=12
        )
        enrollments, bookings = MANY
        yield Comparison(
            f"card of a client with {enrollments} enrollments and {bookings:,} bookings", queries_of(app, http, old),
            "queries", at_most=25,
        )
        times = SideBySide().run(options.runs, pages(http, old), pages(http, new))
        yield Comparison(
            "that card against one with two of each", times.ratio, at_most=2.0, detail=times.show("ms a page"),
        )


def _client_with(factory: sessionmaker[Session], client_id: int, enrollments: int, bookings: int) -> str:
    """Sell a client packages through the service, and let them have been in sessions; the address of their card."""
    with factory() as session, unit_of_work(session):
        club_id = session.get_one(Client, client_id).club_id
        package = session.scalars(select(Package)).first()
        if package is None:
            event_type = session.scalars(select(factories.EventType)).first()
            assert event_type is not None
            package = factories.make_package(session, event_type)
        package_id = package.id
    assert club_id
    for _ in range(enrollments):
        with factory() as session, unit_of_work(session):
            create_enrollment(session, client_id=client_id, package_id=package_id, actor=SYSTEM)
    with factory() as session, unit_of_work(session):
        session.execute(
            text(
                "INSERT INTO enrollment_booking (client_id, participant_id, session_id, state, live, pays, "
                "enrollment_id, created_at, updated_at) "
                "SELECT :client_id, p.id, s.id, CASE WHEN s.starts_at < now() THEN 'attended' ELSE 'booked' END, true, "
                "'enrollment', (SELECT min(id) FROM enrollment_enrollment WHERE client_id = :client_id) "
                "+ s.id % :enrollments, s.starts_at, s.starts_at "
                "FROM enrollment_participant AS p, (SELECT id, starts_at FROM enrollment_session "
                "WHERE starts_at < now() + interval '30 days' ORDER BY starts_at DESC LIMIT :bookings) AS s "
                "WHERE p.client_id = :client_id"
            ),
            {"client_id": client_id, "enrollments": enrollments, "bookings": bookings},
        )
    return f"/enrollment/clients/show/{client_id}"

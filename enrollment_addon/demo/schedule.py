"""Classes of the demonstration: groups with their sessions, past and coming bookings, attendance, a waitlist."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ..catalog import service as catalog
from ..core import clock
from ..core.errors import AddonError
from ..credits.models import CreditBalance
from ..schedule import service as schedule
from ..schedule.calc import BookingState
from ..schedule.models import Booking, ScheduledSession

if TYPE_CHECKING:
    from .data import Demo

CHUNK = 100
"""Bookings per transaction."""
CATEGORIES = ("Yoga", "Swimming", "Dance", "Dogs")
LEVELS = ("Beginners", "Intermediate", "Advanced")
GROUPS: Sequence[tuple[str, int, int, str, tuple[int, ...], dt.time, int, int, str | None]] = (
    ("Morning yoga", 0, 0, "team1", (0, 2, 4), dt.time(8), 12, 0, "15"),
    ("Evening yoga", 0, 0, "team4", (1, 3), dt.time(18, 30), 4, 1, "15"),
    ("Weekend yoga", 0, 0, "team6", (5, 6), dt.time(10), 12, 0, "18"),
    ("Learn to swim", 1, 1, "team2", (0, 2, 4, 5), dt.time(16), 8, 0, "20"),
    ("Swim technique", 1, 1, "team7", (1, 3, 6), dt.time(17), 6, 2, None),
    ("Kids’ dance", 2, 2, "team3", (0, 3, 5), dt.time(15), 10, 0, "70"),
    ("Dance stage", 2, 2, "team5", (1, 4, 6), dt.time(16, 30), 10, 1, None),
)
"""Name, club, event type and category, instructor, weekdays, time, places, level, price of a single class."""


LANGUAGES = ("es", "fr", "de", "ar")
NAMES = {
    "Yoga": ("Yoga", "Yoga", "Yoga", "يوغا"),
    "Swimming": ("Natación", "Natation", "Schwimmen", "سباحة"),
    "Dance": ("Danza", "Danse", "Tanz", "رقص"),
    "Dogs": ("Perros", "Chiens", "Hunde", "كلاب"),
    "Beginners": ("Principiantes", "Débutants", "Anfänger", "مبتدئون"),
    "Intermediate": ("Intermedio", "Intermédiaire", "Mittelstufe", "متوسط"),
    "Advanced": ("Avanzado", "Avancé", "Fortgeschrittene", "متقدم"),
    "Morning yoga": ("Yoga matinal", "Yoga du matin", "Morgenyoga", "يوغا الصباح"),
    "Evening yoga": ("Yoga de tarde", "Yoga du soir", "Abendyoga", "يوغا المساء"),
    "Weekend yoga": ("Yoga de fin de semana", "Yoga du week-end", "Wochenendyoga", "يوغا نهاية الأسبوع"),
    "Learn to swim": ("Aprender a nadar", "Apprendre à nager", "Schwimmen lernen", "تعلّم السباحة"),
    "Swim technique": ("Técnica de natación", "Technique de nage", "Schwimmtechnik", "تقنية السباحة"),
    "Kids’ dance": ("Danza infantil", "Danse enfants", "Kindertanz", "رقص الأطفال"),
    "Dance stage": ("Danza escénica", "Danse de scène", "Bühnentanz", "رقص المسرح"),
}
"""What categories, levels and groups are called in the languages."""


def _called(name: str) -> dict[str, Any]:
    """A name with its translations, as the verbs take them."""
    return {"name": name, "translations": {"name": dict(zip(LANGUAGES, NAMES[name], strict=True))}}


def hold_class(demo: "Demo", club_id: int, clients: Sequence[int], event_type_id: int, *, days: int) -> None:
    """A class of the past: booked so many days ago, held a week later; most came, some cancelled in time."""
    with demo.days_ago(days):
        item = schedule.create_session(
            demo.session, actor=demo.actor, club_id=club_id, event_type_id=event_type_id,
            capacity=max(1, len(clients)), starts_at=clock.now() + dt.timedelta(days=7), confirm_overlap=True,
        ).id
    booked = []
    for start in range(0, len(clients), CHUNK):
        with demo.days_ago(days):
            booked += [
                schedule.book(demo.session, client_id=key, session_id=item, actor=demo.actor).id
                for key in clients[start : start + CHUNK]
            ]
    gone = {key for key in booked if demo.probably(20)}
    with demo.days_ago(days - 2):
        for key in sorted(gone):
            schedule.cancel_booking(demo.session, booking_id=key, actor=demo.actor, reason="Cancelled in time")
    with demo.days_ago(days - 7.1):
        for key in booked:
            if key not in gone:
                state = BookingState.attended if demo.probably(90) else BookingState.no_show
                schedule.record_attendance(demo.session, booking_id=key, state=state, actor=demo.actor)


def add_schedule(demo: "Demo") -> None:
    """The timetable of every club, from the day before yesterday on."""
    groups: list[tuple[int, int]] = []
    with demo.days_ago(2):
        categories = [
            catalog.create_class_category(demo.session, actor=demo.actor, **_called(name)).id for name in CATEGORIES
        ]
        levels = [
            catalog.create_activity_level(demo.session, rank=rank, actor=demo.actor, **_called(name)).id
            for rank, name in enumerate(LEVELS, start=1)
        ]
        year = demo.now.year
        catalog.create_semester(
            demo.session, name=f"{year}", first_date=dt.date(year, 1, 1), last_date=dt.date(year, 12, 31),
            actor=demo.actor,
        )
        for name, place, kind, user, weekdays, time, places, level, price in GROUPS:
            group = schedule.create_class_group(
                demo.session, actor=demo.actor, club_id=demo.club_ids[place], **_called(name),
                event_type_id=demo.event_type_ids[kind], category_id=categories[kind], level_id=levels[level],
                team_member_id=demo.team_ids[user], room="Hall" if places > 6 else "Studio", capacity=places,
                dropin_price=price,
                slots=[{"weekday": day, "starts_at_time": time, "duration_minutes": 60} for day in weekdays],
            )
            groups.append((group.id, place))
        for group_id, place in groups:
            _fill(demo, group_id, demo.clients[demo.club_ids[place]])
    with demo.days_ago(0):
        _take_attendance(demo)


def _fill(demo: "Demo", group_id: int, clients: Sequence[int]) -> None:
    """Bookings of those who have credits for the next sessions of a group; more than it has places for the first."""
    sessions = demo.session.scalars(
        select(ScheduledSession)
        .where(ScheduledSession.class_group_id == group_id)
        .order_by(ScheduledSession.starts_at)
        .limit(6)
    ).all()
    for number, item in enumerate(sessions):
        holders = demo.session.scalars(
            select(CreditBalance.client_id)
            .where(CreditBalance.event_type_id == item.event_type_id, CreditBalance.available > 1)
            .where(CreditBalance.client_id.in_(clients))
            .order_by(CreditBalance.client_id)
        ).all()
        wanted = item.capacity + 2 if number == 1 else demo.chance.randint(2, item.capacity)
        for client_id in demo.chance.sample(holders, min(wanted, len(holders))):
            try:
                with demo.session.begin_nested():
                    schedule.book(demo.session, client_id=client_id, session_id=item.id, actor=demo.actor)
            except AddonError:
                continue


def _take_attendance(demo: "Demo") -> None:
    """What became of the bookings of sessions that are over."""
    over = demo.session.scalars(
        select(Booking)
        .join(ScheduledSession, ScheduledSession.id == Booking.session_id)
        .where(Booking.state == BookingState.booked, ScheduledSession.ends_at <= clock.now())
        .order_by(Booking.id)
    ).all()
    for booking in over:
        state = BookingState.attended if demo.probably(85) else BookingState.no_show
        schedule.record_attendance(demo.session, booking_id=booking.id, state=state, actor=demo.actor)

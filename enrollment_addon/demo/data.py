"""Realistic data for a demonstration, made through the services only, so that it obeys every rule.

The past comes about as it would have: the verbs run while the clock stands at their day, oldest first. The
same seed gives the same people and the same credits, counted from today.
"""

import datetime as dt
import random
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..catalog.models import EventKind
from ..catalog.service import create_event_type
from ..core import clock
from ..core.db import unit_of_work
from ..core.scope import Actor, Reach, acting_as
from ..credits import service as credits
from ..credits.models import CreditLot
from ..people import service as people
from ..people.models import ParticipantKind, ReachChoice, Relationship
from .enrollments import add_enrollments
from .money import add_money
from .names import CULTURES, PET_NAMES, PETS, Culture
from .schedule import add_schedule, hold_class
from .training import add_training

CHUNK = 100
"""Clients per transaction."""
AT_ONCE: Mapping[str, Any] = {"threshold": 10**9, "chunk": 10_000}
"""A grant of the demo is never left to a background job: there may be nobody to run it."""

CLUBS = (
    {"name": "Riverside Berlin", "timezone": "Europe/Berlin", "currency": "EUR",
     "address": "Schöneberger Ufer 12\n10785 Berlin"},
    {"name": "Harbour New York", "timezone": "America/New_York", "currency": "USD",
     "address": "88 Water Street\nNew York, NY 10005"},
    {"name": "Al Waha Dubai", "timezone": "Asia/Dubai", "currency": "AED",
     "address": "Jumeirah Street 4\nDubai"},
)
EVENT_TYPES: tuple[tuple[str, EventKind, int, str, dict[str, str]], ...] = (
    ("Yoga class", EventKind.klass, 60, "#2f855a",
     {"es": "Clase de yoga", "fr": "Cours de yoga", "de": "Yogakurs", "ar": "صف اليوغا"}),
    ("Swimming lesson", EventKind.klass, 45, "#2b6cb0",
     {"es": "Clase de natación", "fr": "Leçon de natation", "de": "Schwimmkurs", "ar": "درس سباحة"}),
    ("Kids’ dance class", EventKind.klass, 50, "#b83280",
     {"es": "Danza infantil", "fr": "Danse enfants", "de": "Kindertanz", "ar": "رقص الأطفال"}),
    ("Puppy class", EventKind.klass, 60, "#b7791f",
     {"es": "Clase para cachorros", "fr": "École du chiot", "de": "Welpenkurs", "ar": "صف الجراء"}),
    ("Personal training", EventKind.appointment, 60, "#9b2c2c",
     {"es": "Entrenamiento personal", "fr": "Coaching personnel", "de": "Personal Training",
      "ar": "تدريب شخصي"}),
    ("Piano lesson", EventKind.appointment, 30, "#553c9a",
     {"es": "Clase de piano", "fr": "Cours de piano", "de": "Klavierstunde", "ar": "درس بيانو"}),
)
TEAM: tuple[tuple[str, str, ReachChoice, tuple[int, ...]], ...] = (
    ("owner", "Ana Ruiz", ReachChoice.everything, (0, 1, 2)),
    ("manager", "Jonas Weber", ReachChoice.everything, (0, 1, 2)),
    ("team1", "Chloé Martin", ReachChoice.own_clients, (0,)),
    ("team2", "Liam O’Brien", ReachChoice.own_clubs, (1,)),
    ("team3", "Noor Haddad", ReachChoice.own_clubs, (2,)),
    ("team4", "Yuki Tanaka", ReachChoice.own_clients, (0,)),
    ("team5", "Omar Said", ReachChoice.own_clients, (2,)),
    ("team6", "Greta Lind", ReachChoice.own_clubs, (0, 1)),
    ("team7", "Mateo García", ReachChoice.own_clients, (1,)),
    ("team8", "Ewa Nowak", ReachChoice.own_clients, (0,)),
    ("team9", "Paul Schmidt", ReachChoice.own_clients, (1,)),
    ("team10", "Leïla Benali", ReachChoice.own_clients, (2,)),
)
"""User name, name, scope and clubs (by their place in `CLUBS`) of the team."""
TAGS = ("vip", "newsletter", "student", "senior", "trial", "corporate", "injury")
NOTES = (
    "Prefers mornings.", "Back pain: no jumps.", "Pays by bank transfer.", "Brings a friend now and then.",
    "Called about the holiday schedule.", "Allergic to latex.",
)


@dataclass
class Demo:
    """What one run knows: chance, today, and the keys of what it has made so far."""

    session: Session
    actor: Actor
    chance: random.Random
    now: dt.datetime
    club_ids: list[int] = field(default_factory=list)
    team_ids: dict[str, int] = field(default_factory=dict)
    event_type_ids: list[int] = field(default_factory=list)
    clients: dict[int, list[int]] = field(default_factory=dict)
    """Keys of active clients by their club."""

    def probably(self, percent: int) -> bool:
        return self.chance.random() * 100 < percent

    @contextmanager
    def days_ago(self, days: float) -> Iterator[None]:
        """One transaction at that moment."""
        with clock.frozen(self.now - dt.timedelta(days=days)), unit_of_work(self.session):
            yield


def load(
    session: Session,
    *,
    users: Mapping[str, int],
    clients: int = 1000,
    seed: int = 1,
    progress: Callable[[int], Any] | None = None,
) -> None:
    """Fill an empty installation.

    `users` has the keys of the host's users for `TEAM` and for the portal's "client"; `progress` is told how
    many more clients are done.
    """
    actor = Actor(user_id=users["owner"], reach=Reach.everything)
    demo = Demo(session, actor, random.Random(seed), clock.now())  # noqa: S311 - no secret depends on it
    with acting_as(session, actor):
        _add_places(demo, users)
        _add_clients(demo, clients, users["client"], progress or (lambda count: None))
        _add_past_credits(demo)
        _add_credits(demo)
        _take_back(demo)
        add_schedule(demo)
        add_money(demo)
        add_enrollments(demo)
        add_training(demo)


def _add_places(demo: Demo, users: Mapping[str, int]) -> None:
    """Clubs, event types and the team."""
    with demo.days_ago(400):
        for club in CLUBS:
            demo.club_ids.append(people.create_club(demo.session, actor=demo.actor, **club).id)
        for name, kind, minutes, colour, names in EVENT_TYPES:
            event_type = create_event_type(
                demo.session, actor=demo.actor, name=name, kind=kind, duration_minutes=minutes, colour=colour,
                translations={"name": names},
            )
            demo.event_type_ids.append(event_type.id)
        for user, name, scope, clubs in TEAM:
            member = people.create_team_member(
                demo.session, actor=demo.actor, user_id=users[user], name=name, scope=scope,
                club_ids=[demo.club_ids[place] for place in clubs],
            )
            demo.team_ids[user] = member.id


def _add_clients(demo: Demo, count: int, portal_user_id: int, progress: Callable[[int], Any]) -> None:
    """People and families, the first of them the one who logs in at the portal."""
    demo.clients = {club_id: [] for club_id in demo.club_ids}
    made = 0
    while made < count:
        with demo.days_ago(390 - 150 * made / count):
            before = made
            while made < min(before + CHUNK, count):
                if made == 0:
                    made += _add_portal_client(demo, portal_user_id)
                else:
                    made += _add_family(demo, size=min(_family_size(demo), count - made), number=made)
        progress(made - before)


def _family_size(demo: Demo) -> int:
    return demo.chance.choices((1, 2, 3, 4), (82, 12, 4, 2))[0]


def _add_portal_client(demo: Demo, user_id: int) -> int:
    client = people.create_client(
        demo.session, actor=demo.actor, first_name="Maya", last_name="Fischer", email="maya@example.org",
        phone="+49 30 5550100", club_id=demo.club_ids[0], team_member_id=demo.team_ids["team1"], locale="de",
        birth_date=dt.date(1988, 6, 12), portal_user_id=user_id, tags=["vip"],
    )
    _add_participant(demo, client.id, ParticipantKind.pet)
    demo.clients[client.club_id].append(client.id)
    return 1


def _add_family(demo: Demo, *, size: int, number: int) -> int:
    """One client, or several in a household who share the last name; how many."""
    culture = demo.chance.choice(CULTURES)
    place = demo.chance.choices((0, 1, 2), (5, 3, 2))[0]
    helpers = [user for user, _, _, clubs in TEAM if clubs == (place,)]
    last = demo.chance.choice(culture.last)
    shared = {
        "club_id": demo.club_ids[place],
        "team_member_id": demo.team_ids[demo.chance.choice(helpers)] if demo.probably(85) else None,
    }
    firsts = demo.chance.sample(culture.first, size)
    keys = [
        _add_client(demo, culture, first, last, number + nth, age=(24, 70) if nth < 2 else (6, 17), **shared)
        for nth, first in enumerate(firsts)
    ]
    if size > 1:
        people.create_household(
            demo.session, actor=demo.actor, name=last.split("/")[0], head_id=keys[0],
            members=[
                {"client_id": key, "relationship": Relationship.child if nth else Relationship.partner}
                for nth, key in enumerate(keys[1:])
            ],
        )
    return size


def _add_client(
    demo: Demo, culture: Culture, first: str, last: str, number: int, *, age: tuple[int, int], **over: Any
) -> int:
    born = demo.now.date() - dt.timedelta(days=demo.chance.randint(age[0] * 365, age[1] * 365))
    area, line = demo.chance.randint(100, 999), demo.chance.randint(1_000_000, 9_999_999)
    archived = demo.probably(4)
    client = people.create_client(
        demo.session, actor=demo.actor, first_name=first.split("/")[0], last_name=last.split("/")[0],
        email=_email(first, last, number) if demo.probably(92) else None,
        phone=f"{culture.country_code} {area} {line}" if demo.probably(85) else None,
        birth_date=born if demo.probably(80) else None, locale=culture.locale,
        tags=demo.chance.sample(TAGS, demo.chance.choice((0, 0, 1, 2))),
        notes=demo.chance.choice(NOTES) if demo.probably(25) else None, archived=archived, **over,
    )
    for kind, percent in ((ParticipantKind.child, 22), (ParticipantKind.pet, 12)):
        if age[0] >= 18 and demo.probably(percent):
            _add_participant(demo, client.id, kind)
    if not archived:
        demo.clients[client.club_id].append(client.id)
    return client.id


def _add_participant(demo: Demo, client_id: int, kind: ParticipantKind) -> None:
    details: dict[str, Any]
    if kind is ParticipantKind.pet:
        species, breed = demo.chance.choice(PETS)
        details = {"name": demo.chance.choice(PET_NAMES), "species": species, "breed": breed}
    else:
        first = demo.chance.choice(demo.chance.choice(CULTURES).first).split("/")[0]
        born = demo.now.date() - dt.timedelta(days=demo.chance.randint(900, 5500))
        details = {"name": first, "birth_date": born}
    people.create_participant(demo.session, actor=demo.actor, client_id=client_id, kind=kind, **details)


def _email(first: str, last: str, number: int) -> str:
    """An address in plain letters; the number keeps two people of one name apart."""
    latin = f"{first.split('/')[-1]}.{last.split('/')[-1]}".lower().replace("ı", "i").replace("ł", "l")
    plain = unicodedata.normalize("NFKD", latin.replace("ß", "ss").replace("đ", "d"))
    return "".join(c for c in plain if c.isascii() and (c.isalnum() or c in ".-")) + f"{number}@example.org"


def _grant(
    demo: Demo, clients: Sequence[int], event_type: int, quantity: int, **terms: Any
) -> dict[str, Any]:
    return credits.grant_credits(
        demo.session, clients=clients, event_type_id=demo.event_type_ids[event_type], quantity=quantity,
        actor=demo.actor, **AT_ONCE, **terms,
    )


def _some(demo: Demo, clients: Sequence[int], percent: int) -> list[int]:
    """A part of these clients, at least one."""
    return [key for key in clients if demo.probably(percent)] or list(clients[:1])


def _add_past_credits(demo: Demo) -> None:
    """Last season's credits: a part was used, the rest has expired."""
    for club_id, clients in demo.clients.items():
        if not clients:
            continue
        holders = _some(demo, clients, 35)
        with demo.days_ago(200):
            _grant(demo, holders, 0, 5, expires_in={"days": 90}, unit_value="12", note="Autumn five-pack")
        hold_class(demo, club_id, _some(demo, holders, 30), demo.event_type_ids[0], days=150)
    with demo.days_ago(100):
        while not credits.expire_lots(demo.session, size=1000, actor=demo.actor).finished:
            pass


def _add_credits(demo: Demo) -> None:
    """This season's credits: paid packs, gifts that expire soon, lots that never do; some are booked."""
    everybody = [key for clients in demo.clients.values() for key in clients]
    for place, (club_id, clients) in enumerate(demo.clients.items()):
        if not clients:
            continue
        holders = _some(demo, clients, 60)
        with demo.days_ago(60):
            _grant(
                demo, holders, place, 10, expires_in={"months": 6}, unit_value=("15", "18", "60")[place],
                note="Ten-pack",
            )
        hold_class(demo, club_id, _some(demo, holders, 60), demo.event_type_ids[place], days=45)
    with demo.days_ago(20):
        _grant(demo, _some(demo, everybody, 30), 4, 1, expires_in={"days": 30}, note="Try personal training")
        _grant(demo, _some(demo, everybody, 10), 5, 4, shared=True, note="For the whole family")
    with demo.days_ago(3):
        for key in _some(demo, everybody, 3):
            _grant(demo, [key], 1, 1, priority=10, expires_in={"weeks": 4}, note="Make-up lesson")


def _take_back(demo: Demo) -> None:
    """Mistakes and their repair: a batch that was undone, and lots that were voided."""
    clients = demo.clients[demo.club_ids[0]]
    with demo.days_ago(12):
        wrong = _grant(demo, _some(demo, clients, 8), 3, 3, note="Puppy special")
    with demo.days_ago(11):
        credits.undo_batch(
            demo.session, batch_id=wrong["batch_id"], reason="Went to the wrong list", actor=demo.actor,
            **AT_ONCE,
        )
    with demo.days_ago(5):
        given = _grant(demo, clients[:40:4], 2, 2, note="Given at the front desk")
        lots = select(CreditLot.id).where(CreditLot.batch_id == given["batch_id"]).order_by(CreditLot.id)
        lot_ids = demo.session.scalars(lots).all()[::2]
        credits.void_lots(demo.session, lot_ids=lot_ids, reason="Asked for money back", actor=demo.actor)

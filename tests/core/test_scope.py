"""Row-level access in the session itself: whoever reads or writes, by whatever statement, stays in reach."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session, aliased, joinedload, selectinload, sessionmaker

from enrollment_addon.core.audit import AuditEvent, record_event
from enrollment_addon.core.batches import Batch
from enrollment_addon.core.errors import NotFound
from enrollment_addon.core.scope import (
    SYSTEM,
    Actor,
    Reach,
    acting_as,
    install,
    require_clients,
    set_actor,
)
from enrollment_addon.credits.models import CreditBalance, CreditEntry, CreditLot
from enrollment_addon.jobs.models import Job
from enrollment_addon.people.models import Client, Club, Household, Participant
from tests import factories

OF_A_CLIENT = (Participant, Household, CreditLot, CreditEntry, CreditBalance, AuditEvent)


@dataclass
class World:
    """Four clients: `mine` and `neighbour` in my club, `foreign` and `unassigned` in another one."""

    clients: dict[str, int] = field(default_factory=dict)
    actors: dict[str, Actor] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)
    batches: dict[str, int] = field(default_factory=dict)
    event_type_id: int = 0
    other_member_id: int = 0
    other_club_id: int = 0


REACHED = {
    "own_clients": {"mine"},
    "own_clubs": {"mine", "neighbour"},
    "everything": {"mine", "neighbour", "foreign", "unassigned"},
    "portal": {"mine"},
    "nothing": set(),
    "member_without_key": set(),
    "portal_without_user": set(),
}
NARROWED = [name for name in REACHED if name != "everything"]


@pytest.fixture
def world(session_factory: sessionmaker[Session]) -> World:
    world = World()
    with session_factory() as session:
        me, other = factories.make_team_member(session), factories.make_team_member(session)
        club, other_club = factories.make_club(session), factories.make_club(session)
        portal_user = factories.make_user_row(session)
        event_type = factories.make_event_type(session)
        places: dict[str, dict[str, Any]] = {
            "mine": {"club": club, "team_member_id": me.id, "portal_user_id": portal_user.id},
            "neighbour": {"club": club, "team_member_id": other.id},
            "foreign": {"club": other_club, "team_member_id": other.id},
            "unassigned": {"club": other_club},
        }
        for name, place in places.items():
            client = factories.make_client(session, **place)
            factories.make_participant(session, client)
            factories.make_household(session, client)
            factories.make_lot(session, client, event_type)
            record_event(session, actor=SYSTEM, verb="tests.seen", record="client", client_id=client.id)
            world.clients[name] = client.id
        for name, user_id in {"me": me.user_id, "other": other.user_id, "system": None}.items():
            job = Job(kind="tests.job", input={}, created_by_id=user_id)
            batch = Batch(kind="tests.batch", input={}, created_by_id=user_id)
            session.add_all([job, batch])
            session.flush()
            world.jobs[name], world.batches[name] = job.id, batch.id
        record_event(session, actor=SYSTEM, verb="tests.about_nobody", record="setting")
        world.event_type_id, world.other_member_id = event_type.id, other.id
        world.other_club_id = other_club.id
        world.actors = {
            "own_clients": Actor(me.user_id, Reach.own_clients, me.id),
            "own_clubs": Actor(me.user_id, Reach.own_clubs, me.id, (club.id,)),
            "everything": Actor(me.user_id, Reach.everything, me.id),
            "portal": Actor(portal_user.id, Reach.portal),
            "nothing": Actor(me.user_id, Reach.nothing),
            "member_without_key": Actor(me.user_id, Reach.own_clients),
            "portal_without_user": Actor(None, Reach.portal),
        }
        session.commit()
    return world


@pytest.fixture
def session_of(session_factory: sessionmaker[Session], world: World) -> Callable[[str], Session]:
    """A fresh session that works for one of the world's actors."""

    def open_session(name: str) -> Session:
        session = session_factory()
        set_actor(session, world.actors[name])
        return session

    return open_session


def reached(world: World, name: str) -> set[int]:
    return {world.clients[client] for client in REACHED[name]}


def owner_of(item: Any) -> int:
    owner: int = getattr(item, type(item).__scope__)
    return owner


@pytest.mark.parametrize("name", REACHED)
def test_clients_are_narrowed_in_every_kind_of_select(
    name: str, world: World, session_of: Callable[[str], Session]
) -> None:
    wanted, other = reached(world, name), aliased(Client)
    with session_of(name) as session:
        assert set(session.scalars(select(Client.id))) == wanted
        assert {c.id for c in session.scalars(select(Client))} == wanted
        assert {c.id for c in session.query(Client)} == wanted
        assert set(session.scalars(select(other.id))) == wanted
        assert session.scalar(select(func.count()).select_from(Client)) == len(wanted)
        assert session.scalar(select(func.count(Client.id))) == len(wanted)
        assert session.query(Client).count() == len(wanted)
        assert session.scalar(select(func.count()).select_from(select(Client).subquery())) == len(wanted)
        clubs = select(Club.id).where(select(Client.id).where(Client.club_id == Club.id).exists())
        assert set(session.scalars(clubs)) == set(session.scalars(select(Client.club_id)))
        joined = select(Participant.client_id).join(Client, Client.id == Participant.client_id)
        assert set(session.scalars(joined)) == wanted
        union = select(Client.id).where(Client.id > 0).union(select(Client.id).where(Client.id > 1))
        assert set(session.scalars(union)) == wanted


@pytest.mark.parametrize("model", OF_A_CLIENT)
@pytest.mark.parametrize("name", REACHED)
def test_what_hangs_on_a_client_is_narrowed_with_them(
    name: str, model: Any, world: World, session_of: Callable[[str], Session]
) -> None:
    wanted = reached(world, name)
    with session_of(name) as session:
        items = [item for item in session.scalars(select(model)) if owner_of(item) is not None]
        assert {owner_of(item) for item in items} == wanted
        assert len(items) == len(wanted)
        count = select(func.count()).select_from(model).where(getattr(model, model.__scope__).is_not(None))
        assert session.scalar(count) == len(wanted)


@pytest.mark.parametrize("name", REACHED)
def test_relationships_and_keys_do_not_lead_out_of_reach(
    name: str, world: World, session_of: Callable[[str], Session]
) -> None:
    wanted = reached(world, name)
    for client_id in world.clients.values():
        with session_of(name) as session:
            assert (session.get(Client, client_id) is not None) == (client_id in wanted)
            balance = session.get(CreditBalance, (client_id, world.event_type_id))
            assert (balance is not None) == (client_id in wanted)
    for option in (joinedload(Client.participants), selectinload(Client.participants)):
        with session_of(name) as session:
            clients = session.scalars(select(Client).options(option)).unique().all()
            assert {p.client_id for c in clients for p in c.participants} == wanted


def test_a_relationship_to_a_foreign_row_looks_empty(
    world: World, session_of: Callable[[str], Session], session_factory: sessionmaker[Session]
) -> None:
    """My client lives in a household whose head is somebody else's client."""
    mine, foreign = world.clients["mine"], world.clients["foreign"]
    with session_factory() as session:
        household = session.scalars(select(Household).where(Household.head_id == foreign)).one()
        session.get_one(Client, mine).household_id = household.id
        session.commit()
    for options in ([], [selectinload(Client.household)], [joinedload(Client.household)]):
        with session_of("own_clients") as session:
            assert session.scalars(select(Client).options(*options)).one().household is None


@pytest.mark.parametrize("name", REACHED)
def test_jobs_and_batches_belong_to_whoever_started_them(
    name: str, world: World, session_of: Callable[[str], Session]
) -> None:
    everybody: dict[str, set[str]] = {"everything": {"me", "other", "system"}, "portal": set()}
    mine = everybody.get(name, set() if world.actors[name].user_id is None else {"me"})
    with session_of(name) as session:
        assert set(session.scalars(select(Job.id))) == {world.jobs[who] for who in mine}
        assert set(session.scalars(select(Batch.id))) == {world.batches[who] for who in mine}


def test_what_the_system_did_is_seen_by_those_who_see_everything(
    world: World, session_of: Callable[[str], Session]
) -> None:
    about_nobody = select(AuditEvent.verb).where(AuditEvent.client_id.is_(None))
    for name in REACHED:
        with session_of(name) as session:
            seen = session.scalars(about_nobody).all()
            assert seen == (["tests.about_nobody"] if name == "everything" else [])


def test_a_session_that_nobody_was_named_for_sees_nothing(
    world: World, session_factory: sessionmaker[Session]
) -> None:
    with session_factory() as session:
        del session.info[next(key for key in session.info if "actor" in key)]
        for model in (Client, *OF_A_CLIENT, Job, Batch):
            assert session.scalars(select(model)).all() == []


@pytest.mark.parametrize("name", NARROWED)
def test_statements_that_write_change_only_rows_in_reach(
    name: str, world: World, session_of: Callable[[str], Session], session_factory: sessionmaker[Session]
) -> None:
    wanted = reached(world, name)
    with session_of(name) as session:
        session.execute(update(Client).values(notes="changed").execution_options(synchronize_session=False))
        session.execute(delete(Participant).execution_options(synchronize_session=False))
        session.commit()
    with session_factory() as session:
        assert set(session.scalars(select(Client.id).where(Client.notes == "changed"))) == wanted
        left = set(session.scalars(select(Participant.client_id)))
        assert left == set(world.clients.values()) - wanted


@pytest.mark.parametrize("name", NARROWED)
def test_nothing_is_written_for_a_client_out_of_reach(
    name: str, world: World, session_of: Callable[[str], Session], session_factory: sessionmaker[Session]
) -> None:
    """Also for rows that an earlier actor of the session has loaded."""
    foreign = world.clients["foreign"]

    def add_participant(session: Session) -> None:
        session.add(Participant(client_id=foreign, name="Intruder"))

    def rename(session: Session) -> None:
        session.get_one(Client, foreign).first_name = "Stolen"

    def take_over(session: Session) -> None:
        client = session.get_one(Client, foreign)
        session.expire(client)
        client.team_member_id = world.actors["own_clients"].team_member_id
        client.club_id = (world.actors["own_clubs"].club_ids)[0]
        client.portal_user_id = world.actors["portal"].user_id

    def remove(session: Session) -> None:
        session.delete(session.scalars(select(Participant).where(Participant.client_id == foreign)).one())

    def steal_participant(session: Session) -> None:
        item = session.scalars(select(Participant).where(Participant.client_id == foreign)).one()
        session.expire(item)
        item.client_id = world.clients["mine"]

    def change_job(session: Session) -> None:
        session.get_one(Job, world.jobs["system"]).cancel_requested = True

    for attempt in (add_participant, rename, take_over, remove, steal_participant, change_job):
        with session_of(name) as session:
            with acting_as(session, SYSTEM):
                for model in (Client, Participant, Job):
                    session.scalars(select(model)).all()
                with session.no_autoflush:
                    attempt(session)
            with pytest.raises(NotFound):
                session.commit()
    with session_factory() as session:
        client = session.get_one(Client, foreign)
        assert (client.first_name, client.team_member_id) == ("Cleo", world.other_member_id)
        assert [p.name for p in client.participants] != ["Intruder"]
        assert len(client.participants) == 1


@pytest.mark.parametrize("name", ["own_clients", "own_clubs", "portal"])
def test_a_row_in_reach_is_written_but_not_moved_to_a_foreign_parent(
    name: str, world: World, session_of: Callable[[str], Session]
) -> None:
    mine, foreign = world.clients["mine"], world.clients["foreign"]
    with session_of(name) as session:
        session.get_one(Client, mine).notes = "mine to change"
        session.add(Participant(client_id=mine, name="Newcomer"))
        session.commit()
        item = session.scalars(select(Participant).where(Participant.name == "Newcomer")).one()
        item.client_id = foreign
        with pytest.raises(NotFound):
            session.commit()
        session.rollback()
        with acting_as(session, SYSTEM):
            household_id = session.scalars(select(Household.id).where(Household.head_id == foreign)).one()
        session.get_one(Client, mine).household_id = household_id
        with pytest.raises(NotFound):
            session.commit()
        session.rollback()
        session.get_one(Household, session.get_one(Client, mine).household_id).head_id = foreign
        with pytest.raises(NotFound):
            session.commit()


@pytest.mark.parametrize(
    ("name", "change"),
    [("own_clients", "team_member_id"), ("own_clubs", "club_id"), ("portal", "portal_user_id")],
)
def test_nobody_gives_away_or_makes_clients_beyond_their_reach(
    name: str, change: str, world: World, session_of: Callable[[str], Session]
) -> None:
    beyond = {
        "team_member_id": world.other_member_id,
        "club_id": world.other_club_id,
        "portal_user_id": world.actors["own_clients"].user_id,
    }
    with session_of(name) as session:
        client = session.get_one(Client, world.clients["mine"])
        setattr(client, change, beyond[change])
        with pytest.raises(NotFound):
            session.commit()
        session.rollback()
        new = {"first_name": "New", "last_name": "Client", "club_id": client.club_id}
        session.add(Client(**{**new, change: beyond[change]}))
        with pytest.raises(NotFound):
            session.commit()


def test_a_new_client_of_my_own_may_get_participants_at_once(
    world: World, session_of: Callable[[str], Session]
) -> None:
    with session_of("own_clients") as session:
        club_id = session.get_one(Client, world.clients["mine"]).club_id
        member = world.actors["own_clients"].team_member_id
        client = Client(first_name="New", last_name="Client", club_id=club_id, team_member_id=member, tags=[])
        session.add(client)
        session.flush()
        session.add(Participant(client_id=client.id, name="Newborn"))
        session.commit()
        assert [p.name for p in client.participants] == ["Newborn"]


def test_a_client_that_leaves_my_reach_does_not_break_the_page_that_shows_it(
    world: World, session_of: Callable[[str], Session], session_factory: sessionmaker[Session]
) -> None:
    with session_of("own_clients") as session, session_factory() as elsewhere:
        client = session.scalars(select(Client)).one()
        session.commit()
        elsewhere.get_one(Client, client.id).team_member_id = world.other_member_id
        elsewhere.commit()
        session.expire_all()
        assert client.first_name == "Cleo"
        assert client.household is None
        assert session.scalars(select(Client)).all() == []


def test_require_clients_takes_any_number_of_keys(world: World, session_of: Callable[[str], Session]) -> None:
    with session_of("own_clubs") as session:
        require_clients(session, [world.clients["mine"], world.clients["neighbour"], world.clients["mine"]])
        with pytest.raises(NotFound):
            require_clients(session, [world.clients["mine"], world.clients["foreign"]])
        with pytest.raises(NotFound):
            require_clients(session, range(1, 100_000))


def test_every_new_session_factory_gets_the_scope(engine: Engine, world: World) -> None:
    """Also one that takes the place in memory of a factory that is gone."""
    for _ in range(50):
        factory = sessionmaker(engine)
        install(factory)
        install(factory)
        with factory() as session:
            assert session.scalars(select(Client)).all() == [], "nobody sees nothing"
        del factory

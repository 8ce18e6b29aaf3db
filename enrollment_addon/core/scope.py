"""Who acts, and which clients they reach. The one place where row-level access lives.

An `Actor` is put into the session (`session.info`) or found by the provider that an entry point installed.
Every ORM read of a scoped model is narrowed by the actor's reach, every flush is checked against it, and
set-based SQL in services applies the same clauses by hand through `reach_of`.

A scoped model names its rule once:

- `__scope__ = "client"` on the client itself,
- `__scope__ = "client_id"` (any column that holds a client's key) on what hangs on a client,
- `__scope__ = "created_by_id"` on what belongs to the person who started it,
- `__scope__ = "place"` on what takes place in a club; its `keeps_reach(actor)` says whether that is theirs to
  write, its `within(actor)` what they see,
- or a classmethod `within(actor)` that returns the clause.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Table, event, false, func, inspect, select, true
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, with_loader_criteria
from sqlalchemy.sql.base import ExecutableOption

from .db import Base, key_list
from .errors import NotFound


class Reach(StrEnum):
    """How far an actor sees."""

    everything = "everything"
    own_clubs = "own_clubs"
    own_clients = "own_clients"
    portal = "portal"
    nothing = "nothing"


@dataclass(frozen=True)
class Actor:
    """Who acts: a user of the host (none for commands and jobs of the system) and how far they reach."""

    user_id: int | None = None
    reach: Reach = Reach.nothing
    team_member_id: int | None = None
    club_ids: tuple[int, ...] = ()

    @property
    def sees_everything(self) -> bool:
        return self.reach is Reach.everything


SYSTEM = Actor(reach=Reach.everything)
NOBODY = Actor()

ACTOR = "enrollment_actor"
"""Key in `session.info` of the actor, or of a callable that names them."""
_CLIENTS: list[type[Base]] = []
_SCOPED: list[type[Base]] = []
_BY_TABLE: dict[str, type[Base]] = {}


def scoped(model: type[Base]) -> type[Base]:
    """Class decorator: put the model under the row scope by its `__scope__`."""
    (_CLIENTS if model.__scope__ == "client" else _SCOPED).append(model)  # type: ignore[attr-defined]
    _BY_TABLE[model.__tablename__] = model
    return model


def actor_of(session: Session) -> Actor:
    """The actor this session works for; NOBODY when an entry point forgot to say."""
    actor = session.info.get(ACTOR) or NOBODY
    return actor() if callable(actor) else actor


def set_actor(session: Session, actor: Actor | Callable[[], Actor]) -> None:
    """Let this session work for an actor, or for whoever the callable names at the time of each statement."""
    session.info[ACTOR] = actor


@contextmanager
def acting_as(session: Session, actor: Actor) -> Iterator[None]:
    """Let the session work for another actor inside the block."""
    before = session.info.get(ACTOR)
    session.info[ACTOR] = actor
    try:
        yield
    finally:
        session.info[ACTOR] = before


def client_model() -> Any:
    """The model of clients (`people.Client`); the core knows it only by its registration."""
    assert _CLIENTS, "the people domain registers its client model"
    return _CLIENTS[0]


def reach_of(actor: Actor, clients: Any = None) -> ColumnElement[bool]:
    """The clause over the clients' table (or an alias of it) for the rows this actor reaches."""
    c = clients if clients is not None else client_model().__table__.c
    match actor.reach:
        case Reach.everything:
            return true()
        case Reach.own_clubs:
            return c.club_id.in_(actor.club_ids)  # type: ignore[no-any-return]
        case Reach.own_clients if actor.team_member_id is not None:
            return c.team_member_id == actor.team_member_id  # type: ignore[no-any-return]
        case Reach.portal if actor.user_id is not None:
            return c.portal_user_id == actor.user_id  # type: ignore[no-any-return]
        case _:
            return false()


def started_by(column: Any, actor: Actor) -> ColumnElement[bool]:
    """The clause for what this person did themselves; what the system did belongs to nobody."""
    return false() if actor.user_id is None else column == actor.user_id


def clause_for(model: Any, actor: Actor) -> ColumnElement[bool]:
    """The clause that narrows a scoped model to what the actor reaches."""
    if hasattr(model, "within"):
        return model.within(actor)  # type: ignore[no-any-return]
    if model.__scope__ == "client":
        return reach_of(actor, model)
    if model.__scope__ == "created_by_id":
        return true() if actor.sees_everything else started_by(model.created_by_id, actor)
    clients: Table = client_model().__table__
    return getattr(model, model.__scope__).in_(select(clients.c.id).where(reach_of(actor)))  # type: ignore[no-any-return]


def _narrow_reads(state: ORMExecuteState) -> None:
    if not (state.is_orm_statement and (state.is_select or state.is_update or state.is_delete)):
        return
    if state.is_column_load:
        return
    actor = actor_of(state.session)
    if actor.sees_everything:
        return
    state.statement = state.statement.options(*_criteria(state.session, actor))


_CRITERIA = "enrollment_criteria"


def _criteria(session: Session, actor: Actor) -> Sequence[ExecutableOption]:
    """What narrows every read of the actor; kept with the session, because making it costs as much as a read."""
    kept: dict[Actor, Sequence[ExecutableOption]] = session.info.setdefault(_CRITERIA, {})
    if actor not in kept:
        kept[actor] = [
            with_loader_criteria(model, clause_for(model, actor), include_aliases=True)
            for model in (*_CLIENTS, *_SCOPED)
        ]
    return kept[actor]


def _check_writes(session: Session, context: UOWTransaction, instances: Any) -> None:
    """A row must be in reach as the database has it and as it shall be, with every row it then points to."""
    actor = actor_of(session)
    if actor.sees_everything:
        return
    for item in (*session.new, *session.dirty, *session.deleted):
        if not hasattr(type(item), "__scope__") or (item in session.dirty and not session.is_modified(item)):
            continue
        state = inspect(item)
        if state.identity:
            _require(session, actor, type(item), state.identity[0])
        if item not in session.deleted:
            _check_values(session, actor, item)


def _check_values(session: Session, actor: Actor, item: Any) -> None:
    rule = type(item).__scope__
    if rule == "client":
        if not _keeps_reach(actor, item):
            raise NotFound
    elif rule == "created_by_id":
        if actor.user_id is None or item.created_by_id != actor.user_id:
            raise NotFound
    elif rule == "place":
        if not item.keeps_reach(actor):
            raise NotFound
    else:
        require_clients(session, [getattr(item, rule)])
    for column in inspect(type(item)).local_table.c:
        for key in column.foreign_keys:
            parent = _BY_TABLE.get(key.column.table.name)
            changed = inspect(item).attrs[column.key].history.added
            if parent and changed and changed[0] is not None and column.key != rule:
                _require(session, actor, parent, changed[0])


def _require(session: Session, actor: Actor, model: Any, key: int) -> None:
    table: Table = model.__table__
    one = select(table.c[0]).where(table.c[0] == key, clause_for(model, actor))
    if session.connection().execute(one).first() is None:
        raise NotFound


def _keeps_reach(actor: Actor, client: Any) -> bool:
    """Whether a client as it shall be is in reach of the person who writes it."""
    match actor.reach:
        case Reach.own_clients:
            return actor.team_member_id is not None and client.team_member_id == actor.team_member_id
        case Reach.own_clubs:
            return client.club_id in actor.club_ids
        case Reach.portal:
            return actor.user_id is not None and client.portal_user_id == actor.user_id
        case _:
            return False


def require_clients(session: Session, keys: Iterable[int]) -> None:
    """Raises: NotFound unless the session's actor reaches every one of these clients."""
    actor, wanted = actor_of(session), set(keys)
    if actor.sees_everything or not wanted:
        return
    table: Table = client_model().__table__
    found = session.connection().execute(
        select(func.count()).where(table.c.id.in_(key_list(session, wanted)), reach_of(actor))
    )
    if found.scalar_one() != len(wanted):
        raise NotFound


_INSTALLED = "_enrollment_scope"


def install(session_factory: Any) -> None:
    """Put the scope onto a session, a sessionmaker or a scoped session of the host; once, however often asked.

    The mark is on the object itself: `event.contains` goes by `id()`, and says yes for a new factory that
    took the place in memory of an old one, which would then run without any scope.
    """
    if not getattr(session_factory, _INSTALLED, False):
        event.listen(session_factory, "do_orm_execute", _narrow_reads)
        event.listen(session_factory, "before_flush", _check_writes)
        setattr(session_factory, _INSTALLED, True)

"""Reads of people and places. The row scope is the session's: what is out of reach isn't found."""

import datetime as dt
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, String, and_, cast, false, func, or_, select, true, tuple_
from sqlalchemy.orm import Session, joinedload, lazyload

from ..core.audit import AuditEvent
from ..core.audit import user_names as user_names
from ..core.db import User, require
from ..core.errors import NotFound
from ..core.roles import staff_accounts
from ..core.scope import Actor, actor_of
from ..core.search import MOST_WORDS, asked_words, matches, storable, words_of
from . import hooks
from .models import Client, Club, Household, Participant, TeamMember, team_member_clubs

Named = TypeVar("Named", Club, TeamMember)


class ClientCard(NamedTuple):
    """What the card of a client shows from this domain; `members` are the others of the household, `since` is when
    the client came to their team member, where that is known."""

    client: Client
    participants: Sequence[Participant]
    members: Sequence[Client]
    since: dt.datetime | None = None


def client_card(session: Session, client_id: int) -> ClientCard:
    """A client with everything around them, in three queries. Raises: NotFound."""
    found = session.execute(
        select(Client, _came_to_team_member())
        .where(Client.id == client_id)
        .options(
            joinedload(Client.club),
            joinedload(Client.team_member).options(lazyload(TeamMember.clubs)),
            joinedload(Client.household),
        )
    ).one_or_none()
    if found is None:
        raise NotFound
    client, since = found
    participants = session.scalars(
        select(Participant).where(Participant.client_id == client_id).order_by(Participant.id)
    ).all()
    members: Sequence[Client] = []
    if client.household_id is not None:
        members = session.scalars(
            select(Client)
            .where(Client.household_id == client.household_id, Client.id != client_id)
            .order_by(Client.id)
        ).all()
    return ClientCard(client, participants, members, since if client.team_member else None)


def _came_to_team_member() -> Any:
    """The expression for when a client came to the team member they are with, as far as that is on record."""
    chosen = cast(AuditEvent.details, String).contains('"team_member_id"')
    return (
        select(func.max(AuditEvent.at))
        .where(
            AuditEvent.client_id == Client.id, AuditEvent.record == "client",
            or_(
                AuditEvent.verb == "create_client", AuditEvent.verb.in_(("update_client", "merge_clients")) & chosen
            ),
        )
        .correlate(Client)
        .scalar_subquery()
    )


def household_members(session: Session, household_id: int) -> list[Client]:
    """Those members of a household whom the actor reaches, the head first. Raises: NotFound."""
    household = require(session, Household, household_id)
    found = session.scalars(select(Client).where(Client.household_id == household_id).order_by(Client.id))
    return sorted(found, key=lambda client: client.id != household.head_id)


def identities(session: Session, client_id: int) -> list[int]:
    """The keys of one person: the client, and every client that was merged into them.

    Past the row scope on purpose: a merged record is this client's own past, wherever it was kept.
    """
    clients = Client.__table__.c
    known, level = [client_id], [client_id]
    while level:
        found = session.connection().execute(select(clients.id).where(clients.merged_into_id.in_(level)))
        level = [row.id for row in found if row.id not in known]
        known.extend(level)
    return known


def story(
    session: Session, client_id: int, limit: int, told: Collection[str] | None = None
) -> list[hooks.TimelineItem]:
    """What happened to a client whom the caller has found in reach, the newest first, over every domain.

    `told`: of these records and sources only.
    """
    keys = identities(session, client_id)
    told_elsewhere = {record for _, records in hooks.timeline_sources.values() for record in records}
    records = AuditEvent.record.not_in(told_elsewhere)
    if told is not None:
        records = AuditEvent.record.in_(sorted(set(told) - told_elsewhere))
    audit = [
        hooks.TimelineItem(
            row.at, row.verb, row.actor_id, row.record, row.record_id, row.reason, row.details or {}
        )
        for row in session.scalars(
            select(AuditEvent)
            .where(AuditEvent.client_id.in_(keys), records)
            .order_by(AuditEvent.id.desc())
            .limit(limit)
        )
    ]
    sources = [source for name, (source, _) in hooks.timeline_sources.items() if told is None or name in told]
    stories = [audit, *(source(session, keys, limit) for source in sources)]
    return sorted(chain.from_iterable(stories), key=lambda item: item.at, reverse=True)[:limit]


def require_client(session: Session, client_id: int) -> None:
    """Raises: NotFound when the session's actor doesn't reach this client."""
    if session.scalar(select(Client.id).where(Client.id == client_id)) is None:
        raise NotFound


def text_clause(session: Session, text: str) -> ColumnElement[bool]:
    """Clients whose name, e-mail or phone has a word that begins with every word of the text."""
    return matches(session, Client, text)


def search_clients(
    session: Session, text: str, limit: int = 25, after: int | None = None
) -> Sequence[Client]:
    """Clients for a choice, by last name, none archived; `after`: the key the last page ended with."""
    order = (Client.last_name, Client.first_name, Client.id)
    fits = text_clause(session, text)
    statement = select(Client).where(fits, ~Client.archived).order_by(*order).limit(limit)
    if after is not None:
        statement = statement.where(_behind(session, order, Client.id, after))
    return session.scalars(statement).all()


def search_participants(
    session: Session, text: str, limit: int = 25, after: int | None = None
) -> Sequence[Participant]:
    """Participants for a choice, by their name or their client's, none of archived clients."""
    order = (Participant.name, Participant.id)
    named = func.lower(Participant.name).contains(text.lower(), autoescape=True)
    statement = (
        select(Participant)
        .join(Participant.client)
        .where(or_(named, text_clause(session, text)), ~Client.archived)
        .options(joinedload(Participant.client))
        .order_by(*order)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(_behind(session, order, Participant.id, after))
    return session.scalars(statement).all()


def search_households(
    session: Session, text: str, limit: int = 25, after: int | None = None
) -> Sequence[Household]:
    """Households for a choice, by name."""
    order = (Household.name, Household.id)
    statement = select(Household).where(matches(session, Household, text)).order_by(*order).limit(limit)
    if after is not None:
        statement = statement.where(_behind(session, order, Household.id, after))
    return session.scalars(statement).all()


def _behind(session: Session, order: tuple[Any, ...], key: Any, after: int) -> ColumnElement[bool]:
    """The clause for the rows that come behind the one with this key. Raises: NotFound."""
    last = session.execute(select(*order).where(key == after)).one_or_none()
    if last is None:
        raise NotFound
    return tuple_(*order) > tuple(last)


def search_clubs(
    session: Session, text: str, limit: int = 25, after: int | None = None,
    among: Collection[int] | None = None,
) -> list[Club]:
    """Active clubs for a choice; `among`: only these keys."""
    statement = select(Club).where(Club.active)
    if among is not None:
        statement = statement.where(Club.id.in_(among))
    return _pick(session.scalars(statement.order_by(Club.name, Club.id)).all(), text, limit, after)


def search_team_members(
    session: Session, text: str, limit: int = 25, after: int | None = None
) -> list[TeamMember]:
    """Active team members for a choice: as far as the actor reaches, themselves and who shares a club with them."""
    statement = (
        select(TeamMember).where(TeamMember.active, _colleagues(actor_of(session)))
        .options(lazyload(TeamMember.clubs)).order_by(TeamMember.name, TeamMember.id)
    )
    return _pick(session.scalars(statement).all(), text, limit, after)


def team_of_club(session: Session, club_id: int) -> Sequence[TeamMember]:
    """The team members of a club, by name."""
    statement = select(TeamMember).join(team_member_clubs).where(team_member_clubs.c.club_id == club_id)
    return session.scalars(statement.options(lazyload(TeamMember.clubs)).order_by(TeamMember.name)).all()


def named_team_members(session: Session, keys: Collection[int]) -> Sequence[TeamMember]:
    """Those of these team members whom the actor may choose, or sees anyway as responsible for a client.

    Without the second part a form could not be saved that leaves a colleague from elsewhere as they are.
    """
    responsible = select(Client.team_member_id).where(Client.team_member_id.in_(keys))
    statement = select(TeamMember).where(
        TeamMember.id.in_(keys), or_(_colleagues(actor_of(session)), TeamMember.id.in_(responsible))
    )
    return session.scalars(statement.options(lazyload(TeamMember.clubs))).all()


def _colleagues(actor: Actor) -> ColumnElement[bool]:
    """The clause for the team members that this actor chooses from."""
    if actor.sees_everything:
        return true()
    own = TeamMember.id == actor.team_member_id if actor.team_member_id is not None else false()
    shared = select(team_member_clubs.c.team_member_id).where(team_member_clubs.c.club_id.in_(actor.club_ids))
    return or_(own, TeamMember.id.in_(shared))


def _pick(rows: Sequence[Named], text: str, limit: int, after: int | None) -> list[Named]:
    """The next page of the rows whose name fits; for records of which a deployment has some hundreds."""
    asked = asked_words(text)
    found = [
        row for row in rows
        if all(any(word.startswith(part) for word in words_of([row.name])) for part in asked)
    ]
    start = next((place + 1 for place, row in enumerate(found) if row.id == after), 0)
    return found[start : start + limit]


def users_without_team_member(
    session: Session, text: str, limit: int = 25, after: int | None = None
) -> Sequence[User]:
    """Active users of the host who may become a team member, by key; a word begins a name or the e-mail."""
    return _users(session, _unknown_here(), text, limit, after)


def users_for_portal(
    session: Session, text: str, limit: int = 25, after: int | None = None
) -> Sequence[User]:
    """Active users of the host who may become a client's portal account, for an actor who may say so."""
    if not actor_of(session).sees_everything:
        return []
    return _users(session, _unknown_here() & User.id.not_in(staff_accounts()), text, limit, after)


def named_portal_users(session: Session, keys: Collection[int]) -> Sequence[User]:
    """Those of these users who may become a portal account, or are one of a client in reach."""
    if not actor_of(session).sees_everything:
        return []
    free = _unknown_here() & User.id.not_in(staff_accounts())
    linked = User.id.in_(select(Client.portal_user_id).where(Client.portal_user_id.in_(keys)))
    return session.scalars(select(User).where(User.id.in_(keys), free | linked)).all()


def works_here(session: Session, user_id: int) -> bool:
    """Whether a user of the host is a team member or holds a permission of staff."""
    found = select(User.id).where(
        User.id == user_id,
        or_(User.id.in_(select(TeamMember.user_id)), User.id.in_(staff_accounts())),
    )
    return session.execute(found).first() is not None


def _unknown_here() -> ColumnElement[bool]:
    """The clause for users who are neither a team member nor a client's portal account."""
    members, clients = TeamMember.__table__.c, Client.__table__.c
    return and_(
        User.id.not_in(select(members.user_id)),
        User.id.not_in(select(clients.portal_user_id).where(clients.portal_user_id.is_not(None))),
    )


def _users(
    session: Session, which: ColumnElement[bool], text: str, limit: int, after: int | None
) -> Sequence[User]:
    statement = (
        select(User).where(User.active, User.id > (after or 0), which).order_by(User.id).limit(limit)
    )
    searched = (User.first_name, User.last_name, User.username, User.email)
    for word in storable(text.lower()).split()[:MOST_WORDS]:
        statement = statement.where(
            or_(*(func.lower(column).startswith(word, autoescape=True) for column in searched))
        )
    return session.scalars(statement).all()


def client_of_account(session: Session, user_id: int | None) -> Client | None:
    """The client whose portal account a user is, with their club."""
    return session.scalars(
        select(Client).where(Client.portal_user_id == user_id, Client.portal_user_id.is_not(None))
        .options(joinedload(Client.club))
    ).one_or_none()

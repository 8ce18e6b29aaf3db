"""How far a user of the host reaches: by their team member record, or as the client they are."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..core.scope import Actor, Reach
from .models import Client, ReachChoice, TeamMember, team_member_clubs

_members = TeamMember.__table__.c
_clients = Client.__table__.c


def actor_for_user(session: Session, user_id: int) -> Actor | None:
    """The actor a user is; None for someone this domain does not know. An inactive team member reaches nothing."""
    connection = session.connection()
    member = connection.execute(
        select(_members.id, _members.scope, _members.active).where(_members.user_id == user_id)
    ).one_or_none()
    if member is not None:
        if not member.active:
            return Actor(user_id=user_id, team_member_id=member.id)
        clubs: tuple[int, ...] = ()
        if member.scope == ReachChoice.own_clubs:
            clubs = tuple(
                connection.execute(
                    select(team_member_clubs.c.club_id).where(team_member_clubs.c.team_member_id == member.id)
                ).scalars()
            )
        return Actor(user_id=user_id, reach=Reach(member.scope), team_member_id=member.id, club_ids=clubs)
    if connection.execute(select(_clients.id).where(_clients.portal_user_id == user_id)).first() is not None:
        return Actor(user_id=user_id, reach=Reach.portal)
    return None

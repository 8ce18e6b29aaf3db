"""Team members: which user works here and whom they reach. Changed only by people who reach everything."""

from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core.audit import record_event
from ...core.db import User, flush_unique, require
from ...core.errors import Forbidden, InvalidInput, NotFound
from ...core.fields import Wrong, choice, clean, flag, key, text
from ...core.holders import delete_unheld, held_in
from ...core.scope import Actor
from .. import hooks
from ..models import Client, Club, ReachChoice, TeamMember

_USER_TAKEN = _l("This user already is a team member.")
hooks.register_team_member_holder(_l("clients"), held_in(Client.__table__.c.team_member_id))


def _club_ids(value: Any) -> list[int]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise Wrong(_l("This must be a list of clubs."))
    return sorted({key(required=True)(item) for item in value})


_RULES = {
    "user_id": key(required=True),
    "name": text(120, required=True),
    "club_ids": _club_ids,
    "scope": choice(ReachChoice),
    "active": flag,
}


def create_team_member(session: Session, *, actor: Actor, **fields: Any) -> TeamMember:
    """Make a user of the host a team member. Raises: Forbidden, InvalidInput, NotFound."""
    if not actor.sees_everything:
        raise Forbidden
    member = TeamMember()
    values = clean(fields, _RULES, required=("user_id", "name"))
    values.setdefault("scope", ReachChoice.own_clients)
    return _save(session, member, values, actor, "create_team_member")


def update_team_member(session: Session, *, id: int, actor: Actor, **changed_fields: Any) -> TeamMember:
    """Change a team member; a new scope holds from their next request.

    Raises: NotFound, Forbidden, InvalidInput.
    """
    member = require(session, TeamMember, id, lock=True)
    if not actor.sees_everything:
        raise Forbidden
    return _save(session, member, clean(changed_fields, _RULES), actor, "update_team_member")


def delete_team_member(session: Session, *, id: int, actor: Actor) -> None:
    """Remove a team member whom nothing names; the user of the host stays.

    Raises: NotFound, Forbidden, InUse.
    """
    member = require(session, TeamMember, id, lock=True)
    if not actor.sees_everything:
        raise Forbidden
    hooks.team_member_holders.refuse(session, id)
    delete_unheld(session, member)
    record_event(session, actor=actor, verb="delete_team_member", record="team_member", record_id=id)


def _save(
    session: Session, member: TeamMember, values: dict[str, Any], actor: Actor, verb: str
) -> TeamMember:
    if "user_id" in values:
        _check_user(session, values["user_id"], member.id)
    club_ids = values.pop("club_ids", None)
    clubs = member.clubs if club_ids is None else _clubs(session, club_ids)
    if values.get("scope", member.scope) == ReachChoice.own_clubs and not clubs:
        raise InvalidInput(fields={"club_ids": _l("Choose the clubs whose clients this person sees.")})
    for name, value in values.items():
        setattr(member, name, value)
    member.clubs = clubs
    session.add(member)
    flush_unique(session, TeamMember.__table__, {"user_id": _USER_TAKEN})  # type: ignore[arg-type]
    record_event(
        session, actor=actor, verb=verb, record="team_member", record_id=member.id, fields=sorted(values)
    )
    return member


def _clubs(session: Session, club_ids: list[int]) -> list[Club]:
    clubs = session.scalars(select(Club).where(Club.id.in_(club_ids))).all()
    if len(clubs) != len(club_ids):
        raise NotFound
    return list(clubs)


def _check_user(session: Session, user_id: int, own_id: int | None) -> None:
    if session.execute(select(User.id).where(User.id == user_id)).first() is None:
        raise NotFound
    taken = session.execute(select(TeamMember.id).where(TeamMember.user_id == user_id)).scalar()
    if taken is not None and taken != own_id:
        raise InvalidInput(fields={"user_id": _USER_TAKEN})

"""Clubs: added and removed by people who reach everything, changed also by those whose club it is."""

from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ...core import clock, money
from ...core.audit import record_event
from ...core.db import flush_unique, require
from ...core.errors import Forbidden, InvalidInput
from ...core.fields import Wrong, clean, flag, text
from ...core.holders import delete_unheld, held_in
from ...core.scope import Actor, Reach
from .. import hooks
from ..errors import CurrencyInUse
from ..models import Client, Club, team_member_clubs

_NAME_TAKEN = _l("There is already a club with this name.")
hooks.register_club_holder(_l("clients"), held_in(Client.__table__.c.club_id))


def _timezone(value: Any) -> str:
    if value not in clock.timezones():
        raise Wrong(_l("Choose a time zone such as Europe/Berlin."))
    return str(value)


def _currency(value: Any) -> str:
    if value not in money.currencies():
        raise Wrong(_l("Choose a currency such as EUR."))
    return str(value)


_RULES = {
    "name": text(120, required=True),
    "timezone": _timezone,
    "currency": _currency,
    "address": text(500, lines=True),
    "active": flag,
}


def create_club(session: Session, *, actor: Actor, **fields: Any) -> Club:
    """Add a club. Raises: Forbidden, InvalidInput."""
    if not actor.sees_everything:
        raise Forbidden
    club = Club(**clean(fields, _RULES, required=("name", "timezone", "currency")))
    _refuse_taken_name(session, club.name, None)
    session.add(club)
    flush_unique(session, Club.__table__, {"name": _NAME_TAKEN})  # type: ignore[arg-type]
    record_event(session, actor=actor, verb="create_club", record="club", record_id=club.id)
    return club


def update_club(session: Session, *, id: int, actor: Actor, **changed_fields: Any) -> Club:
    """Change a club; its currency only while nothing is counted in it.

    Raises: NotFound, Forbidden, InvalidInput, CurrencyInUse.
    """
    club = require(session, Club, id, lock=True)
    if not (actor.sees_everything or (actor.reach is Reach.own_clubs and id in actor.club_ids)):
        raise Forbidden
    values = clean(changed_fields, _RULES)
    if "name" in values:
        _refuse_taken_name(session, values["name"], id)
    if values.get("currency", club.currency) != club.currency and hooks.club_amounts.of(session, [id]):
        raise CurrencyInUse(fields={"currency": CurrencyInUse.message}, currency=club.currency)
    for name, value in values.items():
        setattr(club, name, value)
    flush_unique(session, Club.__table__, {"name": _NAME_TAKEN})  # type: ignore[arg-type]
    record_event(
        session, actor=actor, verb="update_club", record="club", record_id=id, fields=sorted(values)
    )
    return club


def delete_club(session: Session, *, id: int, actor: Actor) -> None:
    """Remove a club that nothing uses. Raises: NotFound, Forbidden, InUse."""
    club = require(session, Club, id, lock=True)
    if not actor.sees_everything:
        raise Forbidden
    hooks.club_holders.refuse(session, id)
    session.execute(delete(team_member_clubs).where(team_member_clubs.c.club_id == id))
    delete_unheld(session, club)
    record_event(session, actor=actor, verb="delete_club", record="club", record_id=id)


def _refuse_taken_name(session: Session, name: str, own_id: int | None) -> None:
    taken = session.execute(select(Club.id).where(Club.name == name)).scalar()
    if taken is not None and taken != own_id:
        raise InvalidInput(fields={"name": _NAME_TAKEN})

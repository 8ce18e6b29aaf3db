"""The verbs that write skills."""

from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...catalog.service.names import forget_translations, translations
from ...core.audit import record_event
from ...core.db import flush_unique, require
from ...core.errors import InUse, InvalidInput
from ...core.fields import clean, flag, text
from ...core.holders import delete_unheld
from ...core.scope import Actor
from ...core.translations import set_translations
from ..models import Skill, SkillRating

_NAME_TAKEN = _l("There is already a skill with this name.")
_RULES = {"name": text(120, required=True), "active": flag, "translations": translations({"name": 120})}


def create_skill(session: Session, *, actor: Actor, **fields: Any) -> Skill:
    """Add a skill. Raises: InvalidInput."""
    values = clean(fields, _RULES, required=("name",))
    names = values.pop("translations", {})
    skill = Skill(**values)
    session.add(skill)
    _save(session, skill, names)
    record_event(session, actor=actor, verb="create_skill", record="skill", record_id=skill.id)
    return skill


def update_skill(session: Session, *, id: int, actor: Actor, **changed_fields: Any) -> Skill:
    """Change a skill; fields not named stay. Raises: NotFound, InvalidInput."""
    skill = require(session, Skill, id)
    values = clean(changed_fields, _RULES)
    names = values.pop("translations", {})
    for name, value in values.items():
        setattr(skill, name, value)
    _save(session, skill, names)
    record_event(
        session, actor=actor, verb="update_skill", record="skill", record_id=id, fields=sorted(changed_fields)
    )
    return skill


def delete_skill(session: Session, *, id: int, actor: Actor) -> None:
    """Remove a skill that no report rates. Raises: NotFound, InUse."""
    skill = require(session, Skill, id, lock=True)
    rated = select(SkillRating.skill_id).where(SkillRating.skill_id == id).limit(1)
    if session.execute(rated).first():
        raise InUse(holders=_l("training reports"))
    forget_translations(session, Skill, id)
    delete_unheld(session, skill)
    record_event(session, actor=actor, verb="delete_skill", record="skill", record_id=id)


def _save(session: Session, skill: Skill, names: dict[str, dict[str, str | None]]) -> None:
    with session.no_autoflush:
        taken = session.execute(select(Skill.id).where(Skill.name == skill.name)).scalars().all()
    if set(taken) - {skill.id}:
        raise InvalidInput(fields={"name": _NAME_TAKEN})
    flush_unique(session, Skill.__table__, {"name": _NAME_TAKEN})  # type: ignore[arg-type]
    set_translations(session, skill, names)
    session.flush()

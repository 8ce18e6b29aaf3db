"""A merge plan in words: what differs, and what moves."""

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import object_session

from ..core.web import render
from .models import Club, Household, TeamMember
from .service import MergePlan

LABELS = {
    "first_name": _l("First name"), "last_name": _l("Last name"), "email": _l("E-mail"), "phone": _l("Phone"),
    "birth_date": _l("Birth date"), "locale": _l("Language"), "club_id": _l("Club"),
    "team_member_id": _l("Team member"), "household_id": _l("Household"), "portal_user_id": _l("Portal account"),
}
_RECORDS: Mapping[str, Any] = {"club_id": Club, "team_member_id": TeamMember, "household_id": Household}


def differences_of(plan: MergePlan, chosen: Mapping[str, str]) -> list[dict[str, Any]]:
    """The fields in which the two records differ, with the side that was chosen or is proposed."""
    return [
        {
            "field": d.field, "label": LABELS[d.field], "source": _shown(plan, d.field, d.source),
            "target": _shown(plan, d.field, d.target), "chosen": chosen.get(f"take_{d.field}", d.wins),
        }
        for d in plan.differences
    ]


def _shown(plan: MergePlan, field: str, value: Any) -> Any:
    if value is None:
        return None
    if field in _RECORDS:
        found = object_session(plan.source).get(_RECORDS[field], value)  # type: ignore[union-attr]
        return str(found) if found else _("Number %(id)s", id=value)
    return render.date(value) if field == "birth_date" else value


def facts_of(plan: MergePlan) -> list[dict[str, Any]]:
    """What moves to the target: participants, and what each domain says."""
    facts = []
    if plan.participants:
        facts.append({"label": _("Participants"), "value": render.listed(p.name for p in plan.participants)})
    for part in plan.parts.values():
        for row in part.rows:
            value = _("%(moving)s move, %(after)s afterwards", moving=row["source"], after=row["after"])
            facts.append({"label": row.get("label") or row["event_type"], "value": value})
    return facts

"""Two clients that are one person become one: a plan to look at, and the merge in one transaction.

Everything that hangs on the source moves to the target, each domain moving its own (`hooks.MergeStep`). The
source stays as an archived record that names its target, with its history; its "self" participant stays with
it, because the target has one already.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...core.audit import record_event
from ...core.db import idempotent, require
from ...core.errors import AddonError, InvalidInput
from ...core.fields import reason_of
from ...core.scope import Actor
from .. import calc, hooks
from ..errors import CannotMerge, HeadStays
from ..models import Client, Household, Participant, ParticipantKind, Relationship
from .clients import rename_self, self_name

MERGED_FIELDS = (
    "first_name", "last_name", "email", "phone", "birth_date", "locale", "club_id", "team_member_id",
    "household_id", "portal_user_id",
)
"""Fields of which one client's value is kept. Tags are united and notes joined, so that nothing is lost."""


class MergePlan(NamedTuple):
    """What a merge would do. `parts` by domain; with an obstacle it would be refused."""

    source: Client
    target: Client
    differences: list[calc.FieldDifference]
    participants: list[Participant]
    parts: dict[str, hooks.MergePart]
    obstacles: list[AddonError]


def merge_plan(
    session: Session, *, source_id: int, target_id: int, keep: Mapping[str, str] | None = None
) -> MergePlan:
    """What would move and which values would win; writes nothing.

    Raises: NotFound, InvalidInput, CannotMerge.
    """
    source, target = (require(session, Client, key) for key in (source_id, target_id))
    return _plan(session, source, target, keep or {})


def merge_clients(
    session: Session,
    *,
    source_id: int,
    target_id: int,
    reason: str,
    actor: Actor,
    keep: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """Merge the source into the target; `keep` says per field whose value stays (see `MERGED_FIELDS`).

    The answer: `{"client_id": …, "moved": {what: how many}}`.
    Raises: NotFound, InvalidInput, CannotMerge, and whatever a domain's obstacle is.
    """
    reason = reason_of(reason)
    keep = dict(keep or {})

    def merge() -> dict[str, Any]:
        locked = {
            key: require(session, Client, key, lock=True) for key in sorted({source_id, target_id})
        }
        plan = _plan(session, locked[source_id], locked[target_id], keep)
        if plan.obstacles:
            raise plan.obstacles[0]
        moved = _carry_out(session, plan, actor, reason)
        return {"client_id": target_id, "moved": moved}

    asked = {"source_id": source_id, "target_id": target_id, "keep": keep, "reason": reason}
    return idempotent(session, key=idempotency_key, verb="merge_clients", asked=asked, do=merge)


def _plan(session: Session, source: Client, target: Client, keep: Mapping[str, str]) -> MergePlan:
    if source.id == target.id:
        raise CannotMerge(_l("Choose two different clients."))
    for client in (source, target):
        if client.erased_at or client.merged_into_id:
            raise CannotMerge(_l("%(name)s was erased or merged already."), name=client.full_name)
    if any(field not in MERGED_FIELDS or side not in ("source", "target") for field, side in keep.items()):
        raise InvalidInput(fields={"keep": _l("Say “source” or “target” for fields that both clients have.")})
    differences = calc.differences(_values(source), _values(target), keep)
    participants = session.scalars(
        select(Participant)
        .where(Participant.client_id == source.id, Participant.kind != ParticipantKind.self)
        .order_by(Participant.id)
    ).all()
    parts = {
        name: step.plan(session, source_id=source.id, target_id=target.id)
        for name, step in hooks.merge_steps.items()
    }
    obstacles = [part.obstacle for part in parts.values() if part.obstacle]
    leaver = _leaver(source, target, differences)
    if leaver and (left := _headed_with_others(session, leaver)):
        obstacles.append(HeadStays(name=leaver.full_name, household=left.name))
    return MergePlan(source, target, differences, list(participants), parts, obstacles)


def _values(client: Client) -> dict[str, Any]:
    return {field: getattr(client, field) for field in MERGED_FIELDS}


def _leaver(
    source: Client, target: Client, differences: list[calc.FieldDifference]
) -> Client | None:
    """Who of the two gives up a household of their own for good."""
    wins = {item.field: item.wins for item in differences}.get("household_id")
    if wins == "source":
        return target if target.household_id else None
    return source if wins == "target" and source.household_id else None


def _headed_with_others(session: Session, client: Client) -> Household | None:
    """The household that would be left without a head if this client went."""
    clients = Client.__table__.c
    household = _headed(session, client)
    if household is None:
        return None
    members = session.connection().execute(
        select(func.count()).where(clients.household_id == household.id)
    ).scalar_one()
    return household if members > 1 else None


def _headed(session: Session, client: Client) -> Household | None:
    return session.scalars(select(Household).where(Household.head_id == client.id)).one_or_none()


def _carry_out(session: Session, plan: MergePlan, actor: Actor, reason: str) -> dict[str, int]:
    source, target = plan.source, plan.target
    moved: dict[str, int] = {"participants": len(plan.participants)}
    for name, step in hooks.merge_steps.items():
        counts = step.move(session, source_id=source.id, target_id=target.id, actor=actor, reason=reason)
        moved.update({f"{name}.{what}": count for what, count in counts.items()})
    for participant in plan.participants:
        participant.client_id = target.id
    _move_household(session, plan)
    _take_values(session, plan)
    source.archived, source.merged_into_id = True, target.id
    session.flush()
    record_event(
        session, actor=actor, verb="merge_clients", record="client", record_id=target.id,
        client_id=target.id, reason=reason, source_id=source.id, **moved,
        fields=sorted(item.field for item in plan.differences if item.wins == "source"),
    )
    return moved


def _move_household(session: Session, plan: MergePlan) -> None:
    """Give the target the household that won, in the source's place if it was the source's."""
    source, target = plan.source, plan.target
    leaver = _leaver(source, target, plan.differences)
    if leaver and (empty := _headed(session, leaver)):
        leaver.household_id = leaver.relationship_to_head = None
        session.flush()
        session.delete(empty)
        session.flush()
    wins = {item.field: item.wins for item in plan.differences}.get("household_id")
    headed = None if leaver is source else _headed(session, source)
    if wins == "source" and source.household_id:
        target.household_id, target.relationship_to_head = source.household_id, source.relationship_to_head
    if headed:
        headed.head_id, target.relationship_to_head = target.id, Relationship.head
    source.household_id = source.relationship_to_head = None


def _take_values(session: Session, plan: MergePlan) -> None:
    """Write the winning values; what only one client may have is taken from the source first."""
    source, target = plan.source, plan.target
    won = {item.field: item.value for item in plan.differences if item.wins == "source"}
    won.pop("household_id", None)
    old_self = self_name(target)
    if "email" in won:
        source.email = None
    source.portal_user_id = None
    session.flush()
    for field, value in won.items():
        setattr(target, field, value)
    target.tags = list(dict.fromkeys((*target.tags, *source.tags)))
    target.notes = calc.joined_notes(target.notes, source.notes)
    session.flush()
    rename_self(session, target, old_self)

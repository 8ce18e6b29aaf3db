"""What is done to the lots that hold an enrollment's sessions, by the verbs on credits, and what follows here."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from ...core.db import key_list
from ...core.scope import Actor
from ...credits.models import lots
from .. import queries
from ..models import Enrollment, EnrollmentChange
from .attendance import GONE


def follow_expiry(session: Session, enrollment_ids: Sequence[int]) -> None:
    """Let enrollments end with the last of the sessions that are left, else with the last that was used."""
    left, used = lots.c.available + lots.c.reserved > 0, lots.c.used > 0
    rows = session.execute(
        select(
            lots.c.enrollment_id, func.max(case((left, lots.c.expires_on))).label("last_left"),
            func.max(lots.c.expires_on).label("last"), func.sum(case((left, 1), else_=0)).label("lots_left"),
            func.sum(case((and_(left, lots.c.expires_on.is_(None)), 1), else_=0)).label("endless"),
        )
        .where(lots.c.enrollment_id.in_(key_list(session, enrollment_ids)), left | used)
        .group_by(lots.c.enrollment_id)
    )
    ends = {row.enrollment_id: None if row.endless else row.last_left if row.lots_left else row.last for row in rows}
    items = session.scalars(
        select(Enrollment)
        .where(Enrollment.id.in_(key_list(session, ends)))
        .order_by(Enrollment.id)
        .with_for_update(of=Enrollment, key_share=True)
        .execution_options(populate_existing=True)
    )
    for item in items:
        end = ends[item.id]
        item.ends_on = max(end, item.begins_on) if end else None
    session.flush()


def tell_voided(session: Session, voided: Mapping[int, int], actor: Actor, reason: str | None) -> None:
    """Tell in the history how many sessions of which enrollments are voided by hand."""
    _tell(session, queries.VOID_BY_HAND, "voided", voided, actor, reason)


def tell_given_back(session: Session, given: Mapping[int, int], actor: Actor, reason: str | None) -> None:
    """Tell in the history how many voided sessions of which enrollments came back."""
    _tell(session, queries.VOID_UNDONE, "sessions", given, actor, reason)


def have_ended() -> ColumnElement[bool]:
    """The lots of enrollments that ended early or were deleted: nothing could use what came back to them."""
    ended = select(Enrollment.id).where(or_(Enrollment.deleted_at.is_not(None), Enrollment.status.in_(GONE)))
    return and_(lots.c.enrollment_id.is_not(None), lots.c.enrollment_id.in_(ended))


def _tell(
    session: Session, verb: str, what: str, counts: Mapping[int, int], actor: Actor, reason: str | None
) -> None:
    items = session.scalars(
        select(Enrollment).where(Enrollment.id.in_(key_list(session, counts))).order_by(Enrollment.id)
    )
    for item in items:
        session.add(
            EnrollmentChange(
                enrollment_id=item.id, client_id=item.client_id, verb=verb, status_before=item.status,
                status_after=item.status, actor_id=actor.user_id, reason=reason, details={what: counts[item.id]},
            )
        )
    session.flush()

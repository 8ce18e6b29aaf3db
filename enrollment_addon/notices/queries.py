"""Reads of notices."""

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from .calc import NoticeState
from .models import Notice

_notices = Notice.__table__


def _queued(after: int) -> Select[int]:
    return select(_notices.c.id).where(_notices.c.state == NoticeState.queued, _notices.c.id > after)


def next_notice(session: Session, *, after: int = 0) -> int | None:
    """The key of the next notice that is still to be sent."""
    return session.connection().execute(_queued(after).order_by(_notices.c.id).limit(1)).scalar()


def has_notices(session: Session) -> bool:
    """Whether there is a notice to send."""
    return next_notice(session) is not None


def count_queued(session: Session) -> int:
    """How many notices are still to be sent."""
    return session.connection().execute(select(func.count()).select_from(_queued(0).subquery())).scalar_one()

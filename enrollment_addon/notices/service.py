"""Queueing notices and sending them: the only writer of the table."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session, joinedload

from ..core import clock
from .calc import NoticeKind, NoticeState
from .models import Notice

_notices = Notice.__table__


def queue_notices(session: Session, kind: NoticeKind, told: Iterable[tuple[int, Mapping[str, Any]]]) -> int:
    """Queue a notice for each of these clients, in reach or not, with the values of its words; how many.

    The caller's transaction writes them together with what they tell, so that each is told once.
    """
    now = clock.now()
    rows = [
        {
            "client_id": client_id, "kind": kind, "state": NoticeState.queued, "details": dict(details),
            "created_at": now, "updated_at": now,
        }
        for client_id, details in told
    ]
    if rows:
        session.connection().execute(insert(_notices), rows)  # type: ignore[arg-type]
    return len(rows)


def send_notice(session: Session, *, notice_id: int, send: Callable[[Notice], None]) -> bool:
    """Send one notice if it is still queued; whether it was. Raises: what `send` raises; it stays queued then."""
    notice = session.scalars(
        select(Notice)
        .where(Notice.id == notice_id, Notice.state == NoticeState.queued)
        .options(joinedload(Notice.client))
        .with_for_update(of=Notice)
    ).one_or_none()
    if notice is None:
        return False
    if notice.client.email:
        send(notice)
        notice.state, notice.sent_at = NoticeState.sent, clock.now()
    else:
        notice.state = NoticeState.unreachable
    session.flush()
    return True

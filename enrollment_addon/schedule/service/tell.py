"""What the schedule has clients told."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from ...notices.calc import NoticeKind
from ...notices.service import queue_notices
from ...people.models import Club
from ..models import ScheduledSession


def tell(
    session: Session, kind: NoticeKind, item: ScheduledSession, clients: Mapping[int, Mapping[str, Any]]
) -> None:
    """Queue a notice about a session for each client, with further values of its words."""
    club = session.get(Club, item.club_id)
    assert club is not None, "a session's club exists"
    named = item.group or item.event_type
    about = {
        "session": named.name, "club": club.name, "timezone": club.timezone,
        "starts_at": item.starts_at.astimezone(dt.UTC).isoformat(),
    }
    queue_notices(session, kind, [(client_id, {**about, **more}) for client_id, more in clients.items()])

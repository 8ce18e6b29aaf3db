"""What notices are about, and what becomes of them."""

from enum import StrEnum


class NoticeKind(StrEnum):
    """What a client is told: the waitlist got them a place, or holds one; a session is off, or on again."""

    place_given = "place_given"
    place_held = "place_held"
    session_closed = "session_closed"
    session_reopened = "session_reopened"


class NoticeState(StrEnum):
    queued = "queued"
    sent = "sent"
    unreachable = "unreachable"

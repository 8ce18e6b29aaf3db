"""Where the domain of enrollments says what bookings mean for it, and the deployment how strict it is."""

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Protocol

from sqlalchemy.orm import Session

from ..core.scope import Actor
from .calc import Policy


class EnrollmentGuard(Protocol):
    """Raises when an enrollment can't be booked with: not active, paused that day, for another participant."""

    def __call__(
        self, session: Session, enrollment_id: int, client_id: int, participant_id: int, day: dt.date
    ) -> None: ...


class AfterAttendance(Protocol):
    """Called after credits of these enrollments were used up or given back: completes or reopens them."""

    def __call__(self, session: Session, enrollment_ids: Sequence[int], actor: Actor) -> None: ...


class RestingOn(Protocol):
    """Which of these enrollments can't be used on a day, because they rest then or have not begun."""

    def __call__(self, session: Session, enrollment_ids: Collection[int], day: dt.date) -> set[int]: ...


_guards: dict[str, EnrollmentGuard] = {}
_after: dict[str, AfterAttendance] = {}
_resting: dict[str, RestingOn] = {}
_policy = Policy()


def register_enrollment_guard(name: str, guard: EnrollmentGuard) -> None:
    """Let a domain refuse bookings with an enrollment; registering the same name again replaces."""
    _guards[name] = guard


def register_after_attendance(name: str, react: AfterAttendance) -> None:
    """Let a domain react to attendance; registering the same name again replaces."""
    _after[name] = react


def register_resting(name: str, find: RestingOn) -> None:
    """Let a domain say which enrollments rest on a day; registering the same name again replaces."""
    _resting[name] = find


def resting_on(session: Session, enrollment_ids: Collection[int], day: dt.date) -> set[int]:
    """Which of these enrollments can't be used on a day."""
    return set().union(*(find(session, enrollment_ids, day) for find in _resting.values()))


def enrollment_guard(
    session: Session, enrollment_id: int, client_id: int, participant_id: int, day: dt.date
) -> None:
    """Ask every guard. Raises: what they raise."""
    for guard in _guards.values():
        guard(session, enrollment_id, client_id, participant_id, day)


def after_attendance(session: Session, enrollment_ids: Sequence[int], actor: Actor) -> None:
    """Tell whoever wants to know, once per enrollment, in key order."""
    wanted = sorted(set(enrollment_ids))
    if wanted:
        for react in _after.values():
            react(session, wanted, actor)


def use_policy(policy: Policy) -> None:
    """Set what the deployment decided; the entry layer calls it once."""
    global _policy
    _policy = policy


def policy() -> Policy:
    return _policy

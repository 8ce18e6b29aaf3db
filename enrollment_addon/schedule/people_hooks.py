"""What the schedule tells the domains below: what it holds, and how bookings move, are erased and shown."""

from collections.abc import Mapping, Sequence

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Table, func, select, update
from sqlalchemy.orm import Session

from ..catalog.service import (
    register_activity_level_holder,
    register_class_category_holder,
    register_event_type_holder,
    register_semester_holder,
)
from ..core.holders import held_in
from ..core.scope import Actor
from ..people import hooks
from ..people.calc import ERASED
from ..people.models import Participant, ParticipantKind
from .models import Booking, ClassGroup, ScheduledSession

_bookings: Table = Booking.__table__  # type: ignore[assignment]
_groups: Table = ClassGroup.__table__  # type: ignore[assignment]
_sessions: Table = ScheduledSession.__table__  # type: ignore[assignment]
_participants: Table = Participant.__table__  # type: ignore[assignment]


def plug_in() -> None:
    """Register everything here; doing it again changes nothing."""
    bookings, groups, sessions = _l("bookings"), _l("class groups"), _l("sessions")
    hooks.register_client_holder(bookings, _clients)
    hooks.register_participant_holder(bookings, _booked_participants)
    register_event_type_holder(groups, _types_of_groups)
    register_event_type_holder(sessions, _types_of_sessions)
    hooks.register_club_holder(groups, _clubs_of_groups)
    hooks.register_club_holder(sessions, _clubs_of_sessions)
    hooks.register_team_member_holder(groups, _members_of_groups)
    hooks.register_team_member_holder(sessions, _members_of_sessions)
    register_class_category_holder(groups, _categories)
    register_activity_level_holder(groups, _levels)
    register_semester_holder(groups, _semesters)
    hooks.register_club_amounts(_l("prices of class groups"), _clubs_with_prices)
    hooks.register_merge_step("bookings", BookingMerge())
    hooks.register_erasure("bookings", erase_booking_texts)
    hooks.register_export_section("bookings", _exported)


_clients, _booked_participants = held_in(_bookings.c.client_id), held_in(_bookings.c.participant_id)
_types_of_groups, _types_of_sessions = held_in(_groups.c.event_type_id), held_in(_sessions.c.event_type_id)
_clubs_of_groups, _clubs_of_sessions = held_in(_groups.c.club_id), held_in(_sessions.c.club_id)
_members_of_groups, _members_of_sessions = held_in(_groups.c.team_member_id), held_in(_sessions.c.team_member_id)
_categories, _levels = held_in(_groups.c.category_id), held_in(_groups.c.level_id)
_semesters = held_in(_groups.c.semester_id)


def _clubs_with_prices(session: Session, keys: list[int]) -> set[int]:
    priced = select(_groups.c.club_id).where(_groups.c.club_id.in_(keys), _groups.c.dropin_price.is_not(None))
    return set(session.connection().execute(priced.distinct()).scalars())


class BookingMerge:
    """Bookings go over with their participants; those of the client themself to the target's own."""

    def plan(self, session: Session, *, source_id: int, target_id: int) -> hooks.MergePart:
        """How many bookings would move. Credits that are reserved for one are an obstacle of the credits."""
        found = session.connection().execute(
            select(_bookings.c.client_id, func.count())
            .where(_bookings.c.client_id.in_((source_id, target_id)))
            .group_by(_bookings.c.client_id)
        )
        counts: dict[int, int] = {row[0]: row[1] for row in found}
        moving = counts.get(source_id, 0)
        row = {"label": _l("Bookings"), "source": moving, "after": moving + counts.get(target_id, 0)}
        return hooks.MergePart((row,) if moving else ())

    def move(
        self, session: Session, *, source_id: int, target_id: int, actor: Actor, reason: str
    ) -> Mapping[str, int]:
        """Move them. Where both are booked in a session the source's own booking stays with the source."""
        own = {
            client_id: session.connection().execute(
                select(_participants.c.id).where(
                    _participants.c.client_id == client_id, _participants.c.kind == ParticipantKind.self
                )
            ).scalar()
            for client_id in (source_id, target_id)
        }
        there = _bookings.alias()
        twice = (
            select(there.c.session_id)
            .where(there.c.participant_id == own[target_id], there.c.live.is_(True))
            .scalar_subquery()
        )
        stays: ColumnElement[bool] = _bookings.c.live.is_(True) & _bookings.c.session_id.in_(twice)
        moved = session.connection().execute(
            select(_bookings.c.id, _bookings.c.participant_id)
            .where(_bookings.c.client_id == source_id, ~((_bookings.c.participant_id == own[source_id]) & stays))
        ).all()
        for row in moved:
            participant_id = own[target_id] if row.participant_id == own[source_id] else row.participant_id
            session.execute(
                update(_bookings)
                .where(_bookings.c.id == row.id)
                .values(client_id=target_id, participant_id=participant_id or row.participant_id)
            )
        return {"bookings": len(moved)}


def erase_booking_texts(session: Session, *, client_id: int, needles: Sequence[str]) -> None:
    """Blank the reasons of a client's cancelled bookings."""
    session.execute(
        update(_bookings)
        .where(_bookings.c.client_id == client_id, _bookings.c.cancel_reason.is_not(None))
        .values(cancel_reason=ERASED)
    )


def _exported(session: Session, client_ids: Sequence[int]) -> list[hooks.Row]:
    found = session.connection().execute(
        select(
            _bookings, _sessions.c.starts_at, _sessions.c.ends_at, _sessions.c.event_type_id,
            _sessions.c.class_group_id,
        )
        .join(_sessions, _sessions.c.id == _bookings.c.session_id)
        .where(_bookings.c.client_id.in_(client_ids))
        .order_by(_bookings.c.id)
    ).mappings()
    return [{name: hooks.plain(value) for name, value in row.items()} for row in found]

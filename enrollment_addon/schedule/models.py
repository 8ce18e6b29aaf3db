"""Tables of the schedule."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    DDL,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    event,
    false,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..core.batches import Batch
from ..core.db import Base, Key, Tracked, UtcDateTime, one_of, user_key
from ..core.scope import Actor, Reach, client_model, reach_of, scoped
from ..core.translations import Named
from ..people.models import Client, Club, Participant, TeamMember, team_member_clubs
from .calc import BookingState, EffectKind, Pays, SessionKind, SessionStatus
from .functions import BOOK_AT_ONCE

if TYPE_CHECKING:
    from ..catalog.models import ActivityLevel, ClassCategory, EventType, Semester


def _in_own_clubs(column: Any, actor: Actor) -> ColumnElement[bool]:
    """The clause for what takes place in a club of this team member."""
    if actor.reach is Reach.own_clubs:
        return column.in_(actor.club_ids)  # type: ignore[no-any-return]
    own = select(team_member_clubs.c.club_id).where(team_member_clubs.c.team_member_id == actor.team_member_id)
    return column.in_(own)  # type: ignore[no-any-return]


def theirs(columns: Any, actor: Actor) -> ColumnElement[bool]:
    """The clause for what is this actor's to write; the same as `_keeps_reach` says of one record."""
    if actor.sees_everything:
        return true()
    in_club = columns.club_id.in_(actor.club_ids) if actor.reach is Reach.own_clubs else false()
    staff = actor.reach in (Reach.own_clubs, Reach.own_clients) and actor.team_member_id is not None
    return or_(in_club, columns.team_member_id == actor.team_member_id) if staff else in_club


def _keeps_reach(item: Any, actor: Actor) -> bool:
    """Whether what takes place in that club with that instructor is this actor's to write."""
    if actor.sees_everything:
        return True
    if actor.reach is Reach.own_clubs and item.club_id in actor.club_ids:
        return True
    staff = actor.reach in (Reach.own_clubs, Reach.own_clients) and actor.team_member_id is not None
    return staff and item.team_member_id == actor.team_member_id


@scoped
class ClassGroup(Named, Tracked, Base):
    """A weekly class or course; its slots say when. `dropin_price` is in minor units of the club's currency."""

    __tablename__ = "enrollment_class_group"
    __table_args__ = (
        CheckConstraint("capacity BETWEEN 1 AND 10000", name="capacity"),
        CheckConstraint("dropin_price >= 0", name="dropin_price"),
        CheckConstraint("last_date >= first_date", name="dates"),
        Index(None, "name", "id"),
    )
    __scope__ = "place"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    category_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_class_category.id", ondelete="RESTRICT"), index=True
    )
    level_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_activity_level.id", ondelete="RESTRICT"), index=True
    )
    club_id: Mapped[int] = mapped_column(ForeignKey("enrollment_club.id", ondelete="RESTRICT"), index=True)
    room: Mapped[str | None] = mapped_column(String(80))
    team_member_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_team_member.id", ondelete="RESTRICT"), index=True
    )
    event_type_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_event_type.id", ondelete="RESTRICT"), index=True
    )
    semester_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_semester.id", ondelete="RESTRICT"), index=True
    )
    first_date: Mapped[dt.date]
    last_date: Mapped[dt.date | None]
    capacity: Mapped[int] = mapped_column(default=10)
    dropin_price: Mapped[int | None] = mapped_column(Key)
    colour: Mapped[str | None] = mapped_column(String(7))
    active: Mapped[bool] = mapped_column(default=True)

    slots: Mapped[list["ClassGroupSlot"]] = relationship(
        lazy="selectin", cascade="all, delete-orphan", passive_deletes=True,
        order_by="ClassGroupSlot.weekday, ClassGroupSlot.starts_at_time",
    )
    category: Mapped["ClassCategory | None"] = relationship("ClassCategory", viewonly=True)
    level: Mapped["ActivityLevel | None"] = relationship("ActivityLevel", viewonly=True)
    semester: Mapped["Semester | None"] = relationship("Semester", viewonly=True)
    club: Mapped[Club] = relationship(viewonly=True)
    team_member: Mapped[TeamMember | None] = relationship(viewonly=True)
    event_type: Mapped["EventType"] = relationship("EventType", viewonly=True)

    @classmethod
    def within(cls, actor: Actor) -> ColumnElement[bool]:
        if actor.sees_everything:
            return true()
        seen = select(_sessions.c.class_group_id).where(
            _sessions.c.class_group_id.is_not(None), ScheduledSession.seen_by(actor, _sessions.c)
        )
        if actor.team_member_id is None:
            return cls.id.in_(seen)
        return or_(
            _in_own_clubs(cls.club_id, actor), cls.team_member_id == actor.team_member_id, cls.id.in_(seen)
        )

    def keeps_reach(self, actor: Actor) -> bool:
        return _keeps_reach(self, actor)


class ClassGroupSlot(Base):
    """One weekly time of a class group, by the club's clock; weekday 0 is Monday."""

    __tablename__ = "enrollment_class_group_slot"
    __table_args__ = (
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        CheckConstraint("duration_minutes BETWEEN 1 AND 1440", name="duration_minutes"),
        UniqueConstraint(
            "class_group_id", "weekday", "starts_at_time", name="uq_enrollment_class_group_slot_time"
        ),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    class_group_id: Mapped[int] = mapped_column(ForeignKey("enrollment_class_group.id", ondelete="CASCADE"))
    weekday: Mapped[int]
    starts_at_time: Mapped[dt.time]
    duration_minutes: Mapped[int]


@scoped
class ScheduledSession(Tracked, Base):
    """One class or appointment at one time.

    `planned_at` is when the pattern of the group wanted it: it stays when the session is moved, so that the
    pattern does not make it again. `sequence` counts what calendars must be told about.
    """

    __tablename__ = "enrollment_session"
    __table_args__ = (
        one_of("kind", SessionKind),
        one_of("status", SessionStatus),
        CheckConstraint("ends_at > starts_at", name="times"),
        CheckConstraint("capacity BETWEEN 1 AND 10000", name="capacity"),
        UniqueConstraint("class_group_id", "planned_at"),
        Index(None, "club_id", "starts_at"),
        Index(None, "team_member_id", "starts_at"),
        Index(None, "starts_at"),
    )
    __scope__ = "place"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[SessionKind] = mapped_column(String(20))
    class_group_id: Mapped[int | None] = mapped_column(ForeignKey("enrollment_class_group.id", ondelete="RESTRICT"))
    planned_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    event_type_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_event_type.id", ondelete="RESTRICT"), index=True
    )
    club_id: Mapped[int] = mapped_column(ForeignKey("enrollment_club.id", ondelete="RESTRICT"))
    team_member_id: Mapped[int | None] = mapped_column(ForeignKey("enrollment_team_member.id", ondelete="RESTRICT"))
    room: Mapped[str | None] = mapped_column(String(80))
    capacity: Mapped[int] = mapped_column(default=1)
    starts_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    status: Mapped[SessionStatus] = mapped_column(String(20), default=SessionStatus.scheduled)
    moved: Mapped[bool] = mapped_column(default=False)
    cancel_reason: Mapped[str | None] = mapped_column(String(500))
    sequence: Mapped[int] = mapped_column(default=0)
    closed_by_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_batch.id", ondelete="RESTRICT"), index=True
    )

    group: Mapped[ClassGroup | None] = relationship(viewonly=True)
    event_type: Mapped["EventType"] = relationship("EventType", viewonly=True)
    club: Mapped[Club] = relationship(viewonly=True)
    team_member: Mapped[TeamMember | None] = relationship(viewonly=True)

    @classmethod
    def seen_by(cls, actor: Actor, columns: Any) -> ColumnElement[bool]:
        """What takes place in an own club, what one instructs, and where a client in reach is booked."""
        clients = client_model().__table__
        booked = (
            select(_bookings.c.session_id)
            .join(clients, clients.c.id == _bookings.c.client_id)
            .where(reach_of(actor))
        )
        here: ColumnElement[bool] = columns.id.in_(booked)
        if actor.team_member_id is None:
            return here
        return or_(_in_own_clubs(columns.club_id, actor), columns.team_member_id == actor.team_member_id, here)

    @classmethod
    def within(cls, actor: Actor) -> ColumnElement[bool]:
        return true() if actor.sees_everything else cls.seen_by(actor, cls)

    def keeps_reach(self, actor: Actor) -> bool:
        return _keeps_reach(self, actor)

    @property
    def label(self) -> str:
        """What is on: the class group, or the kind of appointment."""
        return self.group.label if self.group else self.event_type.label

    @property
    def ended_with_its_booking(self) -> bool:
        """Whether it is an appointment that is off because nobody is booked any more: booking it brings it back."""
        off = self.status == SessionStatus.cancelled and self.closed_by_id is None
        return off and self.kind == SessionKind.appointment

    @property
    def colour(self) -> str | None:
        return (self.group.colour if self.group else None) or self.event_type.colour

    def __str__(self) -> str:
        return self.label


@scoped
class Booking(Tracked, Base):
    """A participant's place in a session, or in its queue.

    `pays` is empty while a waitlisted booking takes whatever credit there is when its turn comes; `amount` is
    what a charge shall be (minor units). `live` is empty for bookings that are off, so that of the others a
    participant has one per session. `held_until`: a freed place waits for this booking up to then.
    `closed_by_id`: the closure that cancelled it.
    """

    __tablename__ = "enrollment_booking"
    __table_args__ = (
        one_of("state", BookingState),
        one_of("pays", Pays),
        CheckConstraint("(state IN ('late_cancel', 'cancelled')) = (live IS NULL)", name="live"),
        CheckConstraint("held_until IS NULL OR state = 'waitlisted'", name="held_until"),
        CheckConstraint("amount >= 0", name="amount"),
        UniqueConstraint("session_id", "participant_id", "live"),
        Index(None, "client_id", "id"),
        Index(None, "participant_id"),
        Index(None, "held_until"),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"))
    participant_id: Mapped[int] = mapped_column(ForeignKey("enrollment_participant.id", ondelete="RESTRICT"))
    session_id: Mapped[int] = mapped_column(ForeignKey("enrollment_session.id", ondelete="RESTRICT"))
    state: Mapped[BookingState] = mapped_column(String(20))
    live: Mapped[bool | None]
    pays: Mapped[Pays | None] = mapped_column(String(20))
    enrollment_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_enrollment.id", ondelete="RESTRICT"), index=True
    )
    lot_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_credit_lot.id", ondelete="RESTRICT"), index=True
    )
    amount: Mapped[int | None] = mapped_column(Key)
    queued_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    held_until: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    returned: Mapped[bool | None]
    cancel_reason: Mapped[str | None] = mapped_column(String(500))
    closed_by_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_batch.id", ondelete="RESTRICT"), index=True
    )
    created_by_id: Mapped[int | None] = user_key()  # type: ignore[assignment]

    client: Mapped[Client] = relationship(viewonly=True)
    participant: Mapped[Participant] = relationship(viewonly=True)
    session: Mapped[ScheduledSession] = relationship(viewonly=True)

    def __str__(self) -> str:
        return str(self.participant)


class ClosureEffect(Base):
    """What a closure did to one lot, for its undo: so many days longer, or made as a make-up."""

    __tablename__ = "enrollment_closure_effect"
    __table_args__ = (one_of("kind", EffectKind),)

    batch_id: Mapped[int] = mapped_column(ForeignKey("enrollment_batch.id", ondelete="CASCADE"), primary_key=True)
    lot_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_credit_lot.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    kind: Mapped[EffectKind] = mapped_column(String(20))
    days: Mapped[int] = mapped_column(default=0)

    batch: Mapped[Batch] = relationship(viewonly=True)


@scoped
class CalendarFeed(Tracked, Base):
    """A link that calendars subscribe to: of one team member, client or class group.

    Of the secret in the link only a hash is kept. Written by set-based SQL alone, by `feeds`.
    """

    __tablename__ = "enrollment_calendar_feed"
    __table_args__ = (
        CheckConstraint(
            "(CASE WHEN team_member_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN client_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN class_group_id IS NULL THEN 0 ELSE 1 END) = 1",
            name="one_target",
        ),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    team_member_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_team_member.id", ondelete="CASCADE"), unique=True
    )
    client_id: Mapped[int | None] = mapped_column(ForeignKey("enrollment_client.id", ondelete="CASCADE"), unique=True)
    class_group_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_class_group.id", ondelete="CASCADE"), unique=True
    )
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)

    team_member: Mapped[TeamMember | None] = relationship(viewonly=True)
    client: Mapped[Client | None] = relationship(viewonly=True)
    class_group: Mapped[ClassGroup | None] = relationship(viewonly=True)

    @classmethod
    def within(cls, actor: Actor) -> ColumnElement[bool]:
        if actor.sees_everything:
            return true()
        clients = client_model().__table__
        return or_(
            cls.client_id.in_(select(clients.c.id).where(reach_of(actor))),
            cls.team_member_id == (actor.team_member_id or 0),
            cls.class_group_id.in_(select(ClassGroup.id).where(theirs(ClassGroup, actor))),
        )


_sessions = ScheduledSession.__table__
_bookings = Booking.__table__

event.listen(
    _bookings, "after_create",
    DDL(BOOK_AT_ONCE.replace("%", "%%")).execute_if(dialect="postgresql"),  # type: ignore[no-untyped-call]
)

"""Tables of enrollments."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..core import clock
from ..core.db import Base, Document, Key, Tracked, UtcDateTime, one_of, user_key
from ..core.scope import scoped
from .calc import Kind, Status

if TYPE_CHECKING:
    from ..catalog.models import EventType, Package
    from ..people.models import Client, Club, Participant


@scoped
class Enrollment(Tracked, Base):
    """What a client takes part in: a package they bought, a place in a course, a period in a programme.

    `total` is the number of sessions agreed; how many are used, reserved and left is what its lots say.
    `price` is what was agreed, in minor units of `currency`; what was paid is what its charges say.
    """

    __tablename__ = "enrollment_enrollment"
    __table_args__ = (
        one_of("kind", Kind),
        one_of("status", Status),
        CheckConstraint("total >= 0", name="total"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("ends_on >= begins_on", name="ends_on"),
        CheckConstraint("kind <> 'package' OR (package_id IS NOT NULL AND event_type_id IS NOT NULL)", name="package"),
        Index(None, "client_id", "id"),
        Index(None, "status", "id"),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[Kind] = mapped_column(String(20), default=Kind.package)
    status: Mapped[Status] = mapped_column(String(20), default=Status.active)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"))
    participant_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_participant.id", ondelete="RESTRICT"), index=True
    )
    club_id: Mapped[int] = mapped_column(ForeignKey("enrollment_club.id", ondelete="RESTRICT"), index=True)
    package_id: Mapped[int | None] = mapped_column(ForeignKey("enrollment_package.id", ondelete="RESTRICT"), index=True)
    event_type_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_event_type.id", ondelete="RESTRICT"), index=True
    )
    total: Mapped[int] = mapped_column(default=0)
    price: Mapped[int] = mapped_column(Key, default=0)
    currency: Mapped[str] = mapped_column(String(3))
    begins_on: Mapped[dt.date]
    ends_on: Mapped[dt.date | None]
    renewed_from_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_enrollment.id", ondelete="SET NULL"), index=True
    )
    created_by_id: Mapped[int | None] = user_key()  # type: ignore[assignment]
    deleted_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)

    client: Mapped["Client"] = relationship("Client", viewonly=True)
    participant: Mapped["Participant | None"] = relationship("Participant", viewonly=True)
    club: Mapped["Club"] = relationship("Club", viewonly=True)
    package: Mapped["Package | None"] = relationship("Package", viewonly=True)
    event_type: Mapped["EventType | None"] = relationship("EventType", viewonly=True)


@scoped
class EnrollmentPause(Base):
    """Days on which an enrollment rests, both inclusive; planned, running or over.

    `resumed_on` is the first day after it, once it is over. `days` is by how much the end has moved for it.
    """

    __tablename__ = "enrollment_enrollment_pause"
    __table_args__ = (
        CheckConstraint("ends_on >= begins_on", name="ends_on"),
        CheckConstraint("resumed_on >= begins_on", name="resumed_on"),
        CheckConstraint("days >= 0", name="days"),
        Index(None, "resumed_on", "begins_on"),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    enrollment_id: Mapped[int] = mapped_column(ForeignKey("enrollment_enrollment.id", ondelete="CASCADE"), index=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"), index=True)
    begins_on: Mapped[dt.date]
    ends_on: Mapped[dt.date]
    resumed_on: Mapped[dt.date | None]
    days: Mapped[int]
    reason: Mapped[str | None] = mapped_column(String(500))


@scoped
class EnrollmentChange(Base):
    """One step in the life of an enrollment; `details` says what it did, so that it can be taken back."""

    __tablename__ = "enrollment_enrollment_change"
    __table_args__ = (Index(None, "enrollment_id", "id"), Index(None, "client_id", "id"))
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    enrollment_id: Mapped[int] = mapped_column(ForeignKey("enrollment_enrollment.id", ondelete="CASCADE"))
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"))
    verb: Mapped[str] = mapped_column(String(60))
    status_before: Mapped[Status | None] = mapped_column(String(20))
    status_after: Mapped[Status] = mapped_column(String(20))
    at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    actor_id: Mapped[int | None] = user_key()  # type: ignore[assignment]
    reason: Mapped[str | None] = mapped_column(String(500))
    details: Mapped[Any] = mapped_column(Document, default=dict)
    undone_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)

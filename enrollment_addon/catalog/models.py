"""Tables of the catalog."""

import datetime as dt
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, Column, ForeignKey, String, Table
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..core.db import Base, Key, Tracked, metadata, one_of
from ..core.translations import Named, translated

if TYPE_CHECKING:
    from ..people.models import Club


class EventKind(StrEnum):
    appointment = "appointment"
    klass = "class"


class EventType(Named, Tracked, Base):
    """What a session credit is good for: a kind of appointment or class."""

    __tablename__ = "enrollment_event_type"
    __table_args__ = (
        one_of("kind", EventKind),
        CheckConstraint("duration_minutes BETWEEN 1 AND 1440", name="duration_minutes"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    kind: Mapped[EventKind] = mapped_column(String(20), default=EventKind.klass)
    duration_minutes: Mapped[int] = mapped_column(default=60)
    colour: Mapped[str | None] = mapped_column(String(7))
    active: Mapped[bool] = mapped_column(default=True)


class ClassCategory(Named, Tracked, Base):
    """A service that class groups belong to, such as “Yoga” or “Swimming course”."""

    __tablename__ = "enrollment_class_category"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    active: Mapped[bool] = mapped_column(default=True)


class ActivityLevel(Named, Tracked, Base):
    """How demanding a class is; a higher rank is a higher level."""

    __tablename__ = "enrollment_activity_level"
    __table_args__ = (CheckConstraint("level_rank BETWEEN 0 AND 1000", name="level_rank"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    rank: Mapped[int] = mapped_column("level_rank", default=1)
    active: Mapped[bool] = mapped_column(default=True)


class Semester(Named, Tracked, Base):
    """A part of the year that courses run in."""

    __tablename__ = "enrollment_semester"
    __table_args__ = (CheckConstraint("last_date >= first_date", name="dates"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    first_date: Mapped[dt.date]
    last_date: Mapped[dt.date]


package_clubs = Table(
    "enrollment_package_club",
    metadata,
    Column("package_id", ForeignKey("enrollment_package.id", ondelete="CASCADE"), primary_key=True),
    Column("club_id", ForeignKey("enrollment_club.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class Package(Named, Tracked, Base):
    """A number of sessions sold together. `price` is in minor units of `currency`; no clubs: sold at every club."""

    __tablename__ = "enrollment_package"
    __table_args__ = (
        CheckConstraint("sessions BETWEEN 1 AND 1000", name="sessions"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("valid_days BETWEEN 1 AND 3650", name="valid_days"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str | None] = mapped_column(String(500))
    event_type_id: Mapped[int] = mapped_column(ForeignKey("enrollment_event_type.id", ondelete="RESTRICT"), index=True)
    sessions: Mapped[int]
    price: Mapped[int] = mapped_column(Key)
    currency: Mapped[str] = mapped_column(String(3))
    valid_days: Mapped[int | None]
    active: Mapped[bool] = mapped_column(default=True)

    event_type: Mapped[EventType] = relationship(viewonly=True)
    clubs: Mapped[list["Club"]] = relationship("Club", secondary=package_clubs, lazy="selectin", order_by="Club.name")

    @property
    def about(self) -> str | None:
        """The description in the reader's language."""
        return translated(self, "description") if self.description else None

    @property
    def club_ids(self) -> list[int]:
        return [club.id for club in self.clubs]

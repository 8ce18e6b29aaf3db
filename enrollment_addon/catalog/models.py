"""Tables of the catalog."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, Key, Tracked, one_of
from ..core.translations import translated


class EventKind(StrEnum):
    appointment = "appointment"
    klass = "class"


class EventType(Tracked, Base):
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

    @property
    def label(self) -> str:
        """The name in the reader's language."""
        return translated(self, "name")

    def __str__(self) -> str:
        return self.label

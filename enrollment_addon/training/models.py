"""Tables of training reports."""

import datetime as dt
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, String, Text, select, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..core.db import Base, Key, Tracked, user_key
from ..core.scope import Actor, Reach, client_model, reach_of, scoped
from ..core.translations import translated

if TYPE_CHECKING:
    from ..enrollments.models import Enrollment
    from ..people.models import Client, Participant
    from ..schedule.models import ScheduledSession


class Skill(Tracked, Base):
    """What participants are rated in, such as “Balance” or “Recall”."""

    __tablename__ = "enrollment_skill"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    active: Mapped[bool] = mapped_column(default=True)

    @property
    def label(self) -> str:
        """The name in the reader's language."""
        return translated(self, "name")

    def __str__(self) -> str:
        return self.label


@scoped
class TrainingReport(Tracked, Base):
    """What was worked on with a participant, in a session, in the course of an enrollment, or both."""

    __tablename__ = "enrollment_training_report"
    __table_args__ = (
        CheckConstraint("session_id IS NOT NULL OR enrollment_id IS NOT NULL", name="about"),
        Index(None, "client_id", "held_on"),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"))
    participant_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_participant.id", ondelete="RESTRICT"), index=True
    )
    session_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_session.id", ondelete="RESTRICT"), index=True
    )
    enrollment_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_enrollment.id", ondelete="RESTRICT"), index=True
    )
    author_id: Mapped[int | None] = user_key()  # type: ignore[assignment]
    held_on: Mapped[dt.date]
    worked_on: Mapped[str] = mapped_column(Text)
    homework: Mapped[str | None] = mapped_column(Text)
    goals: Mapped[str | None] = mapped_column(Text)
    visible_to_client: Mapped[bool] = mapped_column(default=False)

    client: Mapped["Client"] = relationship("Client", viewonly=True)
    participant: Mapped["Participant"] = relationship("Participant", viewonly=True)
    session: Mapped["ScheduledSession | None"] = relationship("ScheduledSession", viewonly=True)
    enrollment: Mapped["Enrollment | None"] = relationship("Enrollment", viewonly=True)
    ratings: Mapped[list["SkillRating"]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="SkillRating.skill_id"
    )

    @classmethod
    def within(cls, actor: Actor) -> ColumnElement[bool]:
        if actor.sees_everything:
            return true()
        clients = client_model().__table__
        own: ColumnElement[bool] = cls.client_id.in_(select(clients.c.id).where(reach_of(actor)))
        return own & cls.visible_to_client if actor.reach is Reach.portal else own

    def __str__(self) -> str:
        return f"{self.participant}, {self.held_on.isoformat()}"


class SkillRating(Base):
    """How well a participant did in one skill, from 1 to 5."""

    __tablename__ = "enrollment_skill_rating"
    __table_args__ = (CheckConstraint("rating BETWEEN 1 AND 5", name="rating"),)

    report_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_training_report.id", ondelete="CASCADE"), primary_key=True
    )
    skill_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_skill.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    rating: Mapped[int]

    skill: Mapped[Skill] = relationship(viewonly=True)

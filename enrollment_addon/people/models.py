"""Tables of people and places."""

import datetime as dt
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..core.db import Base, Document, Key, Tracked, User, UtcDateTime, metadata, one_of, user_key
from ..core.scope import scoped
from ..core.search import Searchable


class ReachChoice(StrEnum):
    """What a team member's scope may be."""

    own_clients = "own_clients"
    own_clubs = "own_clubs"
    everything = "everything"


class ParticipantKind(StrEnum):
    self = "self"
    child = "child"
    pet = "pet"
    other = "other"


class Relationship(StrEnum):
    """Of a household's member to its head."""

    head = "head"
    partner = "partner"
    child = "child"
    parent = "parent"
    sibling = "sibling"
    other = "other"


class Club(Tracked, Base):
    """A place with its own time zone (what "today" is) and currency."""

    __tablename__ = "enrollment_club"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    timezone: Mapped[str] = mapped_column(String(64))
    currency: Mapped[str] = mapped_column(String(3))
    address: Mapped[str | None] = mapped_column(String(500))
    active: Mapped[bool] = mapped_column(default=True)

    def __str__(self) -> str:
        return self.name


team_member_clubs = Table(
    "enrollment_team_member_club",
    metadata,
    Column("team_member_id", ForeignKey("enrollment_team_member.id", ondelete="CASCADE"), primary_key=True),
    Column("club_id", ForeignKey("enrollment_club.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class TeamMember(Tracked, Base):
    """A user of the host who works here, and which clients they reach."""

    __tablename__ = "enrollment_team_member"
    __table_args__ = (one_of("scope", ReachChoice), UniqueConstraint("user_id"))

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.__table__.c.id, ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(String(120))
    scope: Mapped[ReachChoice] = mapped_column(String(20), default=ReachChoice.own_clients)
    active: Mapped[bool] = mapped_column(default=True)

    user: Mapped[Any] = relationship(User, lazy="raise_on_sql", viewonly=True)
    clubs: Mapped[list[Club]] = relationship(secondary=team_member_clubs, lazy="selectin", order_by=Club.name)

    @property
    def club_ids(self) -> list[int]:
        return [club.id for club in self.clubs]

    def __str__(self) -> str:
        return self.name


@scoped
class Household(Searchable, Tracked, Base):
    """Clients who belong together; exactly one of them is the head."""

    __tablename__ = "enrollment_household"
    __scope__ = "head_id"
    __searched__ = ("name",)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(120), index=True)
    head_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_client.id", use_alter=True, ondelete="RESTRICT"), unique=True
    )

    head: Mapped["Client"] = relationship(foreign_keys=head_id, lazy="select", viewonly=True)

    def __str__(self) -> str:
        return self.name


@scoped
class Client(Searchable, Tracked, Base):
    """A person (or payer) who holds credits. Archiving hides, never deletes."""

    __tablename__ = "enrollment_client"
    __table_args__ = (
        one_of("relationship_to_head", Relationship),
        Index(None, "last_name", "first_name", "id"),
        Index(None, "club_id", "archived"),
        # A frozen selection and the audit name clients by key: SQLite must not give a deleted one's key again.
        {"sqlite_autoincrement": True},
    )
    __scope__ = "client"
    __searched__ = ("first_name", "last_name", "email", "phone")

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    first_name: Mapped[str] = mapped_column(String(80))
    last_name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str | None] = mapped_column(String(254), unique=True)
    phone: Mapped[str | None] = mapped_column(String(40), index=True)
    birth_date: Mapped[dt.date | None]
    locale: Mapped[str | None] = mapped_column(String(16))
    club_id: Mapped[int] = mapped_column(ForeignKey("enrollment_club.id", ondelete="RESTRICT"))
    team_member_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_team_member.id", ondelete="RESTRICT"), index=True
    )
    household_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_household.id", ondelete="SET NULL"), index=True
    )
    relationship_to_head: Mapped[Relationship | None] = mapped_column(String(20))
    tags: Mapped[list[str]] = mapped_column(Document, default=list)
    notes: Mapped[str | None] = mapped_column(Text)
    portal_user_id: Mapped[int | None] = user_key()  # type: ignore[assignment]
    archived: Mapped[bool] = mapped_column(default=False)
    erased_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    merged_into_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_client.id", ondelete="SET NULL"), index=True
    )

    club: Mapped[Club] = relationship(viewonly=True)
    team_member: Mapped[TeamMember | None] = relationship(viewonly=True)
    household: Mapped[Household | None] = relationship(foreign_keys=household_id, viewonly=True)
    participants: Mapped[list["Participant"]] = relationship(viewonly=True, order_by="Participant.id")

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    def __str__(self) -> str:
        return self.full_name


@scoped
class Participant(Tracked, Base):
    """Who actually attends: the client themself, a child, a pet."""

    __tablename__ = "enrollment_participant"
    __table_args__ = (one_of("kind", ParticipantKind),)
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[ParticipantKind] = mapped_column(String(20), default=ParticipantKind.other)
    birth_date: Mapped[dt.date | None]
    species: Mapped[str | None] = mapped_column(String(60))
    breed: Mapped[str | None] = mapped_column(String(60))
    notes: Mapped[str | None] = mapped_column(Text)

    client: Mapped[Client] = relationship(viewonly=True)

    def __str__(self) -> str:
        return self.name

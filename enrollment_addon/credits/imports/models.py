"""Tables of imports: the file's rows while they are needed, and what was imported for good."""

import datetime as dt
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, String, Table, select, true
from sqlalchemy.orm import Mapped, mapped_column

from ...core import clock
from ...core.db import Base, Document, Key, UtcDateTime, one_of, user_key
from ...core.scope import Actor, scoped, started_by


class ImportState(StrEnum):
    uploaded = "uploaded"
    checking = "checking"
    checked = "checked"
    running = "running"
    done = "done"


class Outcome(StrEnum):
    """What a row does, or did."""

    create = "create"
    update = "update"
    unchanged = "unchanged"
    refused = "refused"


@scoped
class ClientImport(Base):
    """One uploaded file: its header, how its columns are read (`options`), and how many rows did what."""

    __tablename__ = "enrollment_import"
    __table_args__ = (one_of("state", ImportState),)
    __scope__ = "created_by_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    digest: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[ImportState] = mapped_column(String(20), default=ImportState.uploaded)
    header: Mapped[list[str]] = mapped_column(Document)
    options: Mapped[Any] = mapped_column(Document, nullable=True)
    total: Mapped[int] = mapped_column(default=0)
    job_id: Mapped[int | None] = mapped_column(Key)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    created_by_id: Mapped[int | None] = user_key()  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.name


@scoped
class ImportRow(Base):
    """One row of a file by its number in it. `identity` is the same for all rows of one person.

    `message` is untranslated English with placeholders for `params`, so that each reader sees it in their own
    language.
    """

    __tablename__ = "enrollment_import_row"
    __table_args__ = (
        one_of("outcome", Outcome),
        Index(None, "import_id", "identity", "number"),
        Index(None, "import_id", "outcome", "number"),
    )
    __scope__ = "client_id"

    import_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_import.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cells: Mapped[Any] = mapped_column(Document, nullable=True)
    identity: Mapped[str | None] = mapped_column(String(64))
    outcome: Mapped[Outcome | None] = mapped_column(String(20))
    message: Mapped[str | None] = mapped_column(String(500))
    params: Mapped[Any] = mapped_column(Document, nullable=True)
    client_id: Mapped[int | None] = mapped_column(Key, index=True)

    @classmethod
    def within(cls, actor: Actor) -> ColumnElement[bool]:
        """The rows of one's own imports: they are not clients yet."""
        if actor.sees_everything:
            return true()
        own = select(imports.c.id).where(started_by(imports.c.created_by_id, actor))
        return cls.import_id.in_(own)


@scoped
class ImportIdentity(Base):
    """Which client the rows of a person became, and the fingerprint of what they said last."""

    __tablename__ = "enrollment_import_identity"
    __scope__ = "client_id"

    identity: Mapped[str] = mapped_column(String(64), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="CASCADE"), index=True)
    fingerprint: Mapped[str] = mapped_column(String(64))


@scoped
class ImportCredit(Base):
    """Opening credits that a row gave a client: as the row said, and the lot they became.

    `import_id` is the last import in which the row stood.
    """

    __tablename__ = "enrollment_import_credit"
    __table_args__ = (Index(None, "client_id", "event_type_id"),)
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="CASCADE"))
    event_type_id: Mapped[int] = mapped_column(Key)
    quantity: Mapped[int]
    expires_on: Mapped[dt.date | None]
    unit_value: Mapped[int] = mapped_column(Key)
    lot_id: Mapped[int] = mapped_column(ForeignKey("enrollment_credit_lot.id", ondelete="CASCADE"), index=True)
    import_id: Mapped[int] = mapped_column(Key)


imports: Table = ClientImport.__table__  # type: ignore[assignment]
rows: Table = ImportRow.__table__  # type: ignore[assignment]
identities: Table = ImportIdentity.__table__  # type: ignore[assignment]
credits: Table = ImportCredit.__table__  # type: ignore[assignment]

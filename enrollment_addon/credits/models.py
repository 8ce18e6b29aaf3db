"""Tables of the ledger."""

import datetime as dt
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import (
    DDL,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Table,
    UniqueConstraint,
    event,
    false,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..core import clock
from ..core.db import Base, Key, UtcDateTime, one_of
from ..core.scope import scoped
from ..people.calc import ERASED
from .calc import USUAL_PRIORITY
from .functions import RESERVE_AT_ONCE

if TYPE_CHECKING:
    from ..catalog.models import EventType
    from ..people.models import Client, Participant


class Origin(StrEnum):
    """Where a lot came from."""

    manual = "manual"
    purchase = "purchase"
    enrollment = "enrollment"
    makeup = "makeup"
    transfer = "transfer"
    imported = "import"


class EntryKind(StrEnum):
    """What an entry did; `calc.CHANGES` says how each kind changes its lot."""

    grant = "grant"
    transfer_in = "transfer_in"
    reserve = "reserve"
    consume = "consume"
    release = "release"
    restore = "restore"
    expire = "expire"
    void = "void"
    transfer_out = "transfer_out"
    extend = "extend"


class CreditLotParticipant(Base):
    """Somebody a lot is restricted to; a lot without any such row pays for anyone of its client."""

    __tablename__ = "enrollment_credit_lot_participant"

    lot_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_credit_lot.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    participant_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_participant.id", ondelete="RESTRICT"),
        primary_key=True, autoincrement=False, index=True,
    )


@scoped
class CreditLot(Base):
    """One grant of credits to one client. `unit_value` is in minor units of `currency`; 0 for a gift.

    `shared`: the other members of the client's household may spend it too, each at most `member_cap` (if any)
    of what they have not given back. `held`: nothing can be reserved and nothing expires (a pause).
    """

    __tablename__ = "enrollment_credit_lot"
    __table_args__ = (
        one_of("origin", Origin),
        CheckConstraint("quantity BETWEEN 1 AND 1000000", name="quantity"),
        CheckConstraint("priority BETWEEN 0 AND 100", name="priority"),
        CheckConstraint("unit_value >= 0", name="unit_value"),
        CheckConstraint(
            "available >= 0 AND reserved >= 0 AND used >= 0 AND expired >= 0 AND voided >= 0 AND transferred >= 0",
            name="not_negative",
        ),
        CheckConstraint("available + reserved + used + expired + voided + transferred = quantity", name="adds_up"),
        UniqueConstraint("batch_id", "client_id"),
        Index(
            "ix_enrollment_credit_lot_spendable", "client_id", "event_type_id", "expires_on",
            postgresql_where=text("available > 0"), sqlite_where=text("available > 0"),
        ),
        Index(
            "ix_enrollment_credit_lot_expiring", "expires_on", "id",
            postgresql_where=text("available > 0"), sqlite_where=text("available > 0"),
        ),
        Index(None, "client_id", "id"),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"))
    event_type_id: Mapped[int] = mapped_column(ForeignKey("enrollment_event_type.id", ondelete="RESTRICT"), index=True)
    quantity: Mapped[int]
    available: Mapped[int]
    reserved: Mapped[int] = mapped_column(default=0)
    used: Mapped[int] = mapped_column(default=0)
    expired: Mapped[int] = mapped_column(default=0)
    voided: Mapped[int] = mapped_column(default=0)
    transferred: Mapped[int] = mapped_column(default=0)
    granted_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    expires_on: Mapped[dt.date | None]
    origin: Mapped[Origin] = mapped_column(String(20), default=Origin.manual)
    priority: Mapped[int] = mapped_column(default=USUAL_PRIORITY)
    shared: Mapped[bool] = mapped_column(default=False)
    unit_value: Mapped[int] = mapped_column(Key, default=0)
    currency: Mapped[str] = mapped_column(String(3))
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("enrollment_batch.id", ondelete="RESTRICT"))
    note: Mapped[str | None] = mapped_column(String(500))
    enrollment_id: Mapped[int | None] = mapped_column(Key, index=True)
    held: Mapped[bool] = mapped_column(default=False, server_default=false())
    member_cap: Mapped[int | None]

    client: Mapped["Client"] = relationship("Client", viewonly=True)
    event_type: Mapped["EventType"] = relationship("EventType", viewonly=True)
    participants: Mapped[list["Participant"]] = relationship(
        "Participant", secondary=CreditLotParticipant.__table__, viewonly=True, order_by="Participant.id"
    )

    @property
    def participant_ids(self) -> list[int]:
        return [participant.id for participant in self.participants]


@scoped
class CreditEntry(Base):
    """One line of the ledger: how a lot changed, when, by whom and why. Never changed, never removed.

    `reversal_of_id`: the entry it takes back; of a transfer-in, the transfer-out it answers. `member_id`: who of
    the household spent a shared credit. `batch_id`: the batch of moves it was written for (a grant's batch is
    that of its lot). `old_expires_on` and `new_expires_on`: the last days before and after it, where it gave the
    lot a new one.
    """

    __tablename__ = "enrollment_credit_entry"
    __table_args__ = (
        one_of("kind", EntryKind),
        Index(None, "client_id", "event_type_id", "id"),
        Index(None, "lot_id", "id"),
        Index(
            "ix_enrollment_credit_entry_batch_id", "batch_id", "id",
            postgresql_where=text("batch_id IS NOT NULL"), sqlite_where=text("batch_id IS NOT NULL"),
        ),
        Index(
            "uq_enrollment_credit_entry_booking", "booking_id", "kind", "turn", "lot_id", unique=True,
            postgresql_where=text("booking_id IS NOT NULL"), sqlite_where=text("booking_id IS NOT NULL"),
        ),
        Index(
            "ix_enrollment_credit_entry_new_day", "lot_id", "new_expires_on",
            postgresql_where=text("new_expires_on IS NOT NULL"), sqlite_where=text("new_expires_on IS NOT NULL"),
        ),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    lot_id: Mapped[int] = mapped_column(ForeignKey("enrollment_credit_lot.id", ondelete="RESTRICT"))
    client_id: Mapped[int] = mapped_column(Key)
    event_type_id: Mapped[int] = mapped_column(Key)
    kind: Mapped[EntryKind] = mapped_column(String(20))
    available_change: Mapped[int]
    reserved_change: Mapped[int] = mapped_column(default=0)
    at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    actor_id: Mapped[int | None] = mapped_column(Key)
    reason: Mapped[str | None] = mapped_column(String(500))
    booking_id: Mapped[int | None] = mapped_column(Key)
    turn: Mapped[int] = mapped_column(default=0)
    reversal_of_id: Mapped[int | None] = mapped_column(Key)
    member_id: Mapped[int | None] = mapped_column(Key)
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("enrollment_batch.id", ondelete="RESTRICT"))
    old_expires_on: Mapped[dt.date | None]
    new_expires_on: Mapped[dt.date | None]

    lot: Mapped[CreditLot] = relationship(viewonly=True)


@scoped
class CreditBalance(Base):
    """What a client has of one event type: the sum over the lots, kept for locking, sorting and filtering."""

    __tablename__ = "enrollment_credit_balance"
    __table_args__ = (
        CheckConstraint("available >= 0 AND reserved >= 0 AND used >= 0", name="not_negative"),
        Index(None, "event_type_id", "available", "client_id"),
        {"postgresql_with": {"fillfactor": 85}},
    )
    __scope__ = "client_id"

    client_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_client.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
    )
    event_type_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_event_type.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
    )
    available: Mapped[int] = mapped_column(default=0)
    reserved: Mapped[int] = mapped_column(default=0)
    used: Mapped[int] = mapped_column(default=0)

    event_type: Mapped["EventType"] = relationship("EventType", viewonly=True)


lots: Table = CreditLot.__table__  # type: ignore[assignment]
entries: Table = CreditEntry.__table__  # type: ignore[assignment]
balances: Table = CreditBalance.__table__  # type: ignore[assignment]
lot_participants: Table = CreditLotParticipant.__table__  # type: ignore[assignment]

something_left = lots.c.available > literal_column("0")
"""Lots with credits to spend or to take away. The zero is part of the statement and no parameter: only then does
a prepared statement use the partial indexes."""

_KEPT = [column.name for column in entries.c if column.name != "reason"]


def _only_reason_erased(same: str) -> str:
    """The condition, in SQL, of the one change that is let through; `same` is the NULL-safe comparison."""
    kept = (f"NEW.{name} {same} OLD.{name}" for name in _KEPT)
    return " AND ".join((f"NEW.reason {same} '{ERASED}'", *kept))


GUARDS: dict[str, tuple[str, ...]] = {
    "sqlite": (
        "CREATE TRIGGER enrollment_credit_entry_no_update BEFORE UPDATE ON enrollment_credit_entry "
        f"WHEN NOT ({_only_reason_erased('IS')}) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
        "CREATE TRIGGER enrollment_credit_entry_no_delete BEFORE DELETE ON enrollment_credit_entry "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION enrollment_credit_entry_guard() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN "
        "IF TG_OP = 'UPDATE' THEN "
        f"IF {_only_reason_erased('IS NOT DISTINCT FROM')} THEN RETURN NEW; END IF; "
        "END IF; "
        "RAISE EXCEPTION 'the ledger is append-only'; END $$",
        "CREATE TRIGGER enrollment_credit_entry_no_change BEFORE UPDATE OR DELETE ON enrollment_credit_entry "
        "FOR EACH ROW EXECUTE FUNCTION enrollment_credit_entry_guard()",
        "CREATE TRIGGER enrollment_credit_entry_no_truncate BEFORE TRUNCATE ON enrollment_credit_entry "
        "FOR EACH STATEMENT EXECUTE FUNCTION enrollment_credit_entry_guard()",
    ),
    "mysql": (
        "CREATE TRIGGER enrollment_credit_entry_no_update BEFORE UPDATE ON enrollment_credit_entry "  # noqa: S608
        f"FOR EACH ROW IF NOT ({_only_reason_erased('<=>')}) THEN SIGNAL "
        "SQLSTATE '45000' SET MESSAGE_TEXT = 'the ledger is append-only'; END IF",
        "CREATE TRIGGER enrollment_credit_entry_no_delete BEFORE DELETE ON enrollment_credit_entry "
        "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the ledger is append-only'",
    ),
}
"""The triggers that make the ledger append-only, by dialect. Migrations carry their own frozen copy.

One change is let through, because the law asks for it: a reason may be blanked when a client is erased.
"""

entries.info["triggers"] = {
    dialect: [statement.split()[2] for statement in statements if statement.startswith("CREATE TRIGGER")]
    for dialect, statements in GUARDS.items()
}

for _dialect, _statements in GUARDS.items():
    for _statement in _statements:
        event.listen(
            entries, "after_create",
            DDL(_statement.replace("%", "%%")).execute_if(  # type: ignore[no-untyped-call]
                dialect=("mysql", "mariadb") if _dialect == "mysql" else _dialect  # type: ignore[arg-type]
            ),
        )

event.listen(
    entries, "after_create",
    DDL(RESERVE_AT_ONCE.replace("%", "%%")).execute_if(dialect="postgresql"),  # type: ignore[no-untyped-call]
)

"""Tables of money. Every amount is in minor units of the row's currency."""

import datetime as dt
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, Dialect, ForeignKey, Index, Integer, String, Table, TypeDecorator
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..core import clock
from ..core.db import Base, Key, UtcDateTime, one_of, user_key
from ..core.scope import scoped
from .calc import RATE_DIGITS

if TYPE_CHECKING:
    from ..people.models import Client


class ChargeStatus(StrEnum):
    open = "open"
    paid = "paid"
    void = "void"


class Method(StrEnum):
    """How money came in."""

    cash = "cash"
    card = "card"
    transfer = "transfer"
    online = "online"


ACCOUNT = "account"
"""Beside the methods: settle with what is on account. No new money, so no payment."""


class Percent(TypeDecorator[Decimal]):
    """A rate in percent, exact on every database: stored as whole thousandths of a percent."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int(Decimal(value).scaleb(RATE_DIGITS))

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-RATE_DIGITS)


@scoped
class MoneyAccount(Base):
    """A client's money of one currency that no charge has used yet, and the lock on all of it.

    The row is made by the first verb that moves money; `on_account` is what the payments have left together.
    """

    __tablename__ = "enrollment_money_account"
    __table_args__ = (CheckConstraint("on_account >= 0", name="on_account"),)
    __scope__ = "client_id"

    client_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_client.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
    )
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    on_account: Mapped[int] = mapped_column(Key, default=0)


@scoped
class Charge(Base):
    """What a client owes for something. `settled` by payments, `credited` by refunds of what was settled."""

    __tablename__ = "enrollment_charge"
    __table_args__ = (
        one_of("status", ChargeStatus),
        CheckConstraint("net >= 0 AND tax >= 0 AND net + tax = gross", name="adds_up"),
        CheckConstraint("tax_rate BETWEEN 0 AND 100000", name="tax_rate"),
        CheckConstraint("settled >= 0 AND credited >= 0 AND settled + credited <= gross", name="settled"),
        CheckConstraint(
            "(status = 'open' AND settled + credited < gross) OR (status = 'paid' AND settled + credited = gross) "
            "OR (status = 'void' AND settled = 0)",
            name="state",
        ),
        Index(None, "client_id", "id"),
        Index(None, "status", "due_on", "id"),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"))
    enrollment_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_enrollment.id", ondelete="RESTRICT"), index=True
    )
    booking_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_booking.id", ondelete="RESTRICT"), index=True
    )
    what: Mapped[str] = mapped_column(String(200))
    net: Mapped[int] = mapped_column(Key)
    tax: Mapped[int] = mapped_column(Key)
    gross: Mapped[int] = mapped_column(Key)
    tax_rate: Mapped[Decimal] = mapped_column(Percent)
    currency: Mapped[str] = mapped_column(String(3))
    issued_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    due_on: Mapped[dt.date]
    status: Mapped[ChargeStatus] = mapped_column(String(20), default=ChargeStatus.open)
    settled: Mapped[int] = mapped_column(Key, default=0)
    credited: Mapped[int] = mapped_column(Key, default=0)
    voided_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    void_reason: Mapped[str | None] = mapped_column(String(500))

    client: Mapped["Client"] = relationship("Client", viewonly=True)

    @property
    def open(self) -> int:
        """What is still to be paid."""
        return self.gross - self.settled - self.credited if self.status == ChargeStatus.open else 0

    def __str__(self) -> str:
        return self.what


@scoped
class Payment(Base):
    """Money that came in: `settled` pays charges, `refunded` went back, the rest is on account."""

    __tablename__ = "enrollment_payment"
    __table_args__ = (
        one_of("method", Method),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("settled >= 0 AND refunded >= 0 AND settled + refunded <= amount", name="used"),
        Index(None, "client_id", "id"),
        Index(None, "paid_on", "id"),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"))
    amount: Mapped[int] = mapped_column(Key)
    currency: Mapped[str] = mapped_column(String(3))
    method: Mapped[Method] = mapped_column(String(20))
    reference: Mapped[str | None] = mapped_column(String(120))
    paid_on: Mapped[dt.date]
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    created_by_id: Mapped[int | None] = user_key()  # type: ignore[assignment]
    settled: Mapped[int] = mapped_column(Key, default=0)
    refunded: Mapped[int] = mapped_column(Key, default=0)

    client: Mapped["Client"] = relationship("Client", viewonly=True)

    @property
    def left(self) -> int:
        """What of it is on account."""
        return self.amount - self.settled - self.refunded


@scoped
class Settlement(Base):
    """The part of a payment that pays a charge. Freed ones stay, with the moment they ended."""

    __tablename__ = "enrollment_settlement"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        Index(None, "client_id", "id"),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"))
    payment_id: Mapped[int] = mapped_column(ForeignKey("enrollment_payment.id", ondelete="RESTRICT"), index=True)
    charge_id: Mapped[int] = mapped_column(ForeignKey("enrollment_charge.id", ondelete="RESTRICT"), index=True)
    amount: Mapped[int] = mapped_column(Key)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    freed_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)

    payment: Mapped[Payment] = relationship(viewonly=True)
    charge: Mapped[Charge] = relationship(viewonly=True)


@scoped
class Refund(Base):
    """Money that went back out of a payment. With a `charge_id` it also credits that charge: nothing is owed again."""

    __tablename__ = "enrollment_refund"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        Index(None, "client_id", "id"),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"))
    payment_id: Mapped[int] = mapped_column(ForeignKey("enrollment_payment.id", ondelete="RESTRICT"), index=True)
    charge_id: Mapped[int | None] = mapped_column(ForeignKey("enrollment_charge.id", ondelete="RESTRICT"), index=True)
    amount: Mapped[int] = mapped_column(Key)
    currency: Mapped[str] = mapped_column(String(3))
    reason: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    created_by_id: Mapped[int | None] = user_key()  # type: ignore[assignment]

    payment: Mapped[Payment] = relationship(viewonly=True)


accounts: Table = MoneyAccount.__table__  # type: ignore[assignment]
charges: Table = Charge.__table__  # type: ignore[assignment]
payments: Table = Payment.__table__  # type: ignore[assignment]
settlements: Table = Settlement.__table__  # type: ignore[assignment]
refunds: Table = Refund.__table__  # type: ignore[assignment]

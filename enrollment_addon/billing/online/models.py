"""Tables of online payment. Every amount is in minor units of the row's currency."""

import datetime as dt
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Table, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ...core import clock
from ...core.db import Base, ExactText, Key, UtcDateTime, one_of, user_key
from ...core.scope import scoped
from ..models import Charge, Payment, Refund

if TYPE_CHECKING:
    from ...people.models import Client


class OnlineState(StrEnum):
    """Of a request. `pending`: the client is through, the money is on its way."""

    open = "open"
    pending = "pending"
    paid = "paid"
    expired = "expired"
    cancelled = "cancelled"
    failed = "failed"


LIVE = (OnlineState.open, OnlineState.pending)
"""The states in which money may still come."""


class RefundState(StrEnum):
    """Of a refund at the provider. `due`: recorded here and still to be sent there."""

    due = "due"
    sent = "sent"
    failed = "failed"


@scoped
class OnlinePayment(Base):
    """A request to pay charges online; `received` is what the provider says came in, whatever was asked for.

    `reference` is ours and tells the checkout from those of other installations on the same account of the provider.
    """

    __tablename__ = "enrollment_online_payment"
    __table_args__ = (
        one_of("state", OnlineState),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint(
            "(state = 'paid' AND payment_id IS NOT NULL AND received > 0) "
            "OR (state <> 'paid' AND payment_id IS NULL AND received IS NULL)",
            name="paid",
        ),
        CheckConstraint(
            "(state IN ('open', 'pending') AND closed_at IS NULL) "
            "OR (state NOT IN ('open', 'pending') AND closed_at IS NOT NULL)",
            name="closed",
        ),
        Index(None, "client_id", "id"),
        Index(None, "state", "asked_at", "id"),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"))
    amount: Mapped[int] = mapped_column(Key)
    currency: Mapped[str] = mapped_column(String(3))
    state: Mapped[OnlineState] = mapped_column(String(20), default=OnlineState.open)
    reference: Mapped[str] = mapped_column(String(64), unique=True)
    checkout_id: Mapped[str] = mapped_column(ExactText, unique=True)
    provider_payment: Mapped[str | None] = mapped_column(ExactText, unique=True)
    url: Mapped[str | None] = mapped_column(Text)
    ends_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    created_by_id: Mapped[int | None] = user_key()  # type: ignore[assignment]
    asked_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    closed_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    received: Mapped[int | None] = mapped_column(Key)
    payment_id: Mapped[int | None] = mapped_column(
        ForeignKey("enrollment_payment.id", ondelete="RESTRICT"), unique=True
    )

    client: Mapped["Client"] = relationship("Client", viewonly=True)
    payment: Mapped[Payment | None] = relationship(viewonly=True)
    charges: Mapped[list["OnlinePaymentCharge"]] = relationship(
        viewonly=True, order_by="OnlinePaymentCharge.charge_id"
    )


@scoped
class OnlinePaymentCharge(Base):
    """A charge that a request is for, with what was open of it then."""

    __tablename__ = "enrollment_online_payment_charge"
    __table_args__ = (CheckConstraint("amount > 0", name="amount"), Index(None, "client_id"))
    __scope__ = "client_id"

    online_payment_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_online_payment.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    charge_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_charge.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False, index=True
    )
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"))
    amount: Mapped[int] = mapped_column(Key)

    charge: Mapped[Charge] = relationship(viewonly=True)


@scoped
class OnlineRefund(Base):
    """What became of a refund at the provider; `reference` is ours, so that it is done there only once."""

    __tablename__ = "enrollment_online_refund"
    __table_args__ = (
        one_of("state", RefundState),
        CheckConstraint("state <> 'sent' OR provider_refund IS NOT NULL", name="sent"),
        Index(None, "client_id"),
        Index(None, "state", "id"),
    )
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("enrollment_client.id", ondelete="RESTRICT"))
    online_payment_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment_online_payment.id", ondelete="RESTRICT"), index=True
    )
    refund_id: Mapped[int] = mapped_column(ForeignKey("enrollment_refund.id", ondelete="RESTRICT"), unique=True)
    state: Mapped[RefundState] = mapped_column(String(20))
    reference: Mapped[str] = mapped_column(String(64), unique=True)
    provider_refund: Mapped[str | None] = mapped_column(ExactText, unique=True)
    problem: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)

    online_payment: Mapped[OnlinePayment] = relationship(viewonly=True)
    refund: Mapped[Refund] = relationship(viewonly=True)


online_payments: Table = OnlinePayment.__table__  # type: ignore[assignment]
online_payment_charges: Table = OnlinePaymentCharge.__table__  # type: ignore[assignment]
online_refunds: Table = OnlineRefund.__table__  # type: ignore[assignment]

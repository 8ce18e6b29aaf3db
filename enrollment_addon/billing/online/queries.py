"""Reads of online payment. The row scope is the session's: what is out of reach isn't found."""

import datetime as dt
from collections.abc import Iterable, Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload

from ...core import clock
from ..models import Charge, Refund
from .models import LIVE, OnlinePayment, OnlinePaymentCharge, OnlineRefund, RefundState

ASK_AFTER = dt.timedelta(hours=1)
"""How long an event may take before the provider is asked."""


def of_payment(session: Session, payment_id: int) -> OnlinePayment | None:
    """The request that a payment came from, if it came in online."""
    return session.scalars(select(OnlinePayment).where(OnlinePayment.payment_id == payment_id)).one_or_none()


def live_for_charges(session: Session, charge_ids: Iterable[int]) -> Sequence[OnlinePayment]:
    """Requests for any of these charges for which money may still come, in key order, with their charges."""
    asked = select(OnlinePaymentCharge.online_payment_id).where(OnlinePaymentCharge.charge_id.in_(charge_ids))
    return session.scalars(
        select(OnlinePayment)
        .where(OnlinePayment.id.in_(asked), OnlinePayment.state.in_(LIVE))
        .order_by(OnlinePayment.id)
        .options(joinedload(OnlinePayment.charges))
    ).unique().all()


def charges_of(session: Session, online_payment_id: int) -> Sequence[OnlinePaymentCharge]:
    """What a request is for, in the order in which it is settled."""
    return session.scalars(
        select(OnlinePaymentCharge)
        .join(OnlinePaymentCharge.charge)
        .where(OnlinePaymentCharge.online_payment_id == online_payment_id)
        .order_by(Charge.due_on, Charge.id)
        .options(joinedload(OnlinePaymentCharge.charge))
        .execution_options(populate_existing=True)
    ).all()


def refunds_at_provider(session: Session, payment_id: int) -> dict[int, OnlineRefund]:
    """What became of the refunds of a payment at the provider, by the refund's key."""
    rows = session.scalars(
        select(OnlineRefund).join(Refund, Refund.id == OnlineRefund.refund_id).where(Refund.payment_id == payment_id)
    )
    return {row.refund_id: row for row in rows}


def to_ask(after: int = 0) -> Select[int]:
    """Requests that the provider has told nothing of for a while, in key order."""
    last = clock.now() - ASK_AFTER
    return (
        select(OnlinePayment.id)
        .where(OnlinePayment.state.in_(LIVE), OnlinePayment.asked_at < last, OnlinePayment.id > after)
        .order_by(OnlinePayment.id)
    )


def to_send(after: int = 0) -> Select[int]:
    """Refunds that the provider is still to be told of, in key order."""
    return (
        select(OnlineRefund.id)
        .where(OnlineRefund.state == RefundState.due, OnlineRefund.id > after)
        .order_by(OnlineRefund.id)
    )

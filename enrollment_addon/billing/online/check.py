"""Proof of online payment: each request that was paid has its payment, and each refund of one is where it belongs."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ..models import Method, payments, refunds
from ..service.check import MoneyFinding
from .models import RefundState, online_payments, online_refunds


def check_online(
    session: Session, *, repair: bool = False, progress: Callable[[float], Any] = lambda share: None
) -> Iterator[MoneyFinding]:
    """Rows that disagree, and refunds that are in the books and never reached the client.

    Codes: online_payment_differs (from its payment, in client, method or amount), online_refund_differs (is of
    another payment), online_refund_failed (to be sent again, or given back in another way). None of these is
    repaired: what is true only people and the provider know.
    """
    yield from _payments(session)
    yield from _refunds(session)
    progress(1.0)


def _payments(session: Session) -> Iterator[MoneyFinding]:
    o, p = online_payments.c, payments.c
    for row in session.execute(
        select(o.id, o.client_id, o.received, p.id.label("payment_id"), p.amount)
        .join(payments, p.id == o.payment_id)
        .where(or_(p.client_id != o.client_id, p.method != Method.online, p.amount != o.received))
        .order_by(o.id)
    ):
        detail = f"payment {row.payment_id}; received {row.received}, payment {row.amount}"
        yield MoneyFinding("online_payment_differs", row.client_id, row.id, detail)


def _refunds(session: Session) -> Iterator[MoneyFinding]:
    o, s, r = online_payments.c, online_refunds.c, refunds.c
    for row in session.execute(
        select(s.id, s.client_id, s.refund_id, s.state, r.payment_id, o.payment_id.label("paid"))
        .join(refunds, r.id == s.refund_id)
        .join(online_payments, o.id == s.online_payment_id)
        .where(or_(
            s.state == RefundState.failed, r.client_id != s.client_id, o.payment_id.is_(None),
            r.payment_id != o.payment_id,
        ))
        .order_by(s.id)
    ):
        failed = row.state == RefundState.failed and row.payment_id == row.paid
        code = "online_refund_failed" if failed else "online_refund_differs"
        yield MoneyFinding(code, row.client_id, row.refund_id, f"payment {row.payment_id}")

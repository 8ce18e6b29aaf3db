"""Refunds: money that goes back, never more than came in."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import money
from ...core.audit import record_event
from ...core.db import idempotent, require
from ...core.fields import clean, reason_of, whole
from ...core.scope import Actor
from .. import calc, hooks
from ..errors import RefundAbovePaid
from ..models import Charge, ChargeStatus, MoneyAccount, Payment, Refund, Settlement
from .account import free, live_settlements, lock_account, lock_with

_AMOUNT = {"amount": whole(1, money.LARGEST_MINOR)}


def refund_payment(
    session: Session, *, payment_id: int, amount: int, reason: str, actor: Actor, idempotency_key: str | None = None
) -> Refund:
    """Give back (a part of) a payment: what is on account of it first, then what it settled, newest first.

    The charges that lose their settlement are open again: money that is not owed for anything any more is
    refunded after its charge was voided.
    Raises: NotFound, InvalidInput; RefundAbovePaid for more than paid − refunded.
    """
    reason = reason_of(reason)
    clean({"amount": amount}, _AMOUNT)

    def refund() -> dict[str, Any]:
        account, payment = lock_with(session, Payment, payment_id)
        _refuse_above(amount, payment.amount - payment.refunded, payment.currency)
        if (missing := amount - payment.left) > 0:
            held = {s.id: s for s in live_settlements(session, Settlement.payment_id == payment_id)}
            parts = calc.take([(s.id, s.amount) for s in held.values()], missing)
            free(session, account, [(held[key], part) for key, part in parts])
        given = _give_back(session, account, payment, amount, reason, actor)
        return {"id": given.id}

    asked = refund_asked(payment_id, amount, reason, actor)
    answer = idempotent(session, key=idempotency_key, verb="refund_payment", asked=asked, do=refund)
    return require(session, Refund, answer["id"])


def refund_asked(payment_id: int, amount: int, reason: str, actor: Actor) -> dict[str, Any]:
    """What the key of a refund stands for, whichever way the money goes back."""
    return {"payment_id": payment_id, "amount": amount, "reason": reason, "actor": actor.user_id}


def check_refund(payment: Payment, amount: int) -> None:
    """Raises: InvalidInput; RefundAbovePaid for more than paid − refunded."""
    clean({"amount": amount}, _AMOUNT)
    _refuse_above(amount, payment.amount - payment.refunded, payment.currency)


def refund_enrollment(
    session: Session, *, enrollment_id: int, amount: int, reason: str, actor: Actor
) -> list[Refund]:
    """Give back money that settles the charges of an enrollment, the newest first; nothing is owed for it again.

    One refund for each payment and charge; the charge is credited with it.
    Raises: NotFound, InvalidInput; RefundAbovePaid for more than paid − refunded.
    """
    reason = reason_of(reason)
    clean({"amount": amount}, _AMOUNT)
    owner = session.execute(
        select(Charge.client_id, Charge.currency).where(Charge.enrollment_id == enrollment_id).distinct()
    ).one_or_none()
    if owner is None:
        raise RefundAbovePaid(most="0", currency="")
    account = lock_account(session, owner.client_id, owner.currency)
    held = {s.id: s for s in live_settlements(session, Charge.enrollment_id == enrollment_id)}
    _refuse_above(amount, sum(s.amount for s in held.values()), account.currency)
    refunds = []
    for key, part in calc.take([(s.id, s.amount) for s in held.values()], amount):
        settlement = held[key]
        free(session, account, [(settlement, part)])
        charge = settlement.charge
        charge.credited += part
        if charge.settled + charge.credited == charge.gross:
            charge.status = ChargeStatus.paid
        refunds.append(_give_back(session, account, settlement.payment, part, reason, actor, charge))
    for send in hooks.after_refunds.values():
        send(session, refunds)
    return refunds


def _refuse_above(amount: int, most: int, currency: str) -> None:
    if amount > most:
        raise RefundAbovePaid(most=str(money.to_decimal(most, currency)), currency=currency)


def _give_back(
    session: Session, account: MoneyAccount, payment: Payment, amount: int, reason: str, actor: Actor,
    charge: Charge | None = None,
) -> Refund:
    payment.refunded += amount
    account.on_account -= amount
    refund = Refund(
        client_id=account.client_id, payment_id=payment.id, charge_id=charge.id if charge else None, amount=amount,
        currency=payment.currency, reason=reason, created_by_id=actor.user_id,
    )
    session.add(refund)
    session.flush()
    record_event(
        session, actor=actor, verb="refund_payment", record="refund", record_id=refund.id,
        client_id=account.client_id, reason=reason, amount=amount, currency=payment.currency, payment_id=payment.id,
    )
    return refund

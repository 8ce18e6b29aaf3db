"""The ends of an enrollment: completed, or cancelled with or without a refund."""

from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from ...billing.service import lock_account, refund_enrollment
from ...core import clock, money
from ...core.errors import Forbidden, InvalidInput
from ...core.fields import choice, clean
from ...core.scope import Actor
from ...schedule.service import cancel_enrollment_bookings
from .. import queries, reasons
from ..calc import Quote, Refund, Status, Unused
from ..errors import RefundTooHigh
from ..models import Enrollment
from .pauses import end_pauses
from .steps import lock, note, once, reason_or_none, require_change, void_sessions, withdraw_charges


def complete_enrollment(
    session: Session, *, enrollment_id: int, actor: Actor, unused: str = Unused.keep, reason: str | None = None,
    idempotency_key: str | None = None,
) -> Enrollment:
    """End an enrollment as planned; sessions that are left stay good until they expire, or are voided.

    Raises: NotFound, InvalidInput, StatusConflict.
    """
    unused = clean({"unused": unused}, {"unused": choice(Unused)})["unused"]
    reason = reason_or_none(reason)

    def complete() -> int:
        item = lock(session, enrollment_id)
        require_change(item, Status.completed)
        pauses = end_pauses(session, item, actor=actor)
        left = queries.counts_of(session, item.id).remaining
        voided = 0
        if unused == Unused.void:
            why = reason or reasons.COMPLETED(number=item.id)
            voided = void_sessions(session, item, left, reason=why, actor=actor)
        item.status = Status.completed
        note(
            session, item, "complete_enrollment", Status.active, actor=actor, reason=reason, left=left, voided=voided,
            unused=str(unused), pauses=pauses,
        )
        return item.id

    asked = {"enrollment_id": enrollment_id, "unused": unused, "reason": reason}
    return once(session, key=idempotency_key, verb="complete_enrollment", asked=asked, do=complete)


def cancel_enrollment(
    session: Session,
    *,
    enrollment_id: int,
    refund: str,
    actor: Actor,
    amount: Decimal | str | int | None = None,
    may_adjust: bool = False,
    reason: str | None = None,
    idempotency_key: str | None = None,
) -> Enrollment:
    """End an enrollment early: its future bookings are cancelled, its sessions voided, money given back as chosen.

    `amount` replaces the partial refund that is proposed, for those who `may_adjust` it. A full refund also
    withdraws what is still to be paid; otherwise that stays due.
    Raises: NotFound, InvalidInput, StatusConflict, RefundTooHigh, Forbidden.
    """
    kind = clean({"refund": refund}, {"refund": choice(Refund)})["refund"]
    reason = reason_or_none(reason)

    def cancel() -> int:
        item = lock(session, enrollment_id, with_bookings=True)
        require_change(item, Status.cancelled)
        unused = queries.sessions_left(session, item.id)
        why = reason or reasons.CANCELLED(number=item.id)
        pauses = end_pauses(session, item, actor=actor)
        cancelled = cancel_enrollment_bookings(
            session, enrollment_id=item.id, begins=clock.now(), actor=actor, reason=why
        )
        left = queries.counts_of(session, item.id).remaining
        voided = void_sessions(session, item, left, reason=why, actor=actor)
        lock_account(session, item.client_id, item.currency)  # a payment that was being taken is in the quote
        proposed = queries.refund_quote(session, item, kind, left=unused)
        given = _amount(item, proposed, kind, amount, may_adjust=may_adjust)
        if given:
            refund_enrollment(session, enrollment_id=item.id, amount=given, reason=why, actor=actor)
        withdrawn = withdraw_charges(session, item, reason=why, actor=actor) if kind == Refund.full else 0
        item.status = Status.cancelled
        note(
            session, item, "cancel_enrollment", Status.active, actor=actor, reason=reason, refund=str(kind),
            refunded=given, proposed=proposed.amount, currency=item.currency, voided=voided, withdrawn=withdrawn,
            bookings=len(cancelled), pauses=pauses,
        )
        return item.id

    asked: dict[str, Any] = {"enrollment_id": enrollment_id, "refund": kind, "amount": amount, "reason": reason}
    return once(session, key=idempotency_key, verb="cancel_enrollment", asked=asked, do=cancel)


def _amount(item: Enrollment, proposed: Quote, kind: Refund, amount: Any, *, may_adjust: bool) -> int:
    """What is given back, in minor units: as proposed, or as typed for a partial refund."""
    if amount is None:
        return proposed.amount
    given = money.from_field(amount, item.currency, "amount")
    if given > proposed.refundable:
        most = str(money.to_decimal(proposed.refundable, item.currency))
        refused = RefundTooHigh(most=most, currency=item.currency)
        raise RefundTooHigh(fields={"amount": refused.text()}, most=most, currency=item.currency)
    if given != proposed.amount and kind != Refund.partial:
        raise InvalidInput(fields={"amount": _l("Only a partial refund can be changed by hand.")})
    if given != proposed.amount and not may_adjust:
        raise Forbidden
    return given

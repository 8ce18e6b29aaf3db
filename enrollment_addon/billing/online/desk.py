"""What needs the database and the provider in turn: no transaction is open while the provider is asked.

Each step may be done again: a key of ours makes the provider do a thing only once, and what it did is found by its
name there. These functions open their own units of work, so nobody calls them within one.
"""

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core.db import first_result, require, unit_of_work
from ...core.errors import Conflict
from ...core.fields import reason_of
from ...core.log import logger
from ...core.scope import SYSTEM, Actor, acting_as
from .. import service as billing
from ..models import Payment
from ..service.refunds import check_refund, refund_asked
from . import disputes, queries, service
from .errors import BadEvent, OnlineStateConflict
from .labels import STATES
from .models import OnlinePayment, OnlineRefund, OnlineState, RefundState
from .provider import Order, current, switched_on

log = logger()


def request_payment(
    session: Session, *, client_id: int, done_url: str, left_url: str, actor: Actor,
    charge_ids: Sequence[int] | None = None, currency: str | None = None, idempotency_key: str | None = None,
) -> int:
    """Ask a client to pay these charges online, or all that are open in one currency; the key of the request.

    A request that asks for just that already is given again; others for any of the charges are cancelled. When that
    is refused nobody has the link of the new page, and it ends by itself.
    Raises: OnlineOff, what `service.plan_request` refuses, ChargesChanged, what a provider refuses.
    """
    asked = {
        "client_id": client_id, "charge_ids": sorted(set(charge_ids)) if charge_ids else None, "currency": currency,
        "actor": actor.user_id,
    }
    with unit_of_work(session):
        first = first_result(session, key=idempotency_key, verb="request_online_payment", asked=asked)
        if first is not None:
            return int(first["id"])
        plan = service.plan_request(session, client_id=client_id, charge_ids=charge_ids, currency=currency)
    provider = current()
    if plan.same is not None:
        return plan.same
    reference = _reference(idempotency_key)
    checkout = provider.begin(Order(
        reference, plan.currency, [(what, amount) for _, what, amount in plan.items], plan.email, plan.locale,
        done_url, left_url,
    ))
    for other in plan.replaces:
        cancel_request(session, online_payment_id=other, actor=actor)
    with unit_of_work(session):
        return service.open_request(
            session, plan=plan, checkout=checkout, reference=reference, actor=actor, asked=asked,
            idempotency_key=idempotency_key,
        ).id


def _reference(idempotency_key: str | None) -> str:
    """Our name for something at the provider: the same for the same key, so that a repeat is one there too."""
    return hashlib.sha256(idempotency_key.encode()).hexdigest() if idempotency_key else uuid.uuid4().hex


def cancel_request(session: Session, *, online_payment_id: int, actor: Actor) -> None:
    """End the link of a request; one that is cancelled already stays so.

    Raises: NotFound, OnlineOff; OnlineStateConflict when it was paid or ended otherwise; what a provider refuses.
    """
    with unit_of_work(session):
        request = require(session, OnlinePayment, online_payment_id)
        state, checkout_id = request.state, request.checkout_id
    if state == OnlineState.open:
        checkout = current().end(checkout_id)
        with unit_of_work(session):
            state = service.note_checkout(
                session, online_payment_id=online_payment_id, checkout=checkout, actor=actor, cancelled=True
            ).state
    if state != OnlineState.cancelled:
        raise OnlineStateConflict(state=dict(STATES)[OnlineState(state)])


def ask_provider(session: Session, *, online_payment_id: int, actor: Actor) -> None:
    """Bring a request, its payment and refunds to what the provider says now.

    Raises: NotFound, OnlineOff, what a provider refuses.
    """
    with unit_of_work(session):
        checkout_id = require(session, OnlinePayment, online_payment_id).checkout_id
    checkout = current().look_up(checkout_id)
    with unit_of_work(session):
        service.note_checkout(session, online_payment_id=online_payment_id, checkout=checkout, actor=actor)
    if checkout.paid:
        _ask_refunds(session, online_payment_id, actor)


def _ask_refunds(session: Session, online_payment_id: int, actor: Actor) -> None:
    with unit_of_work(session):
        name = require(session, OnlinePayment, online_payment_id).provider_payment
    if name is None:
        return
    found = current().refunds_of(name)
    if found:
        with unit_of_work(session):
            service.note_refunds(session, online_payment_id=online_payment_id, found=found, actor=actor)


def hear(session: Session, *, body: bytes, signature: str | None) -> None:
    """Do what an event of the provider says; what is of no request of ours means nothing here.

    Refunds are asked for rather than believed one by one: whatever order events come in, the result is the same.
    Raises: BadEvent, also while nobody is switched on who could have signed it; ProviderAway and others, and then the
    provider sends the event again.
    """
    if not switched_on():
        raise BadEvent
    event = current().read_event(body, signature)
    if event is None:
        return
    paid_as = event.dispute.payment if event.dispute else event.refunded_payment
    about = (
        OnlinePayment.checkout_id == event.checkout.id if event.checkout
        else OnlinePayment.provider_payment == paid_as
    )
    with acting_as(session, SYSTEM):
        with unit_of_work(session):
            key = session.scalars(select(OnlinePayment.id).where(about)).one_or_none()
            if key is None:
                log.info("event_of_others")
                return
            if event.dispute is not None:
                disputes.note_dispute(session, online_payment_id=key, dispute=event.dispute, actor=SYSTEM)
                return
            if event.checkout is not None:
                service.note_checkout(
                    session, online_payment_id=key, checkout=event.checkout, actor=SYSTEM, failed=event.failed,
                    at=event.at,
                )
        if event.checkout is None or event.checkout.paid:
            _ask_refunds(session, key, SYSTEM)


def refund_payment(
    session: Session, *, payment_id: int, amount: int, reason: str, actor: Actor, idempotency_key: str | None = None
) -> int:
    """Give back (a part of) a payment, as `billing.service.refund_payment` does; the key of the refund.

    What came in online goes back through the provider, and is recorded only once that has accepted it. With the
    provider switched off it is noted only: whoever does that gives the money back at the provider's own desk.
    Raises: NotFound, InvalidInput, RefundAbovePaid, what a provider refuses.
    """
    reason = reason_of(reason)
    asked = refund_asked(payment_id, amount, reason, actor)
    with unit_of_work(session):
        request = queries.of_payment(session, payment_id)
        name = request.provider_payment if request is not None and switched_on() else None
        if name is None:
            return billing.refund_payment(
                session, payment_id=payment_id, amount=amount, reason=reason, actor=actor,
                idempotency_key=idempotency_key,
            ).id
        first = first_result(session, key=idempotency_key, verb="refund_payment", asked=asked)
        if first is not None:
            return int(first["id"])
        payment = require(session, Payment, payment_id)
        check_refund(payment, amount)
        currency = payment.currency
    reference = _reference(idempotency_key)
    returned = current().refund(name, amount, currency, reference)
    with unit_of_work(session):
        return service.keep_refund(
            session, payment_id=payment_id, returned=returned, reference=reference, reason=reason, actor=actor,
            idempotency_key=idempotency_key,
        ).id


def send_refund(session: Session, *, online_refund_id: int) -> None:
    """Send a refund that is recorded to the provider. Raises: NotFound, OnlineOff, ProviderAway."""
    with unit_of_work(session):
        row = require(session, OnlineRefund, online_refund_id)
        refund, name = row.refund, row.online_payment.provider_payment
        wanted: dict[str, Any] = {
            "payment": name, "amount": refund.amount, "currency": refund.currency, "reference": row.reference
        }
        if row.state != RefundState.due:
            return
    try:
        returned = current().refund(**wanted)
    except Conflict as error:
        with unit_of_work(session):
            service.fail_refund(
                session, online_refund_id=online_refund_id, problem=error.params.get("reason") or error.text(),
                actor=SYSTEM,
            )
        return
    with unit_of_work(session):
        service.sent_refund(session, online_refund_id=online_refund_id, returned=returned)

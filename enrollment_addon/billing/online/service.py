"""The verbs of online payment within one unit of work each; `desk` puts the talks with the provider between them."""

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import clock, money
from ...core.audit import record_event
from ...core.db import idempotent, require
from ...core.errors import Busy, NotFound
from ...core.reasons import SystemReason
from ...core.scope import SYSTEM, Actor, acting_as
from ...jobs.service import queue_due
from ...people.errors import ClientClosed
from ...people.models import Client, Club
from .. import service as billing
from ..errors import ChargeStateConflict, ClientMerged, NothingOpen
from ..models import Charge, ChargeStatus, Method, MoneyAccount, Payment, Refund
from ..service.payments import receive
from ..service.refunds import refund_asked
from . import queries
from .errors import ChargesChanged, MoneyOnItsWay, TooManyCharges
from .models import LIVE, OnlinePayment, OnlinePaymentCharge, OnlineRefund, OnlineState, RefundState
from .provider import Checkout, Returned, Stage, switched_on

MOST_CHARGES = 100
"""A page of Stripe lists no more."""
NEARLY_OVER = dt.timedelta(minutes=15)
"""A link that ends sooner is made anew rather than given again."""
SEND_REFUNDS = "billing.online_refunds"
"""Kind of job: refunds that other verbs caused are sent to the provider."""
_REFUNDED_THERE = SystemReason("Refunded at the provider", _l("Refunded at the provider"))


class Plan(NamedTuple):
    """What a client would be asked to pay: (charge, what for, still open), and the requests that end for it.

    `same` is the request that asks for just that already.
    """

    client_id: int
    currency: str
    items: Sequence[tuple[int, str, int]]
    email: str | None
    locale: str | None
    replaces: Sequence[int] = ()
    same: int | None = None

    @property
    def amount(self) -> int:
        return sum(amount for _, _, amount in self.items)


def plan_request(
    session: Session, *, client_id: int, charge_ids: Sequence[int] | None = None, currency: str | None = None
) -> Plan:
    """What asking a client for these charges comes to, or for all that are open in one currency.

    Raises: NotFound, CurrencyDiffers, ChargeStateConflict, NothingOpen, TooManyCharges, ClientMerged, ClientClosed,
    MoneyOnItsWay.
    """
    client = require(session, Client, client_id)
    if client.merged_into_id is not None:
        raise ClientMerged
    if client.erased_at is not None:
        raise ClientClosed
    named = sorted(set(charge_ids)) if charge_ids else None
    if named is not None and len(named) > MOST_CHARGES:
        raise TooManyCharges(most=MOST_CHARGES)
    currency = billing.payment_currency(session, client_id, named, currency)
    found = _chosen(session, client_id, currency, named)
    live = queries.live_for_charges(session, [charge.id for charge in found])
    for request in live:
        if request.state == OnlineState.pending:
            shown = str(money.to_decimal(request.amount, request.currency))
            raise MoneyOnItsWay(amount=shown, currency=request.currency)
    wanted = {charge.id: charge.open for charge in found}
    fresh = clock.now() + NEARLY_OVER
    same = next(
        (r.id for r in live if {c.charge_id: c.amount for c in r.charges} == wanted and r.ends_at > fresh), None
    )
    return Plan(
        client_id, currency, [(charge.id, charge.what, charge.open) for charge in found], client.email,
        client.locale, [r.id for r in live], same,
    )


def _chosen(session: Session, client_id: int, currency: str, named: list[int] | None) -> Sequence[Charge]:
    where = [Charge.client_id == client_id, Charge.currency == currency]
    where.append(Charge.status == ChargeStatus.open if named is None else Charge.id.in_(named))
    found = session.scalars(
        select(Charge).where(*where).order_by(Charge.due_on, Charge.id).limit(MOST_CHARGES + 1)
        .execution_options(populate_existing=True)
    ).all()
    for charge in found:
        if charge.status != ChargeStatus.open:
            raise ChargeStateConflict(state=charge.status)
    if not found:
        raise NothingOpen
    if len(found) > MOST_CHARGES:
        raise TooManyCharges(most=MOST_CHARGES)
    return found


def open_request(
    session: Session, *, plan: Plan, checkout: Checkout, reference: str, actor: Actor, asked: dict[str, Any],
    idempotency_key: str | None,
) -> OnlinePayment:
    """Keep a checkout that was made for a plan. Raises: ChargesChanged when something else was quicker."""

    def keep() -> dict[str, Any]:
        billing.lock_account(session, plan.client_id, plan.currency)
        keys = [key for key, _, _ in plan.items]
        found = _chosen(session, plan.client_id, plan.currency, keys)
        now_open = [(charge.id, charge.what, charge.open) for charge in found]
        if now_open != list(plan.items) or queries.live_for_charges(session, keys):
            raise ChargesChanged
        request = OnlinePayment(
            client_id=plan.client_id, amount=plan.amount, currency=plan.currency, reference=reference,
            checkout_id=checkout.id, url=checkout.url, ends_at=checkout.ends_at, created_by_id=actor.user_id,
        )
        session.add(request)
        session.flush()
        session.add_all([
            OnlinePaymentCharge(online_payment_id=request.id, charge_id=key, client_id=plan.client_id, amount=amount)
            for key, _, amount in plan.items
        ])
        session.flush()
        _record(session, "request_online_payment", request, actor)
        return {"id": request.id}

    answer = idempotent(session, key=idempotency_key, verb="request_online_payment", asked=asked, do=keep)
    return require(session, OnlinePayment, answer["id"])


def note_checkout(
    session: Session, *, online_payment_id: int, checkout: Checkout, actor: Actor, failed: bool = False,
    cancelled: bool = False, at: dt.datetime | None = None,
) -> OnlinePayment:
    """Bring a request to what the provider says of its checkout; money that came in is recorded, once.

    What the provider said earlier may arrive later: only money changes a request that has ended. `failed` and
    `cancelled` say why an open one ends, `at` when the provider said so. Raises: NotFound, Busy.
    """
    seen = require(session, OnlinePayment, online_payment_id)
    for currency in sorted({seen.currency, checkout.currency} if checkout.paid else {seen.currency}):
        account = billing.lock_account(session, seen.client_id, currency)
    request = require(session, OnlinePayment, online_payment_id, lock=True)
    if request.client_id != account.client_id:
        raise Busy
    request.asked_at = clock.now()
    if request.state == OnlineState.paid:
        pass
    elif checkout.paid:
        _receive(session, request, checkout, actor, at)
    elif request.state in LIVE:
        if failed:
            _close(session, request, OnlineState.failed, actor)
        elif checkout.stage is Stage.ended:
            _close(session, request, OnlineState.cancelled if cancelled else OnlineState.expired, actor)
        elif checkout.stage is Stage.through:
            request.state = OnlineState.pending
    session.flush()
    return request


def _receive(
    session: Session, request: OnlinePayment, checkout: Checkout, actor: Actor, at: dt.datetime | None
) -> None:
    """Record the money. What differs from what was asked for settles nothing and is noted, for people to look at."""
    account = billing.lock_account(session, request.client_id, checkout.currency)
    differs = (checkout.amount, checkout.currency) != (request.amount, request.currency)
    owed = [] if differs else [
        row.charge for row in queries.charges_of(session, request.id) if row.charge.status == ChargeStatus.open
    ]
    payment, _settled = receive(
        session, account, owed, amount=checkout.amount, method=Method.online, reference=checkout.payment,
        paid_on=_day(session, account, at), actor=actor,
    )
    request.state, request.closed_at, request.url = OnlineState.paid, clock.now(), None
    request.received, request.payment_id, request.provider_payment = payment.amount, payment.id, checkout.payment
    session.flush()
    if differs:
        record_event(
            session, actor=actor, verb="note_online_difference", record="online_payment", record_id=request.id,
            client_id=request.client_id, amount=payment.amount, currency=payment.currency,
            asked=request.amount, asked_currency=request.currency,
        )


def _day(session: Session, account: MoneyAccount, at: dt.datetime | None) -> dt.date:
    """The club's day on which money came in."""
    timezone = session.execute(
        select(Club.timezone).join(Client, Client.club_id == Club.id).where(Client.id == account.client_id)
    ).scalar_one()
    today = clock.today(timezone)
    return min(today, at.astimezone(ZoneInfo(timezone)).date()) if at else today


def _close(session: Session, request: OnlinePayment, state: OnlineState, actor: Actor) -> None:
    request.state, request.closed_at, request.url = state, clock.now(), None
    verbs = {
        OnlineState.cancelled: "cancel_online_payment", OnlineState.expired: "expire_online_payment",
        OnlineState.failed: "fail_online_payment",
    }
    _record(session, verbs[state], request, actor)


def keep_refund(
    session: Session, *, payment_id: int, returned: Returned, reference: str, reason: str, actor: Actor,
    idempotency_key: str | None,
) -> Refund:
    """Record a refund that the provider accepted, with who asked for it and why.

    Its event may have been quicker: then the refund is there and only lacks these two.
    """

    def keep() -> dict[str, Any]:
        account, request = lock_paid(session, payment_id)
        found = session.scalars(select(OnlineRefund).where(OnlineRefund.provider_refund == returned.id)).one_or_none()
        if found is not None:
            refund = require(session, Refund, found.refund_id)
            refund.reason, refund.created_by_id = reason, actor.user_id
            session.flush()
            return {"id": refund.id}
        refund = billing.refund_payment(
            session, payment_id=payment_id, amount=returned.amount, reason=reason, actor=actor
        )
        _link(session, account, request, refund, returned, reference)
        return {"id": refund.id}

    asked = refund_asked(payment_id, returned.amount, reason, actor)
    answer = idempotent(session, key=idempotency_key, verb="refund_payment", asked=asked, do=keep)
    return require(session, Refund, answer["id"])


def note_refunds(session: Session, *, online_payment_id: int, found: Iterable[Returned], actor: Actor) -> None:
    """Bring the refunds of a payment to what the provider says of them; what was done there alone is recorded, once.

    A refund that was noted here by hand and one of the same amount there are the same.
    """
    payment_id = require(session, OnlinePayment, online_payment_id).payment_id
    if payment_id is None:
        return
    account, request = lock_paid(session, payment_id)
    rows = session.scalars(select(OnlineRefund).where(OnlineRefund.online_payment_id == request.id)).all()
    by_name = {row.provider_refund: row for row in rows if row.provider_refund}
    by_reference = {row.reference: row for row in rows}
    for returned in found:
        if row := by_name.get(returned.id) or by_reference.get(returned.reference or ""):
            _follow(session, row, returned, actor)
        elif not returned.failed:
            _adopt(session, account, request, payment_id, returned, actor)
    session.flush()


def _follow(session: Session, row: OnlineRefund, returned: Returned, actor: Actor) -> None:
    if not returned.failed:
        row.state, row.provider_refund, row.problem = RefundState.sent, returned.id, None
    elif row.state != RefundState.failed:
        fail_refund(session, online_refund_id=row.id, problem=returned.problem or "", actor=actor)


def _adopt(
    session: Session, account: MoneyAccount, request: OnlinePayment, payment_id: int, returned: Returned, actor: Actor
) -> None:
    """A refund that was made at the provider's own desk."""
    linked = select(OnlineRefund.refund_id)
    refund = session.scalars(
        select(Refund)
        .where(Refund.payment_id == payment_id, Refund.amount == returned.amount, Refund.id.not_in(linked))
        .order_by(Refund.id)
    ).first()
    if refund is None:
        payment = require(session, Payment, payment_id)
        if returned.amount > payment.amount - payment.refunded:
            _note_excess(session, request, returned, account.currency, actor)
            return
        refund = billing.refund_payment(
            session, payment_id=payment_id, amount=returned.amount, reason=_REFUNDED_THERE(), actor=actor
        )
    _link(session, account, request, refund, returned, returned.reference or uuid.uuid4().hex)


def _note_excess(
    session: Session, request: OnlinePayment, returned: Returned, currency: str, actor: Actor
) -> None:
    """More went back at the provider than is left here to give back: said once, for people to look at."""

    def note() -> dict[str, Any]:
        record_event(
            session, actor=actor, verb="note_refund_difference", record="online_payment", record_id=request.id,
            client_id=request.client_id, amount=returned.amount, currency=currency,
        )
        return {}

    asked = {"refund": returned.id}
    idempotent(session, key=f"online-refund:{returned.id}", verb="note_refund_difference", asked=asked, do=note)


def lock_paid(session: Session, payment_id: int) -> tuple[MoneyAccount, OnlinePayment]:
    """The request of a payment that came in online, behind the lock of the payment's account."""
    payment = require(session, Payment, payment_id)
    account = billing.lock_account(session, payment.client_id, payment.currency)
    request = queries.of_payment(session, payment_id)
    if request is None:
        raise NotFound
    if request.client_id != account.client_id:
        raise Busy
    return account, request


def _link(
    session: Session, account: MoneyAccount, request: OnlinePayment, refund: Refund, returned: Returned, reference: str
) -> None:
    session.add(OnlineRefund(
        client_id=account.client_id, online_payment_id=request.id, refund_id=refund.id, state=RefundState.sent,
        reference=reference, provider_refund=returned.id,
    ))
    session.flush()


def send_later(session: Session, refunds: Sequence[Refund]) -> None:
    """Have refunds of online payments sent to the provider once their transaction has committed."""
    if not switched_on():
        return
    due = [(refund, request) for refund in refunds if (request := queries.of_payment(session, refund.payment_id))]
    for refund, request in due:
        session.add(OnlineRefund(
            client_id=refund.client_id, online_payment_id=request.id, refund_id=refund.id, state=RefundState.due,
            reference=uuid.uuid4().hex,
        ))
    session.flush()
    if due:
        _queue_sending(session)


def sent_refund(session: Session, *, online_refund_id: int, returned: Returned) -> None:
    """The provider accepted a refund that was recorded before."""
    row = require(session, OnlineRefund, online_refund_id, lock=True)
    row.state, row.provider_refund, row.problem = RefundState.sent, returned.id, None
    session.flush()


def fail_refund(session: Session, *, online_refund_id: int, problem: str, actor: Actor) -> None:
    """A refund that is recorded did not reach the client: said on the payment, for people to look at."""
    row = require(session, OnlineRefund, online_refund_id, lock=True)
    row.state, row.problem = RefundState.failed, problem[:500] or None
    session.flush()
    record_event(
        session, actor=actor, verb="fail_online_refund", record="refund", record_id=row.refund_id,
        client_id=row.client_id, amount=row.refund.amount, currency=row.refund.currency,
    )


def send_again(session: Session, *, online_refund_id: int, actor: Actor) -> OnlineRefund:
    """Let a refund that failed at the provider be sent there once more. Raises: NotFound, ChargesChanged."""
    row = require(session, OnlineRefund, online_refund_id, lock=True)
    if row.state != RefundState.failed:
        raise ChargesChanged
    row.state, row.reference, row.provider_refund, row.problem = RefundState.due, uuid.uuid4().hex, None, None
    session.flush()
    record_event(
        session, actor=actor, verb="resend_online_refund", record="refund", record_id=row.refund_id,
        client_id=row.client_id, amount=row.refund.amount, currency=row.refund.currency,
    )
    _queue_sending(session)
    return row


def _queue_sending(session: Session) -> None:
    """The job is the system's, whoever caused it: it sends the refunds of everybody."""
    with acting_as(session, SYSTEM):
        queue_due(session, due={SEND_REFUNDS: {}}, actor=SYSTEM)


def _record(session: Session, verb: str, request: OnlinePayment, actor: Actor) -> None:
    record_event(
        session, actor=actor, verb=verb, record="online_payment", record_id=request.id, client_id=request.client_id,
        amount=request.amount, currency=request.currency,
    )

"""Payments: money that comes in and settles charges, and charges settled with what is on account."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import clock, money
from ...core.audit import record_event
from ...core.db import idempotent, require
from ...core.errors import InvalidInput, NotFound
from ...core.fields import choice as choice_of
from ...core.fields import clean, date, text, whole
from ...core.scope import Actor
from ...people.models import Client, Club
from .. import calc
from ..errors import AboveOpen, ChargeStateConflict, CurrencyDiffers, NotEnoughOnAccount, NothingOpen
from ..models import ACCOUNT, Charge, ChargeStatus, Method, MoneyAccount, Payment
from .account import lock_account, settle
from .charges import FIRST_DAY, currency_rule

MOST_CHARGES = 500


def take_payment(
    session: Session,
    *,
    client_id: int,
    amount: int,
    method: str,
    actor: Actor,
    charge_ids: Sequence[int] | None = None,
    currency: str | None = None,
    reference: str | None = None,
    paid_on: dt.date | None = None,
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """Take money (minor units) and settle these charges, or the oldest open first; the rest is on account.

    Method "account" settles with what is on account already and creates no payment. The currency is that of the
    charges, else the one of the client's club. Answers `{id, currency, settled: [{charge_id, amount}],
    on_account}`, the last being all that the client has on account then.
    Raises: NotFound, InvalidInput, CurrencyDiffers, ChargeStateConflict; with "account" as `settle_from_account`.
    """
    if method == ACCOUNT:
        if reference is not None or paid_on is not None:
            raise InvalidInput(fields={"method": _l("What is on account has no reference and no date of its own.")})
        return settle_from_account(
            session, client_id=client_id, amount=amount, charge_ids=charge_ids, currency=currency, actor=actor,
            idempotency_key=idempotency_key,
        )
    client = require(session, Client, client_id)
    today = clock.today(_timezone(session, client))
    given = {"amount": amount, "method": method, "reference": reference, "paid_on": paid_on or today}
    values = clean(given, {
        "amount": whole(1, money.LARGEST_MINOR), "method": choice_of(Method), "reference": text(120),
        "paid_on": date(FIRST_DAY, lambda: today),
    })
    named = _named(charge_ids)

    def take() -> dict[str, Any]:
        account = lock_account(session, client_id, payment_currency(session, client_id, named, currency))
        payment, parts = receive(session, account, _owed(session, account, named), actor=actor, **values)
        return _answer(account, parts, payment.id)

    asked = {
        "client_id": client_id, "amount": amount, "method": method, "charge_ids": named, "currency": currency,
        "reference": reference, "paid_on": paid_on, "actor": actor.user_id,
    }
    return idempotent(session, key=idempotency_key, verb="take_payment", asked=asked, do=take)


def receive(
    session: Session,
    account: MoneyAccount,
    owed: Sequence[Charge],
    *,
    amount: int,
    method: Method,
    paid_on: dt.date,
    actor: Actor,
    reference: str | None = None,
) -> tuple[Payment, list[calc.Part]]:
    """Record money that came in on a locked account, and settle these charges with it, in their order."""
    payment = Payment(
        client_id=account.client_id, currency=account.currency, created_by_id=actor.user_id, amount=amount,
        method=method, paid_on=paid_on, reference=reference,
    )
    session.add(payment)
    account.on_account += payment.amount
    session.flush()
    parts = settle(session, account, [payment], owed)
    record_event(
        session, actor=actor, verb="take_payment", record="payment", record_id=payment.id,
        client_id=account.client_id, amount=payment.amount, currency=payment.currency,
        settled=sum(part.amount for part in parts),
    )
    return payment, parts


def settle_from_account(
    session: Session,
    *,
    client_id: int,
    actor: Actor,
    charge_ids: Sequence[int] | None = None,
    amount: int | None = None,
    currency: str | None = None,
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """Settle these charges, or the oldest open first, with what is on account; `amount`: exactly so much.

    Without an amount as much as there is and is owed. Answers as `take_payment` does, with `id` None.
    Raises: NotFound, NothingOpen, NotEnoughOnAccount, AboveOpen, CurrencyDiffers, ChargeStateConflict.
    """
    if amount is not None:
        clean({"amount": amount}, {"amount": whole(1, money.LARGEST_MINOR)})
    named = _named(charge_ids)

    def use() -> dict[str, Any]:
        account = lock_account(session, client_id, payment_currency(session, client_id, named, currency))
        owed = _owed(session, account, named)
        _refuse_impossible(account, sum(charge.open for charge in owed), amount)
        paying = session.scalars(
            select(Payment)
            .where(
                Payment.client_id == client_id, Payment.currency == account.currency,
                Payment.settled + Payment.refunded < Payment.amount,
            )
            .order_by(Payment.id)
            .execution_options(populate_existing=True)
        ).all()
        parts = settle(session, account, paying, owed, amount)
        record_event(
            session, actor=actor, verb="settle_from_account", record="charge",
            record_id=named[0] if named and len(named) == 1 else None, client_id=client_id,
            amount=sum(part.amount for part in parts), currency=account.currency,
        )
        return _answer(account, parts, None)

    asked = {
        "client_id": client_id, "amount": amount, "charge_ids": named, "currency": currency, "actor": actor.user_id
    }
    return idempotent(session, key=idempotency_key, verb="settle_from_account", asked=asked, do=use)


def payment_currency(
    session: Session, client_id: int, charge_ids: Sequence[int] | None, currency: str | None = None
) -> str:
    """The currency in which a client pays: that of the named charges, else the one given, else their club's.

    Raises: NotFound, CurrencyDiffers, InvalidInput.
    """
    if currency is not None:
        clean({"currency": currency}, {"currency": currency_rule})
    if not charge_ids:
        return currency or _club(session, require(session, Client, client_id)).currency
    found = session.execute(
        select(Charge.id, Charge.currency).where(Charge.id.in_(charge_ids), Charge.client_id == client_id)
    ).all()
    if len(found) != len(set(charge_ids)):
        raise NotFound
    expected = currency or found[0].currency
    for row in found:
        if row.currency != expected:
            raise CurrencyDiffers(expected=row.currency, given=expected)
    return expected


def _named(charge_ids: Sequence[int] | None) -> list[int] | None:
    if charge_ids is None:
        return None
    if not charge_ids or len(charge_ids) > MOST_CHARGES:
        raise InvalidInput(fields={"charge_ids": _l("Choose from 1 to %(most)s charges.", most=MOST_CHARGES)})
    return sorted(set(charge_ids))


def _owed(session: Session, account: MoneyAccount, charge_ids: list[int] | None) -> Sequence[Charge]:
    """The open charges to settle, the oldest due first. Raises: ChargeStateConflict for a named one that isn't."""
    where = [Charge.client_id == account.client_id, Charge.currency == account.currency]
    where.append(Charge.status == ChargeStatus.open if charge_ids is None else Charge.id.in_(charge_ids))
    found = session.scalars(
        select(Charge).where(*where).order_by(Charge.due_on, Charge.id).execution_options(populate_existing=True)
    ).all()
    for charge in found:
        if charge.status != ChargeStatus.open:
            raise ChargeStateConflict(state=charge.status)
    return found


def _refuse_impossible(account: MoneyAccount, owed: int, amount: int | None) -> None:
    def shown(minor: int) -> dict[str, Any]:
        return {"most": str(money.to_decimal(minor, account.currency)), "currency": account.currency}

    if not owed:
        raise NothingOpen
    if account.on_account < (amount or 1):
        raise NotEnoughOnAccount(**shown(account.on_account))
    if amount is not None and amount > owed:
        raise AboveOpen(**shown(owed))


def _answer(account: MoneyAccount, parts: Sequence[calc.Part], payment_id: int | None) -> dict[str, Any]:
    settled: dict[int, int] = {}
    for part in parts:
        settled[part.use] = settled.get(part.use, 0) + part.amount
    return {
        "id": payment_id, "currency": account.currency, "on_account": account.on_account,
        "settled": [{"charge_id": charge_id, "amount": amount} for charge_id, amount in settled.items()],
    }


def _club(session: Session, client: Client) -> Club:
    return session.scalars(select(Club).where(Club.id == client.club_id)).one()


def _timezone(session: Session, client: Client) -> str:
    return _club(session, client).timezone

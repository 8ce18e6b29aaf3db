"""What every verb on money stands on: the locked account, settling and freeing."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, joinedload

from ...core import clock
from ...core.db import ensure_row, require
from ...core.errors import Busy
from ...people.models import Client
from .. import calc
from ..errors import ClientMerged
from ..models import Charge, ChargeStatus, MoneyAccount, Payment, Settlement, accounts

Held = TypeVar("Held", Charge, Payment)


def lock_account(session: Session, client_id: int, currency: str) -> MoneyAccount:
    """The client's account of this currency, locked until the transaction ends; made if it is the first time.

    Raises: NotFound for a client out of reach; ClientMerged.
    """
    require(session, Client, client_id)
    one = (
        select(MoneyAccount)
        .where(MoneyAccount.client_id == client_id, MoneyAccount.currency == currency)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    account = session.scalars(one).one_or_none()
    if account is None:
        key = {"client_id": client_id, "currency": currency}
        ensure_row(session, accounts, {**key, "on_account": 0}, list(key))
        account = session.scalars(one).one()
    # Asked again behind the lock: a merge may have been what was waited for.
    if session.execute(select(Client.merged_into_id).where(Client.id == client_id)).scalar_one() is not None:
        raise ClientMerged
    return account


def lock_with(session: Session, model: type[Held], key: int) -> tuple[MoneyAccount, Held]:
    """A charge or payment as it is behind the lock of its account.

    Raises: NotFound; Busy when a merge moved it to another client in the meantime.
    """
    seen = require(session, model, key)
    account = lock_account(session, seen.client_id, seen.currency)
    item = require(session, model, key, lock=True)
    if item.client_id != account.client_id:
        raise Busy
    return account, item


def settle(
    session: Session, account: MoneyAccount, paying: Sequence[Payment], owed: Sequence[Charge], most: int | None = None
) -> list[calc.Part]:
    """Pay charges, in their order, with what these payments have left, in theirs; `use` of a part is the charge."""
    parts = calc.match([(p.id, p.left) for p in paying], [(c.id, c.open) for c in owed], most)
    payment_of, charge_of = {p.id: p for p in paying}, {c.id: c for c in owed}
    for part in parts:
        session.add(Settlement(
            client_id=account.client_id, payment_id=part.source, charge_id=part.use, amount=part.amount
        ))
        payment_of[part.source].settled += part.amount
        _settle_charge(charge_of[part.use], part.amount)
        account.on_account -= part.amount
    session.flush()
    return parts


def free(session: Session, account: MoneyAccount, freed: Iterable[tuple[Settlement, int]]) -> int:
    """Give (a part of) settlements back to their payments: on account, the charges open again. How much it was.

    A settlement freed in part ends, and a new one holds the rest.
    """
    total = 0
    for settlement, amount in freed:
        settlement.freed_at = clock.now()
        if rest := settlement.amount - amount:
            session.add(Settlement(
                client_id=settlement.client_id, payment_id=settlement.payment_id, charge_id=settlement.charge_id,
                amount=rest,
            ))
        settlement.payment.settled -= amount
        _settle_charge(settlement.charge, -amount)
        account.on_account += amount
        total += amount
    session.flush()
    return total


def live_settlements(session: Session, *where: ColumnElement[bool]) -> Sequence[Settlement]:
    """Settlements that still pay, the newest first, with payment and charge as the database has them."""
    return session.scalars(
        select(Settlement)
        .join(Settlement.charge)
        .where(Settlement.freed_at.is_(None), *where)
        .order_by(Settlement.payment_id.desc(), Settlement.id.desc())
        .options(joinedload(Settlement.payment), joinedload(Settlement.charge))
        .execution_options(populate_existing=True)
    ).all()


def _settle_charge(charge: Charge, amount: int) -> None:
    charge.settled += amount
    charge.status = ChargeStatus.paid if charge.settled + charge.credited == charge.gross else ChargeStatus.open

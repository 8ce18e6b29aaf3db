"""Charges: issued, voided, freed of the money that settles them."""

import datetime as dt
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import clock, money
from ...core.audit import record_event
from ...core.db import idempotent, require
from ...core.fields import Wrong, clean, date, key, reason_of, text, whole
from ...core.scope import Actor
from .. import calc
from ..errors import ChargeStateConflict, CurrencyDiffers
from ..models import Charge, ChargeStatus, MoneyAccount, Settlement
from .account import free, live_settlements, lock_account, lock_with

FIRST_DAY = dt.date(2000, 1, 1)
LATEST_DUE_DAYS = 3660


def currency_rule(value: Any) -> str:
    """A currency by its ISO 4217 code."""
    if value not in money.currencies():
        raise Wrong(_l("Choose a currency such as EUR."))
    return str(value)


def _tax_rate(value: Any) -> Decimal:
    """A rate in percent, from 0 to 100."""
    if not isinstance(value, Decimal) or not value.is_finite() or not 0 <= value <= 100:
        raise Wrong(_l("This must be a percentage from 0 to 100."))
    if value != round(value, calc.RATE_DIGITS):
        raise Wrong(_l("At most %(digits)s decimals.", digits=calc.RATE_DIGITS))
    return value


_RULES = {
    "what": text(200, required=True),
    "gross": whole(0, money.LARGEST_MINOR),
    "currency": currency_rule,
    "due_on": date(FIRST_DAY, lambda: clock.today("UTC") + dt.timedelta(days=LATEST_DUE_DAYS)),
    "tax_rate": _tax_rate,
    "enrollment_id": key(),
    "booking_id": key(),
}


def issue_charge(
    session: Session,
    *,
    client_id: int,
    what: str,
    gross: int,
    currency: str,
    due_on: dt.date,
    actor: Actor,
    tax_rate: Decimal = Decimal(0),
    enrollment_id: int | None = None,
    booking_id: int | None = None,
    idempotency_key: str | None = None,
) -> Charge:
    """Let a client owe `gross`, in minor units, the tax at `tax_rate` percent included. Nothing to pay is paid.

    Raises: NotFound, InvalidInput; CurrencyDiffers when the enrollment was charged in another currency.
    """
    given = {
        "what": what, "gross": gross, "currency": currency, "due_on": due_on, "tax_rate": tax_rate,
        "enrollment_id": enrollment_id, "booking_id": booking_id,
    }
    values = clean(given, _RULES)

    def issue() -> dict[str, Any]:
        lock_account(session, client_id, values["currency"])
        _refuse_second_currency(session, values["enrollment_id"], values["currency"])
        split = calc.split_tax(values["gross"], values["tax_rate"])
        status = ChargeStatus.open if values["gross"] else ChargeStatus.paid
        charge = Charge(client_id=client_id, net=split.net, tax=split.tax, status=status, **values)
        session.add(charge)
        session.flush()
        record_event(
            session, actor=actor, verb="issue_charge", record="charge", record_id=charge.id, client_id=client_id,
            amount=charge.gross, currency=charge.currency, what=charge.what,
        )
        return {"id": charge.id}

    asked = {"client_id": client_id, **given, "actor": actor.user_id}
    answer = idempotent(session, key=idempotency_key, verb="issue_charge", asked=asked, do=issue)
    return require(session, Charge, answer["id"])


def _refuse_second_currency(session: Session, enrollment_id: int | None, currency: str) -> None:
    if enrollment_id is None:
        return
    first = session.execute(select(Charge.currency).where(Charge.enrollment_id == enrollment_id).limit(1)).scalar()
    if first is not None and first != currency:
        raise CurrencyDiffers(expected=first, given=currency)


def _free_all(session: Session, account: MoneyAccount, charge_id: int) -> int:
    held = live_settlements(session, Settlement.charge_id == charge_id)
    return free(session, account, [(settlement, settlement.amount) for settlement in held])


def void_charge(session: Session, *, charge_id: int, reason: str, actor: Actor) -> None:
    """Withdraw a charge; what was paid for it is on account again. Raises: NotFound, ChargeStateConflict."""
    reason = reason_of(reason)
    account, charge = lock_with(session, Charge, charge_id)
    if charge.status == ChargeStatus.void:
        raise ChargeStateConflict(state=charge.status)
    freed = _free_all(session, account, charge_id)
    charge.status, charge.voided_at, charge.void_reason = ChargeStatus.void, clock.now(), reason
    session.flush()
    record_event(
        session, actor=actor, verb="void_charge", record="charge", record_id=charge_id, client_id=charge.client_id,
        reason=reason, amount=charge.gross, currency=charge.currency, what=charge.what, freed=freed,
    )


def free_charge(session: Session, *, charge_id: int, reason: str, actor: Actor) -> int:
    """Put the money that settles a charge on account again; the charge is open. How much it was.

    Raises: NotFound; ChargeStateConflict when nothing settles it.
    """
    reason = reason_of(reason)
    account, charge = lock_with(session, Charge, charge_id)
    if not charge.settled:
        raise ChargeStateConflict(state=charge.status)
    freed = _free_all(session, account, charge_id)
    record_event(
        session, actor=actor, verb="free_charge", record="charge", record_id=charge_id, client_id=charge.client_id,
        reason=reason, amount=freed, currency=charge.currency, what=charge.what,
    )
    return freed

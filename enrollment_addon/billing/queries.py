"""Reads of money. The row scope is the session's: what is out of reach isn't found."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from ..core.db import key_list
from .models import Charge, ChargeStatus

_OPEN = Charge.gross - Charge.settled - Charge.credited


@dataclass(frozen=True)
class EnrollmentMoney:
    """The money of one enrollment, in minor units: what it was charged, and what of that was paid and went back.

    `paid` − `refunded` is what settles its charges now; `open` is still to be paid.
    """

    price_charged: int = 0
    paid: int = 0
    refunded: int = 0
    open: int = 0
    currency: str | None = None


def enrollment_money(session: Session, enrollment_ids: Iterable[int]) -> dict[int, EnrollmentMoney]:
    """The money of these enrollments by key, in one statement; those without a charge are there too, with zeros."""
    wanted = list(enrollment_ids)
    counts = case((Charge.status != ChargeStatus.void, Charge.gross), else_=0)
    still = case((Charge.status == ChargeStatus.open, _OPEN), else_=0)
    rows = session.execute(
        select(
            Charge.enrollment_id, func.sum(counts).label("charged"), func.sum(Charge.settled).label("settled"),
            func.sum(Charge.credited).label("credited"), func.sum(still).label("open"),
            func.min(Charge.currency).label("currency"),
        )
        .where(Charge.enrollment_id.in_(key_list(session, wanted)))
        .group_by(Charge.enrollment_id)
    )
    found = {
        row.enrollment_id: EnrollmentMoney(
            int(row.charged), int(row.settled) + int(row.credited), int(row.credited), int(row.open), row.currency
        )
        for row in rows
    }
    return {key: found.get(key, EnrollmentMoney()) for key in wanted}


def balance_due(session: Session, client_ids: Iterable[int]) -> dict[int, dict[str, int]]:
    """What clients still have to pay, by client and currency, in minor units; those who owe nothing are left out."""
    rows = session.execute(
        select(Charge.client_id, Charge.currency, func.sum(_OPEN).label("due"))
        .where(Charge.client_id.in_(key_list(session, client_ids)), Charge.status == ChargeStatus.open)
        .group_by(Charge.client_id, Charge.currency)
        .order_by(Charge.client_id, Charge.currency)
    )
    due: dict[int, dict[str, int]] = {}
    for row in rows:
        due.setdefault(row.client_id, {})[row.currency] = int(row.due)
    return due

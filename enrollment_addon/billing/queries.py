"""Reads of money. The row scope is the session's: what is out of reach isn't found."""

import datetime as dt
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, false, func, literal, or_, select
from sqlalchemy.orm import Session, joinedload

from ..core import clock
from ..core.db import key_list
from ..people.models import Client, Club
from .models import Charge, ChargeStatus, MoneyAccount, Payment, Refund, Settlement
from .online.models import LIVE, OnlinePayment

SHOWN = 5
"""Rows of each kind on the client card."""
MOST_ROWS = 200
"""Rows of each kind on the page of one charge or payment."""

_OPEN = Charge.gross - Charge.settled - Charge.credited


class EnrollmentMoney(NamedTuple):
    """The money of one enrollment, in minor units: what of its charges was paid and went back.

    `paid` − `refunded` is what settles its charges now; `open` is still to be paid.
    """

    paid: int = 0
    refunded: int = 0
    open: int = 0
    currency: str | None = None


def enrollment_money(session: Session, enrollment_ids: Iterable[int]) -> dict[int, EnrollmentMoney]:
    """The money of these enrollments by key, in one statement; those without a charge are there too, with zeros."""
    wanted = list(enrollment_ids)
    still = case((Charge.status == ChargeStatus.open, _OPEN), else_=0)
    rows = session.execute(
        select(
            Charge.enrollment_id, func.sum(Charge.settled).label("settled"),
            func.sum(Charge.credited).label("credited"), func.sum(still).label("open"),
            func.min(Charge.currency).label("currency"),
        )
        .where(Charge.enrollment_id.in_(key_list(session, wanted)))
        .group_by(Charge.enrollment_id)
    )
    found = {
        row.enrollment_id: EnrollmentMoney(
            int(row.settled) + int(row.credited), int(row.credited), int(row.open), row.currency
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


class ClientMoney(NamedTuple):
    """The money of one client for the card: sums by currency in minor units, and the rows that matter now.

    `asked`: what they were asked to pay online and may still pay there.
    """

    due: dict[str, int]
    on_account: dict[str, int]
    asked: dict[str, int]
    open_charges: Sequence[Charge]
    open_count: int
    payments: Sequence[Payment]


def client_money(session: Session, client_id: int) -> ClientMoney:
    """What a client owes and has on account, the first charges due and the last payments, in three statements."""
    sums = session.execute(
        select(Charge.currency, func.sum(_OPEN), func.count())
        .where(Charge.client_id == client_id, Charge.status == ChargeStatus.open)
        .group_by(Charge.currency)
        .union_all(
            select(MoneyAccount.currency, MoneyAccount.on_account, literal(0)).where(
                MoneyAccount.client_id == client_id, MoneyAccount.on_account > 0
            ),
            select(OnlinePayment.currency, func.sum(OnlinePayment.amount), literal(-1))
            .where(OnlinePayment.client_id == client_id, OnlinePayment.state.in_(LIVE))
            .group_by(OnlinePayment.currency),
        )
    ).all()
    due = {currency: int(amount) for currency, amount, count in sums if count > 0}
    held = {currency: int(amount) for currency, amount, count in sums if not count}
    asked = {currency: int(amount) for currency, amount, count in sums if count < 0}
    charges = session.scalars(charges_of(client_id).where(Charge.status == ChargeStatus.open).limit(SHOWN)).all()
    payments = session.scalars(
        select(Payment).where(Payment.client_id == client_id).order_by(Payment.id.desc()).limit(SHOWN)
    ).all()
    return ClientMoney(due, held, asked, charges, sum(max(count, 0) for _, _, count in sums), payments)


def charges_of(client_id: int) -> Select[Charge]:
    """A client's charges, in the order in which a payment settles them."""
    return select(Charge).where(Charge.client_id == client_id).order_by(Charge.due_on, Charge.id)


def on_account(session: Session, client_id: int, currency: str) -> int:
    """What a client has on account in one currency."""
    return session.scalar(
        select(MoneyAccount.on_account).where(MoneyAccount.client_id == client_id, MoneyAccount.currency == currency)
    ) or 0


def overdue_clause(session: Session) -> ColumnElement[bool]:
    """Open charges that were due before today, by the clock of each client's club."""
    late = (
        (Charge.due_on < day) & Charge.client_id.in_(
            select(Client.id).join(Club, Club.id == Client.club_id).where(Club.timezone.in_(names))
        )
        for day, names in _todays(session).items()
    )
    return and_(Charge.status == ChargeStatus.open, or_(false(), *late))


def _todays(session: Session) -> dict[dt.date, list[str]]:
    """The dates that it is now at the clubs, each with the time zones where it is."""
    days: dict[dt.date, list[str]] = {}
    for timezone in session.scalars(select(Club.timezone).distinct()):
        days.setdefault(clock.today(timezone), []).append(timezone)
    return days


AGES = (0, 30, 60, 90)
"""Days overdue up to which a charge counts in each column of the report; one more column for what is older."""


class AgedDebt(NamedTuple):
    """What one client owes in one currency, by age: not due yet, up to 30, 60 and 90 days overdue, older."""

    client_id: int
    client: str
    currency: str
    by_age: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.by_age)


def aged_debts(session: Session, *, after: tuple[int, str] = (0, ""), size: int) -> list[AgedDebt]:
    """What clients owe by the age of the debt, in key order behind a client and currency; by each club's clock."""
    days = _todays(session)
    age_sums = _age_sums(days) if days else [literal(0)] * (len(AGES) + 1)
    rows = session.execute(
        select(Charge.client_id, Client.first_name, Client.last_name, Charge.currency, *age_sums)
        .join(Client, Client.id == Charge.client_id)
        .join(Club, Club.id == Client.club_id)
        .where(
            Charge.status == ChargeStatus.open,
            or_(Charge.client_id > after[0], and_(Charge.client_id == after[0], Charge.currency > after[1])),
        )
        .group_by(Charge.client_id, Client.first_name, Client.last_name, Charge.currency)
        .order_by(Charge.client_id, Charge.currency)
        .limit(size)
    )
    return [AgedDebt(row[0], f"{row[1]} {row[2]}".strip(), row[3], tuple(map(int, row[4:]))) for row in rows]


def count_debts(session: Session, cap: int) -> tuple[int, bool]:
    """How many rows `aged_debts` has in all, counted up to `cap`; and whether there are more."""
    owing = (
        select(Charge.client_id, Charge.currency)
        .where(Charge.status == ChargeStatus.open)
        .group_by(Charge.client_id, Charge.currency)
        .limit(cap + 1)
        .subquery()
    )
    count = session.execute(select(func.count()).select_from(owing)).scalar_one()
    return min(count, cap), count > cap


def debt_totals(session: Session) -> list[tuple[str, tuple[int, ...]]]:
    """What all clients together owe by currency and age."""
    if not (days := _todays(session)):
        return []
    rows = session.execute(
        select(Charge.currency, *_age_sums(days))
        .join(Client, Client.id == Charge.client_id)
        .join(Club, Club.id == Client.club_id)
        .where(Charge.status == ChargeStatus.open)
        .group_by(Charge.currency)
        .order_by(Charge.currency)
    )
    return [(row[0], tuple(map(int, row[1:]))) for row in rows]


def _age_sums(days: dict[dt.date, list[str]]) -> list[ColumnElement[Any]]:
    """One sum for each age."""

    def not_older(age: int) -> ColumnElement[bool]:
        return or_(*(
            (Charge.due_on >= day - dt.timedelta(days=age)) & Club.timezone.in_(names) for day, names in days.items()
        ))

    limits = [not_older(age) for age in AGES]
    counted = [limits[0], *(this & ~before for before, this in pairwise(limits)), ~limits[-1]]
    return [func.sum(case((clause, _OPEN), else_=0)) for clause in counted]


def settlements_of(
    session: Session, *, charge_id: int | None = None, payment_id: int | None = None
) -> Sequence[Settlement]:
    """The settlements of a charge or of a payment, freed ones too, the newest first."""
    statement = select(Settlement).options(joinedload(Settlement.payment), joinedload(Settlement.charge))
    if charge_id is not None:
        statement = statement.where(Settlement.charge_id == charge_id)
    if payment_id is not None:
        statement = statement.where(Settlement.payment_id == payment_id)
    return session.scalars(statement.order_by(Settlement.id.desc()).limit(MOST_ROWS)).all()


def refunds_of(session: Session, *, charge_id: int | None = None, payment_id: int | None = None) -> Sequence[Refund]:
    """The refunds that went out of a payment or credited a charge, the newest first."""
    statement = select(Refund)
    if charge_id is not None:
        statement = statement.where(Refund.charge_id == charge_id)
    if payment_id is not None:
        statement = statement.where(Refund.payment_id == payment_id)
    return session.scalars(statement.order_by(Refund.id.desc()).limit(MOST_ROWS)).all()

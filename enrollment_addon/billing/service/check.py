"""Proof of money: sums against rows, client by client, in bounded memory.

Payments, live settlements and refunds are the truth; what charges, payments and accounts say beside them is
derived, and can be brought back to it. Each range of clients is compared by one statement per table, so the check
may run beside live payments.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, and_, func, or_, select, update
from sqlalchemy.orm import Session

from ...core import audit
from ...core.scope import SYSTEM
from ..models import ChargeStatus, accounts, charges, payments, refunds, settlements


class MoneyFinding(NamedTuple):
    """A row that disagrees, and whether it was put right. `detail` is for operators, in minor units.

    Codes: charge_differs (from its settlements and refunds), payment_differs (the same), account_differs (payments
    − refunds − settled is not what is on account), settlement_differs (names another client or currency than its
    payment or charge).
    """

    code: str
    client_id: int
    record_id: int | None
    detail: str
    repaired: bool = False


def check_money(
    session: Session, *, repair: bool = False, size: int = 10_000, progress: Callable[[float], Any] = lambda share: None
) -> Iterator[MoneyFinding]:
    """Prove for each client and currency: payments − refunds = settled + on account; `size` clients at a time.

    `repair` writes the sums that the rows give; a row that would break a rule of its own is left as it is, and so
    is a settlement between two clients. `progress` is told which share of the work is done.
    """
    repaired = 0
    after = -1
    last = session.execute(select(func.max(accounts.c.client_id))).scalar()
    while True:
        page = (
            select(accounts.c.client_id).where(accounts.c.client_id > after).distinct()
            .order_by(accounts.c.client_id).limit(size).subquery()
        )
        upto = session.execute(select(func.max(page.c[0]))).scalar()
        if upto is None:
            progress(1.0)
            break
        for check in (_settlements, _charges, _payments, _accounts):
            for finding in check(session, after, upto, repair=repair):
                repaired += finding.repaired
                yield finding
        progress(min(1.0, upto / max(last or 0, 1)))
        after = upto
    if repaired:
        audit.record_event(session, actor=SYSTEM, verb="repair_money", record="charge", repaired=repaired)


def _within(column: Any, after: int, upto: int) -> ColumnElement[bool]:
    return and_(column > after, column <= upto)


def _sums(table: Any, by: Any, after: int, upto: int, *where: ColumnElement[bool]) -> Subquery:
    return (
        select(by.label("key"), func.sum(table.c.amount).label("amount"))
        .where(_within(table.c.client_id, after, upto), *where)
        .group_by(by)
        .subquery()
    )


def _value(sums: Subquery, name: str) -> Any:
    return func.coalesce(sums.c.amount, 0).label(name)


def _settlements(session: Session, after: int, upto: int, *, repair: bool) -> list[MoneyFinding]:
    s, p, c = settlements.c, payments.c, charges.c
    rows = session.execute(
        select(s.id, s.client_id, s.payment_id, s.charge_id)
        .join(payments, p.id == s.payment_id)
        .join(charges, c.id == s.charge_id)
        .where(
            _within(s.client_id, after, upto),
            or_(p.client_id != s.client_id, c.client_id != s.client_id, p.currency != c.currency),
        )
        .order_by(s.id)
    )
    return [
        MoneyFinding("settlement_differs", row.client_id, row.id, f"payment {row.payment_id}, charge {row.charge_id}")
        for row in rows
    ]


def _charges(session: Session, after: int, upto: int, *, repair: bool) -> list[MoneyFinding]:
    settled = _sums(settlements, settlements.c.charge_id, after, upto, settlements.c.freed_at.is_(None))
    credited = _sums(refunds, refunds.c.charge_id, after, upto, refunds.c.charge_id.is_not(None))
    rows = session.execute(
        _compared(charges, after, upto, {"settled": settled, "credited": credited}).add_columns(charges.c.gross)
    ).all()
    found = []
    for row in rows:
        fits = row.true_settled >= 0 and row.true_settled + row.true_credited <= row.gross
        mended = repair and fits and not (row.status == ChargeStatus.void and row.true_settled)
        if mended:
            whole = row.true_settled + row.true_credited == row.gross
            status = ChargeStatus.void if row.status == ChargeStatus.void else (
                ChargeStatus.paid if whole else ChargeStatus.open
            )
            session.execute(update(charges).where(charges.c.id == row.id).values(
                settled=row.true_settled, credited=row.true_credited, status=status
            ))
        found.append(_finding("charge_differs", row, ("settled", "credited"), mended))
    return found


def _payments(session: Session, after: int, upto: int, *, repair: bool) -> list[MoneyFinding]:
    settled = _sums(settlements, settlements.c.payment_id, after, upto, settlements.c.freed_at.is_(None))
    refunded = _sums(refunds, refunds.c.payment_id, after, upto)
    rows = session.execute(
        _compared(payments, after, upto, {"settled": settled, "refunded": refunded}).add_columns(payments.c.amount)
    ).all()
    found = []
    for row in rows:
        mended = repair and row.true_settled + row.true_refunded <= row.amount
        if mended:
            session.execute(update(payments).where(payments.c.id == row.id).values(
                settled=row.true_settled, refunded=row.true_refunded
            ))
        found.append(_finding("payment_differs", row, ("settled", "refunded"), mended))
    return found


def _compared(table: Any, after: int, upto: int, sums: Mapping[str, Subquery]) -> Select[Any]:
    """The rows of a table in which a derived column is not the sum it stands for."""
    source = table
    for subquery in sums.values():
        source = source.outerjoin(subquery, subquery.c.key == table.c.id)
    status = table.c.status if "status" in table.c else table.c.id
    return (
        select(
            table.c.id, table.c.client_id, status.label("status"), *(table.c[name] for name in sums),
            *(_value(subquery, f"true_{name}") for name, subquery in sums.items()),
        )
        .select_from(source)
        .where(
            _within(table.c.client_id, after, upto),
            or_(*(table.c[name] != func.coalesce(subquery.c.amount, 0) for name, subquery in sums.items())),
        )
        .order_by(table.c.id)
    )


def _finding(code: str, row: Any, names: tuple[str, ...], repaired: bool) -> MoneyFinding:
    detail = ", ".join(f"{name} {getattr(row, name)}/{int(getattr(row, f'true_{name}'))}" for name in names)
    return MoneyFinding(code, row.client_id, row.id, f"row/sum: {detail}", repaired)


def _accounts(session: Session, after: int, upto: int, *, repair: bool) -> list[MoneyFinding]:
    """The invariant itself, from the rows alone."""
    currency_of = payments.c.currency
    moves = (
        select(payments.c.client_id, currency_of, payments.c.amount.label("amount"))
        .where(_within(payments.c.client_id, after, upto))
        .union_all(
            select(refunds.c.client_id, refunds.c.currency, -refunds.c.amount)
            .where(_within(refunds.c.client_id, after, upto)),
            select(settlements.c.client_id, currency_of, -settlements.c.amount)
            .join(payments, payments.c.id == settlements.c.payment_id)
            .where(_within(settlements.c.client_id, after, upto), settlements.c.freed_at.is_(None)),
        )
        .subquery()
    )
    left = (
        select(moves.c.client_id, moves.c.currency, func.sum(moves.c.amount).label("amount"))
        .group_by(moves.c.client_id, moves.c.currency)
        .subquery()
    )
    same = and_(left.c.client_id == accounts.c.client_id, left.c.currency == accounts.c.currency)
    should = func.coalesce(left.c.amount, 0)
    rows = session.execute(
        select(accounts.c.client_id, accounts.c.currency, accounts.c.on_account, should.label("should"))
        .select_from(accounts.outerjoin(left, same))
        .where(_within(accounts.c.client_id, after, upto), accounts.c.on_account != should)
        .order_by(accounts.c.client_id, accounts.c.currency)
    ).all()
    found = []
    for row in rows:
        mended = repair and row.should >= 0
        if mended:
            session.execute(
                update(accounts)
                .where(accounts.c.client_id == row.client_id, accounts.c.currency == row.currency)
                .values(on_account=row.should)
            )
        detail = f"{row.currency}; on account {row.on_account}, payments − refunds − settled {int(row.should)}"
        found.append(MoneyFinding("account_differs", row.client_id, None, detail, mended))
    return found

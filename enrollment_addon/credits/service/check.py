"""Proof of the ledger: lots against entries, balances against lots, in bounded memory.

The entries are the truth. Each range of keys is compared by one statement, which sees one state of the
database, so the check may run beside live bookings.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from sqlalchemy import and_, delete, func, insert, literal, or_, select, text
from sqlalchemy.orm import Session

from ...core import audit
from ...core.db import dialect_of
from ...core.scope import SYSTEM
from ..models import balances, entries, lots
from ..queries.lots import COUNTERS, entry_sums
from .check_links import AFTER_SUMS, BEFORE_SUMS, Finding, Found, Proof, mend_lot
from .check_moves import MOVED

BALANCED = ("available", "reserved", "used")


def check_ledger(
    session: Session, *, repair: bool = False, size: int = 10_000, progress: Callable[[float], Any] = lambda share: None
) -> Iterator[Finding]:
    """Compare everything, `size` keys at a time; `repair` brings lots and balances to what the entries say.

    A ledger that is impossible in itself (more spent than granted) gets correcting entries first. An entry of
    another client than its lot cannot be repaired: entries are never changed. `progress` is told which share of
    the work is done.
    """
    if dialect_of(session) == "postgresql":
        # A plan made for any range of keys would read the whole ledger for every one of a thousand ranges.
        session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    repaired = 0
    proofs = (*BEFORE_SUMS, *MOVED, Proof(lots.c.id, _check_lots, mend_lot), *_BALANCES, *AFTER_SUMS)
    for number, proof in enumerate(proofs):
        for finding, row in _walk(
            session, proof, size, lambda share, number=number: progress((number + share) / len(proofs))  # type: ignore[misc]
        ):
            if repair and row is not None:
                proof.mend(session, row)
                repaired += 1
            yield Finding(**{**asdict(finding), "repaired": repair and row is not None})
    if repaired:
        audit.record_event(session, actor=SYSTEM, verb="repair_ledger", record="credit_lot", repaired=repaired)


def _walk(session: Session, proof: Proof, size: int, progress: Callable[[float], Any]) -> Iterator[Any]:
    """What a proof finds in each range of `size` keys: those in (after, upto]."""
    key, after = proof.key, -1
    last = session.execute(select(func.max(key))).scalar()
    while True:
        page = select(key).where(key > after).distinct().order_by(key).limit(size).subquery()
        upto = session.execute(select(func.max(page.c[0]))).scalar()
        if upto is None:
            progress(1.0)
            return
        yield from proof.find(session, after, upto)
        progress(min(1.0, upto / max(last or 0, 1)))
        after = upto


def _check_lots(session: Session, after: int, upto: int) -> Found:
    sums = entry_sums(entries.c.lot_id > after, entries.c.lot_id <= upto).subquery()
    whole: Any = sum((lots.c[name] for name in COUNTERS), start=literal(0))
    rows = session.execute(
        select(
            lots.c.id,
            lots.c.client_id,
            lots.c.quantity,
            sums.c.entries,
            *(lots.c[name] for name in COUNTERS),
            *(sums.c[name].label(f"sum_{name}") for name in COUNTERS),
        )
        .select_from(lots.outerjoin(sums, sums.c.lot_id == lots.c.id))
        .where(
            lots.c.id > after,
            lots.c.id <= upto,
            or_(
                sums.c.entries.is_(None),
                whole != lots.c.quantity,
                *(lots.c[name] != sums.c[name] for name in COUNTERS),
                *(lots.c[name] < 0 for name in COUNTERS),
            ),
        )
        .order_by(lots.c.id)
    )
    return [(Finding(_lot_code(row), row.id, row.client_id, _lot_detail(row)), row.id) for row in rows]


def _lot_code(row: Any) -> str:
    if row.entries is None:
        return "lot_without_entries"
    if any(getattr(row, name) != getattr(row, f"sum_{name}") for name in COUNTERS):
        return "lot_differs"
    if any(getattr(row, name) < 0 for name in COUNTERS):
        return "lot_negative"
    return "lot_does_not_add_up"


def _lot_detail(row: Any) -> str:
    counters = ", ".join(f"{name} {getattr(row, name)}/{getattr(row, f'sum_{name}')}" for name in COUNTERS)
    return f"quantity {row.quantity}; lot/entries: {counters}"


def _check_balances(session: Session, after: int, upto: int, *, side: Any) -> Found:
    """Balances that differ from their lots, with their keys.

    From the side of the lots: missing or wrong ones; from the side of the balances: those without any lot.
    """
    held = (
        select(lots.c.client_id, lots.c.event_type_id, *(func.sum(lots.c[name]).label(name) for name in BALANCED))
        .where(lots.c.client_id > after, lots.c.client_id <= upto)
        .group_by(lots.c.client_id, lots.c.event_type_id)
        .subquery()
    )
    same = and_(balances.c.client_id == held.c.client_id, balances.c.event_type_id == held.c.event_type_id)
    if side is lots:
        differs = or_(balances.c.client_id.is_(None), *(balances.c[name] != held.c[name] for name in BALANCED))
        query = select(held.c.client_id, held.c.event_type_id).select_from(held.outerjoin(balances, same))
        sums: list[Any] = [held.c[name] for name in BALANCED]
    else:
        differs = and_(
            balances.c.client_id > after,
            balances.c.client_id <= upto,
            held.c.client_id.is_(None),
            or_(*(balances.c[name] != 0 for name in BALANCED)),
        )
        query = select(balances.c.client_id, balances.c.event_type_id).select_from(balances.outerjoin(held, same))
        sums = [literal(0) for _ in BALANCED]
    rows = session.execute(
        query.add_columns(
            *(balances.c[name] for name in BALANCED),
            *(column.label(f"sum_{name}") for name, column in zip(BALANCED, sums, strict=True)),
        )
        .where(differs)
        .order_by(query.selected_columns[0], query.selected_columns[1])
    )
    return [
        (
            Finding(
                "balance_differs",
                None,
                row.client_id,
                f"event type {row.event_type_id}; balance/lots: "
                + ", ".join(f"{name} {getattr(row, name)}/{getattr(row, f'sum_{name}')}" for name in BALANCED),
            ),
            (row.client_id, row.event_type_id),
        )
        for row in rows
    ]


def _repair_balance(session: Session, key: tuple[int, int]) -> None:
    """Bring one balance to the sum of its lots."""
    client_id, event_type_id = key
    here = (balances.c.client_id == client_id) & (balances.c.event_type_id == event_type_id)
    session.execute(select(balances.c.client_id).where(here).with_for_update()).all()
    row = session.execute(
        select(*(func.coalesce(func.sum(lots.c[name]), 0).label(name) for name in BALANCED)).where(
            lots.c.client_id == client_id, lots.c.event_type_id == event_type_id
        )
    ).one()
    session.execute(delete(balances).where(here))
    session.execute(
        insert(balances).values(
            client_id=client_id,
            event_type_id=event_type_id,
            **{name: int(getattr(row, name)) for name in BALANCED},
        )
    )


_BALANCES = tuple(
    Proof(side.c.client_id, partial(_check_balances, side=side), _repair_balance) for side in (lots, balances)
)

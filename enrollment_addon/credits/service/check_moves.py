"""Both sides of what moved: as many credits arrived as left, of a transfer by departure, of a conversion by ratio.

Both sides of a transfer or conversion are entries of one batch, and so is their undo; those of a merge of clients
are of no batch, and the arrival is the other client's.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from ...core.batches import batches
from ...people.models import Client
from ..models import EntryKind, entries, lots
from .check_links import REPAIRED, Finding, Found, Proof, correcting, mend_lot
from .ledger import lock_balances
from .moves import CONVERT, CONVERT_MANY, TRANSFER

AT_ONCE = 1_000
"""Entries held at a time: a batch may be of any size."""

clients_table: Any = Client.__table__


class Uneven(NamedTuple):
    """Credits that left and did not arrive, or arrived and had not left: the entries of both sides.

    `missing`: so many of those that left are nowhere; below zero, so many of those that arrived are from nowhere.
    """

    left: Sequence[Any]
    arrived: Sequence[Any]
    missing: int

    def finding(self) -> Finding:
        entry = (self.left or self.arrived)[0]
        whole = -sum(row.available_change for row in self.left), sum(row.available_change for row in self.arrived)
        code = "transfer_differs" if self.left and self.arrived else "transfer_one_sided"
        detail = f"entry {entry.id}: left {whole[0]}, arrived {whole[1]}, missing {self.missing}"
        return Finding(code, entry.lot_id, entry.client_id, detail)


def _batched(session: Session, after: int, upto: int) -> Found:
    """Transfers and conversions whose sides differ."""
    rows = session.execute(
        select(entries, batches.c.kind.label("verb"), batches.c.input)
        .join_from(entries, batches, batches.c.id == entries.c.batch_id)
        .where(
            entries.c.batch_id > after, entries.c.batch_id <= upto,
            batches.c.kind.in_((TRANSFER, CONVERT, CONVERT_MANY)),
            entries.c.kind.in_((EntryKind.transfer_in, EntryKind.transfer_out)),
        )
        .order_by(entries.c.batch_id, entries.c.client_id, entries.c.id)
        .execution_options(yield_per=AT_ONCE)
    )
    uneven: list[Uneven] = []
    for (_, converts, _), group in groupby(rows, key=_one_move):
        members = list(group)
        uneven += _conversion(members) if converts else _departures(members)
    return [(item.finding(), item) for item in uneven if not _is_mended(session, item)]


def _one_move(row: Any) -> tuple[int, bool, int]:
    """What the entries of one transfer, or of the conversion of one client, have in common."""
    converts = row.verb != TRANSFER
    return row.batch_id, converts, row.client_id if converts else 0


def _departures(rows: Sequence[Any]) -> Iterator[Uneven]:
    """The departures of one transfer that have another number of arrivals, and arrivals without a departure."""
    left = {row.id: row for row in rows if _departs(row)}
    came: dict[int, list[Any]] = {key: [] for key in left}
    for row in rows:
        if row.kind == EntryKind.transfer_in:
            if row.reversal_of_id in left:
                came[row.reversal_of_id].append(row)
            else:
                yield Uneven((), (row,), -row.available_change)
    undone: dict[int, int] = {}
    for row in rows:
        if row.kind == EntryKind.transfer_out and row.reversal_of_id is not None:
            undone[row.reversal_of_id] = undone.get(row.reversal_of_id, 0) + row.available_change
    for key, row in left.items():
        gone = -row.available_change - undone.get(key, 0)
        arrived = sum(other.available_change + undone.get(other.id, 0) for other in came[key])
        if gone != arrived:
            yield Uneven((row,), came[key], gone - arrived)


def _conversion(rows: Sequence[Any]) -> Iterator[Uneven]:
    """The conversion if its two event types do not add up at its ratio, net of what was undone."""
    asked = rows[0].input
    give, get = asked["give"], asked["get"]
    gone = -sum(row.available_change for row in rows if row.event_type_id == asked["from_event_type_id"])
    arrived = sum(row.available_change for row in rows if row.event_type_id == asked["to_event_type_id"])
    if gone * get != arrived * give:
        # What is no whole step is mended in favour of the client where it is missing, and against where too many.
        missing = gone - arrived * give // get if gone * get > arrived * give else gone * get // give - arrived
        yield Uneven(
            [row for row in rows if _departs(row)], [row for row in rows if row.kind == EntryKind.transfer_in], missing
        )


def _departs(row: Any) -> bool:
    return bool(row.kind == EntryKind.transfer_out and row.available_change < 0 and row.reversal_of_id is None)


def _is_mended(session: Session, item: Uneven) -> bool:
    """Whether a repair did what it could: what was spent meanwhile it left as it is."""
    concerned = [*item.left, *item.arrived]
    return session.execute(
        select(entries.c.id)
        .where(
            entries.c.lot_id.in_({row.lot_id for row in concerned}), entries.c.reason == REPAIRED,
            entries.c.reversal_of_id.in_({row.id for row in concerned}),
        )
        .limit(1)
    ).first() is not None


def _merged(session: Session, after: int, upto: int) -> Found:
    """Credits of merged clients that left without arriving as many, or arrived without having left."""
    moved, other, source = entries.alias("moved"), entries.alias("other"), clients_table.alias()
    arrived = (
        select(func.coalesce(func.sum(other.c.available_change), 0))
        .join_from(other, source, source.c.merged_into_id == other.c.client_id)
        .where(
            source.c.id == moved.c.client_id, other.c.event_type_id == moved.c.event_type_id,
            other.c.kind == EntryKind.transfer_in, other.c.reversal_of_id == moved.c.id,
        )
        .scalar_subquery()
    )
    left = select(other.c.id).where(other.c.id == moved.c.reversal_of_id, other.c.kind == EntryKind.transfer_out)
    rows = session.execute(
        select(moved)
        .where(
            moved.c.id > after, moved.c.id <= upto, moved.c.batch_id.is_(None),
            or_(
                and_(
                    moved.c.kind == EntryKind.transfer_out, moved.c.available_change < 0,
                    -moved.c.available_change != arrived,
                ),
                and_(moved.c.kind == EntryKind.transfer_in, ~left.exists()),
            ),
        )
        .order_by(moved.c.id)
    ).all()
    uneven = (_of_merge(session, row) for row in rows)
    return [(item.finding(), item) for item in uneven if not _is_mended(session, item)]


def _of_merge(session: Session, row: Any) -> Uneven:
    if row.kind == EntryKind.transfer_in:
        return Uneven((), (row,), -row.available_change)
    target = select(clients_table.c.merged_into_id).where(clients_table.c.id == row.client_id).scalar_subquery()
    came = session.execute(
        select(entries).where(
            entries.c.client_id == target, entries.c.event_type_id == row.event_type_id,
            entries.c.kind == EntryKind.transfer_in, entries.c.reversal_of_id == row.id,
        )
    ).all()
    return Uneven((row,), came, -row.available_change - sum(other.available_change for other in came))


def _mend(session: Session, item: Uneven) -> None:
    """Credits that left for nowhere come back; those that came from nowhere go, as far as they are unspent."""
    lock_balances(session, [row.lot_id for row in (*item.left, *item.arrived)])
    if item.missing > 0:
        for row, count in _share(item.missing, ((row, -row.available_change) for row in reversed(item.left))):
            session.execute(correcting(row, EntryKind.transfer_out, count, 0, reversal_of_id=row.id))
            mend_lot(session, row.lot_id)
        return
    unspent = {
        row.id: row.available
        for row in session.execute(
            select(lots.c.id, lots.c.available).where(lots.c.id.in_({row.lot_id for row in item.arrived}))
        )
    }
    there = ((row, min(unspent[row.lot_id], row.available_change)) for row in reversed(item.arrived))
    for row, count in _share(-item.missing, there):
        session.execute(correcting(row, EntryKind.void, -count, 0, reversal_of_id=row.id))
        mend_lot(session, row.lot_id)


def _share(quantity: int, places: Iterable[tuple[Any, int]]) -> Iterator[tuple[Any, int]]:
    """Divide a quantity among places of which each holds so many; the first is named even when it holds none."""
    for at, (row, most) in enumerate(places):
        part = min(quantity, most)
        if part or not at:
            yield row, part
        quantity -= part


MOVED = (Proof(batches.c.id, _batched, _mend), Proof(entries.c.id, _merged, _mend))
"""Proved before lots are compared with their entries, because their mends write both."""

"""Undoing a transfer or a conversion, as far as nothing later depends on it.

Credits go back to the very lots they left, by entries that name those they take back: an entry is never taken
out of the ledger. Of a conversion only whole steps go back.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from ...core.db import key_list
from ...core.scope import SYSTEM, Actor
from ..calc import Arrival, Take, give_back
from ..errors import NotUndoable
from ..models import EntryKind, entries, lots
from .ledger import Move, open_balances, post_available, reached_lots
from .moves import CONVERT, CONVERT_MANY, MOVED_AT_ONCE
from .undo_parts import Undone, UndoPlan, UndoWay, clients_table, is_gone, lapses

PLANNED_AT_ONCE = 1_000
"""So many items of a transfer or conversion are looked at together for a preview."""

_left = and_(entries.c.kind == EntryKind.transfer_out, entries.c.reversal_of_id.is_(None))
"""The entries by which credits left their lots; an undo's name what they take back."""


class _Return(NamedTuple):
    """A lot that credits came into by the entry `came_by`, and what goes back where: by the entries they left by."""

    lot: Any
    came_by: int
    back: int
    origins: Mapping[int, int]


class _Returns(NamedTuple):
    """What can go back of some items; `origins` are the lots that credits had left, by the entry they left by.

    `closed` credits cannot: their giver was merged or erased, or the two sides do not match (a repaired batch).
    """

    found: list[_Return]
    origins: dict[int, Any]
    closed: int


def _gave(batch: Any) -> Select[Any]:
    """The lots that credits left."""
    return (
        select(lots.c.id, lots.c.client_id)
        .join_from(entries, lots, lots.c.id == entries.c.lot_id)
        .where(entries.c.batch_id == batch.id, _left)
    )


def _converts(batch: Any) -> bool:
    return batch.kind in (CONVERT, CONVERT_MANY)


def _page(session: Session, batch: Any, after: int, size: int) -> list[int]:
    """The next items behind a cursor: clients who converted, or lots of a transfer."""
    key = lots.c.client_id if _converts(batch) else lots.c.id
    rest = _gave(batch).where(key > after).with_only_columns(key)
    return list(session.execute(rest.distinct().order_by(key).limit(size)).scalars())


def _of_one(batch: Any) -> bool:
    """Whether a single client gave: then all of it goes back as far as it is there, or nothing does."""
    return "client_id" in batch.input or "from_client_id" in batch.input


def _both_sides(session: Session, batch: Any, items: Sequence[int]) -> Iterator[tuple[list[Any], list[Any]]]:
    """The entries by which credits left, and those by which they came, of each conversion or single lot."""
    keys, gone = key_list(session, items), entries.alias()
    if _converts(batch):
        chosen: ColumnElement[bool] = entries.c.client_id.in_(keys)
    else:
        departed = select(gone.c.id).where(
            gone.c.batch_id == batch.id, gone.c.kind == EntryKind.transfer_out, gone.c.lot_id.in_(keys)
        )
        chosen = or_(entries.c.lot_id.in_(keys), entries.c.reversal_of_id.in_(departed))
    rows = session.execute(
        select(*(entries.c[name] for name in ("id", "client_id", "lot_id", "kind", "available_change",
                                               "reversal_of_id")))
        .where(entries.c.batch_id == batch.id, or_(entries.c.kind == EntryKind.transfer_in, _left), chosen)
        .order_by(entries.c.id)
    )
    deeds: dict[int, tuple[list[Any], list[Any]]] = {}
    for row in rows:
        came = row.kind == EntryKind.transfer_in
        deed = row.client_id if _converts(batch) else row.reversal_of_id if came else row.id
        deeds.setdefault(deed, ([], []))[came].append(row)
    yield from deeds.values()


def _returns(session: Session, batch: Any, items: Sequence[int]) -> _Returns:
    """What can go back of some items of a transfer or conversion.

    Raises: NotUndoable when it is all of one client and cannot go back.
    """
    give, get = (batch.input["give"], batch.input["get"]) if _converts(batch) else (1, 1)
    deeds = list(_both_sides(session, batch, items))
    known = {
        lot.id: lot
        for lot in reached_lots(session, {row.lot_id for deed in deeds for side in deed for row in side}, SYSTEM)
    }
    givers = {known[row.lot_id].client_id for left, _came in deeds for row in left}
    gone = set(session.execute(
        select(clients_table.c.id).where(clients_table.c.id.in_(key_list(session, givers)), is_gone)
    ).scalars())
    found: list[_Return] = []
    origins: dict[int, Any] = {}
    closed = 0
    for left, came in deeds:
        matches = sum(row.available_change // get * give for row in came) == -sum(row.available_change for row in left)
        if not matches or known[left[0].lot_id].client_id in gone:
            if _of_one(batch):
                raise NotUndoable(
                    _l("The client these credits came from was merged or erased.") if matches else None
                )
            closed += sum(row.available_change for row in came)
            continue
        backs = give_back(
            [Take(row.lot_id, -row.available_change) for row in left],
            [Arrival(row.available_change, known[row.lot_id].available) for row in came], give, get,
        )
        by_lot = {row.lot_id: row.id for row in left}
        found += [
            _Return(
                known[row.lot_id], row.id, sum(take.quantity for take in takes) // give * get,
                {by_lot[take.lot_id]: take.quantity for take in takes},
            )
            for row, takes in zip(came, backs, strict=True)
        ]
        origins |= {row.id: known[row.lot_id] for row in left}
    return _Returns(found, origins, closed)


def _plan_move(session: Session, batch: Any) -> UndoPlan:
    """Page by page, because a batch may be of any size."""
    after = 0
    sums: Counter[str] = Counter()
    clients: set[int] = set()
    spenders: set[int] = set()
    while items := _page(session, batch, after, PLANNED_AT_ONCE):
        after = items[-1]
        these = _returns(session, batch, items)
        over = set(session.execute(
            select(lots.c.id)
            .join_from(lots, clients_table)
            .where(
                lots.c.id.in_(key_list(session, {lot.id for lot in these.origins.values()})),
                lapses(session, lots.c.expires_on),
            )
        ).scalars())
        sums["closed"] += these.closed
        sums["credits"] += these.closed
        for item in these.found:
            kept = item.lot.used + item.lot.reserved
            clients.add(item.lot.client_id)
            if kept:
                spenders.add(item.lot.client_id)
            sums += Counter(
                credits=item.lot.quantity, taken_back=item.back, kept_spent=kept, reserved=item.lot.reserved,
                lapsed=sum(count for key, count in item.origins.items() if these.origins[key].id in over),
            )
    names = ("credits", "taken_back", "kept_spent", "reserved", "lapsed", "closed")
    return UndoPlan(clients=len(clients), clients_spent=len(spenders), **{name: sums[name] for name in names})


def _undo_move(session: Session, batch: Any, after: int, size: int, actor: Actor) -> Undone:
    items = _page(session, batch, after, size)
    before = _returns(session, batch, items)
    touched = [*(item.lot for item in before.found), *before.origins.values()]
    open_balances(session, {(lot.client_id, lot.event_type_id) for lot in touched})
    now = _returns(session, batch, items)
    moves = []
    for item in now.found:
        if item.back:
            moves.append(_out(item.lot, item.back, batch, reversal_of_id=item.came_by))
            # The very lots they left take them back, with all their terms: an exit that is less than nothing.
            moves += [_out(now.origins[key], -count, batch, reversal_of_id=key) for key, count in item.origins.items()]
    if moves:
        post_available(session, moves, actor=actor)
    receivers = len({item.lot.client_id for item in now.found})
    return Undone(
        lots=len(items),
        # All lots of a transfer are one receiver's, who counts with the first of them that can go back.
        clients=receivers if _converts(batch) or not batch.undo_result["clients"] else 0,
        taken_back=sum(item.back for item in now.found),
        kept_spent=sum(item.lot.used + item.lot.reserved for item in now.found),
        cursor=items[-1] if items else None,
    )


def _out(lot: Any, quantity: int, batch: Any, *, reversal_of_id: int) -> Move:
    return Move(
        lot.id, lot.client_id, lot.event_type_id, EntryKind.transfer_out, quantity, reason=batch.undo_reason,
        reversal_of_id=reversal_of_id, batch_id=batch.id,
    )


TRANSFERRING = UndoWay(_plan_move, _undo_move, _gave, most=MOVED_AT_ONCE)
CONVERSION = UndoWay(_plan_move, _undo_move, _gave, lots.c.client_id, most=MOVED_AT_ONCE)

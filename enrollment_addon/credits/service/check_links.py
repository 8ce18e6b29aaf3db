"""What holds the ledger together beside its sums: lots of entries, clients of lots, bookings.

Each proof walks over one key and looks at one range of it with one statement; its mend writes what is missing.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import Insert, func, insert, or_, select, update
from sqlalchemy.orm import Session

from ...core import clock
from ...core.batches import BatchState, batches
from ...core.reasons import SystemReason
from ...core.scope import SYSTEM
from ...people.models import Client, Club
from ..calc import Sums, corrections
from ..models import EntryKind, Origin, balances, entries, lots, something_left
from ..queries.lots import COUNTERS, entry_sums
from .grant import KIND as GRANT
from .ledger import lock_balances, retire

REPAIRED = SystemReason("ledger check", _l("Put right by the check of the ledger"))()
"""Reason of a correcting entry."""
SWEEP_DAYS = 2
"""So long after its last day, in the last time zone, a lot may wait for the nightly sweep."""

clients_table: Any = Client.__table__
clubs_table: Any = Club.__table__


@dataclass(frozen=True)
class Finding:
    """A row that disagrees, and whether it was put right. `detail` is for operators, in numbers.

    Codes: entry_without_lot, entry_differs (names another client or event type than its lot), client_missing,
    batch_differs (from the lots it gave), transfer_one_sided, transfer_differs (another number of credits arrived
    than left), reserved_twice (a booking), lot_without_entries, lot_differs (from its entries),
    lot_does_not_add_up, lot_negative, expired_but_spendable, balance_differs.
    """

    code: str
    lot_id: int | None
    client_id: int | None
    detail: str
    repaired: bool = False


Found = list[tuple[Finding, Any]]
"""Findings, each with what its mend needs; None where nothing can be done."""


class Proof(NamedTuple):
    """What is walked over, what is looked for in (after, upto], and how it is put right."""

    key: Any
    find: Callable[[Session, int, int], Found]
    mend: Callable[[Session, Any], Any]


def _entries(session: Session, after: int, upto: int) -> Found:
    """Entries without their lot, or of another client than it."""
    rows = session.execute(
        select(entries.c.id, entries.c.lot_id, entries.c.client_id, lots.c.id.label("lot"))
        .select_from(entries.outerjoin(lots, lots.c.id == entries.c.lot_id))
        .where(
            entries.c.id > after,
            entries.c.id <= upto,
            or_(
                lots.c.id.is_(None),
                lots.c.client_id != entries.c.client_id,
                lots.c.event_type_id != entries.c.event_type_id,
            ),
        )
        .order_by(entries.c.id)
    )
    found: Found = []
    for row in rows:
        lost = row.lot is None
        code = "entry_without_lot" if lost else "entry_differs"
        found.append((Finding(code, row.lot_id, row.client_id, f"entry {row.id}"), row.id if lost else None))
    return found


def _restore_lot(session: Session, entry_id: int) -> None:
    """A lot for entries that lost theirs, with what they add up to; its terms are unknown: a gift that stays."""
    entry = session.execute(select(entries).where(entries.c.id == entry_id)).one()
    if session.execute(select(lots.c.id).where(lots.c.id == entry.lot_id)).first():
        return
    _restore_client(session, entry.client_id)
    currency = session.execute(
        select(clubs_table.c.currency)
        .join_from(clients_table, clubs_table, clubs_table.c.id == clients_table.c.club_id)
        .where(clients_table.c.id == entry.client_id)
    ).scalar_one()
    counters = {**dict.fromkeys(COUNTERS, 0), "available": 1}
    session.execute(
        insert(lots).values(
            id=entry.lot_id, client_id=entry.client_id, event_type_id=entry.event_type_id, quantity=1, **counters,
            granted_at=entry.at, origin=Origin.manual, currency=currency, note=REPAIRED,
        )
    )
    mend_lot(session, entry.lot_id)


def _clients(session: Session, after: int, upto: int) -> Found:
    """Lots, and the batches they are of, whose client is gone."""
    rows = session.execute(
        select(lots.c.id, lots.c.client_id, lots.c.batch_id)
        .select_from(lots.outerjoin(clients_table, clients_table.c.id == lots.c.client_id))
        .where(lots.c.id > after, lots.c.id <= upto, clients_table.c.id.is_(None))
        .order_by(lots.c.id)
    )
    return [
        (Finding("client_missing", row.id, row.client_id, f"batch {row.batch_id}"), row.client_id) for row in rows
    ]


def _restore_client(session: Session, client_id: int) -> None:
    """A client who was removed under their credits, as an erased one: nothing else is known of them."""
    if session.execute(select(clients_table.c.id).where(clients_table.c.id == client_id)).first():
        return
    currency = select(lots.c.currency).where(lots.c.client_id == client_id).limit(1).scalar_subquery()
    club = session.execute(
        select(clubs_table.c.id).order_by(clubs_table.c.currency != currency, clubs_table.c.id).limit(1)
    ).scalar_one()
    session.execute(
        insert(clients_table).values(
            id=client_id, first_name="Erased client", last_name=f"#{client_id}", club_id=club, tags=[],
            archived=True, erased_at=clock.now(),
        )
    )


def _batches(session: Session, after: int, upto: int) -> Found:
    """Grants that say they served another number of clients than have their lots."""
    given = (
        select(lots.c.batch_id, func.count().label("lots"))
        .where(lots.c.batch_id > after, lots.c.batch_id <= upto)
        .group_by(lots.c.batch_id)
        .subquery()
    )
    count = func.coalesce(given.c.lots, 0)
    rows = session.execute(
        select(batches.c.id, batches.c.done, count.label("lots"))
        .select_from(batches.outerjoin(given, given.c.batch_id == batches.c.id))
        .where(
            batches.c.id > after, batches.c.id <= upto, batches.c.kind == GRANT, batches.c.state != BatchState.open,
            batches.c.done != count,
        )
        .order_by(batches.c.id)
    )
    return [
        (Finding("batch_differs", None, None, f"batch {row.id}: clients {row.done}, lots {row.lots}"), row)
        for row in rows
    ]


def _recount_batch(session: Session, row: Any) -> None:
    session.execute(update(batches).where(batches.c.id == row.id).values(done=row.lots))


def _bookings(session: Session, after: int, upto: int) -> Found:
    """Bookings that reserved again what they had not released."""

    def turns(kind: EntryKind) -> Any:
        own = entries.alias()
        return select(func.count(own.c.turn.distinct())).where(
            own.c.booking_id == entries.c.booking_id, own.c.kind == kind
        ).scalar_subquery()

    suspicious = session.execute(
        select(entries.c.booking_id)
        .where(
            entries.c.booking_id > after, entries.c.booking_id <= upto, entries.c.kind == EntryKind.reserve,
            entries.c.turn > 0,
        )
        .group_by(entries.c.booking_id)
        .having(turns(EntryKind.reserve) > turns(EntryKind.release) + 1)
    ).scalars().all()
    found: Found = []
    for booking_id in suspicious:
        found += _unreleased(session, booking_id)
    return found


def _unreleased(session: Session, booking_id: int) -> Found:
    """The reservations of a booking that a later one replaced, and that nothing gave back."""
    rows = session.execute(
        select(entries).where(entries.c.booking_id == booking_id).order_by(entries.c.id)
    ).all()
    reserved = [row for row in rows if row.kind == EntryKind.reserve]
    turns = sorted({row.turn for row in reserved})
    released = len({row.turn for row in rows if row.kind == EntryKind.release})
    mended = set(
        session.execute(
            select(entries.c.reversal_of_id).where(
                entries.c.lot_id.in_({row.lot_id for row in reserved}), entries.c.reason == REPAIRED
            )
        ).scalars()
    )
    return [
        (Finding("reserved_twice", row.lot_id, row.client_id, f"booking {booking_id}, entry {row.id}"), row)
        for row in reserved
        if row.turn in turns[released:-1] and row.id not in mended
    ]


def _mend_booking(session: Session, row: Any) -> None:
    """Give back the earlier reservation; the booking keeps its last one."""
    lock_balances(session, [row.lot_id])
    session.execute(
        correcting(row, EntryKind.release, row.reserved_change, -row.reserved_change, reversal_of_id=row.id)
    )
    mend_lot(session, row.lot_id)


def _expired(session: Session, after: int, upto: int) -> Found:
    """Lots that the nightly sweep should have expired."""
    day = clock.now().date() - dt.timedelta(days=SWEEP_DAYS)
    rows = session.execute(
        select(lots.c.id, lots.c.client_id, lots.c.available, lots.c.expires_on)
        .where(
            lots.c.id > after, lots.c.id <= upto, something_left, lots.c.held.is_(False), lots.c.expires_on < day
        )
        .order_by(lots.c.id)
    )
    return [
        (
            Finding("expired_but_spendable", row.id, row.client_id, f"{row.available} until {row.expires_on}"),
            row.id,
        )
        for row in rows
    ]


def _expire(session: Session, lot_id: int) -> None:
    lock_balances(session, [lot_id])
    retire(session, [lot_id], kind=EntryKind.expire, reason=REPAIRED, actor=SYSTEM)


def correcting(row: Any, kind: EntryKind, available: int, reserved: int, **more: Any) -> Insert:
    """The INSERT of an entry that puts right what the entry `row` (or the lot it names) did."""
    return insert(entries).values(
        lot_id=row.lot_id, client_id=row.client_id, event_type_id=row.event_type_id, kind=kind,
        available_change=available, reserved_change=reserved, at=clock.now(), actor_id=None, reason=REPAIRED, turn=0,
        **more,
    )


def mend_lot(session: Session, lot_id: int) -> None:
    """Bring one lot to what its entries say, after correcting entries where they say the impossible."""
    lot = session.execute(select(lots).where(lots.c.id == lot_id)).one()
    session.execute(
        select(balances.c.client_id)
        .where(balances.c.client_id == lot.client_id, balances.c.event_type_id == lot.event_type_id)
        .with_for_update()
    ).all()
    row = session.execute(entry_sums(entries.c.lot_id == lot_id)).one_or_none()
    sums = Sums(*(int(getattr(row, name)) for name in COUNTERS)) if row else Sums()
    missing, sums = corrections(sums)
    found = [(item.kind, item.available_change, item.reserved_change) for item in missing]
    if sums.quantity == 0:
        found.append((EntryKind.grant, lot.quantity, 0))
        sums = Sums(available=lot.quantity)
    place = select(lots.c.id.label("lot_id"), lots.c.client_id, lots.c.event_type_id).where(lots.c.id == lot_id)
    of_lot = session.execute(place).one()
    for kind, available, reserved in found:
        session.execute(correcting(of_lot, EntryKind(kind), available, reserved))
    session.execute(update(lots).where(lots.c.id == lot_id).values(**asdict(sums), quantity=sums.quantity))


BEFORE_SUMS = (
    Proof(entries.c.id, _entries, _restore_lot),
    Proof(lots.c.id, _clients, _restore_client),
    Proof(batches.c.id, _batches, _recount_batch),
    Proof(entries.c.booking_id, _bookings, _mend_booking),
)
"""Proved before lots are compared with their entries, because their mends write both."""
AFTER_SUMS = (Proof(lots.c.id, _expired, _expire),)
"""Proved when lots and balances are right: their mends are verbs, which count on it."""

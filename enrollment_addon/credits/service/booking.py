"""Spending: a booking reserves credits, completing it consumes them, cancelling it gives them back.

What a booking's credits are doing is the kind of its last act in the ledger. Each verb is allowed from
certain acts only; asked again, it answers with what it did the first time. `turn` numbers the acts of one
kind, so that the database refuses a second one even where two workers overtake each other.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.orm import Session

from ...core import audit
from ...core.errors import NotFound
from ...core.scope import Actor, reach_of
from ...people.models import Client
from ..calc import SpendableLot, Take, burn, grace_date
from ..errors import BookingStateConflict, NotEnoughCredits
from ..labels import ENTRY_KINDS
from ..models import EntryKind, balances, entries, lots, something_left
from ..queries import GRACE_MARK
from .ledger import REASON_LENGTH, Move, extend, post, update_balances
from .take import is_possible, run_compiled, take_at_once

clients_table: Any = Client.__table__


@dataclass(frozen=True)
class Act:
    """The entries of one verb on one booking."""

    kind: EntryKind
    turn: int
    rows: Sequence[Any]

    @property
    def takes(self) -> list[Take]:
        return [Take(row.lot_id, abs(row.reserved_change)) for row in self.rows]

    @property
    def quantity(self) -> int:
        return sum(take.quantity for take in self.takes)


_guard = (
    update_balances()
    .where(
        balances.c.client_id == bindparam("client"),
        balances.c.event_type_id == bindparam("event_type"),
        balances.c.available >= bindparam("count"),
    )
    .values(available=balances.c.available - bindparam("count"), reserved=balances.c.reserved + bindparam("count"))
)
_spendable = select(
    lots.c.id,
    lots.c.available,
    lots.c.priority,
    lots.c.expires_on,
    lots.c.unit_value,
    lots.c.granted_at,
    select(func.count())
    .select_from(entries)
    .where(entries.c.booking_id == bindparam("booking"))
    .scalar_subquery()
    .label("history"),
).where(
    lots.c.client_id == bindparam("client"),
    lots.c.event_type_id == bindparam("event_type"),
    something_left,
)


def reserve_credits(
    session: Session,
    *,
    client_id: int,
    event_type_id: int,
    booking_id: int,
    on: dt.date,
    actor: Actor,
    quantity: int = 1,
    lot_id: int | None = None,
) -> list[Take]:
    """Reserve credits for a booking of the day `on`, from lots in burn order or from the lot named.

    Guard, then take: the first statement locks the balance and checks it, so that of any number of bookings
    at once exactly as many succeed as there are credits. The lots are read by a later statement, which sees
    what others have committed before.
    Raises: NotEnoughCredits; NotFound for a client out of reach; BookingStateConflict.
    """
    assert quantity > 0, "a booking takes at least one credit"
    keys = {"client": client_id, "event_type": event_type_id}
    connection = session.connection()
    at_once = is_possible(connection)
    if not _guarded(connection, keys, quantity, actor, compiled=at_once):
        return _refuse_or_repeat(session, client_id, event_type_id, booking_id, quantity, actor)
    takes: list[Take] = []
    if at_once and lot_id is None:
        takes = take_at_once(
            connection,
            client_id=client_id,
            event_type_id=event_type_id,
            booking_id=booking_id,
            on=on,
            actor=actor,
            quantity=quantity,
        )
    if not takes:
        found = connection.execute(_spendable, {**keys, "booking": booking_id}).all()
        act = _last_act(session, booking_id, actor) if any(row.history for row in found) else None
        if act and act.kind != EntryKind.release:
            _give_back(session, keys, quantity)
            return _repeat(act, client_id, event_type_id, quantity)
        takes = burn((_as_lot(row) for row in found if lot_id in (None, row.id)), quantity, on)
        if not takes:
            _give_back(session, keys, quantity)
            raise NotEnoughCredits
        turn = _next_turn(session, booking_id, EntryKind.reserve) if act else 0
        post(session, _reservations(takes, keys, booking_id, turn), actor=actor)
    _log(actor, "reserve_credits", client_id, booking_id, quantity)
    return takes


def _guarded(connection: Connection, keys: Mapping[str, int], quantity: int, actor: Actor, *, compiled: bool) -> bool:
    """Move credits of the balance from available to reserved if there are enough and the client is in reach."""
    parameters = {**keys, "count": quantity}
    if not actor.sees_everything:
        reached = _guard.where(balances.c.client_id.in_(select(clients_table.c.id).where(reach_of(actor))))
        return connection.execute(reached, parameters).rowcount == 1
    if compiled:
        return run_compiled(connection, _guard, parameters).rowcount == 1
    return connection.execute(_guard, parameters).rowcount == 1


def _as_lot(row: Any) -> SpendableLot:
    return SpendableLot(row.id, row.available, row.priority, row.expires_on, row.unit_value, row.granted_at)


def _reservations(takes: Sequence[Take], keys: Mapping[str, int], booking_id: int, turn: int) -> list[Move]:
    return [
        Move(
            take.lot_id,
            keys["client"],
            keys["event_type"],
            EntryKind.reserve,
            take.quantity,
            booking_id=booking_id,
            turn=turn,
        )
        for take in takes
    ]


def consume_credits(session: Session, *, booking_id: int, actor: Actor, reason: str | None = None) -> list[Take]:
    """Use up what a booking reserved: the session took place, or the credit is forfeited.

    Raises: BookingStateConflict.
    """
    allowed = (EntryKind.reserve, EntryKind.restore)
    return _follow(session, booking_id, EntryKind.consume, allowed, actor=actor, reason=reason)


def restore_credits(session: Session, *, booking_id: int, actor: Actor, reason: str | None = None) -> list[Take]:
    """Take back a consumption (attendance was entered wrongly): the credits are reserved again.

    Raises: BookingStateConflict.
    """
    return _follow(session, booking_id, EntryKind.restore, (EntryKind.consume,), actor=actor, reason=reason)


def release_credits(
    session: Session,
    *,
    booking_id: int,
    actor: Actor,
    today: dt.date,
    grace_days: int,
    reason: str | None = None,
) -> list[Take]:
    """Give the reserved credits of a booking back to the lots they came from.

    A lot that expired meanwhile becomes good for `grace_days` more; what else was left in it expires first,
    so that only the returned credits have the new days.
    Raises: BookingStateConflict.
    """
    allowed = (EntryKind.reserve, EntryKind.restore)
    act, repeated = _begin(session, booking_id, EntryKind.release, allowed, actor)
    if repeated:
        return act.takes
    turn = _next_turn(session, booking_id, EntryKind.release)
    held = {
        row.id: row
        for row in session.execute(
            select(lots.c.id, lots.c.available, lots.c.expires_on).where(
                lots.c.id.in_([take.lot_id for take in act.takes])
            )
        )
    }
    lapsed = 0
    for row in act.rows:
        lot = held[row.lot_id]
        until = grace_date(lot.expires_on, today, grace_days)
        if until and lot.available:
            lapsed += lot.available
            post(session, [_move(row, EntryKind.expire, lot.available)], actor=actor)
        move = _move(
            row,
            EntryKind.release,
            abs(row.reserved_change),
            reason=_with_grace(reason, until),
            booking_id=booking_id,
            turn=turn,
            reversal_of_id=row.id,
        )
        if until:
            extend(session, row.lot_id, until)
        post(session, [move], actor=actor)
    _change_balance(session, act, available=act.quantity - lapsed, reserved=-act.quantity)
    _log(actor, "release_credits", act.rows[0].client_id, booking_id, act.quantity)
    return act.takes


def _follow(
    session: Session,
    booking_id: int,
    kind: EntryKind,
    allowed: Sequence[EntryKind],
    *,
    actor: Actor,
    reason: str | None,
) -> list[Take]:
    """Consume or restore: only reserved and used change."""
    act, repeated = _begin(session, booking_id, kind, allowed, actor)
    if repeated:
        return act.takes
    turn = _next_turn(session, booking_id, kind)
    moves = [
        _move(
            row,
            kind,
            abs(row.reserved_change),
            reason=_cut(reason),
            booking_id=booking_id,
            turn=turn,
            reversal_of_id=row.id if kind == EntryKind.restore else None,
        )
        for row in act.rows
    ]
    post(session, moves, actor=actor)
    sign = 1 if kind == EntryKind.consume else -1
    _change_balance(session, act, reserved=-sign * act.quantity, used=sign * act.quantity)
    _log(actor, f"{kind}_credits", act.rows[0].client_id, booking_id, act.quantity)
    return act.takes


def _begin(
    session: Session, booking_id: int, kind: EntryKind, allowed: Sequence[EntryKind], actor: Actor
) -> tuple[Act, bool]:
    """Lock the booking's balance and read what its credits are doing; also whether `kind` was done already.

    Raises: BookingStateConflict, also for a booking that has nothing reserved or is out of reach.
    """
    session.execute(
        select(balances.c.client_id)
        .join(
            entries,
            (entries.c.client_id == balances.c.client_id) & (entries.c.event_type_id == balances.c.event_type_id),
        )
        .where(entries.c.booking_id == booking_id)
        .with_for_update(of=balances)
    ).all()
    act = _last_act(session, booking_id, actor)
    if act is None or (act.kind != kind and act.kind not in allowed):
        raise BookingStateConflict(state=dict(ENTRY_KINDS)[EntryKind(act.kind)] if act else _l("nothing is reserved"))
    return act, act.kind == kind


def _last_act(session: Session, booking_id: int, actor: Actor) -> Act | None:
    query = select(entries).where(entries.c.booking_id == booking_id).order_by(entries.c.id)
    if not actor.sees_everything:
        query = query.where(entries.c.client_id.in_(select(clients_table.c.id).where(reach_of(actor))))
    rows = session.execute(query).all()
    if not rows:
        return None
    kind, turn = rows[-1].kind, rows[-1].turn
    return Act(EntryKind(kind), turn, [row for row in rows if (row.kind, row.turn) == (kind, turn)])


def _next_turn(session: Session, booking_id: int, kind: EntryKind) -> int:
    last = session.execute(
        select(func.max(entries.c.turn)).where(entries.c.booking_id == booking_id, entries.c.kind == kind)
    ).scalar()
    return 0 if last is None else last + 1


def _refuse_or_repeat(
    session: Session, client_id: int, event_type_id: int, booking_id: int, quantity: int, actor: Actor
) -> list[Take]:
    reached = session.execute(select(clients_table.c.id).where(clients_table.c.id == client_id, reach_of(actor)))
    if reached.first() is None:
        raise NotFound
    act = _last_act(session, booking_id, actor)
    if act is None or act.kind == EntryKind.release:
        raise NotEnoughCredits
    return _repeat(act, client_id, event_type_id, quantity)


def _repeat(act: Act, client_id: int, event_type_id: int, quantity: int) -> list[Take]:
    """The first answer again, if the booking holds exactly what is asked. Raises: BookingStateConflict."""
    row = act.rows[0]
    same = (row.client_id, row.event_type_id, act.quantity) == (client_id, event_type_id, quantity)
    if act.kind == EntryKind.consume or not same:
        raise BookingStateConflict(state=dict(ENTRY_KINDS)[EntryKind(act.kind)])
    return act.takes


def _give_back(session: Session, keys: dict[str, int], quantity: int) -> None:
    """Undo the guard, so that a refusal has written nothing even if the caller's transaction goes on."""
    session.connection().execute(
        update_balances()
        .where(balances.c.client_id == keys["client"], balances.c.event_type_id == keys["event_type"])
        .values(available=balances.c.available + quantity, reserved=balances.c.reserved - quantity)
    )


def _change_balance(session: Session, act: Act, **changes: int) -> None:
    row = act.rows[0]
    session.execute(
        update_balances()
        .where(balances.c.client_id == row.client_id, balances.c.event_type_id == row.event_type_id)
        .values({name: balances.c[name] + change for name, change in changes.items() if change})
    )


def _move(row: Any, kind: EntryKind, quantity: int, **more: Any) -> Move:
    return Move(row.lot_id, row.client_id, row.event_type_id, kind, quantity, **more)


def _with_grace(reason: str | None, until: dt.date | None) -> str | None:
    return _cut(f"{GRACE_MARK}{until.isoformat()} {reason or ''}".strip()) if until else _cut(reason)


def _cut(reason: str | None) -> str | None:
    return reason[:REASON_LENGTH] if reason else None


def _log(actor: Actor, verb: str, client_id: int, booking_id: int, credits: int) -> None:
    """The ledger is the record of who did this, when and why; an audit event would only say it again."""
    audit.log_event(
        actor=actor,
        verb=verb,
        record="booking",
        record_id=booking_id,
        client_id=client_id,
        credits=credits,
    )

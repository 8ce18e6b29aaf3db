"""Spending: a booking reserves credits, completing it consumes them, cancelling it gives them back.

What a booking's credits are doing is the kind of its last act in the ledger. Each verb is allowed from
certain acts only; asked again, it answers with what it did the first time. `turn` numbers the acts of one
kind, so that the database refuses a second one even where two workers overtake each other.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from ...core import audit
from ...core.scope import Actor, reach_of
from ...people.models import Client
from ..calc import Take, burn, grace_date
from ..errors import BookingStateConflict, NotEnoughCredits
from ..labels import ENTRY_KINDS
from ..models import EntryKind, balances, entries, lots, something_left
from .household import lock_sharers, spendable_together
from .ledger import REASON_LENGTH, Move, change_balance, post, require_reached, update_balances
from .lots import as_lot, spendable_columns, usable
from .take import Wish, take_at_once

clients_table: Any = Client.__table__


class Act(NamedTuple):
    """The entries of one verb on one booking."""

    kind: EntryKind
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
    *spendable_columns,
    lots.c.enrollment_id,
    select(func.count())
    .select_from(entries)
    .where(entries.c.booking_id == bindparam("booking"))
    .scalar_subquery()
    .label("history"),
).where(
    lots.c.client_id == bindparam("client"),
    lots.c.event_type_id == bindparam("event_type"),
    something_left,
    usable,
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
    enrollment_id: int | None = None,
    participant_id: int | None = None,
    may_pay: Callable[[int], bool] | None = None,
) -> list[Take]:
    """Reserve credits for a booking of the day `on`, from lots in burn order or from the lot named.

    With `enrollment_id` only its lots pay. A lot restricted to participants pays only when one of them attends;
    a held one pays for nothing; whether a lot of an enrollment pays is what `may_pay` says, if given. Where the
    client's own lots do not suffice, those that others of the household share make up the rest.

    Guard, then take: the first statement locks the balance and checks it, so that of any number of bookings
    at once exactly as many succeed as there are credits. The lots are read by a later statement, which sees
    what others have committed before.
    Raises: NotEnoughCredits; NotFound for a client out of reach; BookingStateConflict.
    """
    assert quantity > 0, "a booking takes at least one credit"
    wish = Wish(client_id, event_type_id, booking_id, on, quantity, lot_id, enrollment_id, participant_id, may_pay)
    takes = take_at_once(session, wish, actor) or _take(session, wish, actor)
    _log(actor, "reserve_credits", client_id, booking_id, quantity)
    return takes


def _take(session: Session, wish: Wish, actor: Actor) -> list[Take]:
    """Take from the client's own lots if the balance passes the guard, else from those of the household too."""
    guard = _guard
    if not actor.sees_everything:
        guard = _guard.where(balances.c.client_id.in_(select(clients_table.c.id).where(reach_of(actor))))
    if session.execute(guard, {**wish.keys, "count": wish.quantity}).rowcount == 1:  # type: ignore[attr-defined]
        return _take_own(session, wish, actor)
    require_reached(session, wish.client_id, actor)
    return _take_shared(session, wish, actor, guarded=False)


def _take_own(session: Session, wish: Wish, actor: Actor) -> list[Take]:
    """Take from the lots of a client whose balance passed the guard; else from those of the household."""
    parameters = {
        **wish.keys, "booking": wish.booking_id, "enrollment": wish.enrollment_id, "participant": wish.participant_id,
    }
    found = session.connection().execute(_spendable, parameters).all()
    takes = burn((as_lot(row) for row in found if wish.admits(row.id, row.enrollment_id)), wish.quantity, wish.on)
    act = _last_act(session, wish.booking_id, actor) if any(row.history for row in found) else None
    if act and act.kind != EntryKind.release:
        change_balance(session, wish.client_id, wish.event_type_id, available=wish.quantity, reserved=-wish.quantity)
        return _repeat(act, wish)
    if not takes:
        # Also when the caller's transaction goes on after the refusal, it has written nothing.
        change_balance(session, wish.client_id, wish.event_type_id, available=wish.quantity, reserved=-wish.quantity)
        return _take_shared(session, wish, actor, guarded=True)
    turn = _next_turn(session, wish.booking_id, EntryKind.reserve) if act else 0
    post(session, [_reservation(take, wish, wish.client_id, turn) for take in takes], actor=actor)
    return takes


def _take_shared(session: Session, wish: Wish, actor: Actor, *, guarded: bool) -> list[Take]:
    """Take what the client's own lots cannot pay from lots that others of the household share with them.

    Raises: NotEnoughCredits, BookingStateConflict.
    """
    sharers = lock_sharers(session, wish, own_is_locked=guarded)
    act = _last_act(session, wish.booking_id, actor)
    if act and act.kind != EntryKind.release:
        return _repeat(act, wish)
    owners, found = spendable_together(session, wish, sharers) if sharers else ({}, [])
    takes = burn(found, wish.quantity, wish.on)
    if not takes:
        raise NotEnoughCredits
    turn = _next_turn(session, wish.booking_id, EntryKind.reserve) if act else 0
    post(session, [_reservation(take, wish, owners[take.lot_id], turn) for take in takes], actor=actor)
    for owner in sorted({owners[take.lot_id] for take in takes}):
        part = sum(take.quantity for take in takes if owners[take.lot_id] == owner)
        change_balance(session, owner, wish.event_type_id, available=-part, reserved=part)
    return takes


def _reservation(take: Take, wish: Wish, owner: int, turn: int) -> Move:
    return Move(
        take.lot_id,
        owner,
        wish.event_type_id,
        EntryKind.reserve,
        take.quantity,
        booking_id=wish.booking_id,
        turn=turn,
        member_id=wish.client_id if owner != wish.client_id else None,
    )


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
    found = session.execute(
        select(lots.c.id, lots.c.available, lots.c.expires_on, lots.c.held).where(
            lots.c.id.in_([take.lot_id for take in act.takes])
        )
    )
    back_in = {row.id: row for row in found}
    lapsed: dict[int, int] = {}
    for row in act.rows:
        lot = back_in[row.lot_id]
        until = None if lot.held else grace_date(lot.expires_on, today, grace_days)
        if until and lot.available:
            lapsed[row.client_id] = lapsed.get(row.client_id, 0) + lot.available
            post(session, [_move(row, EntryKind.expire, lot.available)], actor=actor)
        move = _move(
            row,
            EntryKind.release,
            abs(row.reserved_change),
            reason=_cut(reason),
            booking_id=booking_id,
            turn=turn,
            reversal_of_id=row.id,
            member_id=row.member_id,
            old_expires_on=lot.expires_on if until else None,
            new_expires_on=until,
        )
        if until:
            session.execute(update(lots).where(lots.c.id == row.lot_id).values(expires_on=until))
        post(session, [move], actor=actor)
    for owner, event_type_id, part in _by_owner(act):
        change_balance(session, owner, event_type_id, available=part - lapsed.get(owner, 0), reserved=-part)
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
            member_id=row.member_id,
        )
        for row in act.rows
    ]
    post(session, moves, actor=actor)
    sign = 1 if kind == EntryKind.consume else -1
    for owner, event_type_id, part in _by_owner(act):
        change_balance(session, owner, event_type_id, reserved=-sign * part, used=sign * part)
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
        .order_by(balances.c.client_id, balances.c.event_type_id)
        .with_for_update(of=balances)
    ).all()
    act = _last_act(session, booking_id, actor)
    if act is None or (act.kind != kind and act.kind not in allowed):
        raise BookingStateConflict(state=dict(ENTRY_KINDS)[EntryKind(act.kind)] if act else _l("nothing is reserved"))
    return act, act.kind == kind


def _last_act(session: Session, booking_id: int, actor: Actor) -> Act | None:
    query = select(entries).where(entries.c.booking_id == booking_id).order_by(entries.c.id)
    if not actor.sees_everything:
        # Whoever reaches the client who came may act on the booking, also where a shared lot paid for it.
        spender = func.coalesce(entries.c.member_id, entries.c.client_id)
        query = query.where(spender.in_(select(clients_table.c.id).where(reach_of(actor))))
    rows = session.execute(query).all()
    if not rows:
        return None
    kind, turn = rows[-1].kind, rows[-1].turn
    return Act(EntryKind(kind), [row for row in rows if (row.kind, row.turn) == (kind, turn)])


def _next_turn(session: Session, booking_id: int, kind: EntryKind) -> int:
    last = session.execute(
        select(func.max(entries.c.turn)).where(entries.c.booking_id == booking_id, entries.c.kind == kind)
    ).scalar()
    return 0 if last is None else last + 1


def _repeat(act: Act, wish: Wish) -> list[Take]:
    """The first answer again, if the booking holds exactly what is asked. Raises: BookingStateConflict."""
    row = act.rows[0]
    held = (row.member_id or row.client_id, row.event_type_id, act.quantity)
    if act.kind == EntryKind.consume or held != (wish.client_id, wish.event_type_id, wish.quantity):
        raise BookingStateConflict(state=dict(ENTRY_KINDS)[EntryKind(act.kind)])
    return act.takes


def _by_owner(act: Act) -> list[tuple[int, int, int]]:
    """Client, event type and credits of each balance that an act concerns, in key order."""
    parts: dict[tuple[int, int], int] = {}
    for row in act.rows:
        key = (row.client_id, row.event_type_id)
        parts[key] = parts.get(key, 0) + abs(row.reserved_change)
    return [(*key, part) for key, part in sorted(parts.items())]


def _move(row: Any, kind: EntryKind, quantity: int, **more: Any) -> Move:
    return Move(row.lot_id, row.client_id, row.event_type_id, kind, quantity, **more)


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

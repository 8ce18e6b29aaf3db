"""What pays for a booking: credits are reserved, used and given back; charges issued and withdrawn."""

import datetime as dt
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from ...billing.models import Charge, ChargeStatus
from ...billing.service import issue_charge, void_charge
from ...catalog.queries import single_price
from ...core import clock
from ...core.errors import AddonError
from ...core.scope import Actor
from ...credits.errors import NotEnoughCredits
from ...credits.models import lot_participants, lots, something_left
from ...credits.service import consume_credits, release_credits, reserve_credits, restore_credits
from ...people.models import Club
from ..calc import BY_CREDIT, OFF, BookingState, Pays, PayWith
from ..errors import PriceMissing, TrialUsed
from ..hooks import enrollment_guard, policy
from ..models import Booking, ScheduledSession
from .places import bookings, day_of, lock_accounts, zone_of

WITHDRAWN = _l("Booking cancelled")


def note(session: Session, booking: Booking, **values: Any) -> None:
    """Write columns of a booking that the row scope need not look at again."""
    session.flush()
    session.execute(update(bookings).where(bookings.c.id == booking.id).values(**values, updated_at=clock.now()))
    for name, value in values.items():
        set_committed_value(booking, name, value)


def set_state(session: Session, booking: Booking, state: BookingState, **values: Any) -> None:
    """Give a booking another state, with what follows from it."""
    live = None if state in OFF else True
    held = {} if state == BookingState.waitlisted else {"held_until": None}
    note(session, booking, state=state, live=live, **held, **values)


def wish_of(booking: Booking) -> PayWith:
    """What was agreed to pay for a booking."""
    pays = Pays(booking.pays) if booking.pays else None
    return PayWith(
        pays,
        booking.enrollment_id if pays == Pays.enrollment else None,
        booking.lot_id if pays == Pays.lot else None,
        booking.amount,
    )


def pay(session: Session, booking: Booking, item: ScheduledSession, wish: PayWith, *, actor: Actor) -> None:
    """Let a booking that takes a place be paid for.

    Raises: NotEnoughCredits, PriceMissing, TrialUsed, what the guard of an enrollment says.
    """
    match wish.pays:
        case Pays.charge:
            _charge(session, booking, item, wish.amount, actor)
            note(session, booking, pays=Pays.charge)
        case Pays.trial:
            _refuse_second_trial(session, booking, item)
            note(session, booking, pays=Pays.trial)
        case Pays.nothing:
            note(session, booking, pays=Pays.nothing)
        case _:
            day = day_of(session, item)
            lot_id = reserve(
                session, booking_id=booking.id, client_id=booking.client_id, participant_id=booking.participant_id,
                event_type_id=item.event_type_id, day=day, wish=wish, actor=actor,
            )
            of_lot = select(lots.c.enrollment_id).where(lots.c.id == lot_id)
            enrollment_id = session.connection().execute(of_lot).scalar()
            pays = Pays.lot if enrollment_id is None else Pays.enrollment
            note(session, booking, pays=pays, enrollment_id=enrollment_id, lot_id=lot_id)


class Guards:
    """What the guards say of the enrollments that could pay for a participant's session of a day, asked once each.

    `refusals`: why those that were asked and can't pay cannot, in the order of asking.
    """

    def __init__(self, session: Session, client_id: int, participant_id: int, day: dt.date) -> None:
        self._asked = (session, client_id, participant_id, day)
        self._answers: dict[int, bool] = {}
        self.refusals: list[AddonError] = []

    def let_pay(self, enrollment_id: int) -> bool:
        if enrollment_id not in self._answers:
            session, client_id, participant_id, day = self._asked
            try:
                enrollment_guard(session, enrollment_id, client_id, participant_id, day)
                self._answers[enrollment_id] = True
            except AddonError as refusal:
                self.refusals.append(refusal)
                self._answers[enrollment_id] = False
        return self._answers[enrollment_id]


def reserve(
    session: Session,
    *,
    booking_id: int,
    client_id: int,
    participant_id: int,
    event_type_id: int,
    day: dt.date,
    wish: PayWith,
    actor: Actor,
) -> int:
    """Reserve a credit: of the enrollment or the lot named, else of whatever is good for it; the lot's key.

    Raises: NotEnoughCredits; what the guard says of the enrollment named, or of the first one that had credits,
    free or on hold, where nothing else could pay.
    """
    guards = Guards(session, client_id, participant_id, day)
    if wish.enrollment_id is not None:
        lock_accounts(session, [client_id], [event_type_id])  # whoever ends or rests it holds the balance as well
        if not guards.let_pay(wish.enrollment_id):
            raise guards.refusals[0]
    try:
        takes = reserve_credits(
            session, client_id=client_id, event_type_id=event_type_id, booking_id=booking_id, on=day, actor=actor,
            lot_id=wish.lot_id, enrollment_id=wish.enrollment_id, participant_id=participant_id,
            may_pay=guards.let_pay,
        )
    except NotEnoughCredits:
        for enrollment_id in _resting(session, client_id, participant_id, event_type_id):
            guards.let_pay(enrollment_id)
        if guards.refusals:
            raise guards.refusals[0] from None
        raise
    return takes[0].lot_id


def _resting(session: Session, client_id: int, participant_id: int, event_type_id: int) -> list[int]:
    """Enrollments whose credits a participant could spend if they weren't on hold, the oldest first."""
    restricted = select(lot_participants.c.lot_id).where(lot_participants.c.lot_id == lots.c.id)
    theirs = restricted.where(lot_participants.c.participant_id == participant_id)
    found = session.connection().execute(
        select(lots.c.enrollment_id)
        .where(
            lots.c.client_id == client_id, lots.c.event_type_id == event_type_id, lots.c.held, something_left,
            lots.c.enrollment_id.is_not(None), or_(~restricted.exists(), theirs.exists()),
        )
        .order_by(lots.c.id)
    )
    return list(found.scalars())


def _charge(
    session: Session, booking: Booking, item: ScheduledSession, amount: int | None, actor: Actor
) -> None:
    """Charge the amount given, else the group's price of a single class, else a session's share of a package."""
    if amount is None and item.group:
        amount = item.group.dropin_price
    if amount is None:
        amount = single_price(session, item.club_id, item.event_type_id)
    if amount is None:
        raise PriceMissing
    club = session.get(Club, item.club_id)
    assert club is not None, "a session's club exists"
    day = day_of(session, item)
    issue_charge(
        session, client_id=booking.client_id, what=f"{item.label} · {day.isoformat()}"[:200], gross=amount,
        currency=club.currency, due_on=day, booking_id=booking.id, actor=actor,
    )


def _refuse_second_trial(session: Session, booking: Booking, item: ScheduledSession) -> None:
    """One trial per participant and event type. Raises: TrialUsed."""
    before = session.scalars(
        select(Booking.id)
        .join(ScheduledSession, ScheduledSession.id == Booking.session_id)
        .where(
            Booking.participant_id == booking.participant_id, Booking.pays == Pays.trial, Booking.id != booking.id,
            Booking.state.not_in(OFF), ScheduledSession.event_type_id == item.event_type_id,
        )
        .limit(1)
    ).first()
    if before is not None:
        raise TrialUsed(name=booking.participant.name, event_type=item.event_type.label)


def use_up(session: Session, booking: Booking, *, actor: Actor, reason: str | None = None) -> int:
    """Use the credit that a booking has reserved; how many that were. Other means of paying stay as they are."""
    if booking.pays not in BY_CREDIT:
        return 0
    taken = consume_credits(session, booking_id=booking.id, actor=actor, reason=reason)
    return sum(take.quantity for take in taken)


def take_back_use(session: Session, booking: Booking, *, actor: Actor, reason: str | None = None) -> None:
    """Reserve again what a booking used up."""
    if booking.pays in BY_CREDIT:
        restore_credits(session, booking_id=booking.id, actor=actor, reason=reason)


def give_back(
    session: Session, booking: Booking, item: ScheduledSession, *, actor: Actor, reason: str | None = None
) -> int:
    """Return what a booking holds: its credit to the lot it came from, its charge withdrawn. How many credits."""
    if booking.pays in BY_CREDIT:
        returned = release_credits(
            session, booking_id=booking.id, actor=actor, today=clock.today(zone_of(session, item.club_id)),
            grace_days=policy().grace_days, reason=reason,
        )
        return sum(take.quantity for take in returned)
    if booking.pays == Pays.charge:
        open_ones = session.scalars(
            select(Charge.id).where(Charge.booking_id == booking.id, Charge.status != ChargeStatus.void)
        ).all()
        for charge_id in open_ones:
            void_charge(session, charge_id=charge_id, reason=reason or str(WITHDRAWN), actor=actor)
    return 0


def wish_again(booking: Booking) -> PayWith:
    """How a booking that was given up is paid for again: as before, from the same lot."""
    if booking.pays in BY_CREDIT:
        return PayWith(Pays(booking.pays), booking.enrollment_id, booking.lot_id, None)
    return wish_of(booking)

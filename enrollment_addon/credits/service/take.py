"""Taking from the first lot in burn order by a function of the database, where it can (PostgreSQL).

It is the way that nearly every booking goes. What the function (`..functions`) does not reserve, for whatever
reason, goes the long way, which says why.
"""

import datetime as dt
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from ...core import clock
from ...core.compiled import is_possible, run_compiled
from ...core.scope import Actor
from ..calc import Take
from .ledger import require_reached


class Wish(NamedTuple):
    """What a booking asks for: `quantity` credits for a client's session of an event type on a day.

    `lot_id` and `enrollment_id` name what shall pay, `participant_id` who attends; `may_pay` is asked about the
    enrollment that a lot belongs to.
    """

    client_id: int
    event_type_id: int
    booking_id: int
    on: dt.date
    quantity: int
    lot_id: int | None = None
    enrollment_id: int | None = None
    participant_id: int | None = None
    may_pay: Callable[[int], bool] | None = None

    def admits(self, lot_id: int, enrollment_id: int | None) -> bool:
        """Whether a lot that is good for it by the ledger may pay by what was asked for, too."""
        if self.lot_id not in (None, lot_id):
            return False
        return enrollment_id is None or self.may_pay is None or self.may_pay(enrollment_id)

    @property
    def keys(self) -> dict[str, int]:
        return {"client": self.client_id, "event_type": self.event_type_id}


_reserve = text(
    "SELECT enrollment_reserve_at_once("
    "CAST(:client AS bigint), CAST(:event_type AS bigint), CAST(:booking AS bigint), CAST(:day AS date), "
    "CAST(:count AS integer), CAST(:participant AS bigint), CAST(:enrollment AS bigint), "
    "CAST(:at AS timestamptz), CAST(:actor AS integer))"
)


def take_at_once(session: Session, wish: Wish, actor: Actor) -> list[Take]:
    """Reserve what a booking asks for from the client's first lot; empty, and nothing changed, where that is not it.

    Raises: NotFound for a client out of reach.
    """
    connection = session.connection()
    if wish.lot_id is not None or wish.may_pay is not None or not is_possible(connection):
        return []
    if not actor.sees_everything:
        require_reached(session, wish.client_id, actor)
    parameters = {
        **wish.keys, "booking": wish.booking_id, "day": wish.on, "count": wish.quantity,
        "participant": wish.participant_id, "enrollment": wish.enrollment_id, "at": clock.now(),
        "actor": actor.user_id,
    }
    lot_id = run_compiled(connection, _reserve, parameters).scalar_one()
    return [] if lot_id is None else [Take(lot_id, wish.quantity)]

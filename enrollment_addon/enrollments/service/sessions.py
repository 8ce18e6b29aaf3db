"""Changing how many sessions an enrollment has."""

from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from ...core import money
from ...core.errors import InvalidInput
from ...core.fields import clean, whole
from ...core.scope import Actor
from .. import queries, reasons
from ..calc import Status, price_of
from ..errors import HasEnded, TotalBelowFloor
from ..models import Enrollment
from .steps import (
    add_sessions,
    charge,
    lock,
    note,
    once,
    refusal_of,
    today_at,
    value_of_one,
    void_sessions,
)

MOST_SESSIONS = 1_000


def update_sessions(
    session: Session, *, enrollment_id: int, total: int, actor: Actor, charge_amount: Decimal | str | int | None = None,
    idempotency_key: str | None = None,
) -> Enrollment:
    """Agree on a new total of sessions; more of them may be charged, fewer are taken back.

    `charge_amount` in the enrollment's currency. Raises: NotFound, InvalidInput, StatusConflict; TotalBelowFloor
    for fewer than are used and reserved; HasEnded for more once the last day is over.
    """
    total = clean({"total": total}, {"total": whole(0, MOST_SESSIONS)})["total"]

    def change() -> int:
        item = lock(session, enrollment_id)
        if item.status != Status.active:
            raise refusal_of(item)
        before, counts = item.total, queries.counts_of(session, item.id)
        if total < counts.used + counts.reserved:
            refused = TotalBelowFloor(floor=counts.used + counts.reserved, used=counts.used, reserved=counts.reserved)
            raise TotalBelowFloor(fields={"total": refused.text()}, **refused.params)
        amount = 0 if charge_amount is None else money.from_field(charge_amount, item.currency, "charge")
        if amount and total <= before:
            raise InvalidInput(fields={"charge": _l("Only more sessions can be charged.")})
        taken = 0
        if total > before:
            if item.ends_on is not None and item.ends_on < today_at(item):
                raise HasEnded(day=item.ends_on)
            added = total - before
            unit_value = value_of_one(item) if charge_amount is None else price_of(1, price=amount, total=added)
            add_sessions(session, item, added, unit_value=unit_value, actor=actor)
            charge(session, item, str(item.package or _l("Sessions")), amount, actor=actor)
        else:
            reason = reasons.UPDATED(number=item.id, before=before, after=total)
            taken = void_sessions(session, item, min(before - total, counts.remaining), reason=reason, actor=actor)
        item.total, item.price = total, item.price + amount
        note(
            session, item, "update_sessions", Status.active, actor=actor, total_before=before, total=total,
            charged=amount, currency=item.currency, taken_back=taken,
        )
        return item.id

    asked: dict[str, Any] = {"enrollment_id": enrollment_id, "total": total, "charge": charge_amount}
    return once(session, key=idempotency_key, verb="update_sessions", asked=asked, do=change)

"""Payments that a payer's bank wants back: what the provider says of them.

Nothing that is settled changes by itself, because whether somebody still owes it is for people to say. What was
told stands in the audit, and is read from there.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.orm import Session

from ...core.audit import AuditEvent, record_event
from ...core.db import idempotent, key_list, require
from ...core.scope import Actor
from ..models import Payment
from .models import OnlinePayment
from .provider import Dispute, DisputeState
from .service import lock_paid

VERBS = {
    DisputeState.opened: "open_dispute", DisputeState.won: "win_dispute", DisputeState.lost: "lose_dispute",
}
_STATES = {verb: state for state, verb in VERBS.items()}

events: Table = AuditEvent.__table__  # type: ignore[assignment]
_told = (events.c.record == "payment") & events.c.verb.in_(_STATES)


@dataclass(frozen=True)
class Told:
    """The last that the provider said of a dispute."""

    state: DisputeState
    at: dt.datetime
    amount: int
    currency: str


def note_dispute(session: Session, *, online_payment_id: int, dispute: Dispute, actor: Actor) -> None:
    """Note what a provider says of a dispute, once, for people to look at. Raises: NotFound, Busy."""
    payment_id = require(session, OnlinePayment, online_payment_id).payment_id
    assert payment_id is not None, "found by the name of the payment"
    account, _request = lock_paid(session, payment_id)

    def note() -> dict[str, Any]:
        record_event(
            session, actor=actor, verb=VERBS[dispute.state], record="payment", record_id=payment_id,
            client_id=account.client_id, amount=dispute.amount, currency=dispute.currency, dispute=dispute.id,
        )
        return {}

    asked = {"dispute": dispute.id}
    idempotent(
        session, key=f"online-dispute:{dispute.id}:{dispute.state}", verb="note_dispute", asked=asked, do=note
    )


def disputed() -> ColumnElement[bool]:
    """Payments of which there was ever a dispute."""
    return Payment.id.in_(select(events.c.record_id).where(_told))


def disputes_of(session: Session, payment_ids: Iterable[int]) -> dict[int, list[Told]]:
    """The disputes of payments in reach, the oldest first; how one ended stays, whatever is heard late.

    Their events are read whoever they were of then: a payment's client may have been merged since.
    """
    rows = session.connection().execute(
        select(events).where(_told, events.c.record_id.in_(key_list(session, payment_ids))).order_by(events.c.id)
    )
    last: dict[tuple[int, str], Told] = {}
    for row in rows:
        key, said = (row.record_id, row.details["dispute"]), _STATES[row.verb]
        if said != DisputeState.opened or key not in last:
            last[key] = Told(said, row.at, row.details["amount"], row.details["currency"])
    found: dict[int, list[Told]] = {}
    for (payment_id, _name), told in last.items():
        found.setdefault(payment_id, []).append(told)
    return found

"""Voiding: taking back what is left in lots that staff picked."""

from collections.abc import Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import audit
from ...core.db import idempotent, key_list
from ...core.errors import InvalidInput, NotFound
from ...core.scope import Actor, reach_of
from ...people.models import Client
from ..models import EntryKind, lots
from .ledger import lock_balances, require_reason, retire

SLICE = 1_000
"""Lots per statement."""


def void_lots(
    session: Session, *, lot_ids: Sequence[int], reason: str, actor: Actor, idempotency_key: str | None = None
) -> dict[str, int]:
    """Take back the available rest of these lots; reserved and used credits stay. Answers `{voided}` credits.

    Raises: NotFound when any lot is unknown or out of reach (then none changes), InvalidInput.
    """
    reason = require_reason(reason)
    wanted = sorted(set(lot_ids))
    if not wanted:
        raise InvalidInput(fields={"lot_ids": _l("Please choose at least one lot.")})

    def do() -> dict[str, int]:
        found = session.execute(
            select(lots.c.id, lots.c.client_id)
            .join_from(lots, Client.__table__)
            .where(lots.c.id.in_(key_list(session, wanted)), reach_of(actor))
            .order_by(lots.c.client_id, lots.c.event_type_id, lots.c.id)
        ).all()
        if len(found) != len(wanted):
            raise NotFound
        voided = 0
        for start in range(0, len(found), SLICE):
            keys = [row.id for row in found[start : start + SLICE]]
            lock_balances(session, keys)
            voided += retire(session, keys, kind=EntryKind.void, reason=reason, actor=actor).credits
        holders = {row.client_id for row in found}
        audit.record_event(
            session,
            actor=actor,
            verb="void_lots",
            record="credit_lot",
            record_id=wanted[0] if len(wanted) == 1 else None,
            client_id=holders.pop() if len(holders) == 1 else None,
            reason=reason,
            lots=len(wanted),
            voided=voided,
        )
        return {"voided": voided}

    asked: dict[str, Any] = {"actor": actor.user_id, "lot_ids": wanted, "reason": reason}
    return idempotent(session, key=idempotency_key, verb="void_lots", asked=asked, do=do)

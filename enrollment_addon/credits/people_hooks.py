"""What credits tell the domains below: whom and what they hold, and how they move, are erased and shown."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, and_, case, func, select, update
from sqlalchemy.orm import Session

from ..catalog.models import EventType
from ..catalog.service import register_event_type_holder
from ..core.batches import Batch, BatchState, batches, register_batch_reach, targets
from ..core.scope import Actor, actor_of
from ..people import hooks
from ..people.calc import ERASED, redacted
from ..people.models import Client, Club, Participant, ParticipantKind
from .errors import ReservedCredits
from .labels import BATCH_KINDS
from .models import CreditBalance, CreditEntry, CreditLot, EntryKind, lot_participants
from .queries import CONVERSIONS, OF_CLIENTS, all_clients_reached
from .service.ledger import open_balances, retire
from .service.lots import insert_lot, restrict
from .service.undo import is_undoable

_lots, _entries, _balances, _event_types = (
    model.__table__ for model in (CreditLot, CreditEntry, CreditBalance, EventType)
)
_KEPT = (
    "event_type_id", "expires_on", "origin", "priority", "shared", "unit_value", "currency", "note",
    "granted_at", "enrollment_id", "held", "member_cap",
)
"""What a lot keeps when it moves. Not its batch: that one never served the client who has the credits now."""


def plug_in() -> None:
    """Register everything here; doing it again changes nothing."""
    label = _l("session credits")
    register_batch_reach("credits", all_clients_reached)
    hooks.register_client_holder(label, _clients_with_lots)
    hooks.register_club_amounts(label, _clubs_with_values)
    register_event_type_holder(label, _event_types_with_lots)
    hooks.register_participant_holder(label, _participants_with_lots)
    hooks.register_merge_step("credits", CreditMerge())
    hooks.register_erasure("credits", erase_credit_texts)
    hooks.register_client_batches("grants", client_batches_of)
    hooks.register_client_batches("lots", lot_batches_of)
    hooks.register_timeline_source("credits", told_entries, records=("batch", "credit_lot"))
    for name, table in (("credit_lots", _lots), ("credit_entries", _entries), ("credit_balances", _balances)):
        hooks.register_export_section(name, _exported(table))


def _clients_with_lots(session: Session, keys: list[int]) -> set[int]:
    return set(session.connection().execute(
        select(_lots.c.client_id).where(_lots.c.client_id.in_(keys)).distinct()
    ).scalars())


def _participants_with_lots(session: Session, keys: list[int]) -> set[int]:
    return set(session.connection().execute(
        select(lot_participants.c.participant_id).where(lot_participants.c.participant_id.in_(keys)).distinct()
    ).scalars())


def _event_types_with_lots(session: Session, keys: list[int]) -> set[int]:
    return set(session.connection().execute(
        select(_event_types.c.id).where(
            _event_types.c.id.in_(keys),
            select(_lots.c.id).where(_lots.c.event_type_id == _event_types.c.id).exists(),
        )
    ).scalars())


def _clubs_with_values(session: Session, keys: list[int]) -> set[int]:
    clients, clubs = Client.__table__, Club.__table__
    held = (
        select(_lots.c.id)
        .join(clients, clients.c.id == _lots.c.client_id)
        .where(clients.c.club_id == clubs.c.id, _lots.c.unit_value > 0, _lots.c.currency == clubs.c.currency)
    )
    return set(session.connection().execute(
        select(clubs.c.id).where(clubs.c.id.in_(keys), held.exists())
    ).scalars())


class CreditMerge:
    """Available credits go over as transfers, lot by lot; what was spent stays in the source's ledger."""

    def plan(self, session: Session, *, source_id: int, target_id: int) -> hooks.MergePart:
        """One row per event type that the source holds credits of. Reserved credits are an obstacle."""
        rows = session.execute(
            select(*(_balances.c[name] for name in ("client_id", "event_type_id", "available", "reserved")))
            .where(_balances.c.client_id.in_((source_id, target_id)))
        ).all()
        held = {(row.client_id, row.event_type_id): row for row in rows}
        moving = [row for row in rows if row.client_id == source_id and row.available]
        names = {
            item.id: item.label
            for item in session.scalars(
                select(EventType).where(EventType.id.in_([row.event_type_id for row in moving]))
            )
        }
        shown = []
        for row in moving:
            there = held.get((target_id, row.event_type_id))
            has = there.available if there else 0
            shown.append({
                "event_type_id": row.event_type_id, "event_type": names[row.event_type_id],
                "source": row.available, "target": has, "after": has + row.available,
            })
        reserved = sum(row.reserved for row in rows if row.client_id == source_id)
        shown.sort(key=lambda row: str(row["event_type"]))
        return hooks.MergePart(shown, ReservedCredits(count=reserved) if reserved else None)

    def move(
        self, session: Session, *, source_id: int, target_id: int, actor: Actor, reason: str
    ) -> Mapping[str, int]:
        """Transfer every available credit. Raises: ReservedCredits when one was booked in the meantime."""
        self._lock_balances(session, source_id, target_id)
        lots = session.execute(
            select(*(_lots.c[name] for name in ("id", "client_id", "available", "reserved", *_KEPT)))
            .where(_lots.c.client_id == source_id, (_lots.c.available > 0) | (_lots.c.reserved > 0))
            .order_by(_lots.c.id)
        ).all()
        if reserved := sum(lot.reserved for lot in lots):
            raise ReservedCredits(count=reserved)
        lot_ids = [lot.id for lot in lots]
        retired = retire(session, lot_ids, kind=EntryKind.transfer_out, reason=reason, actor=actor)
        left = self._last_entries(session, lot_ids)
        for lot in lots:
            self._arrive(session, lot, left[lot.id], target_id, actor, reason)
        return {"lots": retired.lots, "credits": retired.credits}

    def _lock_balances(self, session: Session, source_id: int, target_id: int) -> None:
        """Lock both clients' balances in key order; the target gets a row for what it doesn't hold yet."""
        held = session.execute(
            select(_balances.c.event_type_id).where(_balances.c.client_id == source_id)
        ).scalars().all()
        open_balances(session, [(client_id, key) for key in held for client_id in (source_id, target_id)])

    def _last_entries(self, session: Session, lot_ids: Sequence[int]) -> dict[int, int]:
        """The transfer-out entries just written, by lot."""
        found = session.execute(
            select(_entries.c.lot_id, func.max(_entries.c.id))
            .where(_entries.c.lot_id.in_(lot_ids), _entries.c.kind == EntryKind.transfer_out)
            .group_by(_entries.c.lot_id)
        )
        return {row[0]: row[1] for row in found}

    def _arrive(
        self, session: Session, lot: Any, left_by: int, target_id: int, actor: Actor, reason: str
    ) -> None:
        """The target's lot for one of the source's, its entry linked to the one the credits left by."""
        arrived = insert_lot(
            session, kind=EntryKind.transfer_in, actor=actor, reason=reason, reversal_of_id=left_by,
            client_id=target_id, quantity=lot.available, **{name: getattr(lot, name) for name in _KEPT},
        )
        restrict(session, [arrived], self._attending(session, lot.id, lot.client_id, target_id))

    def _attending(self, session: Session, lot_id: int, source_id: int, target_id: int) -> set[int]:
        """Whom the lot was for; where that was the source themself, it is the target now."""
        persons = Participant.__table__
        found = session.execute(
            select(persons.c.client_id, persons.c.id)
            .where(persons.c.client_id.in_((source_id, target_id)), persons.c.kind == ParticipantKind.self)
        )
        own = {row.client_id: row.id for row in found}
        named = set(session.execute(
            select(lot_participants.c.participant_id).where(lot_participants.c.lot_id == lot_id)
        ).scalars())
        return {own.get(target_id, key) if key == own.get(source_id) else key for key in named}


def client_batches_of(client_id: int) -> Select[Any]:
    """The grants and conversions that a client was chosen for; their targets are clients."""
    return (
        select(batches.c.id, batches.c.total)
        .join(targets, targets.c.batch_id == batches.c.id)
        .where(batches.c.kind.in_(OF_CLIENTS), targets.c.key == client_id)
    )


def lot_batches_of(client_id: int) -> Select[Any]:
    """What was done with lots of a client, as moves, new last days and taking back; their targets are lots."""
    theirs = select(targets.c.batch_id).join(_lots, _lots.c.id == targets.c.key).where(_lots.c.client_id == client_id)
    return (
        select(batches.c.id, func.count(_lots.c.client_id.distinct()))
        .join(targets, targets.c.batch_id == batches.c.id)
        .join(_lots, _lots.c.id == targets.c.key)
        .where(batches.c.kind.in_(BATCH_KINDS.keys() - set(OF_CLIENTS)), batches.c.id.in_(theirs))
        .group_by(batches.c.id)
    )


def erase_credit_texts(session: Session, *, client_id: int, needles: Sequence[str]) -> None:
    """Blank the notes and reasons in a client's lots and ledger: the one change the guard lets through.

    The others of a batch have the same note, perhaps with this client's name; there only the name goes.
    """
    shared = session.execute(
        select(_lots.c.batch_id, _lots.c.note)
        .where(
            _lots.c.batch_id.in_(select(_lots.c.batch_id).where(_lots.c.client_id == client_id)),
            _lots.c.note.is_not(None), _lots.c.client_id != client_id,
        )
        .distinct()
    ).all()
    for batch_id, note in shared:
        if (cleaned := redacted(note, needles)) != note:
            session.execute(
                update(_lots)  # type: ignore[arg-type]
                .where(_lots.c.batch_id == batch_id, _lots.c.note == note)
                .values(note=cleaned)
            )
    for table, column in ((_lots, "note"), (_entries, "reason")):
        session.execute(
            update(table)  # type: ignore[arg-type]
            .where(table.c.client_id == client_id, table.c[column].is_not(None), table.c[column] != ERASED)
            .values({column: ERASED})
        )


def told_entries(session: Session, client_ids: Sequence[int], limit: int) -> list[hooks.TimelineItem]:
    """The ledger of a client, newest first; what one verb did to an event type at once is one item.

    Reads four entries per item asked for: a verb that touches more lots than that at once tells the rest of
    them as an item of its own at the end of the list. `undoable` are batches that the person may see.
    """
    # Credits are voided by batches of their own: the one that gave them is not what did it.
    whole = case(
        (_entries.c.kind == EntryKind.void, _entries.c.batch_id),
        else_=func.coalesce(_entries.c.batch_id, _lots.c.batch_id),
    )
    rows = session.execute(
        select(
            *(column for column in _entries.c if column.name != "batch_id"),
            whole.label("batch_id"), batches.c.state, EventType,
            and_(batches.c.kind.in_(CONVERSIONS), batches.c.id == _entries.c.batch_id).label("converted"),
        )
        .join(_lots, _lots.c.id == _entries.c.lot_id)
        .join(EventType, EventType.id == _entries.c.event_type_id)
        .outerjoin(batches, batches.c.id == whole)
        .where(_entries.c.client_id.in_(client_ids))
        .order_by(_entries.c.id.desc())
        .limit(limit * 4)
    ).all()
    names = {row.event_type_id: row.EventType.label for row in rows}
    undoable = _undoable(session, rows)
    items = []
    for key, group in groupby(rows, key=_one_deed):
        kind, event_type_id, actor_id, reason, batch_id, booking_id, gives, _, _ = key
        entries = list(group)
        credits = sum(abs(row.available_change or row.reserved_change) for row in entries)
        details = {
            "event_type": names[event_type_id], "credits": credits, "batch_id": batch_id,
            "undoable": batch_id in undoable, "lots": len(entries), "gives": gives,
            "converted": bool(entries[0].converted),
            "until": entries[0].new_expires_on.isoformat() if entries[0].new_expires_on else None,
        }
        items.append(hooks.TimelineItem(
            entries[0].at, f"credits_{kind}", actor_id, "booking" if booking_id else "credit_lot",
            booking_id or entries[0].lot_id, reason, details,
        ))
    return items[:limit]


def _undoable(session: Session, rows: Sequence[Any]) -> set[int]:
    """The batches that can be undone, done ones and those whose job was stopped half-way, as far as they are in
    sight; who reaches all clients of a batch is asked once for each batch, not for each row."""
    found = {row.batch_id for row in rows if row.state == BatchState.done}
    if stuck := {row.batch_id for row in rows if row.state == BatchState.open}:
        opened = session.execute(select(batches).where(batches.c.id.in_(stuck)))
        found |= {batch.id for batch in opened if is_undoable(session, batch)}
    if found and not actor_of(session).sees_everything:
        found &= set(session.scalars(select(Batch.id).where(Batch.id.in_(found))))
    return found


def _one_deed(row: Any) -> tuple[Any, ...]:
    """What entries of one verb at one moment have in common."""
    return (
        str(row.kind), row.event_type_id, row.actor_id, row.reason, row.batch_id, row.booking_id,
        row.available_change > 0, row.at.replace(microsecond=0), row.new_expires_on,
    )


def _exported(table: Any) -> hooks.ExportSection:
    def section(session: Session, client_ids: Sequence[int]) -> list[hooks.Row]:
        found = session.execute(
            select(table).where(table.c.client_id.in_(client_ids)).order_by(*table.primary_key)
        ).mappings()
        return [{name: hooks.plain(value) for name, value in row.items()} for row in found]

    return section

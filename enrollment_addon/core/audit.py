"""Who did what: one row and one log line per business verb."""

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Index, String, insert, or_, select, text, true
from sqlalchemy.orm import Mapped, Session, mapped_column

from . import clock
from .compiled import is_possible, run_compiled
from .db import Base, Document, Key, User, UtcDateTime, user_key
from .log import tell_verb
from .scope import Actor, client_model, reach_of, scoped, started_by


@scoped
class AuditEvent(Base):
    """A verb that was carried out: append-only. `details` holds keys, numbers and reasons, no contact data."""

    __tablename__ = "enrollment_audit_event"
    __table_args__ = (Index(None, "client_id", "id"), Index(None, "record", "record_id"))
    __scope__ = "client_id"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    actor_id: Mapped[int | None] = user_key()  # type: ignore[assignment]
    verb: Mapped[str] = mapped_column(String(60))
    record: Mapped[str] = mapped_column(String(60))
    record_id: Mapped[int | None] = mapped_column(Key)
    client_id: Mapped[int | None] = mapped_column(Key)
    reason: Mapped[str | None] = mapped_column(String(500))
    details: Mapped[Any] = mapped_column(Document, nullable=True)

    @classmethod
    def within(cls, actor: Actor) -> ColumnElement[bool]:
        if actor.sees_everything:
            return true()
        clients = client_model().__table__
        return or_(
            cls.client_id.in_(select(clients.c.id).where(reach_of(actor))),
            cls.client_id.is_(None) & started_by(cls.actor_id, actor),
        )


# Built once: every verb runs it, most of them while they hold locks. The second one is for where it can be
# compiled once as well.
_insert_event = insert(AuditEvent.__table__)  # type: ignore[arg-type]
_insert_compiled = text(
    "INSERT INTO enrollment_audit_event (at, actor_id, verb, record, record_id, client_id, reason, details) "
    "VALUES (:at, :actor_id, :verb, :record, :record_id, :client_id, :reason, :details)"
)


def user_names(session: Session, user_ids: Iterable[int | None]) -> dict[int | None, str]:
    """The names of users of the host, by key, for telling who did something."""
    keys = {key for key in user_ids if key is not None}
    if not keys:
        return {}
    rows = session.execute(select(User.id, User.first_name, User.last_name).where(User.id.in_(keys)))
    return {row.id: f"{row.first_name} {row.last_name}".strip() for row in rows}


def record_event(
    session: Session,
    *,
    actor: Actor,
    verb: str,
    record: str,
    record_id: int | None = None,
    client_id: int | None = None,
    reason: str | None = None,
    **details: Any,
) -> None:
    """Note a verb in the same transaction as its effect, and log it without personal data."""
    told: dict[str, Any] = {
        "actor": actor, "verb": verb, "record": record, "record_id": record_id, "client_id": client_id, **details
    }
    row = event_row(reason=reason, **told)
    connection = session.connection()
    if is_possible(connection):
        run_compiled(connection, _insert_compiled, row)
    else:
        connection.execute(_insert_event, {**row, "details": details or None})
    log_event(**told)


def event_row(
    *,
    actor: Actor,
    verb: str,
    record: str,
    record_id: int | None = None,
    client_id: int | None = None,
    reason: str | None = None,
    **details: Any,
) -> dict[str, Any]:
    """An event's columns, the details as JSON text: for a statement that writes it together with its effect."""
    return {
        "at": clock.now(),
        "actor_id": actor.user_id,
        "verb": verb,
        "record": record,
        "record_id": record_id,
        "client_id": client_id,
        "reason": reason,
        "details": json.dumps(details or None),
    }


def log_event(
    *,
    actor: Actor,
    verb: str,
    record: str,
    record_id: int | None = None,
    client_id: int | None = None,
    **details: Any,
) -> None:
    """Only log a verb, without personal data: for one whose own append-only rows say who, when and why."""
    facts = {"record": record, "record_id": record_id, "client_id": client_id, "user_id": actor.user_id}
    tell_verb(verb, **{**details, **facts})

"""Everything that is stored about one client, as sections of plain rows, and as a ZIP of JSON and CSV."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from sqlalchemy import Table, or_, select
from sqlalchemy.orm import Session

from ...core.audit import AuditEvent, record_event
from ...core.exports import csv_lines
from ...core.scope import SYSTEM, Actor, acting_as
from .. import hooks
from ..models import Client, Household, Participant
from ..queries import identities, require_client

Sections = dict[str, list[hooks.Row]]


def export_client_data(session: Session, *, client_id: int, actor: Actor) -> Sections:
    """The sections of a client's data; records merged into the client are part of it. Raises: NotFound."""
    require_client(session, client_id)
    clients, participants, households, audit = (
        model.__table__ for model in (Client, Participant, Household, AuditEvent)
    )
    with acting_as(session, SYSTEM):  # a merged record may lie outside the actor's reach
        keys = identities(session, client_id)
        own = select(clients.c.household_id).where(clients.c.id.in_(keys))
        sections: Sections = {
            "client": _rows(session, clients, clients.c.id.in_(keys)),
            "participants": _rows(session, participants, participants.c.client_id.in_(keys)),
            "household": _rows(
                session, households, or_(households.c.id.in_(own), households.c.head_id.in_(keys))
            ),
            "history": _rows(session, audit, audit.c.client_id.in_(keys)),
        }
        for name, section in hooks.export_sections.items():
            sections[name] = section(session, keys)
    record_event(
        session, actor=actor, verb="export_client_data", record="client", record_id=client_id,
        client_id=client_id,
    )
    return sections


def _rows(session: Session, table: Any, where: Any) -> list[hooks.Row]:
    source: Table = table
    found = session.execute(select(source).where(where).order_by(source.c.id)).mappings()
    return [{name: hooks.plain(value) for name, value in row.items()} for row in found]


def write_archive(target: BinaryIO, sections: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write a ZIP with one JSON and one CSV file per section; cells are harmless in a spreadsheet."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in sections.items():
            archive.writestr(f"{name}.json", json.dumps(rows, ensure_ascii=False, indent=2))
            with archive.open(f"{name}.csv", "w") as raw, io.TextIOWrapper(raw, "utf-8", newline="") as file:
                header = list(dict.fromkeys(column for row in rows for column in row))
                cells = ([_cell(row.get(column)) for column in header] for row in rows)
                file.writelines(csv_lines(header, cells))


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value

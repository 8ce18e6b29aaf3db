"""Where the domains above say what hangs on a client, a club.

People knows nothing of credits, bookings or invoices: whoever has such records registers how they are
counted, moved by a merge, erased, exported and told in a client's timeline. Registering again under the same
name replaces, so that several applications can live in one process.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Select
from sqlalchemy.orm import Session

from ..core.errors import AddonError
from ..core.holders import Finder, Holders
from ..core.scope import Actor

Row = dict[str, Any]

client_holders = Holders()
participant_holders = Holders()
club_holders = Holders()
team_member_holders = Holders()
club_amounts = Holders()
"""What is counted in a club's currency."""


class MergePart(NamedTuple):
    """What one domain would move: rows to show, and why it can't be done now, if so."""

    rows: Sequence[Row] = ()
    obstacle: AddonError | None = None


class MergeStep(Protocol):
    """One domain's share in merging two clients, in the transaction of the merge."""

    def plan(self, session: Session, *, source_id: int, target_id: int) -> MergePart:
        """What would move; writes nothing."""
        ...

    def move(
        self, session: Session, *, source_id: int, target_id: int, actor: Actor, reason: str
    ) -> Mapping[str, int]:
        """Move it; how many of what, for the audit."""
        ...


class Erasure(Protocol):
    """Take a client's personal data out of one domain's records; money and ledger stay."""

    def __call__(self, session: Session, *, client_id: int, needles: Sequence[str]) -> None: ...


@dataclass(frozen=True)
class TimelineItem:
    """Something that happened to a client; `details` holds numbers, names and keys to show."""

    at: dt.datetime
    verb: str
    actor_id: int | None
    record: str
    record_id: int | None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


TimelineSource = Callable[[Session, Sequence[int], int], Sequence[TimelineItem]]
"""(session, the person's client keys, at most so many) → the newest first."""
ExportSection = Callable[[Session, Sequence[int]], list[Row]]
"""(session, the person's client keys) → rows of plain values."""

BatchesOf = Callable[[int], Select[Any]]
"""(client key) → (batch key, clients it is for) of the batches that are for this client, alone or among others."""

merge_steps: dict[str, MergeStep] = {}
erasures: dict[str, Erasure] = {}
client_batches: dict[str, BatchesOf] = {}
timeline_sources: dict[str, tuple[TimelineSource, tuple[str, ...]]] = {}
export_sections: dict[str, ExportSection] = {}


def register_client_holder(label: Any, finder: Finder) -> None:
    """Let a higher domain say which clients it holds; those can't be deleted."""
    client_holders.register(label, finder)


def register_participant_holder(label: Any, finder: Finder) -> None:
    """Let a higher domain say which participants it holds; those can't be deleted."""
    participant_holders.register(label, finder)


def register_club_holder(label: Any, finder: Finder) -> None:
    """Let a domain say which clubs it holds; those can't be deleted."""
    club_holders.register(label, finder)


def register_team_member_holder(label: Any, finder: Finder) -> None:
    """Let a domain say which team members it holds; those can't be deleted."""
    team_member_holders.register(label, finder)


def register_club_amounts(label: Any, finder: Finder) -> None:
    """Let a higher domain say which clubs it counts money for; their currency can't change."""
    club_amounts.register(label, finder)


def register_merge_step(name: str, step: MergeStep) -> None:
    merge_steps[name] = step


def register_erasure(name: str, erasure: Erasure) -> None:
    erasures[name] = erasure


def register_client_batches(name: str, batches_of: BatchesOf) -> None:
    """Let a domain say which of its batches are for a client: their texts are erased with the client."""
    client_batches[name] = batches_of


def register_timeline_source(name: str, source: TimelineSource, *, records: tuple[str, ...] = ()) -> None:
    """Let a domain tell its own part of the story; audit events of these `records` are then left out."""
    timeline_sources[name] = (source, records)


def register_export_section(name: str, section: ExportSection) -> None:
    """Add a section to the export of a client's data; its name is the file's."""
    export_sections[name] = section


def plain(value: Any) -> Any:
    """A stored value as JSON has it: dates and instants in ISO 8601."""
    return value.isoformat() if isinstance(value, dt.date) else value

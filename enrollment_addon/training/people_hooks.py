"""What training reports tell the people domain: whom they hold, and how they move, are erased and exported."""

from collections.abc import Mapping, Sequence

from flask_babel import lazy_gettext as _l
from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from ..core.scope import Actor
from ..people import hooks
from ..people.calc import ERASED
from ..people.models import Participant, ParticipantKind
from . import queries
from .models import TrainingReport

_reports = TrainingReport.__table__
_TEXTS = ("worked_on", "homework", "goals")


def plug_in() -> None:
    """Register everything here; doing it again changes nothing."""
    label = _l("training reports")
    hooks.register_client_holder(label, _clients_with_reports)
    hooks.register_participant_holder(label, _participants_with_reports)
    hooks.register_merge_step("training", TrainingMerge())
    hooks.register_erasure("training", erase_texts)
    hooks.register_export_section("training_reports", _exported)


def _clients_with_reports(session: Session, keys: list[int]) -> set[int]:
    return set(session.connection().execute(
        select(_reports.c.client_id).where(_reports.c.client_id.in_(keys)).distinct()
    ).scalars())


def _participants_with_reports(session: Session, keys: list[int]) -> set[int]:
    return set(session.connection().execute(
        select(_reports.c.participant_id).where(_reports.c.participant_id.in_(keys)).distinct()
    ).scalars())


class TrainingMerge:
    """Reports go over; one on the source themself is on the target themself from then on."""

    def plan(self, session: Session, *, source_id: int, target_id: int) -> hooks.MergePart:
        """Nothing stands in the way."""
        return hooks.MergePart()

    def move(
        self, session: Session, *, source_id: int, target_id: int, actor: Actor, reason: str
    ) -> Mapping[str, int]:
        persons = Participant.__table__
        own = {
            row.client_id: row.id
            for row in session.execute(
                select(persons.c.client_id, persons.c.id).where(
                    persons.c.client_id.in_((source_id, target_id)), persons.c.kind == ParticipantKind.self
                )
            )
        }
        attended = _reports.c.participant_id
        if set(own) == {source_id, target_id}:
            attended = case((attended == own[source_id], own[target_id]), else_=attended)  # type: ignore[assignment]
        moved = session.execute(
            update(_reports)  # type: ignore[arg-type]
            .where(_reports.c.client_id == source_id)
            .values(client_id=target_id, participant_id=attended)
        )
        return {"reports": moved.rowcount}  # type: ignore[attr-defined]


def erase_texts(session: Session, *, client_id: int, needles: Sequence[str]) -> None:
    """Blank what was written about a client's participants; days and ratings stay."""
    for name in _TEXTS:
        column = _reports.c[name]
        session.execute(
            update(_reports)  # type: ignore[arg-type]
            .where(_reports.c.client_id == client_id, column.is_not(None), column != ERASED)
            .values({name: ERASED})
        )


def _exported(session: Session, client_ids: Sequence[int]) -> list[hooks.Row]:
    return [
        {name: hooks.plain(value) for name, value in row.items()}
        for row in queries.exported(session, client_ids)
    ]

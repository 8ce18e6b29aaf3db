"""What enrollments tell the domains below: whom and what they hold, how they move, are erased and exported."""

from collections.abc import Mapping, Sequence

from flask_babel import lazy_gettext as _l
from sqlalchemy import Table, func, select, update
from sqlalchemy.orm import Session

from ..catalog.service import register_event_type_holder, register_package_holder
from ..core.holders import held_in
from ..core.scope import Actor
from ..people import hooks
from ..people.calc import ERASED
from .models import Enrollment, EnrollmentChange, EnrollmentPause

_enrollments: Table = Enrollment.__table__  # type: ignore[assignment]
_pauses: Table = EnrollmentPause.__table__  # type: ignore[assignment]
_changes: Table = EnrollmentChange.__table__  # type: ignore[assignment]


def plug_in() -> None:
    """Register everything here; doing it again changes nothing."""
    label = _l("enrollments")
    hooks.register_client_holder(label, holders_of_clients)
    hooks.register_participant_holder(label, holders_of_participants)
    hooks.register_club_holder(label, holders_of_clubs)
    register_package_holder(label, holders_of_packages)
    register_event_type_holder(label, holders_of_event_types)
    hooks.register_merge_step("enrollments", EnrollmentMerge())
    hooks.register_erasure("enrollments", erase_reasons)
    for name, table in (
        ("enrollments", _enrollments), ("enrollment_pauses", _pauses), ("enrollment_changes", _changes),
    ):
        hooks.register_export_section(name, _exported(table))


holders_of_clients = held_in(_enrollments.c.client_id)
holders_of_participants = held_in(_enrollments.c.participant_id)
holders_of_clubs = held_in(_enrollments.c.club_id)
holders_of_packages = held_in(_enrollments.c.package_id)
holders_of_event_types = held_in(_enrollments.c.event_type_id)


class EnrollmentMerge:
    """Enrollments go over whole, with their pauses and history."""

    def plan(self, session: Session, *, source_id: int, target_id: int) -> hooks.MergePart:
        """How many enrollments each of the two has."""
        rows = session.execute(
            select(_enrollments.c.client_id, func.count())
            .where(_enrollments.c.client_id.in_((source_id, target_id)))
            .group_by(_enrollments.c.client_id)
        )
        counts = {row[0]: row[1] for row in rows}
        moving, has = counts.get(source_id, 0), counts.get(target_id, 0)
        if not moving:
            return hooks.MergePart()
        return hooks.MergePart(
            [{"label": str(_l("Enrollments")), "source": moving, "target": has, "after": moving + has}]
        )

    def move(
        self, session: Session, *, source_id: int, target_id: int, actor: Actor, reason: str
    ) -> Mapping[str, int]:
        """Hand the rows over; the source keeps none."""
        moved = 0
        for table in (_changes, _pauses, _enrollments):
            result = session.execute(
                update(table).where(table.c.client_id == source_id).values(client_id=target_id)
            )
            moved = result.rowcount  # type: ignore[attr-defined]
        session.expire_all()
        return {"enrollments": moved}


def erase_reasons(session: Session, *, client_id: int, needles: Sequence[str]) -> None:
    """Blank the reasons in a client's enrollments: they were said about the client."""
    for table in (_pauses, _changes):
        session.execute(
            update(table)
            .where(table.c.client_id == client_id, table.c.reason.is_not(None), table.c.reason != ERASED)
            .values(reason=ERASED)
        )


def _exported(table: Table) -> hooks.ExportSection:
    def section(session: Session, client_ids: Sequence[int]) -> list[hooks.Row]:
        found = session.execute(
            select(table).where(table.c.client_id.in_(client_ids)).order_by(table.c.id)
        ).mappings()
        return [{str(name): hooks.plain(value) for name, value in row.items()} for row in found]

    return section

"""What notices tell the people domain: how they move and are exported."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ..core.scope import Actor
from ..people import hooks
from .models import Notice

_notices = Notice.__table__


def plug_in() -> None:
    """Register everything here; doing it again changes nothing."""
    hooks.register_merge_step("notices", NoticeMerge())
    hooks.register_export_section("notices", _exported)


class NoticeMerge:
    """Notices go over: what is still queued reaches the person at the address that stays."""

    def plan(self, session: Session, *, source_id: int, target_id: int) -> hooks.MergePart:
        """Nothing stands in the way."""
        return hooks.MergePart()

    def move(
        self, session: Session, *, source_id: int, target_id: int, actor: Actor, reason: str
    ) -> Mapping[str, int]:
        moved = session.execute(
            update(_notices).where(_notices.c.client_id == source_id).values(client_id=target_id)  # type: ignore[arg-type]
        )
        return {"notices": moved.rowcount}  # type: ignore[attr-defined]


def _exported(session: Session, client_ids: Sequence[int]) -> list[hooks.Row]:
    rows = session.connection().execute(
        select(_notices).where(_notices.c.client_id.in_(client_ids)).order_by(_notices.c.id)
    ).mappings()
    return [{name: hooks.plain(value) for name, value in row.items()} for row in rows]

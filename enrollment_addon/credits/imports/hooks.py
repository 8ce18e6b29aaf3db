"""What imports tell the people domain: a client's traces move with a merge and go with an erasure."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, null, update
from sqlalchemy.orm import Session

from ...core.scope import Actor
from ...people import hooks
from .models import credits, identities, rows


def plug_in() -> None:
    """Register everything here; doing it again changes nothing."""
    hooks.register_merge_step("imports", ImportMerge())
    hooks.register_erasure("imports", forget_client)


class ImportMerge:
    """The rows of a merged client mean the client who is left: another import of them changes nothing."""

    def plan(self, session: Session, *, source_id: int, target_id: int) -> hooks.MergePart:
        return hooks.MergePart()

    def move(
        self, session: Session, *, source_id: int, target_id: int, actor: Actor, reason: str
    ) -> Mapping[str, int]:
        for table in (identities, credits, rows):
            session.execute(update(table).where(table.c.client_id == source_id).values(client_id=target_id))
        return {}


def forget_client(session: Session, *, client_id: int, needles: Sequence[str]) -> None:
    """Take a client out of what files said: the cells of their rows, and what recognizes them.

    A row that was refused before it was known whose it is goes when its import is thirty days old.
    """
    session.execute(
        update(rows).where(rows.c.client_id == client_id).values(cells=null(), message=None, params=null())
    )
    session.execute(delete(identities).where(identities.c.client_id == client_id))

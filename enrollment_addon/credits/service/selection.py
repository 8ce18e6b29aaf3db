"""Whom a grant is for: the chosen clients narrowed to the actor's reach, and who is left out and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, false, func, or_, select, true
from sqlalchemy.orm import Session

from ...core.db import key_list
from ...core.fields import is_whole
from ...core.scope import Actor, reach_of
from ...people.models import Client, Club

SKIPPED_LISTED = 1_000
"""How many of those left out are named one by one; the rest is counted by reason."""

clients_table: Any = Client.__table__


class ClubShare(NamedTuple):
    """How many of the clients belong to one club, and the club's own day and money."""

    club_id: int
    timezone: str
    currency: str
    clients: int


@dataclass(frozen=True)
class Selection:
    """The clients that will be served (`eligible` selects their keys), by club, and those left out."""

    eligible: Select[Any]
    shares: list[ClubShare]
    skipped: list[dict[str, Any]]
    by_reason: dict[str, int]
    only_client: int | None

    @property
    def count(self) -> int:
        return sum(share.clients for share in self.shares)

    @property
    def currencies(self) -> list[str]:
        return sorted({share.currency for share in self.shares})


def fingerprint(session: Session, clients: Sequence[int] | Select[Any]) -> Any:
    """What makes two selections the same request: the keys, or the search and its values."""
    if isinstance(clients, Select):
        compiled = clients.compile(session.get_bind())
        return [str(compiled), sorted((name, str(value)) for name, value in compiled.params.items())]
    return sorted({str(key) for key in clients})


def select_clients(session: Session, clients: Sequence[int] | Select[Any], actor: Actor) -> Selection:
    """Narrow what was chosen to whom the actor reaches, and count it by club.

    In a list, a key that is unknown, deleted or out of reach is “not_found”; a search never mentions those.
    """
    client, reach = clients_table.c, reach_of(actor)
    if isinstance(clients, Select):
        chosen = select(clients.subquery().c[0])
    else:
        chosen = key_list(session, (key for key in clients if is_whole(key)))
    counts = _count(session, chosen, reach)
    by_reason: dict[str, int] = {}
    for row in counts:
        if row.archived or row.erased:
            reason = "erased" if row.erased else "archived"
            by_reason[reason] = by_reason.get(reason, 0) + row.clients
    if not isinstance(clients, Select):
        strangers = len(set(map(str, clients))) - sum(row.clients for row in counts)
        if strangers:
            by_reason["not_found"] = strangers
    served = [row for row in counts if not row.archived and not row.erased]
    return Selection(
        eligible=select(client.id).where(
            client.id.in_(chosen), reach, client.archived.is_(False), client.erased_at.is_(None)
        ),
        shares=_shares(session, {row.club_id: row.clients for row in served}),
        skipped=_skipped(session, clients, chosen, reach) if by_reason else [],
        by_reason=by_reason,
        only_client=served[0].first if len(served) == 1 and served[0].clients == 1 else None,
    )


def _count(session: Session, chosen: Select[Any], reach: ColumnElement[bool]) -> Sequence[Any]:
    """The chosen clients in reach by club and by whether they are archived or erased."""
    client = clients_table.c
    erased = client.erased_at.is_not(None)
    return session.execute(
        select(
            client.club_id,
            client.archived,
            erased.label("erased"),
            func.count().label("clients"),
            func.min(client.id).label("first"),
        )
        .where(client.id.in_(chosen), reach)
        .group_by(client.club_id, client.archived, erased)
    ).all()


def _shares(session: Session, clients: dict[int, int]) -> list[ClubShare]:
    rows = session.execute(select(Club.id, Club.timezone, Club.currency).where(Club.id.in_(clients)))
    return [ClubShare(row.id, row.timezone, row.currency, clients[row.id]) for row in rows]


def skip_reason(row: Any) -> str:
    """Why a chosen client gets nothing: `row.id` is empty when nobody in reach has the key."""
    if row.id is None:
        return "not_found"
    if row.erased_at is not None:
        return "erased"
    return "archived" if row.archived else "currency"


def _skipped(
    session: Session, clients: Sequence[int] | Select[Any], chosen: Select[Any], reach: ColumnElement[bool]
) -> list[dict[str, Any]]:
    """The first of those left out, by key."""
    client, wanted = clients_table.c, chosen.subquery()
    a_list = not isinstance(clients, Select)
    rows = session.execute(
        select(wanted.c[0].label("key"), client.id, client.archived, client.erased_at)
        .select_from(wanted.outerjoin(clients_table, (client.id == wanted.c[0]) & reach))
        .where(
            or_(
                client.archived.is_(True),
                client.erased_at.is_not(None),
                client.id.is_(None) & (true() if a_list else false()),
            )
        )
        .distinct()
        .order_by(wanted.c[0])
        .limit(SKIPPED_LISTED)
    ).all()
    listed = [{"client_id": row.key, "reason": skip_reason(row)} for row in rows]
    if a_list:
        impossible = dict.fromkeys(key for key in clients if not is_whole(key))  # type: ignore[union-attr]
        listed += [{"client_id": key, "reason": "not_found"} for key in impossible]
    return listed[:SKIPPED_LISTED]

"""What the undos of all kinds of batches have in common."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, or_
from sqlalchemy.orm import Session

from ...core.scope import Actor
from ...people.models import Client
from ..models import lots
from ..queries import is_over

clients_table: Any = Client.__table__

is_gone = or_(clients_table.c.erased_at.is_not(None), clients_table.c.merged_into_id.is_not(None))
"""Clients to whom nothing can be given back."""


class UndoPlan(NamedTuple):
    """What an undo would do, in credits; `clients` got some, `clients_spent` of them used or booked some.

    `taken_back` is what the undo moves: of a void it is given back. `kept_spent` includes the `reserved` ones of
    bookings. What expired or was voided is in neither number. `lapsed` of those moved are past their last day
    then and expire with the next sweep. `closed` stay where they are: their client was merged or erased, their
    enrollment has ended early, or what gave them was undone itself.
    """

    clients: int
    credits: int
    taken_back: int
    kept_spent: int
    clients_spent: int
    reserved: int
    lapsed: int = 0
    closed: int = 0


class Undone(NamedTuple):
    """What one chunk took back; `cursor` is the last item it looked at, of `lots` items."""

    lots: int
    clients: int
    taken_back: int
    kept_spent: int
    cursor: int | None


class UndoWay(NamedTuple):
    """How a kind of batch is undone: its preview, a chunk behind a cursor, and what is an item of it.

    `concerns` selects the lots that it is about, `key` of them is the cursor; a chunk has at most `most` items.
    """

    plan: Callable[[Session, Any], UndoPlan]
    undo: Callable[[Session, Any, int, int, Actor], Undone]
    concerns: Callable[[Any], Select[Any]]
    key: ColumnElement[int] = lots.c.id
    most: int | None = None


def lapses(session: Session, day: ColumnElement[Any]) -> ColumnElement[bool]:
    """The clause over lots and their clients that with this last day the nightly sweep takes them."""
    return and_(lots.c.held.is_(False), is_over(session, day))

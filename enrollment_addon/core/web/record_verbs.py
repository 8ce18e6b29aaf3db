"""Which verbs of a domain write a kind of record, for the pages and the REST classes made from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import NotFound


@dataclass(frozen=True)
class RecordVerbs:
    """All take the session, `actor` and the fields by name; those on one record take its `id`."""

    create: Callable[..., Any]
    update: Callable[..., Any]
    delete: Callable[..., None]


def _refuse(*_args: Any, **_fields: Any) -> NoReturn:
    raise NotFound


UNWRITTEN = RecordVerbs(_refuse, _refuse, _refuse)
"""Of records that nobody writes by hand."""

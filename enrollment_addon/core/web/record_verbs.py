"""Which verbs of a domain write a kind of record, for the pages and the REST classes made from it."""

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from ..errors import NotFound


class RecordVerbs(NamedTuple):
    """All take the session, `actor` and the fields by name; those on one record take its `id`."""

    create: Callable[..., Any]
    update: Callable[..., Any]
    delete: Callable[..., None]


def _refuse(*_args: Any, **_fields: Any) -> NoReturn:
    raise NotFound


UNWRITTEN = RecordVerbs(_refuse, _refuse, _refuse)
"""Of records that nobody writes by hand."""

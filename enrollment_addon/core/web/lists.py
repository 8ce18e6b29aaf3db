"""Reading one page of a list: bounded queries, a stable order, a capped count, whatever the URL says."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, inspect, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from ..errors import InvalidInput

LARGEST_OFFSET = 10_000_000
LONGEST_QUERY = 4_000


def whole(text: Any, default: int, low: int, high: int) -> int:
    """A number from a URL, kept within bounds; junk gives the default."""
    try:
        return max(low, min(int(str(text)), high))
    except ValueError:
        return default


class Asked(NamedTuple):
    """What a page's URL asks for, cleaned."""

    number: int
    size: int
    order: str | None
    descending: bool
    search: str


def asked_of(arguments: Any, name: str, *, orders: Mapping[str, Any], default_size: int, largest_size: int) -> Asked:
    """Read page, page size, order and search text of the list called `name`; anything odd is ignored."""
    size = whole(arguments.get(f"psize_{name}"), default_size, 1, largest_size)
    order = arguments.get(f"_oc_{name}")
    return Asked(
        number=whole(arguments.get(f"page_{name}"), 0, 0, LARGEST_OFFSET // size),
        size=size,
        order=order if order in orders else None,
        descending=arguments.get(f"_od_{name}") == "desc",
        search=search_of(arguments),
    )


def search_of(arguments: Any, name: str = "search") -> str:
    """What was typed into a search box, without what no database stores."""
    text: str = arguments.get(name, "")
    return text.replace("\x00", "").strip()[:100]


def arguments_from(query: str) -> MultiDict[str, str]:
    """A posted query string as arguments, as if it were the URL's own.

    Raises: InvalidInput when it is too long: what is cut off would select more than the person saw.
    """
    try:
        if len(query) > LONGEST_QUERY:
            raise ValueError
        return MultiDict(parse_qsl(query.lstrip("?"), max_num_fields=100))
    except ValueError:
        raise InvalidInput(_l("This search is too long. Please use fewer filters.")) from None


def primary_key(model: Any) -> Any:
    """The one primary key attribute of a listed model."""
    mapper = inspect(model)
    return mapper.get_property_by_column(mapper.primary_key[0]).class_attribute


def ordered(statement: Select[Any], model: Any, columns: Sequence[Any], *, descending: bool) -> Select[Any]:
    """Order by the columns, the primary key last, so that no row is shown twice or never."""
    key = primary_key(model)
    parts = [c.desc() if descending else c.asc() for c in columns if c is not key]
    return statement.order_by(*parts, key.desc() if descending else key.asc())


def capped_count(session: Session, statement: Select[Any], model: Any, cap: int) -> tuple[int, bool]:
    """How many rows match, counted up to `cap`; and whether there are more."""
    rows = statement.with_only_columns(primary_key(model)).order_by(None).limit(cap + 1).subquery()
    count = session.execute(select(func.count()).select_from(rows)).scalar_one()
    return min(count, cap), count > cap

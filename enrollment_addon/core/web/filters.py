"""Search and filters of lists, for pages and REST alike: what a request asks becomes clauses, nothing is kept.

A page writes `_flt_<n>_<name>=value` (the framework's own form: n is the position of the operator), REST
writes `{"col": name, "opr": operator, "value": value}`. Values are checked here, so the database never sees junk.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, not_

from ..errors import InvalidInput

MOST_FILTERS = 20
LARGEST_KEY = 2**63 - 1

OPERATORS: dict[str, Any] = {
    "eq": _l("is"),
    "neq": _l("is not"),
    "ct": _l("contains"),
    "sw": _l("starts with"),
    "gt": _l("more than"),
    "lt": _l("less than"),
    "after": _l("after"),
    "before": _l("before"),
}
_BY_KIND: dict[str, tuple[str, ...]] = {
    "text": ("ct", "sw", "eq"),
    "number": ("eq", "gt", "lt"),
    "date": ("eq", "gt", "lt"),
    "flag": ("eq",),
    "choice": ("eq", "neq"),
    "reference": ("eq", "neq"),
}
_ALIASES = {"rel_o_m": "eq", "nrel_o_m": "neq"}


@dataclass(frozen=True)
class Filter:
    """A field that lists can be narrowed by. `apply` replaces the plain comparison with the column."""

    name: str
    label: Any
    kind: str
    column: Any = None
    choices: Sequence[tuple[str, Any]] = ()
    source: str | None = None
    apply: Callable[[str, Any], ColumnElement[bool]] | None = None
    operators: tuple[str, ...] = field(default=())

    @property
    def ops(self) -> tuple[str, ...]:
        return self.operators or _BY_KIND[self.kind]

    def parse(self, value: Any) -> Any:
        """The value in the column's type. Raises: InvalidInput."""
        text = str(value).strip()
        try:
            match self.kind:
                case "number" | "reference":
                    number = int(text)
                    if abs(number) > LARGEST_KEY:
                        raise ValueError
                    return number
                case "date":
                    return dt.date.fromisoformat(text)
                case "flag":
                    return {"1": True, "y": True, "true": True, "0": False, "n": False, "false": False}[text.lower()]
                case "choice":
                    if text not in {key for key, _ in self.choices}:
                        raise ValueError
        except (ValueError, KeyError):
            raise InvalidInput(
                _l("“%(value)s” cannot be used for the filter “%(filter)s”."), value=text[:60], filter=self.name
            ) from None
        if "\x00" in text or len(text) > 200:
            raise InvalidInput(
                _l("“%(value)s” cannot be used for the filter “%(filter)s”."), value=text[:60], filter=self.name
            )
        return text

    def clause(self, operator: str, value: Any) -> ColumnElement[bool]:
        if self.apply is not None:
            return self.apply(operator, value)
        column = self.column
        match operator:
            case "eq":
                return column.is_(value) if isinstance(value, bool) else column == value
            case "neq":
                return not_(column == value) | column.is_(None)
            case "ct":
                return column.icontains(value, autoescape=True)  # type: ignore[no-any-return]
            case "sw":
                return column.istartswith(value, autoescape=True)  # type: ignore[no-any-return]
            case "gt":
                return column > value  # type: ignore[no-any-return]
            case _:
                return column < value  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Applied:
    """A filter as asked for: which, how and with what value."""

    filter: Filter
    operator: str
    value: Any

    def clause(self) -> ColumnElement[bool]:
        return self.filter.clause(self.operator, self.value)


_PAGE_KEY = re.compile(r"^_flt_(\d{1,2})_(\w{1,60})$")


def from_arguments(filters: Mapping[str, Filter], arguments: Any) -> list[Applied]:
    """The filters in a page's query string; unknown ones are ignored. Raises: InvalidInput for a bad value."""
    applied: list[Applied] = []
    for key in sorted(set(arguments)):
        match = _PAGE_KEY.match(key)
        if not match or match.group(2) not in filters:
            continue
        entry, position = filters[match.group(2)], int(match.group(1))
        if position >= len(entry.ops):
            continue
        for value in arguments.getlist(key)[:MOST_FILTERS]:
            if value.strip():
                applied.append(Applied(entry, entry.ops[position], entry.parse(value)))
    return applied[:MOST_FILTERS]


def from_rest(filters: Mapping[str, Filter], asked: Iterable[Mapping[str, Any]]) -> list[Applied]:
    """The filters of a REST request. Raises: InvalidInput for anything unknown."""
    applied: list[Applied] = []
    for item in asked:
        name, operator = str(item.get("col")), str(item.get("opr", "eq"))
        entry = filters.get(name)
        operator = _ALIASES.get(operator, operator)
        if entry is None or operator not in entry.ops:
            raise InvalidInput(
                _l("There is no filter “%(filter)s” with “%(operator)s” here."), filter=name[:60], operator=operator[:20]
            )
        applied.append(Applied(entry, operator, entry.parse(item.get("value"))))
    if len(applied) > MOST_FILTERS:
        raise InvalidInput(_l("At most %(most)s filters can be used at once."), most=MOST_FILTERS)
    return applied

"""Search and filters of lists, for pages and REST alike: what a request asks becomes clauses, nothing is kept.

A page writes `_flt_<n>_<name>=value` (the framework's own form: n is the position of the operator), REST
writes `{"col": name, "opr": operator, "value": value}`. Values are checked here, so the database never sees junk.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import BigInteger, ColumnElement, literal, not_

from ..errors import InvalidInput
from ..fields import LARGEST_KEY
from ..search import storable

MOST_FILTERS = 20

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
    """A field that lists can be narrowed by. `apply` replaces the plain comparison with the column.

    `menu`: whose records it tells; it is there for people who may read them.
    """

    name: str
    label: Any
    kind: str
    column: Any = None
    choices: Sequence[tuple[str, Any]] = ()
    source: str | None = None
    apply: Callable[[str, Any], ColumnElement[bool]] | None = None
    operators: tuple[str, ...] = field(default=())
    menu: str | None = None

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
            if storable(text) != text or len(text) > 200:
                raise ValueError
        except (ValueError, KeyError):
            raise InvalidInput(
                _l("“%(value)s” cannot be used for the filter “%(filter)s”."), value=text[:60], filter=self.name
            ) from None
        return text

    def clause(self, operator: str, value: Any) -> ColumnElement[bool]:
        if self.kind in ("number", "reference"):  # compared in 64 bits, also with a column of 32
            value = literal(value, BigInteger())
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


class Applied(NamedTuple):
    """A filter as asked for: which, how and with what value."""

    filter: Filter
    operator: str
    value: Any

    def clause(self) -> ColumnElement[bool]:
        return self.filter.clause(self.operator, self.value)


_PAGE_KEY = re.compile(r"^_flt_(\d{1,2})_(\w{1,60})$")


def from_arguments(filters: Mapping[str, Filter], arguments: Any) -> tuple[list[Applied], list[InvalidInput]]:
    """The filters in a page's query string, and what is wrong with those that can't be used."""
    applied: list[Applied] = []
    refused: list[InvalidInput] = []
    for key in sorted(k for k in set(arguments) if k.startswith("_flt_")):
        for value in filter(str.strip, arguments.getlist(key)):
            try:
                applied.append(_applied(filters, key, value))
            except InvalidInput as error:
                refused.append(error)
    if len(applied) > MOST_FILTERS:
        refused.append(_too_many())
    return applied[:MOST_FILTERS], refused[:MOST_FILTERS]


def _applied(filters: Mapping[str, Filter], key: str, value: str) -> Applied:
    """One filter of a query string. Raises: InvalidInput."""
    match = _PAGE_KEY.match(key)
    entry = filters.get(match.group(2)) if match else None
    position = int(match.group(1)) if match else 0
    if entry is None or position >= len(entry.ops):
        raise InvalidInput(_l("There is no filter “%(filter)s” here."), filter=key.removeprefix("_flt_")[:60])
    return Applied(entry, entry.ops[position], entry.parse(value))


def _too_many() -> InvalidInput:
    return InvalidInput(_l("At most %(most)s filters can be used at once."), most=MOST_FILTERS)


def from_rest(filters: Mapping[str, Filter], asked: Iterable[Mapping[str, Any]]) -> list[Applied]:
    """The filters of a REST request. Raises: InvalidInput for anything unknown."""
    applied: list[Applied] = []
    for item in asked:
        if not {"col", "value"} <= set(item) <= {"col", "opr", "value"}:
            raise InvalidInput(_l("A filter has col, opr and value."))
        name, operator = str(item["col"]), str(item.get("opr", "eq"))
        entry = filters.get(name)
        operator = _ALIASES.get(operator, operator)
        if entry is None or operator not in entry.ops:
            raise InvalidInput(
                _l("There is no filter “%(filter)s” with “%(operator)s” here."),
                filter=name[:60], operator=operator[:20],
            )
        applied.append(Applied(entry, operator, entry.parse(item["value"])))
    if len(applied) > MOST_FILTERS:
        raise _too_many()
    return applied

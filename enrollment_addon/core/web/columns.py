"""What a list shows and offers: its columns, its verbs, and which rows a verb is for."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup

from ..errors import InvalidInput
from . import render

MOST_TICKED = 2_000


class Column(NamedTuple):
    """A column of a list: how it is called, where its value comes from, how it is shown and sorted.

    `value(item)` is the plain value (exports use it), `show(item)` what the page shows instead;
    `order` names the columns to sort by. `phone`: its place on a phone's card. `timezone(item)`: by which clock
    an instant is told, where it is not the page's. `menu`: whose records it tells; it is there for people who
    may read them. `to(item)`: where the record is that it names; the record's own page leads there.
    """

    name: str
    label: Any
    value: Callable[[Any], Any] | None = None
    show: Callable[[Any], Any] | None = None
    order: Sequence[Any] = ()
    kind: str = "text"
    phone: str = "meta"
    badge: Callable[[Any], str] | None = None
    timezone: Callable[[Any], str] | None = None
    menu: str | None = None
    to: Callable[[Any], str | None] | None = None

    def plain(self, item: Any) -> Any:
        return self.value(item) if self.value else getattr(item, self.name)

    def exported(self, item: Any) -> Any:
        """The plain value for a file, an instant by the clock that the page tells it by."""
        value = self.plain(item)
        if isinstance(value, dt.datetime):
            return value.astimezone(render.zone(self.timezone(item) if self.timezone else None))
        return value

    def shown(self, item: Any) -> Any:
        if self.show:
            return self.show(item)
        value = self.plain(item)
        match self.kind:
            case "date":
                return render.date(value)
            case "number":
                return render.number(value)
            case "moment":
                return render.moment(value, self.timezone(item) if self.timezone else None)
        if isinstance(value, bool):
            return _("Yes") if value else _("No")
        return "" if value is None else value

    def told(self, item: Any) -> Any:
        """What the record's own page says: the value shown, as the way to the record that it names."""
        shown, url = self.shown(item), self.to(item) if self.to else None
        return Markup('<a class="enr-touch" href="{}">{}</a>').format(url, shown) if url and shown else shown


class ListAction(NamedTuple):
    """A verb on selected rows: its permission, its words, and what answers with the verb's page or result."""

    name: str
    label: Any
    answer: Callable[[Any, "Selection"], Any]
    primary: bool = False


class Selection(NamedTuple):
    """Which rows a list action is for: ticked ones, or all that match a search."""

    keys: tuple[int, ...] = ()
    query: str | None = None

    def hidden(self) -> list[tuple[str, str]]:
        """The fields that carry the selection through the steps of a form."""
        if self.query is not None:
            return [("all", "1"), ("filter", self.query)]
        return [("rowid", ",".join(str(key) for key in self.keys))]


def posted_selection(form: Mapping[str, Any]) -> Selection:
    """The selection a list (or a following step) posted; junk keys are left out. Raises: InvalidInput."""
    if form.get("all") == "1":
        return Selection(query=str(form.get("filter", "")))
    texts = [part for value in form.getlist("rowid") for part in value.split(",")]  # type: ignore[attr-defined]
    keys = sorted({int(t) for t in texts if t.strip().isdecimal() and len(t) < 19})
    if len(keys) > MOST_TICKED:
        raise InvalidInput(_l("At most %(most)s rows can be ticked at once."), most=MOST_TICKED)
    return Selection(keys=tuple(keys))

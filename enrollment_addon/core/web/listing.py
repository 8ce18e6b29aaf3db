"""The generated list of one kind of record: everything `list.html` shows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from flask import current_app, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, false, select

from . import filters, forms, lists, render
from .access import can, may, readable
from .columns import Column, ListAction, Selection
from .filters import Applied, Filter
from .pages import Mended

FORMATS = ("csv", "xlsx")


class Listing(Mended):
    """The part of `RecordView` that reads and shows a list."""

    datamodel: Any
    endpoint: str
    class_permission_name: str
    list_title: Any
    columns: Sequence[Column] = ()
    filters: Sequence[Filter] = ()
    actions_on_list: Sequence[ListAction] = ()
    load: ClassVar[Sequence[Any]] = ()
    default_order: ClassVar[Sequence[Any]] = ()
    default_descending: ClassVar[bool] = False
    add_label: ClassVar[Any] = _l("Add")
    search_placeholder: ClassVar[Any] = _l("Search")
    empty_text: ClassVar[Any] = ""
    list_subtitle: ClassVar[Any] = ""
    largest_page = 100
    page_size = 25
    orders: dict[str, Any]

    @property
    def shown_columns(self) -> list[Column]:
        """The columns that the person may read."""
        return readable(self.columns)

    @property
    def filters_by_name(self) -> dict[str, Filter]:
        """The filters that the person may use: by others they could find out what they may not read."""
        return {f.name: f for f in readable(self.filters)}

    @property
    def model(self) -> Any:
        return self.datamodel.obj

    def base_query(self) -> Select[Any]:
        """The rows this list is about, before search and filters."""
        return select(self.model)

    def search_clause(self, text: str) -> ColumnElement[bool]:
        """What the search box finds; by default nothing, so a view without one shows no box."""
        return false()

    def applied(self, arguments: Any, *, strict: bool = False) -> list[Applied]:
        """The filters a URL asks for. A bad one is told and left out, unless `strict`, where it is refused."""
        applied, refused = filters.from_arguments(self.filters_by_name, arguments)
        if strict and refused:
            raise refused[0]
        for error in refused:
            flash(error.text(), "warning")
        return applied

    def matching(self, applied: Iterable[Applied], search: str) -> Select[Any]:
        statement = self.base_query()
        for entry in applied:
            statement = statement.where(entry.clause())
        return statement.where(self.search_clause(search)) if search else statement

    def selected(self, selection: Selection) -> list[int] | Select[Any]:
        """The keys of a selection: as ticked, or a query for all that match.

        The query is built from the same filters as the list. Raises: InvalidInput when one can't be read,
        since leaving it out would select more than the person saw.
        """
        if selection.query is None:
            return list(selection.keys)
        arguments = lists.arguments_from(selection.query)
        statement = self.matching(self.applied(arguments, strict=True), lists.search_of(arguments))
        return statement.with_only_columns(lists.primary_key(self.model)).order_by(None)

    def list_page(self) -> dict[str, Any]:
        """Everything `list.html` shows; the number of queries does not depend on the number of rows."""
        name, shown = type(self).__name__, self.shown_columns
        asked = lists.asked_of(
            request.args, name, orders={c.name: c.order for c in shown if c.order}, default_size=self.page_size,
            largest_size=self.largest_page,
        )
        applied = self.applied(request.args)
        statement = self.matching(applied, asked.search)
        count, capped = lists.capped_count(
            self.session, statement, self.model, current_app.extensions["enrollment"].settings.count_cap
        )
        pages = None if capped else max(1, -(-count // asked.size))
        number = asked.number if pages is None else min(asked.number, pages - 1)
        by = self.orders[asked.order] if asked.order else self.default_order
        descending = asked.descending if asked.order else self.default_descending
        rows = self.session.scalars(
            lists.ordered(statement, self.model, by, descending=descending)
            .options(*self.load).limit(asked.size + 1).offset(number * asked.size)
        ).unique().all()
        more = len(rows) > asked.size
        items = rows[: asked.size]
        self.prepare(items)
        arguments = request.args.to_dict(flat=False)
        filtered = bool(applied or asked.search)
        return {
            "title": self.list_title, "subtitle": self.list_subtitle, "name": name,
            "search": asked.search, "searchable": type(self).search_clause is not Listing.search_clause,
            "search_placeholder": self.search_placeholder,
            "columns": [self._column(c, asked, arguments) for c in shown],
            "rows": [self._row(item, shown) for item in items],
            "count": count, "count_capped": capped, "number": number, "pages": pages, "page_size": asked.size,
            "prev_url": self._url(arguments, **{f"page_{name}": number - 1}) if number else None,
            "next_url": self._url(arguments, **{f"page_{name}": number + 1}) if more else None,
            "page_sizes": [
                {"size": s, "url": self._url(arguments, **{f"psize_{name}": s, f"page_{name}": 0}),
                 "current": s == asked.size}
                for s in (25, 50, 100)
            ],
            "chips": [self._chip(entry, arguments) for entry in applied],
            "clear_url": url_for(f"{self.endpoint}.list"),
            "filter_fields": [self._filter_field(entry) for entry in self.filters_by_name.values()],
            "hidden_args": [
                (k, v) for k, vs in arguments.items() if not k.startswith("page_") and k != "search" for v in vs
            ],
            "actions": self._actions(), "action_url": url_for(f"{self.endpoint}.action_post"), "select_all": True,
            "filter_query": urlencode([(k, v) for k, vs in arguments.items() for v in vs]),
            "add_url": self.add_url(), "add_label": self.add_label, "links": self.list_links(),
            "export_urls": {
                fmt: f"{url_for(f'{self.endpoint}.export', fmt=fmt)}?{urlencode(arguments, doseq=True)}"
                for fmt in FORMATS
            },
            "empty": {"text": self.empty_text, "url": self.add_url(), "label": self.add_label},
            "filtered": filtered,
        }

    def title_of(self, item: Any) -> str:
        """What a record is called on its page, on the way to it and for the ear in a list."""
        return str(item)

    def prepare(self, items: Sequence[Any]) -> None:
        """Load what the columns need for a page of items, in a bounded number of queries."""

    def list_links(self) -> Sequence[Mapping[str, str]]:
        """Where else to go from this list: `label` and `url` of each button beside the one that adds."""
        return ()

    def add_url(self) -> str | None:
        allowed = "add" in self.permissions and may("add", self.class_permission_name)
        return url_for(f"{self.endpoint}.add") if allowed else None

    def show_url(self, item: Any) -> str:
        return url_for(f"{self.endpoint}.show", pk=item.id)

    def _url(self, arguments: Mapping[str, Any], **changes: Any) -> str:
        """This list's URL with other arguments; never handed to `url_for`, which takes some of them as its own."""
        base = url_for(f"{self.endpoint}.list")
        query = urlencode({**arguments, **changes}, doseq=True)
        return f"{base}?{query}" if query else base

    def _column(self, column: Column, asked: lists.Asked, arguments: Mapping[str, Any]) -> dict[str, Any]:
        name, url, order = type(self).__name__, None, None
        if column.order:
            order = ("desc" if asked.descending else "asc") if asked.order == column.name else None
            turned = "desc" if order == "asc" else "asc"
            url = self._url(arguments, **{f"_oc_{name}": column.name, f"_od_{name}": turned, f"page_{name}": 0})
        return {
            "name": column.name, "label": column.label, "kind": column.kind, "phone": column.phone,
            "order_url": url, "order": order,
        }

    def _row(self, item: Any, shown: Sequence[Column]) -> dict[str, Any]:
        editable = "edit" in self.permissions and may("edit", self.class_permission_name)
        return {
            "pk": item.id, "url": self.show_url(item), "label": self.title_of(item),
            "edit_url": url_for(f"{self.endpoint}.edit", pk=item.id) if editable else None,
            "cells": [
                {"value": c.shown(item), "kind": c.kind, "phone": c.phone,
                 "badge_class": c.badge(item) if c.badge else ""}
                for c in shown
            ],
        }

    def _chip(self, entry: Applied, arguments: Mapping[str, Any]) -> dict[str, Any]:
        key = f"_flt_{entry.filter.ops.index(entry.operator)}_{entry.filter.name}"
        left = {k: v for k, v in arguments.items() if k != key and not k.startswith("page_")}
        operator = "" if entry.operator == "eq" else f" {filters.OPERATORS[entry.operator]}"
        return {
            "label": f"{entry.filter.label}{operator}: {self._filter_value(entry)}",
            "remove_url": self._url(left),
        }

    def _filter_value(self, entry: Applied) -> str:
        kind, value = entry.filter.kind, entry.value
        if kind == "flag":
            return _("Yes") if value else _("No")
        if kind == "date":
            return render.date(value)
        if kind == "choice":
            return str(dict(entry.filter.choices)[value])
        if kind == "reference" and entry.filter.source:
            rows = forms.sources[entry.filter.source].named(self.session, [value])
            return rows[0][1] if rows else str(value)
        return str(value)

    def _filter_field(self, entry: Filter) -> dict[str, Any]:
        name = f"_flt_0_{entry.name}"
        kinds: dict[str, Any] = {
            "flag": lambda: forms.Choice(options=[("1", _("Yes")), ("0", _("No"))], optional=True),
            "choice": lambda: forms.Choice(options=entry.choices, optional=True),
            "date": lambda: forms.DateField(),
            "number": lambda: forms.IntegerField(),
            "reference": lambda: forms.Reference(source=entry.source or ""),
        }
        unbound = kinds.get(entry.kind, lambda: forms.StringField())()
        bound = unbound.bind(forms.Form(meta={"csrf": False}), name)
        bound.id = f"filter-{entry.name}"
        bound.process(None)
        return {
            "name": entry.name, "label": entry.label, "id": bound.id, "control": bound(),
            "ops": [{"index": i, "label": filters.OPERATORS[op]} for i, op in enumerate(entry.ops)],
        }

    def _actions(self) -> Any:
        return [
            {"name": a.name, "label": a.label, "primary": a.primary} for a in self.actions_on_list if can(a.name)
        ]

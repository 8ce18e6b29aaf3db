"""Base of all pages: hand-made ones (`PageView`) and generated lists, cards and forms (`RecordView`)."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode

from flask import current_app, flash, g, redirect, request, url_for
from flask_appbuilder import BaseView, ModelView
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy import ColumnElement, Select, false, select
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from ..db import unit_of_work
from ..errors import AddonError, InvalidInput, NotFound
from ..log import logger
from ..scope import Actor
from . import access, filters, forms, lists, render
from .access import can, current_actor, current_session, may, needs
from .filters import Applied, Filter

log = logger()
FORMATS = ("csv", "xlsx")
MOST_TICKED = 2_000


@dataclass(frozen=True)
class Column:
    """A column of a list: how it is called, where its value comes from, how it is shown and sorted.

    `value(item)` is the plain value (exports use it), `show(item)` what the page shows instead;
    `order` names the columns to sort by. `phone`: its place on a phone's card.
    """

    name: str
    label: Any
    value: Callable[[Any], Any] | None = None
    show: Callable[[Any], Any] | None = None
    order: Sequence[Any] = ()
    kind: str = "text"
    phone: str = "meta"
    badge: Callable[[Any], str] | None = None

    def plain(self, item: Any) -> Any:
        return self.value(item) if self.value else getattr(item, self.name)

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
                return render.moment(value)
        if isinstance(value, bool):
            return _("Yes") if value else _("No")
        return "" if value is None else value


@dataclass(frozen=True)
class ListAction:
    """A verb on selected rows: its permission, its words, and what answers with the verb's page or result."""

    name: str
    label: Any
    answer: Callable[["RecordView", "Selection"], Any]
    primary: bool = False


@dataclass(frozen=True)
class Selection:
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


def posted_key() -> str | None:
    """The idempotency key that a form of ours carries, bound to the person; None for anything else."""
    key = request.form.get("idempotency_key", "")
    return f"form:u{current_actor().user_id}:{key}" if re.fullmatch("[0-9A-Za-z-]{1,64}", key) else None


def form_status() -> int:
    """The status of a page with a form: a form that is shown again after it was posted was refused."""
    return 422 if request.method == "POST" else 200


class Mended:
    """What every page of the add-on does, whatever it shows."""

    is_page = True
    permissions: Sequence[str] = ()
    """The permissions that exist on this class's menu, as the manifest says."""

    def __init__(self, **kwargs: Any) -> None:
        self.permissions = access.permissions_on(self.class_permission_name)  # type: ignore[attr-defined]
        self.base_permissions = [access.PERMISSION_PREFIX + p for p in self.permissions]
        super().__init__(**kwargs)

    def create_blueprint(self, *args: Any, **kwargs: Any) -> Any:
        blueprint = super().create_blueprint(*args, **kwargs)  # type: ignore[misc]
        blueprint.before_request(access.check_csrf)
        blueprint.register_error_handler(AddonError, self.show_error)
        blueprint.register_error_handler(DataError, lambda _error: self.show_error(InvalidInput()))
        blueprint.register_error_handler(HTTPException, self.show_http_error)
        return blueprint

    def show_error(self, error: AddonError) -> Any:
        """A refusal that no form caught, as a page of its own with the right status."""
        log.info("refused", code=error.error_code, endpoint=request.endpoint)
        return self._error_page(error.http_status, error.text())

    def show_http_error(self, error: HTTPException) -> Any:
        """What the server itself refuses, such as a form that is too large; answers of the host pass unchanged."""
        if error.code is None or error.response is not None:
            return error
        texts = {400: access.CsrfFailed.message, 413: _("This is too much to send at once.")}
        return self._error_page(error.code, texts.get(error.code) or _("The server could not use this request."))

    def _error_page(self, status: int, text: Any) -> Any:
        current_session().rollback()
        if "user" not in g:  # the host refused the request before the framework asked who is there
            current_app.appbuilder.sm.before_request()  # type: ignore[attr-defined]
        titles = {403: _("Not allowed"), 404: _("Not found"), 409: _("Not possible"), 503: _("Please try again")}
        page = self.render_template(
            "enrollment_addon/error.html",
            code=status,
            title=titles.get(status, _("Please check your input")),
            text=text,
            back_url=access.same_site(request.referrer) or current_app.appbuilder.get_url_for_index,  # type: ignore[attr-defined]
        )
        return page, status

    def render_template(self, template: str, **context: Any) -> Any:
        render.begin_page()
        return super().render_template(template, **context)  # type: ignore[misc]

    @property
    def session(self) -> Session:
        return current_session()

    @property
    def actor(self) -> Actor:
        return current_actor()

    def work(self, do: Callable[[], Any]) -> Any:
        """Run a verb in one unit of work."""
        with unit_of_work(self.session):
            return do()

    def attempt(self, form: forms.Form, do: Callable[[], Any]) -> tuple[bool, Any]:
        """Carry a verb out in a unit of work; what it refuses is shown in the form, which keeps what was typed.

        That includes NotFound: the page has found its own record, so it is one that was chosen in the form.
        """
        try:
            return True, self.work(do)
        except AddonError as error:
            form.add_errors(error.fields, error.text())
            return False, error


class PageView(Mended, BaseView):  # type: ignore[misc]
    """Base of hand-made pages."""


def notice(text: str, url: str | None = None, label: str | None = None, category: str = "success") -> None:
    """Say what was done, with a link to it."""
    flash(Markup('{} <a href="{}">{}</a>').format(text, url, label) if url else text, category)


class RecordView(Mended, ModelView):  # type: ignore[misc]
    """Generated list, card and forms of one kind of record.

    Reads are bounded and scoped; writes go through `create`, `update` and `remove`, which call the domain's
    service. Nothing of a request is kept on the instance: the framework makes one instance for all threads.
    """

    exclude_route_methods = {"download", "action"}
    columns: Sequence[Column] = ()
    export_columns: ClassVar[Sequence[Column] | None] = None
    filters: Sequence[Filter] = ()
    inputs: ClassVar[Sequence[forms.Input]] = ()
    edit_inputs: ClassVar[Sequence[forms.Input] | None] = None
    groups: Sequence[tuple[Any, Sequence[str]]] = ()
    actions_on_list: Sequence[ListAction] = ()
    load: ClassVar[Sequence[Any]] = ()
    default_order: ClassVar[Sequence[Any]] = ()
    default_descending: ClassVar[bool] = False
    singular: ClassVar[Any] = ""
    add_label: ClassVar[Any] = _l("Add")
    search_placeholder: ClassVar[Any] = _l("Search")
    empty_text: ClassVar[Any] = ""
    list_subtitle: ClassVar[Any] = ""
    largest_page = 100
    page_size = 25
    search_columns: ClassVar[list[str]] = []
    _filters = None

    # The framework's own generators are replaced: they keep filters of one request for all others, load every
    # related table into search forms and read and write outside of the scope.
    def _init_properties(self) -> None:
        self.related_views: list[Any] = []
        self._related_views: list[Any] = []
        self.list_columns = [c.name for c in self.columns]
        self.filters_by_name = {f.name: f for f in self.filters}
        self.orders = {c.name: c.order for c in self.columns if c.order}

    def _init_forms(self) -> None:
        model, base = self.datamodel.obj, type(self).__name__
        self.add_form = forms.form_for(model, self.inputs, name=f"{base}Add")
        edit = self.inputs if self.edit_inputs is None else self.edit_inputs
        self.edit_form = forms.form_for(model, edit, name=f"{base}Edit")

    def _init_titles(self) -> None:
        self.title = self.list_title

    # ---- reading ---------------------------------------------------------------------------------------

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

    def find(self, pk: str) -> Any:
        """The record with this key, if the person reaches it. Raises: NotFound."""
        if not pk.isdecimal() or len(pk) > 18:
            raise NotFound
        key = lists.primary_key(self.model)
        item = self.session.scalars(self.base_query().where(key == int(pk)).options(*self.load)).unique().one_or_none()
        if item is None:
            raise NotFound
        return item

    # ---- list ------------------------------------------------------------------------------------------

    @expose("/list/")
    @needs("read")
    def list(self) -> Any:
        return self.render_template("enrollment_addon/list.html", page=self.list_page(), title=self.list_title)

    def list_page(self) -> dict[str, Any]:
        """Everything `list.html` shows; the number of queries does not depend on the number of rows."""
        name = type(self).__name__
        asked = lists.asked_of(
            request.args, name, orders=self.orders, default_size=self.page_size, largest_size=self.largest_page
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
            "search": asked.search, "searchable": type(self).search_clause is not RecordView.search_clause,
            "search_placeholder": self.search_placeholder,
            "columns": [self._column(c, asked, arguments) for c in self.columns],
            "rows": [self._row(item) for item in items],
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
            "filter_fields": [self._filter_field(entry) for entry in self.filters],
            "hidden_args": [
                (k, v) for k, vs in arguments.items() if not k.startswith("page_") and k != "search" for v in vs
            ],
            "actions": self._actions(), "action_url": url_for(f"{self.endpoint}.action_post"), "select_all": True,
            "filter_query": urlencode([(k, v) for k, vs in arguments.items() for v in vs]),
            "add_url": self.add_url(), "add_label": self.add_label,
            "export_urls": {
                fmt: f"{url_for(f'{self.endpoint}.export', fmt=fmt)}?{urlencode(arguments, doseq=True)}"
                for fmt in FORMATS
            },
            "empty": {
                "title": self.list_title, "text": self.empty_text, "url": self.add_url(), "label": self.add_label,
            },
            "filtered": filtered,
        }

    def prepare(self, items: Sequence[Any]) -> None:
        """Load what the columns need for a page of items, in a bounded number of queries."""

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

    def _row(self, item: Any) -> dict[str, Any]:
        editable = "edit" in self.permissions and may("edit", self.class_permission_name)
        return {
            "pk": item.id, "url": self.show_url(item), "label": str(item),
            "edit_url": url_for(f"{self.endpoint}.edit", pk=item.id) if editable else None,
            "cells": [
                {"value": c.shown(item), "kind": c.kind, "phone": c.phone,
                 "badge_class": c.badge(item) if c.badge else ""}
                for c in self.columns
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

    @expose("/action_post", methods=["POST"])
    @needs("read")
    def action_post(self) -> Any:
        """Carry out a verb on the selected rows: the verb's own permission is checked, the keys by the verb."""
        chosen = next((a for a in self.actions_on_list if a.name == request.form.get("action")), None)
        if chosen is None:
            raise NotFound
        access.authorize(chosen.name)
        selection = posted_selection(request.form)
        if selection.query is None and not selection.keys:
            flash(_("Please tick at least one row first."), "warning")
            return redirect(url_for(f"{self.endpoint}.list"))
        return chosen.answer(self, selection)

    # ---- export ----------------------------------------------------------------------------------------

    @expose("/export/<fmt>", methods=["GET", "POST"])
    @needs("read")
    def export(self, fmt: str) -> Any:
        """The list as filtered, as a file; for a large one, ask and have it prepared in the background."""
        if fmt not in FORMATS:
            raise NotFound
        from . import export_files

        return export_files.deliver(self, fmt)

    def export_header(self) -> Sequence[str]:
        return [str(c.label) for c in self.export_columns or self.columns]

    def export_rows(self, statement: Select[Any]) -> Iterator[Sequence[Any]]:
        """Rows in key order, a thousand at a time, so that memory stays bounded however many match."""
        key, last = lists.primary_key(self.model), 0
        while True:
            items = self.session.scalars(
                statement.where(key > last).order_by(None).order_by(key).limit(1000).options(*self.load)
            ).unique().all()
            if not items:
                return
            self.prepare(items)
            for item in items:
                yield [c.plain(item) for c in self.export_columns or self.columns]
            last = items[-1].id
            self.session.expunge_all()

    # ---- one record ------------------------------------------------------------------------------------

    @expose("/show/<pk>")
    @needs("read")
    def show(self, pk: str) -> Any:
        return self.render_template("enrollment_addon/show.html", **self.show_page(self.find(pk)))

    def show_page(self, item: Any) -> dict[str, Any]:
        """Everything `show.html` shows."""
        return {
            "title": str(item), "subtitle": self.singular, "badge": None,
            "fields": [{"label": c.label, "value": c.shown(item), "wide": False} for c in self.columns],
            "buttons": self.buttons(item), "crumbs": self.crumbs(), "sections": [],
        }

    def crumbs(self) -> Any:
        return [{"label": self.list_title, "url": url_for(f"{self.endpoint}.list")}]

    def buttons(self, item: Any) -> Any:
        menu = self.class_permission_name
        found = []
        if "edit" in self.permissions and may("edit", menu):
            found.append({"label": _("Edit"), "url": url_for(f"{self.endpoint}.edit", pk=item.id), "primary": True})
        if "delete" in self.permissions and may("delete", menu):
            found.append({"label": _("Delete"), "url": url_for(f"{self.endpoint}.delete", pk=item.id), "danger": True})
        return found

    def form_page(self, form: forms.Form, fields: Sequence[str] = (), **context: Any) -> Any:
        """A form as a page of its own: these fields, or those of the record in their groups."""
        own = self.groups or [(None, [n for n in form._fields if n != "csrf_token"])]
        groups = [(None, fields)] if fields else own
        shown = [{"title": t, "fields": [n for n in names if n in form._fields]} for t, names in groups]
        return self.render_template("enrollment_addon/form.html", form=form, groups=shown, **context)

    def create(self, **typed: Any) -> Any:
        """Create a record through the domain's service; returns it."""
        raise NotFound

    def update(self, item: Any, **typed: Any) -> Any:
        """Change a record through the domain's service."""
        raise NotFound

    def remove(self, item: Any) -> None:
        """Delete a record through the domain's service."""
        raise NotFound

    def typed_in(self, form: forms.Form) -> dict[str, Any]:
        return forms.values(form)

    def fill(self, form: forms.Form, item: Any) -> None:
        """Put what a column does not hold into an edit form."""

    def prefilled(self) -> dict[str, Any]:
        """What an empty form starts with."""
        return {}

    @expose("/add", methods=["GET", "POST"])
    @needs("add")
    def add(self) -> Any:
        form = self.add_form(data=self.prefilled()) if request.method == "GET" else self.add_form()
        if request.method == "POST" and form.validate():
            ok, item = self.attempt(form, lambda: self.create(**self.typed_in(form)))
            if ok:
                notice(_("%(record)s was added.", record=item))
                return redirect(self.show_url(item))
        page = self.form_page(
            form, title=self.add_label, subtitle="", crumbs=self.crumbs(), submit_label=self.add_label,
            cancel_url=url_for(f"{self.endpoint}.list"),
        )
        return page, form_status()

    @expose("/edit/<pk>", methods=["GET", "POST"])
    @needs("edit")
    def edit(self, pk: str) -> Any:
        item = self.find(pk)
        title = _("Edit %(record)s", record=item)
        if request.method == "GET":
            form = self.edit_form(obj=item)
            self.fill(form, item)
        else:
            form = self.edit_form()
            if form.validate():
                ok, _item = self.attempt(form, lambda: self.update(item, **self.typed_in(form)))
                if ok:
                    notice(_("Your changes to %(record)s were saved.", record=item))
                    return redirect(self.show_url(item))
                item = self.find(pk)
        page = self.form_page(
            form, title=title, subtitle="", crumbs=self.crumbs(), submit_label=_("Save changes"),
            cancel_url=self.show_url(item),
        )
        return page, form_status()

    @expose("/delete/<pk>", methods=["GET", "POST"])
    @needs("delete")
    def delete(self, pk: str) -> Any:
        """Ask first, then delete; what still holds the record is named."""
        item = self.find(pk)
        name, form = str(item), forms.Form()
        if request.method == "POST" and form.validate():
            ok, _nothing = self.attempt(form, lambda: self.remove(item))
            if ok:
                notice(_("%(record)s was deleted.", record=name))
                return redirect(url_for(f"{self.endpoint}.list"))
            item = self.find(pk)
        page = self.render_template(
            "enrollment_addon/undo.html", title=_("Delete %(record)s?", record=name),
            sentence=_("This cannot be undone."), facts=[], form=form, crumbs=self.crumbs(),
            action_url=request.path, cancel_url=self.show_url(item), submit_label=_("Delete %(record)s", record=name),
            danger=True, idempotency_key=None,
        )
        return page, form_status()



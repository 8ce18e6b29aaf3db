"""Generated lists, cards and forms (`RecordView`); hand-made pages and what lists are made of come along."""

from collections.abc import Sequence
from typing import Any, ClassVar

from flask import flash, redirect, request, url_for
from flask_appbuilder import ModelView
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from sqlalchemy import Select

from ..errors import NotFound
from ..holders import Holders
from . import access, forms, lists
from .access import may, needs
from .columns import MOST_TICKED, Column, ListAction, Selection, posted_selection
from .listing import FORMATS, Listing
from .pages import Mended, PageView, form_key, form_status, notice, posted_key
from .record_verbs import UNWRITTEN, RecordVerbs

__all__ = [
    "FORMATS", "MOST_TICKED", "Column", "ListAction", "Listing", "Mended", "PageView", "RecordView", "Selection",
    "form_key", "form_status", "notice", "posted_key", "posted_selection",
]


class RecordView(Listing, ModelView):  # type: ignore[misc]
    """Generated list, card and forms of one kind of record.

    Reads are bounded and scoped; writes go through `create`, `update` and `remove`, which call the domain's
    service. Nothing of a request is kept on the instance: the framework makes one instance for all threads.
    """

    exclude_route_methods = {"download", "action"}
    export_columns: Sequence[Column] | None = None
    inputs: ClassVar[Sequence[forms.Input]] = ()
    edit_inputs: ClassVar[Sequence[forms.Input] | None] = None
    groups: Sequence[tuple[Any, Sequence[Any]]] = ()
    singular: ClassVar[Any] = ""
    verbs: ClassVar[RecordVerbs] = UNWRITTEN
    holders: ClassVar[Holders | None] = None
    """What may keep a record from being deleted; told before anybody tries."""
    search_columns: ClassVar[list[str]] = []
    _filters = None

    # The framework's own generators are replaced: they keep filters of one request for all others, load every
    # related table into search forms and read and write outside of the scope.
    def _init_properties(self) -> None:
        self.related_views: list[Any] = []
        self._related_views: list[Any] = []
        self.list_columns = [c.name for c in self.columns]
        self.orders = {c.name: c.order for c in self.columns if c.order}

    def _init_forms(self) -> None:
        model, base = self.datamodel.obj, type(self).__name__
        self.add_form = forms.form_for(model, self.inputs, name=f"{base}Add")
        edit = self.inputs if self.edit_inputs is None else self.edit_inputs
        self.edit_form = forms.form_for(model, edit, name=f"{base}Edit")

    def _init_titles(self) -> None:
        self.title = self.list_title

    # ---- reading ---------------------------------------------------------------------------------------

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
        return [str(c.label) for c in self._file_columns()]

    def _file_columns(self) -> Sequence[Column]:
        return access.readable(self.columns if self.export_columns is None else self.export_columns)

    def export_count(self, query: str, cap: int) -> tuple[int, bool]:
        """How many rows a file of this search has, counted up to `cap`; and whether there are more."""
        return lists.capped_count(self.session, self._exported(query), self.model, cap)

    def export_piece(self, query: str, after: Any, size: int) -> tuple[Sequence[Sequence[Any]], Any]:
        """The next rows of a file, and behind which key it goes on."""
        key, columns = lists.primary_key(self.model), self._file_columns()
        statement = self._exported(query).where(key > (after or 0)).order_by(None).order_by(key).limit(size)
        items = self.session.scalars(statement.options(*self.load)).unique().all()
        self.prepare(items)
        rows = [[c.exported(item) for c in columns] for item in items]
        return rows, items[-1].id if items else after

    def _exported(self, query: str) -> Select[Any]:
        arguments = lists.arguments_from(query)
        return self.matching(self.applied(arguments, strict=True), lists.search_of(arguments))

    # ---- one record ------------------------------------------------------------------------------------

    @expose("/show/<pk>")
    @needs("read")
    def show(self, pk: str) -> Any:
        return self.render_template("enrollment_addon/show.html", **self.show_page(self.find(pk)))

    def show_page(self, item: Any) -> dict[str, Any]:
        """Everything `show.html` shows."""
        return {
            "title": self.title_of(item), "subtitle": self.singular, "badge": None,
            "fields": [{"label": c.label, "value": c.told(item), "wide": False} for c in self.shown_columns],
            "buttons": self.buttons(item), "crumbs": self.crumbs(), "sections": [],
        }

    def crumbs(self) -> Any:
        return [{"label": self.list_title, "url": url_for(f"{self.endpoint}.list")}]

    def crumbs_to(self, item: Any) -> Any:
        """The way back from a page that does something with a record."""
        return [*self.crumbs(), {"label": self.title_of(item), "url": self.show_url(item)}]

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
        shown = [
            {"title": t, "fields": [n for n in names if not isinstance(n, str) or n in form._fields]}
            for t, names in groups
        ]
        return self.render_template("enrollment_addon/form.html", form=form, groups=shown, **context)

    def create(self, **typed: Any) -> Any:
        """Create a record through the domain's service; returns it."""
        return self.verbs.create(self.session, actor=self.actor, **typed)

    def update(self, item: Any, **typed: Any) -> Any:
        """Change a record through the domain's service."""
        return self.verbs.update(self.session, id=item.id, actor=self.actor, **typed)

    def remove(self, item: Any) -> None:
        """Delete a record through the domain's service."""
        self.verbs.delete(self.session, id=item.id, actor=self.actor)

    def typed_in(self, form: forms.Form) -> dict[str, Any]:
        return forms.values(form)

    def fill(self, form: forms.Form, item: Any) -> None:
        """Put what a column does not hold into an edit form."""

    def prefilled(self) -> dict[str, Any]:
        """What an empty form starts with."""
        return {}

    def trimmed(self, form: forms.Form, item: Any = None) -> forms.Form:
        """The form without the fields that this person may not fill in, or that do not apply to the record edited."""
        return form

    def called(self, name: str, held: Any) -> str:
        """What people call a value that a record holds and the list of the field no longer offers."""
        return str(held)

    @expose("/add", methods=["GET", "POST"])
    @needs("add")
    def add(self) -> Any:
        form = self.trimmed(self.add_form(data=self.prefilled()) if request.method == "GET" else self.add_form())
        if request.method == "POST" and form.validate():
            ok, item = self.attempt(form, lambda: self.create(**self.typed_in(form)))
            if ok:
                notice(_("%(record)s was added.", record=item))
                return redirect(self.show_url(item))
        page = self.form_page(
            form, title=self.add_label, subtitle="", crumbs=self.crumbs(), submit_label=_("Save"),
            cancel_url=url_for(f"{self.endpoint}.list"),
        )
        return page, form_status()

    @expose("/edit/<pk>", methods=["GET", "POST"])
    @needs("edit")
    def edit(self, pk: str) -> Any:
        item = self.find(pk)
        title = _("Edit %(record)s", record=item)
        form = self.trimmed(self.edit_form(obj=item) if request.method == "GET" else self.edit_form(), item)
        for field in form:
            if isinstance(field, forms.Choice):
                held = getattr(item, field.name, None)
                field.admit(held, self.called(field.name, held))
        if request.method == "GET":
            self.fill(form, item)
        elif form.validate():
            ok, _item = self.attempt(form, lambda: self.update(item, **self.typed_in(form)))
            if ok:
                notice(_("Your changes to %(record)s were saved.", record=item))
                return redirect(self.show_url(item))
            item = self.find(pk)
        page = self.form_page(
            form, title=title, subtitle="", crumbs=self.crumbs_to(item), submit_label=_("Save changes"),
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
        held = self.holders.refusal(self.session, item.id) if self.holders else None
        said = [held.text()] if held else [self.goes_along(item), _("This cannot be undone.")]
        return self.ask_first(
            form, title=_("Delete %(record)s?", record=name), held=held is not None,
            sentence=" ".join(str(part) for part in said if part),
            facts=self._identified(item), crumbs=self.crumbs_to(item), cancel_url=self.show_url(item),
            submit_label=_("Delete %(record)s", record=name), idempotency_key=None,
        )

    def goes_along(self, item: Any) -> Any:
        """What is deleted together with a record, as a sentence; most have nothing like that."""
        return ""

    def _identified(self, item: Any) -> Sequence[dict[str, Any]]:
        """Which record it is: what the list says of it beside its name."""
        self.prepare([item])
        told = [(column.label, column.shown(item)) for column in self.shown_columns if column.phone != "title"]
        return [{"label": label, "value": value} for label, value in told if value not in (None, "")]

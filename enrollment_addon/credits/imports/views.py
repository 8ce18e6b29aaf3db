"""The import wizard: upload, columns, dry run, import, result."""

from typing import Any

from flask import Response, current_app, redirect, request, stream_with_context, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core.errors import AddonError
from ...core.exports import csv_lines
from ...core.web import access, render
from ...core.web.access import can, verb
from ...core.web.filters import Filter
from ...core.web.views import Column, RecordView, form_status, notice
from ...people.models import Client
from . import labels, queries, service
from .calc import cell_text, guess
from .errors import BadFile
from .forms import GROUPS, UploadForm, columns_form
from .models import ClientImport, ImportRow, ImportState, Outcome
from .upload import upload

ROWS = 50
REFUSED_BLOCK = 500


class ImportView(RecordView):
    """Imports of clients with their opening credits: one's own, or everybody's for those who see everything."""

    route_base = "/enrollment/imports"
    datamodel = SQLAInterface(ClientImport)
    class_permission_name = "EnrollmentImport"
    list_title = _l("Imports")
    singular = _l("Import")
    add_label = _l("Import clients")
    empty_text = _l(
        "Bring your clients and what they have left over from a CSV or XLSX file. You will see what would happen, "
        "row by row, before anything is written."
    )
    columns = (
        Column("name", _l("File"), kind="link", phone="title"),
        Column("state", _l("State"), value=lambda i: str(dict(labels.STATES)[i.state]), kind="badge", phone="end",
               badge=lambda i: labels.STATE_CLASSES.get(i.state, "")),
        Column("total", _l("Rows"), kind="number"),
        Column("created_at", _l("When"), kind="moment", order=(ClientImport.id,)),
    )
    filters = (
        Filter("state", _l("State"), "choice", ClientImport.state, labels.STATES),
        Filter("name", _l("File"), "text", ClientImport.name),
    )
    default_order = (ClientImport.id,)
    default_descending = True

    def add_url(self) -> str | None:
        return url_for("ImportView.add") if can("import_clients") else None

    @expose("/add", methods=["GET", "POST"])
    @verb("import_clients")
    def add(self) -> Any:
        """The first step: the file."""
        form = UploadForm()
        if request.method == "POST" and form.validate():
            sent = request.files.get("file")
            try:
                if sent is None or not sent.filename:
                    raise BadFile(_l("Please choose a file."))
                key = upload(self.session, file=sent.stream, name=sent.filename, actor=self.actor)  # type: ignore[arg-type]
                return redirect(url_for("ImportView.map_columns", pk=key))
            except BadFile as error:
                form.add_errors({"file": error.text()})
        page = self.form_page(
            form, title=_("Import clients"), subtitle=_("Nothing is written before you have seen what would happen."),
            crumbs=self.crumbs(), submit_label=_("Upload"), cancel_url=url_for("ImportView.list"),
        )
        return page, form_status()

    @expose("/columns/<pk>", methods=["GET", "POST"])
    @verb("import_clients")
    def map_columns(self, pk: str) -> Any:
        """The second step: which column is what. Guessed from the header; an earlier choice is kept."""
        item = self.find(pk)
        made = columns_form(item.header, queries.sample(self.session, item.id))
        if request.method == "GET":
            form = made(data=self._chosen(item))
        else:
            form = made()
            if form.validate():
                ok, job_id = self.attempt(
                    form,
                    lambda: service.check_import(
                        self.session, import_id=item.id, options=form.options(), actor=self.actor,
                        threshold=_threshold(),
                    ),
                )
                if ok:
                    return redirect(_job_or_import(job_id, pk))
                item = self.find(pk)
        page = self.render_template(
            "enrollment_addon/form.html", form=form, title=_("Columns of %(file)s", file=item.name),
            subtitle=ngettext("%(num)s row", "%(num)s rows", item.total), crumbs=self.crumbs(),
            groups=[{"title": title, "fields": names} for title, names in GROUPS],
            submit_label=_("Check the rows"), cancel_url=url_for("ImportView.show", pk=pk),
        )
        return page, form_status()

    def _chosen(self, item: ClientImport) -> dict[str, Any]:
        """What was chosen before, else what the header says."""
        before = item.options or {"columns": guess(item.header)}
        columns = {name: str(place) for name, place in before["columns"].items()}
        return {**columns, **{n: before[n] for n in ("club_id", "dates", "decimal") if n in before}}

    @expose("/show/<pk>")
    @verb("import_clients")
    def show(self, pk: str) -> Any:
        """The dry run, or the result: the counts and every row."""
        item = self.find(pk)
        asked = request.args.get("outcome", "")
        outcome = Outcome(asked) if asked in set(Outcome) else None
        after = request.args.get("after", "")
        found = queries.rows_page(
            self.session, item.id, outcome=outcome, size=ROWS + 1,
            after=int(after) if after.isdecimal() and len(after) < 10 else 0,
        )
        counted = queries.counts(self.session, item.id)
        written = item.state in (ImportState.running, ImportState.done)
        words = dict(labels.DONE if written else labels.PLANNED)
        here: dict[str, Any] = {"outcome": outcome.value} if outcome else {}
        more = len(found) > ROWS
        return self.render_template(
            "enrollment_addon/import.html", crumbs=self.crumbs(), title=item.name, item=self._head(item),
            facts=[{"label": _("Rows"), "value": render.number(item.total)}]
            + [{"label": label, "value": render.number(counted[o])} for o, label in words.items()],
            tabs=[
                {"label": label, "current": outcome == key,
                 "url": url_for("ImportView.show", pk=pk, outcome=key)}
                for key, label in ((None, _("All")), *words.items())
            ],
            rows=self._rows(item, found[:ROWS], words),
            next_url=url_for("ImportView.show", pk=pk, **here, after=found[ROWS - 1].number) if more else None,
            **self._verbs(item, counted),
        )

    def _head(self, item: ClientImport) -> dict[str, Any]:
        before = queries.earlier(self.session, item) if item.state == ImportState.checked else None
        again = None
        if before is not None:
            again = _("A file with the same content was imported on %(date)s: only what changed since is new.",
                      date=render.moment(before.created_at))
        undo = None
        if item.state == ImportState.done:
            undo = _("An import is not undone as a whole. To change what it did, import the rows as they should be: "
                     "credits that are set lower are taken back as far as nobody has spent them.")
        return {
            "undo_text": undo,
            "state_label": dict(labels.STATES)[item.state], "state_class": labels.STATE_CLASSES.get(item.state, ""),
            "created_at": item.created_at, "again": again,
            "ready": item.state in (ImportState.checked, ImportState.done),
        }

    def _verbs(self, item: ClientImport, counted: dict[Outcome, int]) -> dict[str, Any]:
        """What can be done next."""
        open_states = (ImportState.uploaded, ImportState.checking, ImportState.checked)
        going = sum(counted[o] for o in (Outcome.create, Outcome.update))
        start = _("Import: %(created)s to be created, %(updated)s to be updated",
                  created=render.number(counted[Outcome.create]), updated=render.number(counted[Outcome.update]))
        return {
            "start_url": url_for("ImportView.start", pk=item.id)
            if item.state == ImportState.checked and going else None,
            "start_label": start,
            "start_question": _("Write these rows now? Refused rows are left out."),
            "columns_url": url_for("ImportView.map_columns", pk=item.id) if item.state in open_states else None,
            "discard_url": url_for("ImportView.discard", pk=item.id) if item.state in open_states else None,
            "refused_url": url_for("ImportView.refused", pk=item.id) if counted[Outcome.refused] else None,
            "job_url": url_for("JobView.show", pk=item.job_id)
            if item.job_id and item.state in (ImportState.checking, ImportState.running) else None,
        }

    def _rows(self, item: ClientImport, found: Any, words: dict[Any, Any]) -> list[dict[str, Any]]:
        """The rows as they are shown; those that were written by the client they became."""
        keys = [row.client_id for row in found if row.client_id]
        names = {c.id: c.full_name for c in self.session.scalars(select(Client).where(Client.id.in_(keys)))}
        readable = access.may("read", "EnrollmentClient")
        shown = []
        for row in found:
            said = _said(item, row)
            url = url_for("ClientView.show", pk=row.client_id) if readable and row.client_id in names else None
            shown.append({
                "number": row.number, "name": said["name"] or names.get(row.client_id, ""), "facts": said["facts"],
                "url": url, "label": words.get(row.outcome, ""),
                "class": labels.OUTCOME_CLASSES.get(row.outcome, ""), "reason": reason(row),
            })
        return shown

    @expose("/start/<pk>", methods=["POST"])
    @verb("import_clients")
    def start(self, pk: str) -> Any:
        """Write it; a second click leads to the same import."""
        item = self.find(pk)
        try:
            job_id = self.work(
                lambda: service.start_import(
                    self.session, import_id=item.id, actor=self.actor, threshold=_threshold()
                )
            )
        except AddonError as error:
            notice(error.text(), category="warning")
            job_id = None
        return redirect(_job_or_import(job_id, pk))

    @expose("/discard/<pk>", methods=["POST"])
    @verb("import_clients")
    def discard(self, pk: str) -> Any:
        """Forget a file that was not imported."""
        item = self.find(pk)
        name = item.name
        try:
            self.work(lambda: service.discard_import(self.session, import_id=item.id, actor=self.actor))
        except AddonError as error:
            notice(error.text(), category="warning")
            return redirect(url_for("ImportView.show", pk=pk))
        notice(_("%(record)s was deleted.", record=name))
        return redirect(url_for("ImportView.list"))

    @expose("/refused/<pk>")
    @verb("import_clients")
    def refused(self, pk: str) -> Any:
        """The refused rows as they were, each with its reason, to be corrected and uploaded again."""
        return refused_file(self.session, self.find(pk))


def refused_file(session: Session, item: ClientImport) -> Response:
    """The refused rows of an import as a file, in the reader's language."""
    key, width = item.id, len(item.header)
    header = [*item.header, _("Row"), _("Reason")]

    def lines() -> Any:
        after = 0
        while block := queries.rows_page(session, key, outcome=Outcome.refused, after=after, size=REFUSED_BLOCK):
            for row in block:
                cells = [cell_text(cell) for cell in (row.cells or [])[:width]]
                yield [*cells, *[""] * (width - len(cells)), row.number, reason(row)]
            after = block[-1].number
            session.expunge_all()

    told = csv_lines(header, lines())
    answer = Response(stream_with_context(line.encode() for line in told), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="refused-{key}.csv"'
    return answer


def _threshold() -> int:
    threshold: int = current_app.extensions["enrollment"].settings.job_threshold
    return threshold


def _job_or_import(job_id: int | None, pk: str) -> str:
    return url_for("JobView.show", pk=job_id) if job_id is not None else url_for("ImportView.show", pk=pk)


def reason(row: ImportRow) -> str:
    """Why a row was refused, or what is to be looked at in it, in the reader's language."""
    if not row.message:
        return ""
    params = {n: _(v) if isinstance(v, str) and v else v for n, v in (row.params or {}).items()}
    text = _(row.message)
    return text % params if params else text


def _said(item: ClientImport, row: ImportRow) -> dict[str, Any]:
    """Who a row is about and what it gives, as far as its cells are still there."""
    columns = (item.options or {"columns": guess(item.header)})["columns"]

    def text(name: str) -> str:
        place = columns.get(name)
        return cell_text(row.cells[place]) if row.cells and place is not None and place < len(row.cells) else ""

    gives = f"{text('quantity')} × {text('event_type')}" if text("quantity") and text("event_type") else ""
    return {"name": f"{text('first_name')} {text('last_name')}".strip(), "facts": [text("email"), gives]}

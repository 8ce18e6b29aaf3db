"""Lists, pages and forms of training reports and skills, and the page for the printer."""

from collections.abc import Sequence
from typing import Any

from flask import g, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import force_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, select

from ..catalog.languages import TranslatedView
from ..catalog.queries import name_clause
from ..core import clock
from ..core.db import require
from ..core.web import access, forms, render
from ..core.web.access import can, needs, verb
from ..core.web.api import key_of
from ..core.web.filters import Filter
from ..core.web.forms import Input
from ..core.web.record_verbs import RecordVerbs
from ..core.web.views import Column, RecordView, form_status, notice
from ..people.models import Client, TeamMember
from ..people.queries import text_clause
from . import queries, service
from .forms import (
    ClientForm,
    about,
    asked_for,
    contents_of,
    filled,
    groups_of,
    report_form,
    subject_of,
)
from .forms import key_of as subject_key
from .models import Skill, TrainingReport

VERB = "write_training_reports"


def author_of(report: TrainingReport) -> str:
    """Who wrote a report; the names of a page's reports are read at once by `know_authors`."""
    known: dict[int, str] = g.setdefault("enrollment_report_authors", {})
    if report.author_id is not None and report.author_id not in known:
        know_authors([report])
    return known.get(report.author_id or 0, "")


def know_authors(reports: Sequence[TrainingReport]) -> None:
    """Read who wrote these reports, in one query."""
    known: dict[int, str] = g.setdefault("enrollment_report_authors", {})
    known.update(queries.author_names(access.current_session(), reports))


def _rated(report: TrainingReport) -> str:
    """The ratings as an export has them."""
    return "; ".join(f"{rating.skill.label}: {rating.rating}" for rating in report.ratings)


def _by_author(operator: str, value: Any) -> ColumnElement[bool]:
    wrote = TrainingReport.author_id.in_(select(TeamMember.user_id).where(TeamMember.id == value))
    return wrote if operator == "eq" else ~wrote | TrainingReport.author_id.is_(None)


def _proposed(client: Client, subject: queries.Subject | None) -> dict[str, Any]:
    """What the form of a new report starts with."""
    day = queries.day_of(subject.session) if subject and subject.session else clock.today(client.club.timezone)
    return {"about": subject_key(subject) if subject else "", "held_on": day}


class TrainingReportView(RecordView):
    """Training reports: who worked on what, how it went, and what comes next."""

    route_base = "/enrollment/training-reports"
    datamodel = SQLAInterface(TrainingReport)
    class_permission_name = "EnrollmentTrainingReport"
    verbs = RecordVerbs(service.write_training_report, service.update_training_report, service.delete_training_report)
    list_title = _l("Training reports")
    singular = _l("Training report")
    add_label = _l("Write a training report")
    search_placeholder = _l("Name, e-mail or phone of the client")
    empty_text = _l("A training report says what was worked on with a participant, how it went, and what comes next.")
    load = queries.SHOWN
    columns = (
        Column("participant", _l("Participant"), value=lambda r: r.participant.name, kind="link", phone="title"),
        Column("held_on", _l("Date"), order=(TrainingReport.held_on,), kind="date", phone="end"),
        Column("client", _l("Client"), value=lambda r: r.client.full_name),
        Column("about", _l("About"), value=subject_of),
        Column("author", _l("Author"), value=author_of),
        Column("visible_to_client", _l("Visible to the client"), phone="hide"),
    )
    export_columns = (
        Column("id", _l("Number")), *columns, Column("worked_on", _l("What was worked on")),
        Column("ratings", _l("Ratings"), value=_rated), Column("homework", _l("Homework")),
        Column("goals", _l("Next goals")),
    )
    filters = (
        Filter("client_id", _l("Client"), "reference", TrainingReport.client_id, source="clients"),
        Filter("held_on", _l("Date"), "date", TrainingReport.held_on),
        Filter("author", _l("Author"), "reference", source="team_members", apply=_by_author),
        Filter("visible_to_client", _l("Visible to the client"), "flag", TrainingReport.visible_to_client),
        Filter("participant_id", _l("Participant number"), "number", TrainingReport.participant_id),
        Filter("enrollment_id", _l("Enrollment number"), "number", TrainingReport.enrollment_id),
        Filter("session_id", _l("Session number"), "number", TrainingReport.session_id),
    )
    default_order = (TrainingReport.held_on,)
    default_descending = True

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return TrainingReport.client_id.in_(select(Client.id).where(text_clause(self.session, text)))

    def prepare(self, items: Sequence[Any]) -> None:
        know_authors(items)

    def add_url(self) -> str | None:
        return url_for("TrainingReportView.add") if can(VERB) else None

    def buttons(self, item: TrainingReport) -> Any:
        found: list[dict[str, Any]] = [
            {"label": _("Print"), "url": url_for("TrainingReportView.printed", pk=item.id)}
        ]
        if can(VERB):
            found += [
                {"label": _("Edit"), "url": url_for("TrainingReportView.edit", pk=item.id), "primary": True},
                {"label": _("Delete"), "url": url_for("TrainingReportView.delete", pk=item.id), "danger": True},
            ]
        return found

    def title_of(self, item: TrainingReport) -> str:
        return str(item.participant.name)

    def show_page(self, item: TrainingReport) -> dict[str, Any]:
        page = super().show_page(item)
        render.use_timezone(item.client.club.timezone)
        said = (
            (_("What was worked on"), item.worked_on), (_("Homework"), item.homework), (_("Next goals"), item.goals)
        )
        page["fields"] += [{"label": label, "value": text, "wide": True} for label, text in said if text]
        if item.ratings:
            rows = [{"title": r.skill.label, "end": _("%(rating)s of 5", rating=r.rating)} for r in item.ratings]
            page["sections"] = [{"title": _("Ratings"), "empty": "", "rows": rows}]
        if access.may("read", "EnrollmentClient"):
            client = {"label": item.client.full_name, "url": url_for("ClientView.show", pk=item.client_id)}
            page["crumbs"] = [*page["crumbs"], client]
        return page

    @expose("/print/<pk>")
    @needs("read")
    def printed(self, pk: str) -> Any:
        """The report on a sheet of its own, in the client's language where they have one; buttons in the reader's."""
        item = self.find(pk)
        reader = {
            "lang": render.locale_name().replace("_", "-"), "dir": render.direction(),
            "back": str(_("Back")), "print": str(_("Print")),
        }
        with force_locale(item.client.locale or render.locale_name()):
            render.use_timezone(item.client.club.timezone)
            return self.render_template(
                "enrollment_addon/training_report_print.html", report=item, subject=subject_of(item),
                author=author_of(item), back_url=self.show_url(item), reader=reader,
            )

    # ---- verbs -----------------------------------------------------------------------------------------

    @expose("/add", methods=["GET", "POST"])
    @verb(VERB)
    def add(self) -> Any:
        """Choose the client, then write about one of their sessions or enrollments."""
        asked = request.args.get("client_id", "")
        if not asked:
            return self._choose_client()
        client = require(self.session, Client, key_of(asked))
        wanted = request.args.get("about", "")
        subjects = self._subjects(client.id, about(wanted))
        name = client.full_name
        if not subjects:
            notice(_("%(name)s has no session and no enrollment yet to write about.", name=name), category="warning")
            return redirect(url_for("ClientView.show", pk=client.id))
        made = report_form(queries.active_skills(self.session), subjects)
        form = made() if request.method == "POST" else made(data=_proposed(client, asked_for(wanted, subjects)))
        if request.method == "POST" and form.validate():
            ok, report = self.attempt(form, lambda: self.create(**about(form.about.value), **contents_of(form)))
            if ok:
                notice(_("The training report was saved."))
                return redirect(self.show_url(report))
        return self._report_page(
            form, crumbs=self.crumbs(), title=self.add_label, subtitle=name, submit_label=_("Save the report"),
            cancel_url=url_for("ClientView.show", pk=asked),
        )

    def _choose_client(self) -> Any:
        form = ClientForm()
        if request.method == "POST" and form.validate():
            return redirect(url_for("TrainingReportView.add", client_id=form.client_id.data))
        page = self.form_page(
            form, title=self.add_label, subtitle="", crumbs=self.crumbs(), submit_label=_("Continue"),
            cancel_url=url_for("TrainingReportView.list"), fields=["client_id"],
        )
        return page, form_status()

    def _subjects(self, client_id: int, asked: dict[str, int]) -> list[queries.Subject]:
        session_id, participant_id = asked.get("session_id"), asked.get("participant_id")
        place = (session_id, participant_id) if session_id and participant_id else None
        return [
            *queries.session_subjects(self.session, client_id, place),
            *queries.enrollment_subjects(self.session, client_id, asked.get("enrollment_id")),
        ]

    def _report_page(self, form: forms.Form, **context: Any) -> Any:
        page = self.render_template(
            "enrollment_addon/form.html", form=form, groups=groups_of(form), **context  # type: ignore[arg-type]
        )
        return page, form_status()

    @expose("/edit/<pk>", methods=["GET", "POST"])
    @verb(VERB)
    def edit(self, pk: str) -> Any:
        item = self.find(pk)
        made = report_form(queries.active_skills(self.session, [r.skill_id for r in item.ratings]))
        form = made(data=filled(item)) if request.method == "GET" else made()
        if request.method == "POST" and form.validate():
            ok, _report = self.attempt(form, lambda: self.update(item, **contents_of(form)))
            if ok:
                notice(_("The training report was saved."))
                return redirect(self.show_url(item))
            item = self.find(pk)
        return self._report_page(
            form, title=_("Edit %(record)s", record=item.participant.name), subtitle=subject_of(item),
            crumbs=self.crumbs_to(item), submit_label=_("Save changes"), cancel_url=self.show_url(item),
        )

    @expose("/delete/<pk>", methods=["GET", "POST"])
    @verb(VERB)
    def delete(self, pk: str) -> Any:
        """Ask first, then delete."""
        item, form = self.find(pk), forms.Form()
        name = item.participant.name
        if request.method == "POST" and form.validate():
            ok, _nothing = self.attempt(form, lambda: self.remove(item))
            if ok:
                notice(_("The training report was deleted."))
                return redirect(url_for("TrainingReportView.list"))
            item = self.find(pk)
        facts = [
            {"label": _("Participant"), "value": name}, {"label": _("About"), "value": subject_of(item)},
            {"label": _("Date"), "value": render.date(item.held_on)},
        ]
        return self.ask_first(
            form, title=_("Delete the training report of %(name)s?", name=name),
            sentence=_("This cannot be undone."), facts=facts, crumbs=self.crumbs_to(item),
            cancel_url=self.show_url(item), submit_label=_("Delete the report"), idempotency_key=None,
        )


class SkillView(TranslatedView):
    """What training reports rate; the name can be given in every language of the host."""

    route_base = "/enrollment/skills"
    datamodel = SQLAInterface(Skill)
    class_permission_name = "EnrollmentSkill"
    verbs = RecordVerbs(service.create_skill, service.update_skill, service.delete_skill)
    list_title = _l("Skills")
    singular = _l("Skill")
    add_label = _l("New skill")
    empty_text = _l("Skills are what training reports rate from 1 to 5, such as “Balance” or “Recall”.")
    columns = (
        Column("label", _l("Name"), order=(Skill.name,), kind="link", phone="title"),
        Column("active", _l("Active"), order=(Skill.active,)),
    )
    filters = (Filter("name", _l("Name"), "text", Skill.name), Filter("active", _l("Active"), "flag", Skill.active))
    default_order = (Skill.name,)
    search_placeholder = _l("Name in any language")
    inputs = (
        Input("name", _l("Name")),
        Input("active", _l("Active"), _l("New reports rate active skills only.")),
    )

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return name_clause(text, Skill)

    def prefilled(self) -> dict[str, Any]:
        return {"active": True}

"""The forms of a training report: which fields it has depends on the skills and on what it may be about."""

import re
from collections.abc import Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from ..core.web import forms, render
from ..enrollments.views import named
from .models import Skill, TrainingReport
from .queries import Subject

SKILL = "skill_"
RATINGS = (
    ("1", _l("1 – just begun")), ("2", "2"), ("3", _l("3 – on the way")), ("4", "4"), ("5", _l("5 – mastered")),
)
_KEY = re.compile(r"(session|enrollment)-(\d{1,18})-(\d{0,18})")


class ClientForm(forms.Form):
    """Whom a report is about."""

    client_id = forms.Reference(
        _l("Client"), source="clients", validators=[forms.InputRequired(forms.REQUIRED)],
        description=_l("Next you choose the session or the enrollment."),
    )


class ReportForm(forms.Form):
    """What a report says; a field per skill is added when it is shown."""

    held_on = forms.DateField(_l("Date"), validators=[forms.InputRequired(forms.REQUIRED)])
    worked_on = forms.TextAreaField(
        _l("What was worked on"),
        validators=[forms.InputRequired(forms.REQUIRED), forms.Length(max=10_000)], render_kw={"rows": 5},
    )
    homework = forms.TextAreaField(_l("Homework"), validators=[forms.Length(max=10_000)], render_kw={"rows": 3})
    goals = forms.TextAreaField(_l("Next goals"), validators=[forms.Length(max=10_000)], render_kw={"rows": 3})
    visible_to_client = forms.Flag(
        _l("Visible to the client"), description=_l("Otherwise only the team reads this report.")
    )


def report_form(skills: Sequence[Skill], subjects: Sequence[Subject] | None = None) -> type[ReportForm]:
    """The form for these skills; a new report also asks which of the subjects it is about."""
    members: dict[str, Any] = {
        f"{SKILL}{skill.id}": forms.Choice(skill.label, options=RATINGS, optional=True) for skill in skills
    }
    if subjects is not None:
        options = [("", _("Choose a session or an enrollment")), *((key_of(s), described(s)) for s in subjects)]
        members["about"] = forms.Choice(
            _l("About"), options=options, validators=[forms.InputRequired(forms.REQUIRED)]
        )
    return type("TrainingReportForm", (ReportForm,), members)


def groups_of(form: ReportForm) -> list[dict[str, Any]]:
    """The fields in the order they are filled in."""
    skills = [name for name in form._fields if name.startswith(SKILL)]
    groups = [
        {"title": None, "fields": [n for n in ("about", "held_on", "worked_on") if n in form._fields]},
        {"title": _("Ratings"), "fields": skills},
        {"title": _("Until next time"), "fields": ["homework", "goals", "visible_to_client"]},
    ]
    return [group for group in groups if group["fields"]]


def contents_of(form: ReportForm) -> dict[str, Any]:
    """What was typed, as the verbs take it."""
    typed = forms.values(form)
    typed.pop("about", None)
    rated = {int(name.removeprefix(SKILL)): typed.pop(name) for name in list(typed) if name.startswith(SKILL)}
    return {**typed, "ratings": {skill: int(rating) for skill, rating in rated.items() if rating}}


def filled(report: TrainingReport) -> dict[str, Any]:
    """What the form of this report starts with."""
    said = {n: getattr(report, n) for n in ("held_on", "worked_on", "homework", "goals", "visible_to_client")}
    return {**said, **{f"{SKILL}{rating.skill_id}": str(rating.rating) for rating in report.ratings}}


def key_of(subject: Subject) -> str:
    """A subject as a form or a URL names it; the participant's key comes last."""
    if subject.session is not None:
        return f"session-{subject.session.id}-{subject.participant.id}"
    assert subject.enrollment is not None
    return f"enrollment-{subject.enrollment.id}-{subject.participant.id}"


def about(text: str) -> dict[str, int]:
    """What `key_of` made, as keys; nothing for anything else. The participant may be left open."""
    found = _KEY.fullmatch(text)
    if found is None:
        return {}
    keys = {f"{found[1]}_id": found[2], "participant_id": found[3]}
    return {name: int(digits) for name, digits in keys.items() if digits}


def asked_for(wanted: str, subjects: Sequence[Subject]) -> Subject | None:
    """The subject that a URL names; one that leaves the participant open means the first who fits."""
    return next(
        (s for s in subjects if (key_of(s).startswith(wanted) if wanted.endswith("-") else key_of(s) == wanted)), None
    )


def described(subject: Subject) -> str:
    """A subject as a choice shows it."""
    name, item, enrollment = subject.participant.name, subject.session, subject.enrollment
    if item is not None:
        return f"{name} – {render.joined((item.label, render.moment(item.starts_at, item.club.timezone)))}"
    assert enrollment is not None
    bought, since = named(enrollment), render.date(enrollment.begins_on)
    return str(_("%(name)s – %(enrollment)s since %(date)s", name=name, enrollment=bought, date=since))


def subject_of(report: TrainingReport) -> str:
    """What a report is about, in the reader's language."""
    if report.session is not None:
        item = report.session
        return render.joined((item.label, render.moment(item.starts_at, item.club.timezone)))
    return named(report.enrollment) if report.enrollment else ""

"""What training reports add to the pages of clients, enrollments and bookings."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import url_for
from flask_babel import gettext as _

from ..core.web import access, render
from ..people.hooks import TimelineItem
from ..people.models import Client
from ..people.parts import ClientPart
from . import queries
from .forms import subject_of
from .models import TrainingReport
from .views import VERB, author_of, know_authors

SHOWN = 5
MOST_OWN = 20
_TEMPLATE = "enrollment_addon/_training_reports.html"


def card(client: Client) -> Mapping[str, Any]:
    """The last reports on a client's participants."""
    if not access.may("read", "EnrollmentTrainingReport"):
        return {}
    reports = queries.reports_of(access.current_session(), client_id=client.id, limit=SHOWN + 1)
    add_url = None
    if access.can(VERB) and client.erased_at is None and client.merged_into_id is None:
        add_url = url_for("TrainingReportView.add", client_id=client.id)
    return {"sections": [_section(reports, add_url, _flt_0_client_id=client.id)]}


def own(client: Client) -> dict[str, Any]:
    """The last reports that are for a client's eyes, in full."""
    rows = []
    for report in queries.shared_reports(access.current_session(), client.id, MOST_OWN):
        said = (
            *((r.skill.label, _("%(rating)s of 5", rating=render.number(r.rating)), False) for r in report.ratings),
            (_("Homework"), report.homework, True), (_("Next goals"), report.goals, True),
        )
        rows.append({
            "name": report.participant.name, "facts": [render.date(report.held_on), subject_of(report)],
            "text": report.worked_on,
            "said": [{"label": name, "value": text, "wide": wide} for name, text, wide in said if text],
        })
    return {"title": _("Training reports"), "rows": rows, "empty": _("No training reports yet.")}


def enrollment_part(enrollment: Any) -> Mapping[str, list[Any]]:
    """The last reports on an enrollment."""
    if not access.may("read", "EnrollmentTrainingReport"):
        return {}
    reports = queries.reports_of(access.current_session(), enrollment_id=enrollment.id, limit=SHOWN + 1)
    add_url = None
    if access.can(VERB) and enrollment.deleted_at is None:
        wanted = f"enrollment-{enrollment.id}-{enrollment.participant_id or ''}"
        add_url = url_for("TrainingReportView.add", client_id=enrollment.client_id, about=wanted)
    return {"sections": [_section(reports, add_url, _flt_0_enrollment_id=enrollment.id)]}


def booking_part(booking: Any) -> Mapping[str, list[Any]]:
    """The way from somebody's place in a session to a report on it."""
    if not access.can(VERB) or booking.state not in queries.TAKING_A_PLACE:
        return {}
    wanted = f"session-{booking.session_id}-{booking.participant_id}"
    url = url_for("TrainingReportView.add", client_id=booking.client_id, about=wanted)
    return {"links": [{"label": _("Write a training report"), "url": url}]}


def _section(reports: Sequence[TrainingReport], add_url: str | None, **filtered: Any) -> dict[str, Any]:
    know_authors(reports)
    return {
        "template": _TEMPLATE, "add_url": add_url,
        "more_url": url_for("TrainingReportView.list", **filtered) if len(reports) > SHOWN else None,
        "reports": [
            {
                "url": url_for("TrainingReportView.show", pk=report.id), "name": report.participant.name,
                "meta": render.joined((subject_of(report), author_of(report))),
                "date": render.date(report.held_on), "visible": report.visible_to_client,
            }
            for report in reports[:SHOWN]
        ],
    }


def tell(item: TimelineItem) -> tuple[Any, str | None] | None:
    """A verb on a report as a sentence."""
    return (_SENTENCES[item.verb](), None) if item.verb in _SENTENCES else None


_SENTENCES = {
    "write_training_report": lambda: _("Training report written"),
    "update_training_report": lambda: _("Training report changed"),
    "delete_training_report": lambda: _("Training report deleted"),
}

PART = ClientPart(card=card, own=own, tell=tell, records={"training_report": "EnrollmentTrainingReport"})

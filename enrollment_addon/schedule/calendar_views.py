"""The schedule as a calendar: its page, what it shows, and moving a session in it."""

import datetime as dt
from typing import Any

from flask import Response, current_app, jsonify, request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from ..core import clock
from ..core.db import require
from ..core.errors import AddonError, InvalidInput
from ..core.web import render
from ..core.web.access import can, may, needs
from ..core.web.api import key_of
from ..core.web.forms import REQUIRED, Flag, Form, InputRequired, LocalDateTime, Reference, sources
from ..core.web.views import PageView
from . import calendar, service
from .calc import SessionStatus
from .forms import zone_of_form
from .models import ScheduledSession

FILTERS = ("club_id", "team_member_id", "category_id")
VIEWS = {"month": "dayGridMonth", "week": "timeGridWeek", "day": "timeGridDay", "list": "listWeek"}
OFF = "#52606d"
"""The colour of what is cancelled."""
LOCALES = ("es", "fr", "de", "ar")
"""The languages that the calendar has words for besides English."""


class _Tokenless(Form):
    """A form without a token field of its own: a GET, or one whose token comes in the request's header."""

    class Meta(Form.Meta):
        csrf = False


class FilterForm(_Tokenless):
    """What the calendar is limited to."""

    club_id = Reference(_l("Club"), source="clubs")
    team_member_id = Reference(_l("Instructor"), source="team_members")
    category_id = Reference(_l("Category"), source="class_categories")


class MoveForm(_Tokenless):
    """The new time, by the clock of the session's club."""

    starts_at = LocalDateTime(_l("Starts at"), timezone=zone_of_form, validators=[InputRequired(REQUIRED)])
    ends_at = LocalDateTime(_l("Ends at"), timezone=zone_of_form, validators=[InputRequired(REQUIRED)])
    confirm_overlap = Flag(_l("Save although it overlaps"))
    confirm_validity = Flag(_l("Move although credits are paused or expired then"))


class CalendarView(PageView):
    """Month, week, day and list of sessions and appointments."""

    route_base = "/enrollment/schedule"
    class_permission_name = "EnrollmentSession"
    default_view = "calendar"

    @expose("/")
    @needs("read")
    def calendar(self) -> Any:
        """The page; what it shows comes by `events`. View, day and filters are in its address."""
        form = FilterForm(request.args)
        if not form.validate():
            form = FilterForm()
        chosen = {name: form[name].data for name in FILTERS if form[name].data}
        asked = {f"_flt_0_{name}": key for name, key in chosen.items()}
        language = render.locale_name().split("_")[0]
        return self.render_template(
            "enrollment_addon/schedule.html", title=_("Schedule"), form=form,
            shown=[form[name] for name in FILTERS if form[name].source in sources],
            locale=language if language in LOCALES else "", view=VIEWS.get(request.args.get("view", ""), ""),
            day=_day(request.args.get("date")) or clock.today(current_app.extensions["enrollment"].settings.timezone),
            events_url=url_for("CalendarView.events", **chosen),
            table_url=url_for("SessionView.list", **asked),
            links_url=url_for("FeedView.links") if can("manage_calendar_links") else None,
            add_url=url_for("SessionView.add") if may("add", "EnrollmentSession") else None,
            move_url=url_for("CalendarView.move", pk=0) if may("edit", "EnrollmentSession") else "",
            filtered=bool(chosen), clear_url=url_for("CalendarView.calendar"),
        )

    @expose("/events")
    @needs("read")
    def events(self) -> Any:
        """The sessions of a range of days as JSON; `start` and `end` are days, `end` is no longer part of it."""
        try:
            first, after = (_day(request.args.get(name)) for name in ("start", "end"))
            if first is None or after is None:
                raise InvalidInput(_l("Say from which day to which, such as 2026-03-02."))
            keys = {name: _key(request.args.get(name)) for name in FILTERS}
            rows = calendar.shown_between(self.session, first, after, actor=self.actor, **keys)
        except AddonError as error:
            return self._refused(error)
        movable, now = may("edit", "EnrollmentSession"), clock.now()
        return jsonify([_event(row, movable and row.own and row.starts > now) for row in rows])

    @expose("/move/<pk>", methods=["POST"])
    @needs("edit")
    def move(self, pk: str) -> Any:
        """Move a session to the time it was dropped at; the person has confirmed it. Answers in JSON."""
        try:
            item = require(self.session, ScheduledSession, key_of(pk))
            render.use_timezone(item.club.timezone)
            form = MoveForm()
            if not form.validate():
                raise InvalidInput(fields={name: texts[0] for name, texts in form.errors.items() if name})
            moved = self.work(lambda: service.move_session(
                self.session, session_id=item.id, starts_at=form.starts_at.data, ends_at=form.ends_at.data,
                confirm_overlap=form.confirm_overlap.data, confirm_validity=form.confirm_validity.data,
                actor=self.actor,
            ))
        except AddonError as error:
            return self._refused(error)
        text = _("%(name)s was moved to %(when)s.", name=moved.label,
                 when=render.moment(moved.starts_at, moved.club.timezone))
        return jsonify(text=text)

    def _refused(self, error: AddonError) -> tuple[Response, int]:
        self.session.rollback()
        text = " ".join(str(message) for message in error.fields.values()) or error.text()
        return jsonify(error={"code": error.error_code, "message": text}), error.http_status


def _day(text: str | None) -> dt.date | None:
    """A day of the URL; None for junk and for days that have no neighbours in every time zone."""
    try:
        found = dt.date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
    return found if 1900 <= found.year <= 9000 else None


def _key(text: str | None) -> int | None:
    """A key of the URL. Raises: InvalidInput for junk."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise InvalidInput(_l("Please choose one of the list."))
    return int(text)


def _event(row: calendar.Shown, movable: bool) -> dict[str, Any]:
    """A session as FullCalendar takes it: times by the club's clock, without an offset."""
    off = row.status is SessionStatus.cancelled
    booked = _("%(booked)s of %(places)s booked", booked=render.number(row.booked), places=render.number(row.capacity))
    parts = [booked, row.instructor, row.room, row.club]
    return {
        "id": str(row.id), "title": _("Cancelled: %(name)s", name=row.title) if off else row.title,
        "start": row.starts.strftime("%Y-%m-%dT%H:%M:%S"), "end": row.ends.strftime("%Y-%m-%dT%H:%M:%S"),
        "url": url_for("SessionView.show", pk=row.id), "editable": movable and row.status is SessionStatus.scheduled,
        **({"color": colour, "contrastColor": _ink_on(colour)} if (colour := OFF if off else row.colour) else {}),
        "extendedProps": {
            "about": " · ".join(part for part in parts if part), "off": off, "full": row.booked >= row.capacity,
            "booked": row.booked, "waiting": row.waiting, "name": row.title,
        },
    }


def _ink_on(colour: str) -> str:
    """White on a colour (#rrggbb) as long as it has WCAG's contrast of 4.5, else black."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return "#000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.1833 else "#fff"

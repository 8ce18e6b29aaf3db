"""Pages of sessions and bookings: lists, the roster with attendance, booking and cancelling."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from flask import g, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext, ngettext, pgettext
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import joinedload

from ..core import clock, reasons
from ..core.web import access, render
from ..core.web.access import can, may, needs
from ..core.web.filters import Applied, Filter
from ..core.web.forms import Confirmation, Form, Input, LocalDateTime
from ..core.web.record_parts import record_parts
from ..core.web.views import Column, ListAction, RecordView
from . import queries, service
from .booking_pages import BookingPages
from .closure_views import close_selection
from .forms import giver, require_giver, when, zone_of_form
from .labels import BOOKING_CLASSES, BOOKING_STATES, PAYS, SESSION_CLASSES, SESSION_KINDS, SESSION_STATES
from .models import Booking, BookingState, ClassGroup, ScheduledSession, SessionStatus

PERIODS = (("upcoming", _l("From today on")), ("past", _l("Past")), ("all", _l("All")))
ONE_DAY = dt.timedelta(days=1)


def _on_day(operator: str, day: dt.date) -> ColumnElement[bool]:
    session = access.current_session()
    match operator:
        case "eq":
            return queries.between_days(session, day, day + ONE_DAY)
        case "gt":
            return queries.between_days(session, day + ONE_DAY, None)
        case _:
            return queries.between_days(session, None, day)


def _in_period(_operator: str, value: str) -> ColumnElement[bool]:
    return {"upcoming": queries.is_upcoming(), "past": ~queries.is_upcoming()}.get(value, ScheduledSession.id > 0)


def _of_category(operator: str, key: Any) -> ColumnElement[bool]:
    """Sessions of class groups of a category; appointments are of none."""
    of_it = select(ClassGroup.id).where(ClassGroup.category_id == key)
    found = ScheduledSession.class_group_id.in_(of_it)
    return found if operator == "eq" else ~found | ScheduledSession.class_group_id.is_(None)


def _double_booked(_operator: str, value: Any) -> ColumnElement[bool]:
    double = ScheduledSession.id.in_(service.double_booked())
    return double if value else ~double


def _taken(item: ScheduledSession) -> queries.Taken:
    found: dict[int, queries.Taken] = g.get("enrollment_taken", {})
    return found.get(item.id, queries.Taken())


def _instant(label: Any, **options: Any) -> LocalDateTime:
    return LocalDateTime(label, timezone=zone_of_form, **options)


class SessionView(BookingPages, RecordView):
    """The schedule as a list, and one session with its roster."""

    route_base = "/enrollment/sessions"
    datamodel = SQLAInterface(ScheduledSession)
    class_permission_name = "EnrollmentSession"
    list_title = _l("Sessions")
    singular = _l("Session")
    add_label = _l("New session")
    search_placeholder = _l("Name of the class group")
    empty_text = _l("Sessions come from class groups and appointments. From today on there is none.")
    load = queries.SESSION_PARTS
    columns = (
        Column("label", _l("Session"), kind="link", phone="title"),
        Column("starts_at", _l("When"), show=when, order=(ScheduledSession.starts_at,),
               timezone=lambda s: s.club.timezone),
        Column("club", _l("Club"), value=lambda s: s.club.name),
        Column("team_member", _l("Instructor"), value=lambda s: s.team_member.name if s.team_member else ""),
        Column("room", _l("Room"), phone="hide"),
        Column("booked", lazy_pgettext("places", "Booked"), value=lambda s: _taken(s).booked, kind="number",
               phone="end"),
        Column("waiting", lazy_pgettext("places", "Waiting"), value=lambda s: _taken(s).waiting, kind="number",
               phone="hide"),
        Column("capacity", _l("Places"), kind="number", phone="hide"),
        Column("status", _l("Status"), value=lambda s: str(dict(SESSION_STATES)[s.status]), kind="badge",
               badge=lambda s: SESSION_CLASSES.get(s.status, "")),
    )
    filters = (
        Filter("day", _l("Day"), "date", apply=_on_day),
        Filter("club_id", _l("Club"), "reference", ScheduledSession.club_id, source="clubs"),
        Filter("class_group_id", _l("Class group"), "reference", ScheduledSession.class_group_id,
               source="class_groups"),
        Filter("team_member_id", _l("Instructor"), "reference", ScheduledSession.team_member_id,
               source="team_members"),
        Filter("category_id", _l("Class category"), "reference", apply=_of_category, source="class_categories"),
        Filter("event_type_id", _l("Event type"), "reference", ScheduledSession.event_type_id, source="event_types"),
        Filter("status", _l("Status"), "choice", ScheduledSession.status, SESSION_STATES),
        Filter("kind", _l("Kind"), "choice", ScheduledSession.kind, SESSION_KINDS),
        Filter("overlaps", _l("Instructor or room taken twice"), "flag", apply=_double_booked),
        Filter("period", _l("Period"), "choice", apply=_in_period, choices=PERIODS, operators=("eq",)),
    )
    actions_on_list = (ListAction("close_sessions", _l("Close sessions"), close_selection),)
    default_order = (ScheduledSession.starts_at,)
    _times = (
        Input("starts_at", _l("Starts at"), _l("By the clock of the club."), make=_instant),
        Input("ends_at", _l("Ends at"), _l("Empty: as long as usual."), make=_instant, required=False),
    )
    _place = (
        Input("team_member_id", _l("Instructor"), source="team_members"),
        Input("room", _l("Room")),
        Input("capacity", _l("Places"), low=1, high=10_000, required=True),
        Input("confirm_overlap", _l("Save although it overlaps"), make=lambda label, **_options: Confirmation(label)),
    )
    inputs = (
        Input("club_id", _l("Club"), source="clubs"),
        Input("event_type_id", _l("Event type"), source="event_types"),
        *_times, *_place,
    )
    edit_inputs = (
        *_times, *_place,
        Input("confirm_validity", _l("Move although credits are paused or expired then"),
              make=lambda label, **_options: Confirmation(label)),
    )

    def matching(self, applied: Iterable[Applied], search: str) -> Any:
        """Past sessions are left out unless a filter asks for days or a period."""
        entries = list(applied)
        statement = super().matching(entries, search)
        asked = any(entry.filter.name in ("day", "period") for entry in entries)
        return statement if asked else statement.where(queries.is_upcoming())

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return queries.name_clause(text)

    def prepare(self, items: Sequence[Any]) -> None:
        g.enrollment_taken = queries.taken_of(self.session, [item.id for item in items])

    def prefilled(self) -> dict[str, Any]:
        return {"capacity": 10, "team_member_id": giver(self.actor)}

    def typed_in(self, form: Form) -> dict[str, Any]:
        return {k: v for k, v in super().typed_in(form).items() if v is not None or k in ("team_member_id", "room")}

    def find(self, pk: str) -> ScheduledSession:
        item: ScheduledSession = super().find(pk)
        render.use_timezone(item.club.timezone)
        return item

    def create(self, **typed: Any) -> ScheduledSession:
        require_giver(self.actor, typed.get("team_member_id"))
        return service.create_session(self.session, actor=self.actor, **typed)

    def update(self, item: ScheduledSession, **typed: Any) -> ScheduledSession:
        require_giver(self.actor, typed.get("team_member_id"))
        return service.update_session(self.session, id=item.id, actor=self.actor, **typed)

    def remove(self, item: ScheduledSession) -> None:
        service.delete_session(self.session, id=item.id, actor=self.actor)

    @expose("/show/<pk>")
    @needs("read")
    def show(self, pk: str) -> Any:
        """The roster: who has a place, who waits, and what became of them."""
        item = self.find(pk)
        found = queries.roster(self.session, item)
        status = SessionStatus(item.status)
        return self.render_template(
            "enrollment_addon/session.html", title=item.label, item=item, crumbs=self.crumbs(), when=when(item),
            status={"label": dict(SESSION_STATES)[status], "class": SESSION_CLASSES.get(status, "")},
            facts=self.facts(item, found), rows=[self.roster_row(item, b) for b in found.bookings],
            others=found.others, buttons=self.buttons(item), verbs=self.session_verbs(item),
            warnings=self.warnings(item),
        )

    def warnings(self, item: ScheduledSession) -> list[str]:
        """Double bookings of the instructor or the room, which also come about without anybody being asked."""
        if item.status != SessionStatus.scheduled:
            return []
        return [
            _("%(who)s has another session at that time, on %(when)s.", who=who,
              when=render.moment(starts_at, item.club.timezone))
            for who, starts_at in service.taken_twice(self.session, item)
        ]

    def facts(self, item: ScheduledSession, found: queries.Roster) -> list[dict[str, Any]]:
        pairs = (
            (_("Club"), item.club.name), (_("Instructor"), item.team_member.name if item.team_member else ""),
            (_("Room"), item.room),
            (
                pgettext("places", "Booked"),
                ngettext("%(booked)s of %(num)s place", "%(booked)s of %(num)s places", item.capacity,
                         booked=render.number(found.taken.booked)),
            ),
            (pgettext("places", "Waiting"), render.number(found.taken.waiting)),
        )
        facts = [{"label": label, "value": value} for label, value in pairs]
        if found.taken.held:
            facts.append({"label": _("Held for who waits"), "value": render.number(found.taken.held)})
        if item.cancel_reason:
            facts.append({"label": _("Reason"), "value": reasons.told(item.cancel_reason)})
        return facts

    def roster_row(self, item: ScheduledSession, booking: Booking) -> dict[str, Any]:
        """One booking on the roster, with what may be done about it."""
        state = BookingState(booking.state)
        open_ = item.status != SessionStatus.cancelled or item.ended_with_its_booking
        takes = open_ and can("take_attendance") and state not in (BookingState.waitlisted, BookingState.cancelled)
        live = state in (BookingState.booked, BookingState.waitlisted)
        return {
            "name": booking.participant.name, "client": booking.client.full_name,
            "client_url": url_for("ClientView.show", pk=booking.client_id) if may("read", "EnrollmentClient") else None,
            "state": state, "state_label": dict(BOOKING_STATES)[state], "state_class": BOOKING_CLASSES.get(state, ""),
            "pays": str(dict(PAYS)[booking.pays]) if booking.pays else "", "held_until": booking.held_until,
            "hold_is_over": booking.held_until is not None and booking.held_until <= clock.now(),
            "attendance_url": url_for("SessionView.attendance", pk=booking.id) if takes else None,
            "its_day": _has_its_day(item),
            "cancel_url": url_for("SessionView.cancel_booking", pk=booking.id)
            if live and can("cancel_bookings") else None,
            "take_url": url_for("SessionView.take_place", pk=booking.id)
            if open_ and state == BookingState.waitlisted and item.starts_at > clock.now() and can("book_sessions")
            else None,
            "links": record_parts("booking", booking)["links"],
        }

    def session_verbs(self, item: ScheduledSession) -> dict[str, str | None]:
        """The verbs on the whole session that the person may use now."""
        is_open = item.status != SessionStatus.cancelled
        to_come = item.starts_at > clock.now()
        ahead = to_come and item.status == SessionStatus.scheduled
        can_be_booked = ahead or (to_come and item.ended_with_its_booking)
        return {
            "all_present": url_for("SessionView.all_present", pk=item.id)
            if is_open and _has_its_day(item) and can("take_attendance") else None,
            "walk_in": url_for("SessionView.who", pk=item.id, walk_in=1)
            if is_open and _has_its_day(item) and can("take_attendance") and can("book_sessions") else None,
            "book": url_for("SessionView.who", pk=item.id) if can_be_booked and can("book_sessions") else None,
            "close": url_for("ClosureView.close", session_id=item.id)
            if ahead and can("close_sessions") and item.keeps_reach(self.actor) else None,
        }

    @expose("/attendance/<pk>", methods=["POST"])
    @access.verb("take_attendance")
    def attendance(self, pk: str) -> Any:
        """What became of one booking; the same tap again changes nothing."""
        booking = self.booking(pk)
        self.work(
            lambda: service.record_attendance(
                self.session, booking_id=booking.id, state=request.form.get("state", ""), actor=self.actor
            )
        )
        return redirect(url_for("SessionView.show", pk=booking.session_id))

    @expose("/all_present/<pk>", methods=["POST"])
    @access.verb("take_attendance")
    def all_present(self, pk: str) -> Any:
        item_id = self.find(pk).id
        count = self.work(lambda: service.all_present(self.session, session_id=item_id, actor=self.actor))
        self.tell(ngettext("%(num)s person was present.", "%(num)s people were present.", count))
        return redirect(url_for("SessionView.show", pk=item_id))


def _has_its_day(item: ScheduledSession) -> bool:
    """Whether it is the day of a session or later: from then on people can be present."""
    return item.starts_at.astimezone(ZoneInfo(item.club.timezone)).date() <= clock.today(item.club.timezone)


class BookingView(RecordView):
    """Every booking, for looking up and for files."""

    route_base = "/enrollment/bookings"
    datamodel = SQLAInterface(Booking)
    class_permission_name = "EnrollmentBooking"
    list_title = _l("Bookings")
    singular = _l("Booking")
    empty_text = _l("Bookings are made from a client’s card or on the page of a session.")
    load = (
        joinedload(Booking.client), joinedload(Booking.participant),
        joinedload(Booking.session).options(*queries.SESSION_PARTS),
    )
    columns = (
        Column("participant", _l("Participant"), value=lambda b: b.participant.name, kind="link", phone="title"),
        Column("client", _l("Client"), value=lambda b: b.client.full_name),
        Column("session", _l("Session"), value=lambda b: b.session.label),
        Column("starts_at", _l("When"), value=lambda b: b.session.starts_at, show=lambda b: when(b.session),
               timezone=lambda b: b.session.club.timezone),
        Column("state", _l("State"), value=lambda b: str(dict(BOOKING_STATES)[b.state]), kind="badge",
               badge=lambda b: BOOKING_CLASSES.get(b.state, ""), phone="end"),
        Column("pays", _l("Paid by"), value=lambda b: str(dict(PAYS)[b.pays]) if b.pays else "", phone="hide"),
        Column("created_at", _l("Booked at"), kind="moment", order=(Booking.id,), phone="hide",
               timezone=lambda b: b.session.club.timezone),
    )
    filters = (
        Filter("client_id", _l("Client"), "reference", Booking.client_id, source="clients"),
        Filter("session_id", _l("Session"), "reference", Booking.session_id, source="sessions"),
        Filter("state", _l("State"), "choice", Booking.state, BOOKING_STATES),
        Filter("pays", _l("Paid by"), "choice", Booking.pays, PAYS),
        Filter("enrollment_id", _l("Enrollment"), "number", Booking.enrollment_id),
    )
    default_order = (Booking.id,)
    default_descending = True

    def show_url(self, item: Booking) -> str:
        return url_for("SessionView.show", pk=item.session_id)

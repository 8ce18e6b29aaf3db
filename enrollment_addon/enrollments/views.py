"""The list of enrollments and the page of one."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask import g, url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement
from sqlalchemy.orm import joinedload, selectinload

from ..billing.queries import enrollment_money
from ..core import clock, money, reasons
from ..core.errors import AddonError
from ..core.web import access, render
from ..core.web.access import can, needs
from ..core.web.filters import Applied, Filter
from ..core.web.record_parts import record_parts
from ..core.web.views import Column, RecordView
from ..credits.models import CreditLot
from ..credits.views.common import explained
from ..people.models import Client
from ..people.queries import text_clause, user_names
from ..schedule.calc import SessionStatus
from ..schedule.labels import BOOKING_CLASSES, BOOKING_STATES
from . import labels, queries, service
from .calc import Kind, Status
from .errors import StillNeeded
from .models import Enrollment
from .pages import VerbPages
from .service.attendance import BOOKABLE
from .texts import details_of


def figures(items: Sequence[Enrollment]) -> None:
    """The sessions and the money of a page of enrollments, for the columns: two statements."""
    session, keys = access.current_session(), [item.id for item in items]
    g.enrollment_figures = (queries.session_counts(session, keys), enrollment_money(session, keys))


def counts(item: Enrollment) -> queries.SessionCounts:
    found: queries.SessionCounts = g.enrollment_figures[0][item.id]
    return found


def _explained(name: str) -> Callable[[Enrollment], Any]:
    """The number with the way to how it came about, for who may see the ledger."""

    def show(item: Enrollment) -> Any:
        number = getattr(counts(item), name)
        if not access.may("read", "EnrollmentCredits"):
            return render.number(number)
        return explained(number, item.client_id, item.event_type_id)

    return show


def paid(item: Enrollment) -> int:
    found: int = g.enrollment_figures[1][item.id].paid
    return found


def named(item: Enrollment) -> str:
    """What an enrollment is called: its package, else its kind."""
    return item.package.label if item.package else str(dict(labels.KINDS)[Kind(item.kind)])


def status_label(item: Enrollment) -> str:
    return str(dict(labels.STATUSES)[Status(item.status)])


def _deleted(operator: str, value: Any) -> ColumnElement[bool]:
    return Enrollment.deleted_at.is_not(None) if value else Enrollment.deleted_at.is_(None)


class EnrollmentView(VerbPages, RecordView):
    """All enrollments of all kinds, the newest first."""

    route_base = "/enrollment/enrollments"
    datamodel = SQLAInterface(Enrollment)
    class_permission_name = "EnrollmentEnrollment"
    list_title = _l("Enrollments")
    singular = _l("Enrollment")
    empty_text = _l("An enrollment begins on the card of a client: “Create new enrollment”.")
    load = (
        joinedload(Enrollment.client), joinedload(Enrollment.participant), selectinload(Enrollment.package),
        joinedload(Enrollment.club), joinedload(Enrollment.event_type),
    )
    columns = (
        Column("client", _l("Client"), value=lambda e: e.client.full_name, kind="link", phone="title"),
        Column("package", _l("What"), value=named),
        Column("participant", _l("Participant"), value=lambda e: e.participant.name if e.participant else "",
               phone="hide"),
        Column("status", _l("Status"), value=status_label, kind="badge", order=(Enrollment.status,),
               badge=lambda e: labels.STATUS_CLASSES.get(e.status, ""), phone="end"),
        Column("used", _l("Used"), value=lambda e: counts(e).used, show=_explained("used"), kind="number",
               phone="hide"),
        Column("reserved", _l("Reserved"), value=lambda e: counts(e).reserved, show=_explained("reserved"),
               kind="number", phone="hide"),
        Column("remaining", _l("Remaining"), value=lambda e: counts(e).remaining, show=_explained("remaining"),
               kind="number"),
        Column("total", _l("Total"), order=(Enrollment.total,), kind="number", phone="hide"),
        Column("price", _l("Price"), value=lambda e: money.to_decimal(e.price, e.currency),
               show=lambda e: render.amount(e.price, e.currency), kind="number", phone="hide"),
        Column("paid", _l("Paid"), value=lambda e: money.to_decimal(paid(e), e.currency),
               show=lambda e: render.amount(paid(e), e.currency), kind="number", phone="hide"),
        Column("begins_on", _l("Begins on"), order=(Enrollment.begins_on,), kind="date"),
        Column("ends_on", _l("Ends on"), order=(Enrollment.ends_on,), kind="date", phone="hide"),
    )
    filters = (
        Filter("status", _l("Status"), "choice", Enrollment.status, labels.STATUSES),
        Filter("kind", _l("Kind"), "choice", Enrollment.kind, labels.KINDS),
        Filter("package_id", _l("Package"), "reference", Enrollment.package_id, source="packages"),
        Filter("club_id", _l("Club"), "reference", Enrollment.club_id, source="clubs"),
        Filter("client_id", _l("Client"), "reference", Enrollment.client_id, source="clients"),
        Filter("begins_on", _l("Begins on"), "date", Enrollment.begins_on),
        Filter("ends_on", _l("Ends on"), "date", Enrollment.ends_on),
        Filter("deleted", _l("Deleted"), "flag", apply=_deleted),
    )
    default_order = (Enrollment.id,)
    default_descending = True
    search_placeholder = _l("Client’s name, e-mail or phone")

    def matching(self, applied: Iterable[Applied], search: str) -> Any:
        """Deleted enrollments are left out unless a filter asks for them."""
        entries = list(applied)
        statement = super().matching(entries, search)
        asked = any(entry.filter.name == "deleted" for entry in entries)
        return statement if asked else statement.where(Enrollment.deleted_at.is_(None))

    def search_clause(self, text: str) -> ColumnElement[bool]:
        return Enrollment.client.has(text_clause(self.session, text))

    def prepare(self, items: Sequence[Enrollment]) -> None:
        figures(items)

    @expose("/show/<pk>")
    @needs("read")
    def show(self, pk: str) -> Any:
        item = self.find(pk)
        figures([item])
        render.use_timezone(item.club.timezone)
        undoable, blocked = self._undo_state(item)
        return self.render_template(
            "enrollment_addon/enrollment.html", title=f"{named(item)} · {item.client.full_name}",
            item=item, crumbs=self.crumbs(), counts=counts(item), facts=self._facts(item), mark=_mark(item),
            buttons=self._verbs(item, undoable=undoable), blocked=blocked, links=self._links(item),
            bookings=self._bookings(item), lots=self._lots(item),
            history=self._history(item), pauses=queries.open_pauses(self.session, item.id),
            sections=record_parts("enrollment", item)["sections"],
            client_url=url_for("ClientView.show", pk=item.client_id)
            if access.may("read", "EnrollmentClient") else None,
        )

    def _facts(self, item: Enrollment) -> list[dict[str, Any]]:
        sums = g.enrollment_figures[1][item.id]
        who = user_names(self.session, {item.created_by_id} if item.created_by_id else set())

        def amount(minor: int) -> str:
            return render.amount(minor, item.currency)

        pairs = [
            (_("Participant"), item.participant.name if item.participant else _("Anyone of the client")),
            (_("Package"), named(item)), (_("Event type"), item.event_type.label if item.event_type else ""),
            (_("Club"), item.club.name), (_("Begins on"), render.date(item.begins_on)),
            (_("Ends on"), render.date(item.ends_on) if item.ends_on else _("No end")),
            (_("Price"), amount(item.price)), (_("Paid"), amount(sums.paid)), (_("Refunded"), amount(sums.refunded)),
            (_("Still open"), amount(sums.open)),
            (_("Created"), render.moment(item.created_at)), (_("Created by"), who.get(item.created_by_id or 0, "")),
            (_("Updated"), render.moment(item.updated_at)),
        ]
        return [{"label": label, "value": value} for label, value in pairs]

    def _links(self, item: Enrollment) -> list[dict[str, Any]]:
        """What this enrollment renews, and what renews it."""
        links = [
            {"text": _("Renewed by"), "item": _link(renewal)}
            for renewal in queries.live_renewals(self.session, item.id)
        ]
        if item.renewed_from_id is not None:
            links.insert(0, {"text": _("Renews"), "item": _link(self.find(str(item.renewed_from_id)))})
        return links

    def _verbs(self, item: Enrollment, *, undoable: bool) -> list[dict[str, Any]]:
        """The verbs that are possible now and permitted, as buttons."""
        if item.deleted_at is not None:
            found = [("delete_enrollment", "restore", _("Restore"), "primary")]
        else:
            by_status = {
                Status.active: [
                    ("update_sessions", "sessions", _("Update sessions"), "primary"),
                    ("pause_enrollment", "pause", _("Pause"), ""),
                    ("complete_enrollment", "complete", _("Mark completed"), ""),
                    ("cancel_enrollment", "cancel", _("Cancel enrollment"), "danger"),
                ],
                Status.paused: [("pause_enrollment", "resume", _("Resume"), "primary")],
            }
            found = list(by_status.get(Status(item.status), []))
            if item.status == Status.active and queries.open_pauses(self.session, item.id):
                found.insert(2, ("pause_enrollment", "resume", _("Give up the planned pause"), ""))
            if undoable:
                found.append(("undo_enrollment", "undo", _("Undo"), "primary"))
            if item.package_id is not None:
                found.append(("create_enrollment", "renew", _("Renew"), ""))
            found.append(("delete_enrollment", "delete", _("Delete"), "danger"))
        return [
            {"label": label, "url": url_for(f"EnrollmentView.{page}", pk=item.id), "primary": look == "primary",
             "danger": look == "danger"}
            for verb, page, label, look in found if can(verb)
        ]

    def _undo_state(self, item: Enrollment) -> tuple[bool, str]:
        """Whether the last step can be undone; if only something later is in the way, what that is."""
        try:
            service.undo_plan(self.session, enrollment_id=item.id)
        except StillNeeded as refusal:
            return False, refusal.text() if can("undo_enrollment") else ""
        except AddonError:
            return False, ""
        return True, ""

    def _bookings(self, item: Enrollment) -> list[dict[str, Any]]:
        """The bookings; a cancelled one of a session to come can be made again."""
        states, now = dict(BOOKING_STATES), clock.now()
        found = queries.bookings_of(self.session, item.id)
        readable = access.may("read", "EnrollmentSession")
        again = can("book_sessions") and item.deleted_at is None and item.status in BOOKABLE
        taken = {(b.session_id, b.participant_id) for b in found if b.live}
        rows = []
        for b in found:
            place = (b.session_id, b.participant_id)
            open_again = again and b.session.status == SessionStatus.scheduled and b.session.starts_at > now
            rows.append({
                "at": b.session.starts_at, "participant": b.participant.name, "state": states[b.state],
                "state_class": BOOKING_CLASSES.get(b.state, ""), "label": b.session.label,
                "url": url_for("SessionView.show", pk=b.session_id) if readable else None,
                "again_url": url_for(
                    "SessionView.book", pk=b.session_id, client_id=b.client_id, participant_id=b.participant_id,
                    pays=f"enrollment:{item.id}",
                ) if open_again and place not in taken else None,
            })
            taken.add(place)
        return rows

    def _lots(self, item: Enrollment) -> list[dict[str, Any]]:
        readable = access.may("read", "EnrollmentCredits")
        return [_lot(lot) for lot in queries.lots_of_enrollment(self.session, item.id)] if readable else []

    def _history(self, item: Enrollment) -> list[dict[str, Any]]:
        steps = queries.history(self.session, item.id)
        names = user_names(self.session, {s.actor_id for s in steps if s.actor_id})
        return [
            {"at": s.at, "undone": s.undone_at is not None,
             "text": render.joined((
                 labels.VERBS.get(s.verb, s.verb), *details_of(s.details or {}),
                 _("by %(name)s", name=names[s.actor_id]) if s.actor_id in names else "", reasons.told(s.reason),
             ))}
            for s in steps
        ]


def _link(item: Enrollment) -> dict[str, Any]:
    label = _("%(package)s from %(date)s", package=named(item), date=render.date(item.begins_on))
    return {"label": label, "url": url_for("EnrollmentView.show", pk=item.id)}


def _mark(item: Enrollment) -> dict[str, Any]:
    if item.deleted_at is not None:
        return {"label": _("Deleted"), "class": "bad"}
    return {"label": status_label(item), "class": labels.STATUS_CLASSES.get(Status(item.status), "")}


def _lot(lot: CreditLot) -> dict[str, Any]:
    return {
        "url": url_for("LotView.show", pk=lot.id), "quantity": lot.quantity, "available": lot.available,
        "reserved": lot.reserved, "used": lot.used, "voided": lot.voided, "expired": lot.expired,
        "expires_on": lot.expires_on, "granted_at": lot.granted_at,
        "ledger_url": url_for("EntryView.list", _flt_0_lot_id=lot.id),
    }


def of_client(client: Client) -> list[dict[str, Any]]:
    """A client's enrollments for their card, the newest first."""
    items = queries.enrollments_of(access.current_session(), client.id)
    figures(items)
    return [
        {
            "url": url_for("EnrollmentView.show", pk=item.id), "name": named(item), "status": status_label(item),
            "status_class": labels.STATUS_CLASSES.get(Status(item.status), ""), "counts": counts(item),
            "total": item.total, "participant": item.participant.name if item.participant else "",
            "ends_on": item.ends_on,
        }
        for item in items
    ]

"""The forms around bookings: whom or what to book, what pays, appointments, cancelling."""

from collections.abc import Sequence
from typing import Any

from flask import current_app, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ..core.errors import NotFound
from ..core.web import forms, render
from ..core.web.access import authorize, verb
from ..core.web.api import key_of
from ..core.web.views import form_key, form_status, notice, posted_key
from ..people.models import Client
from . import queries, service
from .errors import Overlap, PlaceTaken
from .forms import (
    AppointmentForm,
    BookingForm,
    CancelForm,
    LeaveQueueForm,
    WhereForm,
    WhoForm,
    giver,
    require_giver,
    when,
)
from .models import Booking, BookingState, ScheduledSession
from .texts import cancel_facts, comes_back


class BookingPages:
    """Mixed into the view of sessions."""

    session: Any
    actor: Any

    def tell(self, text: str) -> None:
        notice(text)

    def booking(self, pk: str) -> Booking:
        """A booking with what its pages show. Raises: NotFound."""
        found = self.session.scalars(
            select(Booking)
            .where(Booking.id == key_of(pk))
            .options(
                joinedload(Booking.participant), joinedload(Booking.client),
                joinedload(Booking.session).options(*queries.SESSION_PARTS),
            )
        ).unique().one_or_none()
        if found is None:
            raise NotFound
        render.use_timezone(found.session.club.timezone)
        booking: Booking = found
        return booking

    def _client(self, pk: Any) -> Client:
        """Raises: NotFound."""
        client = self.session.scalars(select(Client).where(Client.id == key_of(str(pk)))).one_or_none()
        if client is None:
            raise NotFound
        found: Client = client
        return found

    # ---- booking ---------------------------------------------------------------------------------------

    @expose("/who/<pk>", methods=["GET", "POST"])
    @verb("book_sessions")
    def who(self, pk: str) -> Any:
        """From a session: whom to book, or who walked in."""
        item, form = self.find(pk), WhoForm()  # type: ignore[attr-defined]
        walk_in = 1 if request.values.get("walk_in") else None
        if request.method == "POST" and form.validate():
            return redirect(url_for("SessionView.book", pk=pk, client_id=form.client_id.data, walk_in=walk_in))
        title = _("Walk-in") if walk_in else _("Add a booking")
        return self._form(form, title, f"{item.label} · {when(item)}", _("Next"), url_for("SessionView.show", pk=pk))

    @expose("/where/<pk>", methods=["GET", "POST"])
    @verb("book_sessions")
    def where(self, pk: str) -> Any:
        """From a client: what to book."""
        client, form = self._client(pk), WhereForm()
        if request.method == "POST" and form.validate():
            return redirect(url_for("SessionView.book", pk=form.session_id.data, client_id=client.id))
        return self._form(
            form, _("Book a session for %(name)s", name=client.full_name), "", _("Next"),
            url_for("ClientView.show", pk=pk), crumbs=_crumbs_to(client),
        )

    @expose("/book/<pk>", methods=["GET", "POST"])
    @verb("book_sessions")
    def book(self, pk: str) -> Any:
        """Who of the client takes part and what pays; then the booking.

        Who was told of a free place that is gone by now is told so, and goes on the waitlist only if they ask again.
        """
        item = self.find(pk)  # type: ignore[attr-defined]
        client = self._client(request.args.get("client_id", ""))
        walk_in = bool(request.args.get("walk_in"))
        if walk_in:
            authorize("take_attendance")
        form = BookingForm()
        form.offer(client.id, item.event_type_id)
        if request.method == "GET":
            form.prefer(request.args)
        name, label, session_id, gone = client.full_name, item.label, item.id, False
        if request.method == "POST" and form.validate():
            ok, made = self.attempt(form, lambda: self._book(form, item, client.id, walk_in))  # type: ignore[attr-defined]
            if ok:
                self.tell(_booked_text(made, name, label))
                return redirect(url_for("SessionView.show", pk=session_id))
            gone = isinstance(made, PlaceTaken)
            item, client = self.find(pk), self._client(client_id_of(request.args))  # type: ignore[attr-defined]
        title = _("Walk-in: %(name)s", name=name) if walk_in else _("Book %(name)s", name=name)
        free = item.capacity - queries.taken_of(self.session, [item.id]).get(item.id, queries.Taken()).taken
        waits = gone or (free <= 0 and not walk_in)
        places = (
            _("full: the booking goes on the waitlist") if waits
            else ngettext("%(num)s place is free", "%(num)s places are free", max(0, free))
        )
        return self._form(
            form, title, render.joined((label, when(item), places)), _("Put on the waitlist") if waits else _("Book"),
            url_for("SessionView.show", pk=pk), hidden=[("waitlist", "1")] if waits else [],
        )

    def _book(self, form: BookingForm, item: ScheduledSession, client_id: int, walk_in: bool) -> Booking:
        asked: dict[str, Any] = {
            "client_id": client_id, "participant_id": int(form.participant_id.data), "session_id": item.id,
            "pay_with": form.pay_with(item.club.currency), "actor": self.actor, "idempotency_key": posted_key(),
        }
        if walk_in:
            return service.walk_in(self.session, **asked)
        return service.book(
            self.session, confirm_overlap=form.confirm_overlap.data, queue="waitlist" in request.form, **asked
        )

    @expose("/appointment/<pk>", methods=["GET", "POST"])
    @verb("book_sessions")
    def appointment(self, pk: str) -> Any:
        """A one-off session for one client, from their card."""
        client = self._client(pk)
        render.use_timezone(client.club.timezone)
        form = AppointmentForm(data={"team_member_id": giver(self.actor)})
        form.offer(client.id)
        name = client.full_name
        if request.method == "POST" and form.validate():
            ok, made = self.attempt(form, lambda: self._appoint(form, client))  # type: ignore[attr-defined]
            if ok:
                self.tell(_("%(name)s has an appointment.", name=name))
                return redirect(url_for("SessionView.show", pk=made.session_id))
        return self._form(
            form, _("New appointment for %(name)s", name=name), "", _("Make the appointment"),
            url_for("ClientView.show", pk=pk), crumbs=_crumbs_to(client),
        )

    def _appoint(self, form: AppointmentForm, client: Client) -> Booking:
        require_giver(self.actor, form.team_member_id.data)
        return service.create_appointment(
            self.session, client_id=client.id, participant_id=int(form.participant_id.data),
            event_type_id=form.event_type_id.data, starts_at=form.starts_at.data, ends_at=form.ends_at(),
            team_member_id=form.team_member_id.data, room=form.room.data or None,
            pay_with=form.pay_with(client.club.currency), confirm_overlap=form.confirm_overlap.data,
            actor=self.actor, idempotency_key=posted_key(),
        )

    # ---- changing --------------------------------------------------------------------------------------

    @expose("/cancel_booking/<pk>", methods=["GET", "POST"])
    @verb("cancel_bookings")
    def cancel_booking(self, pk: str) -> Any:
        """Ask what comes back, then cancel."""
        booking = self.booking(pk)
        form = LeaveQueueForm() if booking.state == BookingState.waitlisted else CancelForm()
        if isinstance(form, CancelForm):
            form.say_default(comes_back(booking))
        name, session_id = booking.participant.name, booking.session_id
        if request.method == "POST" and form.validate():
            ok, done = self.attempt(  # type: ignore[attr-defined]
                form,
                lambda: service.cancel_booking(
                    self.session, booking_id=booking.id, return_credit=form.return_credit(), actor=self.actor,
                    reason=form.reason.data or None, idempotency_key=posted_key(),
                ),
            )
            if ok:
                self.tell(_cancelled_text(name, done))
                return redirect(url_for("SessionView.show", pk=session_id))
            booking = self.booking(pk)
        return self.ask_first(  # type: ignore[attr-defined]
            form, title=_("Cancel the booking of %(name)s?", name=name),
            sentence=render.joined((booking.session.label, when(booking.session))),
            facts=cancel_facts(self.session, booking), cancel_url=url_for("SessionView.show", pk=session_id),
            submit_label=_("Cancel the booking"),
        )

    @expose("/take_place/<pk>", methods=["POST"])
    @verb("book_sessions")
    def take_place(self, pk: str) -> Any:
        """Give somebody who waits the place that is free or held for them; ask first if it is a double booking."""
        booking = self.booking(pk)
        name, session_id = booking.participant.name, booking.session_id
        back = url_for("SessionView.show", pk=session_id)
        confirmed = bool(request.form.get("confirm_overlap"))
        try:
            self.work(  # type: ignore[attr-defined]
                lambda: service.take_place(
                    self.session, booking_id=booking.id, confirm_overlap=confirmed, actor=self.actor
                )
            )
        except Overlap as warning:
            return self.render_template(  # type: ignore[attr-defined]
                "enrollment_addon/ask.html", title=_("Give %(name)s the place?", name=name), sentence=warning.text(),
                facts=[], form=forms.Form(formdata=None), crumbs=self.crumbs(), action_url=request.path,  # type: ignore[attr-defined]
                cancel_url=back, submit_label=_("Give the place"), danger=False, idempotency_key=None,
                hidden=[("confirm_overlap", "1")],
            ), Overlap.http_status
        self.tell(_("%(name)s has a place now.", name=name))
        return redirect(back)

    def _form(
        self, form: forms.Form, title: str, subtitle: str, submit_label: str, cancel_url: str,
        hidden: Sequence[tuple[str, str]] = (), crumbs: Any = None,
    ) -> Any:
        fields = [name for name in form._fields if name != "csrf_token"]
        page = self.form_page(  # type: ignore[attr-defined]
            form, fields=fields, title=title, subtitle=subtitle,
            crumbs=crumbs or self.crumbs(),  # type: ignore[attr-defined]
            submit_label=submit_label, cancel_url=cancel_url,
            hidden=[("idempotency_key", form_key()), *hidden],
        )
        return page, form_status()


def _crumbs_to(client: Client) -> Any:
    """The way back to the card."""
    return current_app.extensions["enrollment"].views["ClientView"].crumbs_to(client)


def client_id_of(arguments: Any) -> str:
    return str(arguments.get("client_id", ""))


def _booked_text(booking: Booking, name: str, label: str) -> str:
    if booking.state == BookingState.waitlisted:
        return str(_("%(name)s is on the waitlist of %(session)s.", name=name, session=label))
    return str(_("%(name)s is booked in %(session)s.", name=name, session=label))


def _cancelled_text(name: str, done: dict[str, Any]) -> str:
    if done["credits"]:
        return str(_("The booking of %(name)s was cancelled; the credit is back.", name=name))
    if done["returned"]:
        return str(_("The booking of %(name)s was cancelled.", name=name))
    return str(_("The booking of %(name)s was cancelled; nothing comes back.", name=name))

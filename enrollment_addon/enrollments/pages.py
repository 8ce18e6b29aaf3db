"""The pages of the verbs on enrollments: each says what happens, asks, and keeps what was typed."""

from collections.abc import Callable
from typing import Any

from flask import current_app, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select

from ..catalog.models import Package
from ..catalog.queries import offered_packages
from ..core import clock, money
from ..core.errors import NotFound
from ..core.web import forms, render
from ..core.web.access import can, verb
from ..core.web.views import notice, posted_key
from ..people.models import Client, Participant
from . import queries, service
from .calc import Refund, price_of
from .forms import BeginForm, CancelForm, CompleteForm, EnrollForm, PauseForm, ResumeForm, SessionsForm
from .models import Enrollment
from .service.create import next_begin
from .texts import cancel_sentence, undo_sentence


class VerbPages:
    """Mixed into the generated view, whose `find`, `session` and `attempt` these pages use."""

    session: Any
    actor: Any
    find: Callable[[str], Any]
    attempt: Callable[..., tuple[bool, Any]]
    crumbs: Callable[[], Any]
    ask_first: Callable[..., Any]

    def _item(self, pk: str) -> Enrollment:
        item: Enrollment = self.find(pk)
        render.use_timezone(item.club.timezone)
        return item

    def _ask(self, item: Enrollment, form: forms.Form, **context: Any) -> Any:
        """The page of a verb: title, sentence, facts, form."""
        return self.ask_first(
            form, item=item, crumbs=[*self.crumbs(), {"label": _called(item), "url": _url(item)}],
            cancel_url=_url(item), **{"danger": False, **context},
        )

    def _tried(self, pk: str, form: forms.Form, do: Callable[..., Any], done: str, **asked: Any) -> Any:
        """Carry a valid form's verb out and say so; a way on when it was done, nothing when it was refused."""
        if request.method != "POST" or not form.validate():
            return None
        ok, _result = self.attempt(
            form, lambda: do(self.session, enrollment_id=int(pk), actor=self.actor, **asked)
        )
        if not ok:
            return None
        notice(done)
        return redirect(url_for("EnrollmentView.show", pk=pk))

    # ---- selling ---------------------------------------------------------------------------------------

    @expose("/new/<pk>", methods=["GET", "POST"])
    @verb("create_enrollment")
    def new(self, pk: str) -> Any:
        """Confirm the package that was chosen on the client's card, then sell it."""
        client: Client = current_app.extensions["enrollment"].views["ClientView"].find(pk)
        card = url_for("ClientView.show", pk=client.id)
        package = self._offered(client)
        if package is None:
            notice(_("Please choose a package that is sold at %(club)s.", club=client.club.name), category="warning")
            return redirect(card)
        form = EnrollForm() if request.method == "POST" else EnrollForm(
            data={"begins_on": clock.today(client.club.timezone)}
        )
        people = self.session.scalars(
            select(Participant).where(Participant.client_id == client.id).order_by(Participant.id)
        )
        form.participant_id.choices = [
            forms.SelectChoice("", _("Anyone of the client")),
            *(forms.SelectChoice(str(person.id), person.name) for person in people),
        ]
        if request.method == "POST" and form.validate():
            key, name = package.id, package.label
            ok, made = self.attempt(form, lambda: self._sell(client.id, key, form))
            if ok:
                notice(
                    _("%(client)s is enrolled: %(package)s.", client=client.full_name, package=name),
                    url_for("EnrollmentView.show", pk=made.id), _("Show"),
                )
                return redirect(card)
        price = render.amount(package.price, package.currency)
        return self.ask_first(
            form, title=_("Create new enrollment"), danger=False,
            sentence=_("%(price)s will be due today; the sessions can be booked at once.", price=price),
            facts=[
                {"label": _("Package"), "value": package.label}, {"label": _("Client"), "value": client.full_name},
                {"label": _("Sessions"), "value": render.number(package.sessions)},
                {"label": _("Event type"), "value": package.event_type.label}, {"label": _("Price"), "value": price},
                {"label": _("Valid for days"), "value": render.number(package.valid_days) or _("No end")},
            ],
            crumbs=current_app.extensions["enrollment"].views["ClientView"].crumbs_to(client), cancel_url=card,
            hidden=[("package_id", package.id)], submit_label=_("Enroll %(name)s", name=client.full_name),
        )

    def _offered(self, client: Client) -> Package | None:
        text = request.values.get("package_id", "")
        offered = offered_packages(self.session, client.club_id)
        return next((package for package in offered if str(package.id) == text), None)

    def _sell(self, client_id: int, package_id: int, form: EnrollForm) -> Enrollment:
        chosen = form.participant_id.value
        return service.create_enrollment(
            self.session, client_id=client_id, package_id=package_id, begins_on=form.begins_on.data,
            participant_id=int(chosen) if chosen else None, actor=self.actor, idempotency_key=posted_key(),
        )

    @expose("/renew/<pk>", methods=["GET", "POST"])
    @verb("create_enrollment")
    def renew(self, pk: str) -> Any:
        item = self._item(pk)
        if item.package is None:
            raise NotFound
        form = BeginForm() if request.method == "POST" else BeginForm(data={"begins_on": next_begin(item)})
        if request.method == "POST" and form.validate():
            ok, made = self.attempt(
                form,
                lambda: service.renew_enrollment(
                    self.session, enrollment_id=int(pk), begins_on=form.begins_on.data, actor=self.actor,
                    idempotency_key=posted_key(),
                ),
            )
            if ok:
                notice(_("The enrollment was renewed."))
                return redirect(_url(made))
            item = self._item(pk)
        assert item.package is not None, "checked above"
        return self._ask(
            item, form, title=_("Renew %(name)s?", name=_called(item)), submit_label=_("Renew"),
            sentence=" ".join(
                _("It was renewed already: enrollment %(id)s begins on %(date)s. This would be one more.",
                  id=renewal.id, date=render.date(renewal.begins_on))
                for renewal in queries.live_renewals(self.session, item.id)[-1:]
            ),
            facts=[
                {"label": _("Sessions"), "value": render.number(item.package.sessions)},
                {"label": _("Price"), "value": render.amount(item.package.price, item.package.currency)},
            ],
        )

    # ---- changing --------------------------------------------------------------------------------------

    @expose("/sessions/<pk>", methods=["GET", "POST"])
    @verb("update_sessions")
    def sessions(self, pk: str) -> Any:
        """The new total, and what more sessions cost: proposed by the price per session."""
        item = self._item(pk)
        form = SessionsForm() if request.method == "POST" else SessionsForm(data={"total": item.total})
        done = self._tried(
            pk, form, service.update_sessions,
            _("The enrollment now has %(total)s sessions.", total=render.number(form.total.data)),
            total=form.total.data, charge_amount=form.charge.data, idempotency_key=posted_key(),
        )
        if done is not None:
            return done
        item = self._item(pk)
        counts = queries.counts_of(self.session, item.id)
        floor = counts.used + counts.reserved
        return self._ask(
            item, form, title=_("Update sessions"), submit_label=_("Save changes"),
            template="enrollment_addon/enrollment_sessions.html",
            sentence=" ".join((
                _("At least %(floor)s: so many are used or reserved.", floor=render.number(floor)),
                _("Fewer sessions do not change the price; a refund is asked for when cancelling."),
            )),
            facts=[
                {"label": _("Total"), "value": render.number(item.total)},
                {"label": _("Used"), "value": render.number(counts.used)},
                {"label": _("Reserved"), "value": render.number(counts.reserved)},
                {"label": _("Price of one session"), "value": _money(item, price_of(1, price=item.price,
                                                                                     total=item.total))},
            ],
        )

    @expose("/pause/<pk>", methods=["GET", "POST"])
    @verb("pause_enrollment")
    def pause(self, pk: str) -> Any:
        item = self._item(pk)
        today = clock.today(item.club.timezone)
        form = PauseForm() if request.method == "POST" else PauseForm(data={"begins_on": today})
        settings = current_app.extensions["enrollment"].settings
        done = self._tried(
            pk, form, service.pause_enrollment, _("The pause was entered; the end has moved by its days."),
            begins_on=form.begins_on.data, ends_on=form.ends_on.data, reason=form.reason.data,
            limits=service.PauseLimits(settings.pauses_per_year, settings.pause_days_per_year),
            idempotency_key=posted_key(),
        )
        if done is not None:
            return done
        item = self._item(pk)
        return self._ask(
            item, form, title=_("Pause"), submit_label=_("Pause"),
            facts=[
                {"label": _("Bookings to come"),
                 "value": render.number(queries.future_bookings(self.session, item.id))},
                {"label": _("Ends on"), "value": render.date(item.ends_on) if item.ends_on else _("No end")},
            ],
            sentence=_("Bookings inside the pause are cancelled and their credits returned. The end of the enrollment "
                       "moves by the days that are actually paused."),
        )

    @expose("/resume/<pk>", methods=["GET", "POST"])
    @verb("pause_enrollment")
    def resume(self, pk: str) -> Any:
        item, form = self._item(pk), ResumeForm()
        done = self._tried(
            pk, form, service.resume_enrollment, _("The enrollment goes on."), reason=form.reason.data,
            idempotency_key=posted_key(),
        )
        pauses = queries.open_pauses(self.session, item.id) if done is None else []
        return done or self._ask(
            self._item(pk), form, title=_("Resume"), submit_label=_("Resume"),
            sentence=_("The enrollment goes on from today. Days that were not rested are taken off its end again."),
            facts=[
                {"label": _("Pause"), "value": f"{render.date(p.begins_on)} – {render.date(p.ends_on)}"} for p in pauses
            ],
        )

    # ---- ending ----------------------------------------------------------------------------------------

    @expose("/complete/<pk>", methods=["GET", "POST"])
    @verb("complete_enrollment")
    def complete(self, pk: str) -> Any:
        """Ask first; sessions that are left are named with their value."""
        item, form = self._item(pk), CompleteForm()
        left = queries.counts_of(self.session, item.id).remaining
        if not left:
            del form.unused
        done = self._tried(
            pk, form, service.complete_enrollment, _("The enrollment is completed."), reason=form.reason.data,
            idempotency_key=posted_key(), **({"unused": form.unused.data} if left else {}),
        )
        if done is not None:
            return done
        item = self._item(pk)
        value = _money(item, price_of(left, price=item.price, total=item.total))
        warning = ngettext(
            "%(num)s session is left, worth %(value)s.", "%(num)s sessions are left, worth %(value)s.", left,
            value=value,
        )
        return self._ask(
            item, form, title=_("Mark %(name)s as completed?", name=_called(item)), submit_label=_("Mark completed"),
            sentence=warning if left else _("All sessions are used or booked."), facts=[],
        )

    @expose("/cancel/<pk>", methods=["GET", "POST"])
    @verb("cancel_enrollment")
    def cancel(self, pk: str) -> Any:
        """No, a partial or the full refund; amount and percentage follow the choice."""
        item, form = self._item(pk), CancelForm()
        if not can("adjust_refund_amount"):
            del form.amount
        chosen = form.refund.data == Refund.partial and "amount" in form
        done = self._tried(
            pk, form, service.cancel_enrollment, _("The enrollment was cancelled."), refund=form.refund.data,
            amount=form.amount.data if chosen else None, may_adjust=can("adjust_refund_amount"),
            reason=form.reason.data, idempotency_key=posted_key(),
        )
        if done is not None:
            return done
        item = self._item(pk)
        quotes = {kind: queries.refund_quote(self.session, item, kind) for kind in Refund}
        partial = quotes[Refund.partial]
        if request.method == "GET" and "amount" in form:
            form.amount.data = money.to_decimal(partial.amount, item.currency)
        bookings = queries.future_bookings(self.session, item.id)
        owed = queries.money_of(self.session, item.id).open
        return self._ask(
            item, form, title=_("Cancel %(name)s?", name=_called(item)), submit_label=_("Cancel enrollment"),
            danger=True, template="enrollment_addon/enrollment_cancel.html",
            quotes={
                str(kind): {"amount": _money(item, q.amount), "plain": money.to_decimal(q.amount, item.currency),
                            "percentage": render.number(q.percentage)}
                for kind, q in quotes.items()
            },
            paid=money.to_decimal(partial.paid, item.currency), sentence=cancel_sentence(partial.remaining, bookings),
            facts=[
                {"label": _("Paid"), "value": _money(item, partial.paid)},
                {"label": _("At most"), "value": _money(item, partial.refundable)},
                {"label": _("Sessions left"), "value": f"{partial.remaining} / {partial.total}"},
                *([{"label": _("Still open"), "value": _money(item, owed)}] if owed else []),
            ],
        )

    @expose("/undo/<pk>", methods=["GET", "POST"])
    @verb("undo_enrollment")
    def undo(self, pk: str) -> Any:
        item, form = self._item(pk), forms.ReasonForm()
        done = self._tried(
            pk, form, service.undo_enrollment, _("The last step was undone."), reason=form.reason.data,
            idempotency_key=posted_key(),
        )
        if done is not None:
            return done
        item = self._item(pk)
        plan = service.undo_plan(self.session, enrollment_id=item.id)
        return self._ask(
            item, form, title=_("Undo the last step?"), submit_label=_("Undo"), facts=[],
            sentence=undo_sentence(plan, item.currency),
        )

    @expose("/delete/<pk>", methods=["GET", "POST"])
    @verb("delete_enrollment")
    def delete(self, pk: str) -> Any:
        item, form = self._item(pk), forms.ReasonForm()
        done = self._tried(
            pk, form, service.delete_enrollment, _("The enrollment was deleted."), reason=form.reason.data
        )
        if done is not None:
            return done
        item = self._item(pk)
        owed = queries.money_of(self.session, item.id).open
        return self._ask(
            item, form, title=_("Delete %(record)s?", record=_called(item)), submit_label=_("Delete"), danger=True,
            facts=[
                {"label": _("Sessions left"), "value": render.number(queries.sessions_left(self.session, item.id))},
                {"label": _("Bookings to come"),
                 "value": render.number(queries.future_bookings(self.session, item.id))},
                {"label": _("Still open"), "value": _money(item, owed)},
            ],
            sentence=_("It can be restored for %(days)s days. Its sessions, bookings to come and open charges go "
                       "with it.", days=queries.RESTORE_DAYS),
        )

    @expose("/restore/<pk>", methods=["GET", "POST"])
    @verb("delete_enrollment")
    def restore(self, pk: str) -> Any:
        item, form = self._item(pk), ResumeForm()
        done = self._tried(
            pk, form, service.restore_enrollment, _("The enrollment was restored."), reason=form.reason.data
        )
        return done or self._ask(
            self._item(pk), form, title=_("Restore %(name)s?", name=_called(item)), submit_label=_("Restore"), facts=[],
            sentence=undo_sentence(service.restore_plan(self.session, enrollment_id=item.id), item.currency),
        )


def _url(item: Enrollment) -> str:
    return url_for("EnrollmentView.show", pk=item.id)


def _called(item: Enrollment) -> str:
    what = item.package.label if item.package else _("Enrollment")
    return f"{what} · {item.client.full_name}"


def _money(item: Enrollment, minor: int) -> str:
    return render.amount(minor, item.currency)

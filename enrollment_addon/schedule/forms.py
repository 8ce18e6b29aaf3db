"""The forms of the schedule."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from flask import current_app, g, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import RadioField, TimeField
from wtforms.fields.choices import SelectChoice

from ..core.errors import InvalidInput
from ..core.scope import Actor, Reach
from ..core.web import access, forms, render
from ..credits.models import CreditLot
from ..people.models import Club
from .calc import Pays, PayWith
from .labels import WEEKDAYS
from .models import ScheduledSession
from .queries import lots_to_pay_with, participants_of
from .schemas import charge_amount

SLOTS = 5
"""Weekly times that the form has room for; more can be given by REST, and stay."""


def zone_of_form() -> str:
    """The clock of a form's times: the chosen club's, else the page's, else the deployment's."""
    key = request.form.get("club_id", "")
    club = access.current_session().get(Club, int(key)) if key.isdecimal() and len(key) < 19 else None
    settings = current_app.extensions["enrollment"].settings
    return club.timezone if club else str(g.get("enrollment_timezone") or settings.timezone)


def slot_members() -> dict[str, Any]:
    """The fields of a class group's weekly times."""
    members: dict[str, Any] = {}
    for n in range(1, SLOTS + 1):
        members[f"weekday_{n}"] = forms.Choice(_l("Weekday"), options=WEEKDAYS, optional=True)
        members[f"time_{n}"] = TimeField(_l("Starts at"), validators=[forms.Optional()])
        members[f"minutes_{n}"] = forms.Whole(_l("Minutes"), validators=[forms.Optional()], low=1, high=1440)
    return members


def slots_of(form: forms.Form) -> list[dict[str, Any]]:
    """The weekly times that were typed. Raises: InvalidInput for one that is half there."""
    slots = []
    for n in range(1, SLOTS + 1):
        weekday, time, minutes = (form._fields[f"{name}_{n}"].data for name in ("weekday", "time", "minutes"))
        if not weekday and time is None:
            continue
        if not weekday or time is None or minutes is None:
            raise InvalidInput(fields={f"time_{n}": _l("Say weekday, time and minutes.")})
        slots.append({"weekday": int(weekday), "starts_at_time": time, "duration_minutes": minutes})
    return slots


class LeaveQueueForm(forms.Form):
    """Of a place in line nothing comes back."""

    reason = forms.reason_field(required=False)

    def return_credit(self) -> bool | None:
        return None


class CancelForm(forms.Form):
    """What comes back is decided by the notice unless staff say otherwise."""

    give_back = RadioField(
        _l("What was paid"),
        choices=[
            SelectChoice("auto", _l("As the notice says")), SelectChoice("return", _l("Return it")),
            SelectChoice("forfeit", _l("Forfeit it")),
        ],
        default="auto",
    )
    reason = forms.reason_field(required=False)

    def say_default(self, returns: bool) -> None:
        """Say what the notice means now."""
        text = _("As the notice says: return it") if returns else _("As the notice says: forfeit it")
        self.give_back.choices = [SelectChoice("auto", text), *self.give_back.choices[1:]]

    def return_credit(self) -> bool | None:
        return {"return": True, "forfeit": False}.get(self.give_back.data)


class WhoForm(forms.Form):
    """Whom to book, from the session's page."""

    client_id = forms.Reference(
        _l("Client"), source="clients", validators=[forms.InputRequired(forms.REQUIRED)],
    )


class WhereForm(forms.Form):
    """What to book, from the client's card."""

    session_id = forms.Reference(
        _l("Session"), source="sessions", validators=[forms.InputRequired(forms.REQUIRED)],
        description=_l("Type the name of a class; its next sessions are found."),
    )


class _Paying:
    """What forms that ask for what pays have in common: the fields `participant_id`, `pays` and `amount`."""

    participant_id: Any
    pays: Any
    amount: Any

    def _offer(self, client_id: int, lots: Sequence[CreditLot], *, of_what: bool) -> None:
        """Fill in the choices; `of_what`: the event type tells the lots apart."""
        people = participants_of(access.current_session(), client_id)
        self.participant_id.choices = [SelectChoice(str(p.id), p.name) for p in people]
        options = {"auto": _("Whatever credit is good for it")}
        for lot in lots:
            until = _("until %(date)s", date=render.date(lot.expires_on)) if lot.expires_on else _("never expires")
            name = _("Enrollment %(number)s", number=lot.enrollment_id) if lot.enrollment_id else _("Session credit")
            left = _("%(number)s left", number=render.number(lot.available))
            parts = [name, *([lot.event_type.label] if of_what else []), left, until]
            options[_key_of(lot)] = render.joined(parts)
        options |= {"charge": _("Charge"), "trial": _("Trial"), "nothing": _("Nothing, it is free")}
        self.pays.choices = [SelectChoice(*option) for option in options.items()]

    def pay_with(self, currency: str) -> PayWith:
        kind, _colon, key = (self.pays.data or "auto").partition(":")
        match kind:
            case "enrollment":
                return PayWith(Pays.enrollment, enrollment_id=int(key))
            case "lot":
                return PayWith(Pays.lot, lot_id=int(key))
            case "charge":
                return PayWith(Pays.charge, amount=charge_amount(self.amount.data, currency))
            case "trial" | "nothing":
                return PayWith(Pays(kind))
            case _:
                return PayWith()


def _key_of(lot: CreditLot) -> str:
    """A lot as a choice of what pays; those of an enrollment are one choice."""
    return f"enrollment:{lot.enrollment_id}" if lot.enrollment_id else f"lot:{lot.id}"


class BookingForm(_Paying, forms.Form):
    """Who of the client takes part, and what pays. Choices are those of the client and the session."""

    participant_id = forms.Choice(_l("Participant"), options=())
    pays = forms.Choice(_l("Paid by"), options=())
    amount = forms.Amount(
        _l("Amount of the charge"), validators=[forms.Optional()],
        render_kw={"inputmode": "decimal", "data-enr-show": "pays=charge"},
        description=_l("Only for a charge; empty: the price of the class."),
    )
    confirm_overlap = forms.Confirmation(_l("Book although the times overlap"))

    def offer(self, client_id: int, event_type_id: int) -> None:
        """Fill in the choices."""
        lots = lots_to_pay_with(access.current_session(), client_id, event_type_id)
        self._offer(client_id, lots, of_what=False)

    def prefer(self, arguments: Mapping[str, str]) -> None:
        """Choose what the link to the form names, as far as it is offered."""
        for field in (self.participant_id, self.pays):
            named = arguments.get(field.name)
            if named in [choice.value for choice in field.choices]:
                field.data = named


class AppointmentForm(_Paying, forms.Form):
    """A one-off session for one client."""

    participant_id = forms.Choice(_l("Participant"), options=())
    event_type_id = forms.Reference(
        _l("Event type"), source="event_types", validators=[forms.InputRequired(forms.REQUIRED)]
    )
    starts_at = forms.LocalDateTime(
        _l("Starts at"), timezone=zone_of_form, validators=[forms.InputRequired(forms.REQUIRED)]
    )
    minutes = forms.Whole(
        _l("Minutes"), validators=[forms.Optional()], low=1, high=1440,
        description=_l("Empty: as long as the event type usually takes."),
    )
    team_member_id = forms.Reference(_l("With"), source="team_members", validators=[forms.Optional()])
    room = forms.StringField(_l("Room"), validators=[forms.Length(max=80)])
    pays = forms.Choice(_l("Paid by"), options=())
    amount = forms.Amount(
        _l("Amount of the charge"), validators=[forms.Optional()],
        render_kw={"inputmode": "decimal", "data-enr-show": "pays=charge"},
    )
    confirm_overlap = forms.Confirmation(_l("Book although the times overlap"))

    def offer(self, client_id: int) -> None:
        """Fill in the choices: credits of every event type, since that is still to be chosen."""
        lots = lots_to_pay_with(access.current_session(), client_id)
        self._offer(client_id, lots, of_what=True)
        self._types = {_key_of(lot): lot.event_type for lot in lots}

    def pay_with(self, currency: str) -> PayWith:
        """Raises: InvalidInput, also for credits of another event type."""
        meant = self._types.get(self.pays.data)
        if meant is not None and meant.id != self.event_type_id.data:
            raise InvalidInput(fields={"pays": _("These credits are for %(event_type)s.", event_type=meant.label)})
        return super().pay_with(currency)

    def ends_at(self) -> dt.datetime | None:
        if self.minutes.data is None:
            return None
        ends_at: dt.datetime = self.starts_at.data + dt.timedelta(minutes=self.minutes.data)
        return ends_at


class CloseForm(forms.Form):
    """What to close, and what comes back beyond what paid. Either days of a club, or sessions carried along."""

    club_id = forms.Reference(_l("Club"), source="clubs", validators=[forms.Optional()])
    first_date = forms.DateField(_l("First day"), validators=[forms.Optional()])
    last_date = forms.DateField(_l("Last day"), validators=[forms.Optional()])
    reason = forms.reason_field()
    extend_days = forms.Whole(
        _l("Days longer"), default=0, validators=[forms.Optional()], low=0, high=366,
        description=_l("Lots that get a credit back are good for so many days longer."),
    )
    makeups = forms.Flag(
        _l("Make-up credits instead of money"),
        description=_l("Who paid by a charge or had a trial gets a credit; the charge stays."),
    )

    def asked(self, session_ids: list[int]) -> dict[str, Any]:
        """What the service is asked for."""
        terms = {"extend_days": self.extend_days.data or 0, "makeups": bool(self.makeups.data)}
        if session_ids:
            return {"session_ids": session_ids, **terms}
        return {
            "first_date": self.first_date.data, "last_date": self.last_date.data, **terms,
            **({"club_id": self.club_id.data} if self.club_id.data else {}),
        }


def giver(actor: Actor) -> int | None:
    """The team member a new session starts with: whoever may plan only what they give themself."""
    return actor.team_member_id if actor.reach is Reach.own_clients else None


def require_giver(actor: Actor, team_member_id: int | None) -> None:
    """Raises: InvalidInput at the field, where the service would only say that there is no such session of theirs."""
    if giver(actor) not in (None, team_member_id):
        raise InvalidInput(fields={"team_member_id": _l("You can only plan sessions that you give yourself.")})


def when(item: ScheduledSession) -> str:
    """A session's day and time by its club's clock, as the reader writes it."""
    return render.moment(item.starts_at, item.club.timezone)

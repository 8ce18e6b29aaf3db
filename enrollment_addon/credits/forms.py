"""The forms of the verbs on credits. Values are checked by the services."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import RadioField
from wtforms.fields.choices import SelectChoice

from ..core.errors import InvalidInput
from ..core.web import forms
from .calc import MOST_CREDITS, MOST_IN_RATIO, MOST_PRIORITY, UNITS, USUAL_PRIORITY
from .labels import EXPIRIES, PERIODS
from .service.terms import NO_PERIOD


def _event_type(label: Any) -> forms.Reference:
    return forms.Reference(label, source="event_types", validators=[forms.InputRequired(forms.REQUIRED)])


def _credits(label: Any, *, default: int, most: int = MOST_CREDITS) -> forms.Whole:
    return forms.Whole(label, validators=[forms.InputRequired(forms.REQUIRED)], default=default, low=1, high=most)


def _period(label: Any, **options: Any) -> forms.IntegerField:
    """How many units a period has; the service knows the most of each."""
    return forms.IntegerField(
        label, validators=[forms.Optional()], invalid_value_message=NO_PERIOD, **options,
        render_kw={"min": 1, "max": max(UNITS.values()), "inputmode": "numeric"},
    )


class GrantForm(forms.Form):
    """What to give; to whom is carried in hidden fields beside it."""

    event_type_id = _event_type(_l("Event type"))
    quantity = _credits(_l("Credits per client"), default=1)
    expiry = RadioField(_l("Expires"), choices=[SelectChoice(*choice) for choice in EXPIRIES], default="none")
    expires_on = forms.DateField(
        _l("Last day"), validators=[forms.Optional()], description=_l("The credits can be used up to and on this day.")
    )
    period_count = _period(_l("After"), default=3)
    period_unit = forms.Choice(_l("Unit"), options=PERIODS, default="months")
    priority = forms.Whole(
        _l("Priority"), validators=[forms.Optional()], default=USUAL_PRIORITY, low=0, high=MOST_PRIORITY,
        description=_l("Credits with a lower number are used first."),
    )
    shared = forms.Flag(_l("Shared with the household"))
    member_cap = forms.Whole(
        _l("Most credits per member"), validators=[forms.Optional()], low=1, high=MOST_CREDITS,
        description=_l("Of shared credits, each other member of the household can spend this many; empty: no limit."),
    )
    participant_ids = forms.References(
        _l("Only for these participants"), source="participants", validators=[forms.Optional()],
        description=_l("For credits of a single client; empty: anyone."),
    )
    unit_value = forms.StringField(
        _l("Value of one credit"), validators=[forms.Optional()], default="0",
        description=_l("In the currency of the club; 0 for a gift."), render_kw={"inputmode": "decimal"},
    )
    note = forms.StringField(_l("Note"), validators=[forms.Length(max=500)])

    def terms(self) -> dict[str, Any]:
        """What the service is asked for. Raises: InvalidInput for a date or number that cannot be read."""
        unread = {name: str(field.errors[0]) for name, field in self._fields.items() if field.errors}
        if unread:
            raise InvalidInput(fields=unread)
        terms: dict[str, Any] = {
            "event_type_id": self.event_type_id.data, "quantity": self.quantity.data,
            "unit_value": (self.unit_value.data or "0").strip(),
        }
        if self.expiry.data == "date":
            if self.expires_on.data is None:
                raise InvalidInput(fields={"expires_on": forms.REQUIRED})
            terms["expires_on"] = self.expires_on.data
        elif self.expiry.data == "period":
            if self.period_count.data is None:
                raise InvalidInput(fields={"period_count": forms.REQUIRED})
            terms["expires_in"] = {self.period_unit.data: self.period_count.data}
        return terms

    def add_errors(self, fields: Mapping[str, Any], general: Any = None) -> None:
        """The service speaks of one period, the form has two fields for it."""
        super().add_errors({"period_count" if k == "expires_in" else k: v for k, v in fields.items()}, general)

    def extras(self) -> dict[str, Any]:
        """What the preview does not depend on."""
        priority = USUAL_PRIORITY if self.priority.data is None else self.priority.data
        return {
            "priority": priority, "shared": self.shared.data, "member_cap": self.member_cap.data,
            "participant_ids": self.participant_ids.keys(), "note": self.note.data or None,
        }


class ExtendForm(forms.Form):
    """A new last day for all, a later one for each, or none."""

    expiry = RadioField(
        _l("Expires"),
        choices=[
            SelectChoice("date", _l("On a date")), SelectChoice("period", _l("So much later than now")),
            SelectChoice("none", _l("Never")),
        ],
        default="date",
    )
    expires_on = forms.DateField(
        _l("New last day"), validators=[forms.Optional()],
        description=_l("The credits can be used up to and on this day."),
    )
    period_count = _period(
        _l("Later by"), default=1, description=_l("Each lot from its own last day; what never expires stays so.")
    )
    period_unit = forms.Choice(_l("Unit"), options=PERIODS, default="months")
    reason = forms.reason_field()

    def change(self) -> dict[str, Any]:
        """What the service is asked for. Raises: InvalidInput."""
        if self.expiry.data == "none":
            return {"expires_on": None}
        name = "period_count" if self.expiry.data == "period" else "expires_on"
        if self[name].data is None:
            raise InvalidInput(fields={name: forms.REQUIRED})
        if self.expiry.data == "period":
            return {"extend_by": {self.period_unit.data: self.period_count.data}}
        return {"expires_on": self.expires_on.data}

    def add_errors(self, fields: Mapping[str, Any], general: Any = None) -> None:
        """The service speaks of one period, the form has two fields for it."""
        super().add_errors({"period_count" if k == "extend_by" else k: v for k, v in fields.items()}, general)


class TransferForm(forms.Form):
    """Who gets how many credits of which event type."""

    to_client_id = forms.Reference(
        _l("To client"), source="clients", validators=[forms.InputRequired(forms.REQUIRED)]
    )
    event_type_id = _event_type(_l("Event type"))
    quantity = _credits(_l("Credits"), default=1)
    reason = forms.reason_field()


class ConvertForm(forms.Form):
    """Which credits become which, and how many of them."""

    from_event_type_id = _event_type(_l("From event type"))
    quantity = _credits(_l("Credits"), default=2)
    to_event_type_id = _event_type(_l("To event type"))
    give = _credits(_l("This many credits"), default=2, most=MOST_IN_RATIO)
    get = _credits(_l("become this many"), default=1, most=MOST_IN_RATIO)
    reason = forms.reason_field()


class ConvertManyForm(forms.Form):
    """Which credits of each of many clients become which; all of them, or at most so many."""

    from_event_type_id = _event_type(_l("From event type"))
    to_event_type_id = _event_type(_l("To event type"))
    give = _credits(_l("This many credits"), default=2, most=MOST_IN_RATIO)
    get = _credits(_l("become this many"), default=1, most=MOST_IN_RATIO)
    quantity = forms.Whole(
        _l("At most so many of each client"), validators=[forms.Optional()], low=1, high=MOST_CREDITS,
        description=_l("Empty: as many as there are."),
    )
    reason = forms.reason_field()

    def terms(self) -> dict[str, Any]:
        """What the service is asked for."""
        names = ("from_event_type_id", "to_event_type_id", "give", "get", "quantity")
        return {name: self[name].data for name in names}

    def agreed(self) -> str:
        """The terms as a hidden field says that they were seen."""
        return ":".join(str(value) for value in self.terms().values())


class LotTransferForm(forms.Form):
    """Who gets the chosen lots."""

    to_client_id = forms.Reference(
        _l("To client"), source="clients", validators=[forms.InputRequired(forms.REQUIRED)]
    )
    reason = forms.reason_field()


class AsOfForm(forms.Form):
    """The day to look back to."""

    as_of = forms.DateField(_l("As of"), validators=[forms.Optional()])

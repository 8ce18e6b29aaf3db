"""The forms of the enrollment verbs. Values are checked by the services."""

from flask_babel import lazy_gettext as _l
from wtforms import RadioField
from wtforms.fields.choices import SelectChoice

from ..core.web import forms
from .calc import Refund, Unused
from .labels import REFUNDS, UNUSED

_NEEDED = [forms.InputRequired(forms.REQUIRED)]


class EnrollForm(forms.Form):
    """For whom, and from when; the package stands in the address."""

    participant_id = forms.Choice(_l("Participant"), options=(), optional=True)
    begins_on = forms.DateField(_l("Begins on"), validators=[forms.Optional()])


class BeginForm(forms.Form):
    begins_on = forms.DateField(_l("Begins on"), validators=[forms.Optional()])


class SessionsForm(forms.Form):
    total = forms.Whole(
        _l("New total of sessions"), validators=_NEEDED, low=0, high=1000,
        description=_l("All sessions together, not how many more."),
    )
    charge = forms.Amount(
        _l("Charge for more sessions"), validators=[forms.Optional()], render_kw={"inputmode": "decimal"},
        description=_l("Empty or 0: nothing is charged."),
    )


class CompleteForm(forms.Form):
    unused = RadioField(
        _l("Sessions that are left"), choices=[SelectChoice(*choice) for choice in UNUSED], default=Unused.keep
    )
    reason = forms.reason_field(required=False)


class CancelForm(forms.Form):
    refund = RadioField(
        _l("Refund"), choices=[SelectChoice(*choice) for choice in REFUNDS], default=Refund.partial
    )
    amount = forms.Amount(
        _l("Amount to refund"), validators=[forms.Optional()], render_kw={"inputmode": "decimal"},
        description=_l("For a partial refund; rounded half up to the smallest coin."),
    )
    reason = forms.reason_field(required=False)


class PauseForm(forms.Form):
    begins_on = forms.DateField(_l("First day of the pause"), validators=_NEEDED)
    ends_on = forms.DateField(_l("Last day of the pause"), validators=_NEEDED)
    reason = forms.reason_field(required=False)


class ResumeForm(forms.Form):
    reason = forms.reason_field(required=False)

"""Forms of money. They read what was typed; the service decides about it."""

from flask_babel import lazy_gettext as _l

from ..core.web import forms
from .labels import ALL_METHODS
from .models import Method

_DECIMAL = {"inputmode": "decimal", "autocomplete": "off"}


class ReasonForm(forms.Form):
    """A verb that asks for a reason."""

    reason = forms.StringField(_l("Reason"), validators=[forms.InputRequired(forms.REQUIRED), forms.Length(max=500)])


class ChargeForm(forms.Form):
    """What a client is to pay, and for what."""

    what = forms.StringField(
        _l("What for"), validators=[forms.InputRequired(forms.REQUIRED), forms.Length(max=200)],
        description=_l("As it shall stand on the client’s list of charges."),
    )
    amount = forms.Amount(
        _l("Amount"), validators=[forms.InputRequired(forms.REQUIRED)], render_kw=_DECIMAL,
        description=_l("The tax is included."),
    )
    tax_rate = forms.Amount(_l("Tax rate in percent"), validators=[forms.InputRequired(forms.REQUIRED)],
                            render_kw=_DECIMAL)
    due_on = forms.DateField(_l("Due on"), validators=[forms.InputRequired(forms.REQUIRED)])


class PaymentForm(forms.Form):
    """Money that came in, or the use of what is on account."""

    amount = forms.Amount(_l("Amount"), validators=[forms.InputRequired(forms.REQUIRED)], render_kw=_DECIMAL)
    method = forms.Choice(_l("Method"), options=ALL_METHODS, default=Method.cash)
    reference = forms.StringField(
        _l("Reference"), validators=[forms.Optional(), forms.Length(max=120)],
        description=_l("Such as the number of a receipt or bank statement."),
    )
    paid_on = forms.DateField(_l("Paid on"), validators=[forms.Optional()], description=_l("Empty: today."))


class RefundForm(forms.Form):
    """How much goes back, and why."""

    amount = forms.Amount(_l("Amount"), validators=[forms.InputRequired(forms.REQUIRED)], render_kw=_DECIMAL)
    reason = forms.StringField(_l("Reason"), validators=[forms.InputRequired(forms.REQUIRED), forms.Length(max=500)])

"""Refusals of online payment."""

from flask_babel import lazy_gettext as _l

from ...core.errors import AddonError, Conflict


class OnlineOff(Conflict):
    code = "online_payment_off"
    message = _l("Online payment is switched off here.")


class ProviderAway(AddonError):
    code = "provider_unreachable"
    http_status = 503
    message = _l("%(provider)s does not answer. Nothing was changed; please try again in a moment.")


class ProviderMisconfigured(Conflict):
    code = "provider_misconfigured"
    message = _l("%(provider)s does not accept the key that is set. Please tell whoever runs this application.")


class ProviderRefused(Conflict):
    code = "provider_refused"
    message = _l("%(provider)s refused: %(reason)s")


class NoSuchAmount(Conflict):
    code = "no_such_amount"
    message = _l("%(provider)s takes amounts in %(currency)s only in steps of %(step)s.")


class BadEvent(AddonError):
    """What came to the provider's address and is nothing that the provider signed."""

    code = "bad_event"
    http_status = 400
    message = _l("This is no event that the provider signed.")


class OnlineStateConflict(Conflict):
    code = "state_conflict"
    message = _l("This request is “%(state)s”, which does not allow this.")


class MoneyOnItsWay(Conflict):
    code = "money_on_its_way"
    message = _l("%(amount)s %(currency)s for these charges is on its way already. Please wait for it.")


class ChargesChanged(Conflict):
    code = "charges_changed"
    message = _l("What is open has changed meanwhile. Please look at it again.")


class TooManyCharges(Conflict):
    code = "too_many_charges"
    message = _l("At most %(most)s charges can be paid at once online.")

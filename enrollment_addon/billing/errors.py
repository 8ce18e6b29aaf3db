"""Refusals of the verbs on money."""

from flask_babel import lazy_gettext as _l

from ..core.errors import Conflict, InvalidInput


class ChargeStateConflict(Conflict):
    code = "state_conflict"
    message = _l("This charge is “%(state)s”, which does not allow this.")


class NothingOpen(Conflict):
    code = "nothing_open"
    message = _l("There is no open charge to settle.")


class NotEnoughOnAccount(Conflict):
    code = "not_enough_on_account"
    message = _l("Only %(most)s %(currency)s is on account.")


class TooMuch(InvalidInput):
    """An amount above what is possible, told at its field."""

    def __init__(self, *, most: str, currency: str) -> None:
        super().__init__(most=most, currency=currency)
        self.fields = {"amount": self}


class AboveOpen(TooMuch):
    code = "above_open"
    message = _l("Only %(most)s %(currency)s is open.")


class CurrencyDiffers(InvalidInput):
    code = "currency_differs"
    message = _l("The charge is in %(expected)s, not in %(given)s.")


class RefundAbovePaid(TooMuch):
    code = "refund_above_paid"
    message = _l("At most %(most)s %(currency)s can be refunded.")


class ClientMerged(Conflict):
    code = "client_merged"
    message = _l("This client was merged into another one. Please use that record.")

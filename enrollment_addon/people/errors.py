"""Refusals of the people verbs."""

from flask_babel import lazy_gettext as _l

from ..core.errors import Conflict


class HeadStays(Conflict):
    code = "head_of_household"
    message = _l("%(name)s is the head of the household “%(household)s”. Choose another head first.")


class ClientClosed(Conflict):
    code = "client_closed"
    message = _l("This client was erased or merged into another one and can no longer be changed.")


class AlreadyInHousehold(Conflict):
    code = "already_in_household"
    message = _l("%(name)s already belongs to a household. A client belongs to one household only.")


class CurrencyInUse(Conflict):
    code = "currency_in_use"
    message = _l("The currency cannot be changed any more: there are amounts in %(currency)s.")


class CannotMerge(Conflict):
    code = "cannot_merge"
    message = _l("These two clients cannot be merged.")

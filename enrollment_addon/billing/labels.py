"""How the fixed words of money are called."""

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

from .models import ACCOUNT, ChargeStatus, Method

STATUSES = (
    (ChargeStatus.open, lazy_pgettext("charge", "Open")),
    (ChargeStatus.paid, lazy_pgettext("charge", "Paid")),
    (ChargeStatus.void, lazy_pgettext("charge", "Void")),
)
OVERDUE = lazy_pgettext("charge", "Overdue")
STATUS_CLASSES = {ChargeStatus.open: "warn", ChargeStatus.paid: "active", ChargeStatus.void: ""}
METHODS = (
    (Method.cash, _l("Cash")),
    (Method.card, _l("Card")),
    (Method.transfer, _l("Bank transfer")),
    (Method.online, _l("Online")),
)
ALL_METHODS = (*METHODS, (ACCOUNT, _l("What is on account")))

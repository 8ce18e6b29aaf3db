"""How the states of online payment are called."""

from flask_babel import lazy_pgettext

from .models import OnlineState, RefundState

STATES = (
    (OnlineState.open, lazy_pgettext("online payment", "Open")),
    (OnlineState.pending, lazy_pgettext("online payment", "On its way")),
    (OnlineState.paid, lazy_pgettext("online payment", "Paid")),
    (OnlineState.expired, lazy_pgettext("online payment", "Expired")),
    (OnlineState.cancelled, lazy_pgettext("online payment", "Cancelled")),
    (OnlineState.failed, lazy_pgettext("online payment", "Failed")),
)
STATE_CLASSES = {OnlineState.open: "warn", OnlineState.pending: "warn", OnlineState.paid: "active",
                 OnlineState.failed: "bad"}
REFUND_STATES = (
    (RefundState.due, lazy_pgettext("online refund", "Waiting to be sent")),
    (RefundState.sent, lazy_pgettext("online refund", "Sent back online")),
    (RefundState.failed, lazy_pgettext("online refund", "Could not be sent back online")),
)

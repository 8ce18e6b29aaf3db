"""Pages of credits: adding, explaining, moving and taking back; lists of batches, lots and the ledger."""

from .batches import BatchView
from .credits import CreditsView, add_to_selection
from .expiring import ExpiringView
from .expiring_clients import ExpiringClientsView
from .lots import EntryView, LotView
from .moves import CreditMovesView
from .own import OwnCreditsView

__all__ = [
    "BatchView",
    "CreditMovesView",
    "CreditsView",
    "EntryView",
    "ExpiringClientsView",
    "ExpiringView",
    "LotView",
    "OwnCreditsView",
    "add_to_selection",
]

"""What can be asked about credits. Everything is narrowed to the reach of the session's actor.

“Available” in an answer is what can be spent today: credits of a lot past its last day that the sweep has not
taken yet are shown as `lapsed` and counted nowhere else.
"""

from .balances import BalanceRow, ClientCredits, Summary, balances_for, client_balances, client_credits
from .batches import (
    CONVERSIONS,
    GRANT,
    OF_CLIENTS,
    BatchRow,
    BatchSummary,
    all_clients_reached,
    batch_rows,
    batch_summary,
    conversions,
    lots_in_batch,
)
from .expiring import ClientForfeit, Forfeit, expiring_within, forfeited, forfeited_by_client, is_over
from .history import EntryRow, ExplainedLot, Explanation, OtherSide, explain, lot_entries
from .household import SharedRow, shared_with
from .lots import LotRow, entry_sums, in_grace

__all__ = [
    "CONVERSIONS",
    "GRANT",
    "OF_CLIENTS",
    "BalanceRow",
    "BatchRow",
    "BatchSummary",
    "ClientCredits",
    "ClientForfeit",
    "EntryRow",
    "ExplainedLot",
    "Explanation",
    "Forfeit",
    "LotRow",
    "OtherSide",
    "SharedRow",
    "Summary",
    "all_clients_reached",
    "balances_for",
    "batch_rows",
    "batch_summary",
    "client_balances",
    "client_credits",
    "conversions",
    "entry_sums",
    "expiring_within",
    "explain",
    "forfeited",
    "forfeited_by_client",
    "in_grace",
    "is_over",
    "lot_entries",
    "lots_in_batch",
    "shared_with",
]

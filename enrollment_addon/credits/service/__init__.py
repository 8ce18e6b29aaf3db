"""The verbs on session credits: the only writer of lots, entries and balances."""

from .booking import consume_credits, release_credits, reserve_credits, restore_credits
from .check import Finding, check_ledger
from .grant import Chunk, GrantPlan, grant_chunk, grant_credits, plan_grant
from .lots import hold_lots, move_restriction, open_lot, shift_expiry, take_back
from .sweep import Swept, expire_lots
from .undo import UndoPlan, undo_batch, undo_chunk, undo_plan
from .void import void_lots

__all__ = [
    "Chunk",
    "Finding",
    "GrantPlan",
    "Swept",
    "UndoPlan",
    "check_ledger",
    "consume_credits",
    "expire_lots",
    "grant_chunk",
    "grant_credits",
    "hold_lots",
    "move_restriction",
    "open_lot",
    "plan_grant",
    "release_credits",
    "reserve_credits",
    "restore_credits",
    "shift_expiry",
    "take_back",
    "undo_batch",
    "undo_chunk",
    "undo_plan",
    "void_lots",
]

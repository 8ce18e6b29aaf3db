"""The verbs on session credits: the only writer of lots, entries and balances."""

from .booking import consume_credits, release_credits, reserve_credits, restore_credits
from .check import Finding, check_ledger
from .grant import GrantPlan, grant_credits, plan_grant
from .grant_chunk import Chunk, grant_chunk
from .lot_batches import extend_lots, lot_chunk, void_lots
from .lots import hold_lots, move_restriction, open_lot, shift_expiry, take_back
from .moves import convert_credits, transfer_credits
from .sweep import Swept, expire_lots
from .take import TAKING
from .undo import UNDOABLE, UndoPlan, undo_batch, undo_chunk, undo_plan

__all__ = [
    "TAKING",
    "UNDOABLE",
    "Chunk",
    "Finding",
    "GrantPlan",
    "Swept",
    "UndoPlan",
    "check_ledger",
    "consume_credits",
    "convert_credits",
    "expire_lots",
    "extend_lots",
    "grant_chunk",
    "grant_credits",
    "hold_lots",
    "lot_chunk",
    "move_restriction",
    "open_lot",
    "plan_grant",
    "release_credits",
    "reserve_credits",
    "restore_credits",
    "shift_expiry",
    "take_back",
    "transfer_credits",
    "undo_batch",
    "undo_chunk",
    "undo_plan",
    "void_lots",
]

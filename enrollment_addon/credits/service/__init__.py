"""The verbs on session credits: the only writer of lots, entries and balances."""

from .booking import consume_credits, release_credits, reserve_credits, restore_credits
from .check import Finding, check_ledger
from .conversions import (
    ClientConversion,
    ConversionPlan,
    convert_chunk,
    convert_for_clients,
    convert_skipped,
    plan_conversion,
)
from .grant import GrantPlan, grant_credits, plan_grant
from .grant_chunk import grant_chunk, grant_skipped
from .lot_batches import extend_lots, lot_chunk, serve_skipped_lot, transfer_lots, void_lots
from .lot_choice import ExtensionPlan, plan_extension
from .lot_transfers import TransferPlan, plan_transfer
from .lots import hold_lots, move_restriction, open_lot, shift_expiry, take_back
from .moves import convert_credits, transfer_credits
from .sweep import Swept, count_due, expire_lot, expire_lots, next_due
from .undo import UNDOABLE, UndoPlan, is_undoable, skip_undo, undo_batch, undo_chunk, undo_plan, undo_skipped, whole_of

__all__ = [
    "UNDOABLE",
    "ClientConversion",
    "ConversionPlan",
    "ExtensionPlan",
    "Finding",
    "GrantPlan",
    "Swept",
    "TransferPlan",
    "UndoPlan",
    "check_ledger",
    "consume_credits",
    "convert_chunk",
    "convert_credits",
    "convert_for_clients",
    "convert_skipped",
    "count_due",
    "expire_lot",
    "expire_lots",
    "extend_lots",
    "grant_chunk",
    "grant_credits",
    "grant_skipped",
    "hold_lots",
    "is_undoable",
    "lot_chunk",
    "move_restriction",
    "next_due",
    "open_lot",
    "plan_conversion",
    "plan_extension",
    "plan_grant",
    "plan_transfer",
    "release_credits",
    "reserve_credits",
    "restore_credits",
    "serve_skipped_lot",
    "shift_expiry",
    "skip_undo",
    "take_back",
    "transfer_credits",
    "transfer_lots",
    "undo_batch",
    "undo_chunk",
    "undo_plan",
    "undo_skipped",
    "void_lots",
    "whole_of",
]

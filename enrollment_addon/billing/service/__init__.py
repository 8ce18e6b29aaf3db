"""The verbs on money: the only writer of accounts, charges, payments, settlements and refunds."""

from .account import lock_account
from .charges import free_charge, issue_charge, void_charge
from .check import MoneyFinding, check_money
from .payments import payment_currency, settle_from_account, take_payment
from .refunds import refund_enrollment, refund_payment

__all__ = [
    "MoneyFinding",
    "check_money",
    "free_charge",
    "issue_charge",
    "lock_account",
    "payment_currency",
    "refund_enrollment",
    "refund_payment",
    "settle_from_account",
    "take_payment",
    "void_charge",
]

"""Money: charges, payments, their settlement, refunds and what is on account.

A charge is what a client owes, with its tax as at issue. A payment is money that came in. A settlement is the
part of a payment that pays a charge; freeing one gives the money back to the payment it came from. What no
settlement uses and no refund gave back is on account. All amounts are whole minor units of one currency.

Invariants, for each client and currency, at every commit: payments − refunds = settled + on account; a charge is
paid when settled + credited = gross. The account's row is the lock: whoever holds it is the only one who changes
charges, payments, settlements and refunds under it.
"""

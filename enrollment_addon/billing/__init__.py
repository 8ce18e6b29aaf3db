"""Money: charges, payments, their settlement, refunds and what is on account."""

"""Session credits: lots, the append-only ledger, balances, and the verbs on them.

A lot is one grant to one client. Every change of a lot is an entry; entries are never changed or removed,
which the database itself enforces. A lot's counters and a client's balance are derived from the entries and
kept in the same transaction: available + reserved + used + expired + voided + transferred = quantity, and no
counter is ever negative, both by CHECK.

Lock order everywhere: balance rows by (client, event type), then lots, in a later statement.
"""

"""Class groups, sessions and bookings.

A class group is a weekly pattern; its sessions are made up to the planning horizon and made again when the
pattern changes, except those that have bookings, were moved or cancelled by hand. An appointment is a session
of its own. A booking gives a participant a place, or a place in the queue when the session is full.

Invariants: a participant has one live booking per session (the database refuses a second one); the places
taken never exceed the capacity, because every verb that takes or frees one holds the session's row. Locks:
session rows in key order, then balances of credits in key order (client, event type); nothing else after.
"""

"""Clubs, clients, participants, households and team members: who comes, where, and who looks after them.

Invariants: e-mail is lower-case and unique when present; a client has a "self" participant from the start;
a household has exactly one head, who is a member of it; one team member per user; a client with ledger
entries can't be deleted, only archived or erased.
"""

"""Online payment: a client pays open charges on a page of a provider, and the provider tells us.

A request names open charges of one currency and has a checkout at the provider, a page with a link that ends. It is
open until the client is through with it, pending while the bank takes its time, and ends as paid, expired, cancelled
or failed. Only the provider says that money came in, by an event it signed or when it is asked; the pages that the
client comes back to change nothing. Whatever comes in is a payment like any other, recorded exactly once: it settles
those of the charges that are still open, and the rest is on account.

Nobody holds a lock or a transaction while the provider is asked: `desk` goes from one unit of work to the next with
the talk in between. A provider does the same reference only once, so each of these steps may be done again.
"""

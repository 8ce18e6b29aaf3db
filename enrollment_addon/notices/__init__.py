"""Notices to clients: what they must be told, queued in the transaction in which it came about.

A notice says what happened as values; its words are made when it is sent or shown, in the client's language. A job
hands what is queued to the mailer that the host has set (`mail.use_mailer`); without one it is written to the log.
States: queued → sent, or unreachable for a client without an e-mail address, whom somebody has to call.
"""

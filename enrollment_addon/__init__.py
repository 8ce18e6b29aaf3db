"""Enrollment and session-credits back office, installed into a Flask-AppBuilder application as an add-on."""

__version__ = "0.1.0"

"""Money as people read it."""

import pytest
from flask import Flask
from flask_babel import force_locale

from enrollment_addon.core import money
from enrollment_addon.core.web import render


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "text"),
    [
        (1500, "EUR", "de", "15,00\u00a0€"),
        (1500, "EUR", "en", "€15.00"),
        (1500, "AED", "en", "AED\u00a015.00"),
        (1500, "USD", "ar", "\u200f15.00\u00a0US$\u200e"),  # else the sign is drawn before the letters
        (-1500, "EUR", "ar", "\u200f\u200e-15.00\u00a0€"),  # and the minus behind the number
    ],
)
def test_an_amount_is_written_as_its_reader_writes_it(minor: int, currency: str, locale: str, text: str) -> None:
    assert money.show(minor, currency, locale) == text


@pytest.mark.databases("sqlite")
def test_facts_in_one_line_are_kept_apart_where_text_runs_right_to_left(app: Flask) -> None:
    facts = ("Yoga", "", None, "3 places")
    with app.test_request_context():
        assert render.joined(facts) == "Yoga · 3 places"
        with force_locale("ar"):
            assert render.joined(facts) == "\u200f\u2068Yoga\u2069 · \u20683 places\u2069"
            assert render.joined(("", None)) == ""

"""Reasons that the system gives itself are kept in English and told in the reader's language."""

import pytest
from flask import Flask
from flask_babel import force_locale

from enrollment_addon.core.reasons import told
from enrollment_addon.credits.service.check_links import REPAIRED
from enrollment_addon.enrollments import reasons


@pytest.mark.databases("sqlite")
def test_what_is_kept_is_told_in_other_words(app: Flask) -> None:
    kept = reasons.UPDATED(number=7, before=10, after=8)
    assert kept == "Enrollment 7: 10 → 8", "rows of older versions have it too"
    with app.test_request_context(), force_locale("en"):
        assert told(kept) == "Enrollment 7: 10 → 8 sessions"
        assert told(REPAIRED) == "Put right by the check of the ledger"
        assert [told(text) for text in (None, "", "Enrollment 7 was ended", "100 % too late")] == [
            "", "", "Enrollment 7 was ended", "100 % too late",
        ], "what a person wrote stays"

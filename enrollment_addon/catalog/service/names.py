"""What the records of the catalog share: names in the languages of their readers."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete
from sqlalchemy.orm import Session

from ...core.fields import Rule, Wrong, text
from ...core.translations import Translation
from ...people.calc import locale_of


def translations(limits: Mapping[str, int]) -> Rule:
    """Texts by field and language; an empty one removes it. `limits`: field → the most characters."""

    def rule(value: Any) -> dict[str, dict[str, str | None]]:
        if not isinstance(value, Mapping) or not set(value) <= set(limits):
            raise Wrong(_l("Only these can be translated: %(fields)s.", fields=", ".join(limits)))
        if not all(isinstance(by_language, Mapping) for by_language in value.values()):
            raise Wrong(_l("Give the translations of a field by language."))
        return {
            field: {_language(code): text(limits[field])(words) for code, words in by_language.items()}
            for field, by_language in value.items()
        }

    return rule


def _language(code: Any) -> str:
    """The code as the reader's language is looked up by."""
    try:
        language = locale_of(code)
    except Wrong:
        language = None
    if language is None:
        raise Wrong(_l("“%(locale)s” is not a language.", locale=str(code)[:20]))
    return language


def forget_translations(session: Session, model: Any, key: int) -> None:
    """Remove what a deleted record was called in other languages."""
    session.execute(
        delete(Translation).where(Translation.record == model.__tablename__, Translation.record_id == key)
    )

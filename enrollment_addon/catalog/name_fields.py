"""What the REST of named records has in common: names in the languages of their readers."""

from typing import Any

from marshmallow import fields

STAMPS: dict[str, Any] = {"created_at": "2026-03-02T09:30:00+00:00", "updated_at": "2026-03-02T09:30:00+00:00"}
"""In the example of a record."""


def label_field() -> fields.String:
    """The name in the caller's language."""
    return fields.String(required=True, metadata={"description": "The name in the caller's language"})


def _texts(**options: object) -> fields.Dict:
    return fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.String(allow_none=True)),
        **options,  # type: ignore[arg-type]
    )


def translations_field() -> fields.Dict:
    """Names in further languages, as they are sent."""
    return _texts(metadata={"description": "{\"name\": {language: text}}; an empty text removes a translation"})


def told_translations() -> fields.Dict:
    """Names in further languages, as they are answered; `languages.TranslatedApi` fills them in."""
    return _texts(required=True, metadata={"description": "{\"name\": {language: text}}"})

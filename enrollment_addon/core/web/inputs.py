"""What REST callers send, checked before a verb sees it: the JSON body, and the parameter `q` of lists.

Types and names are checked here, values by the services. Messages are the reader's, like all others.
"""

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import prison
from flask import request
from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from ..errors import InvalidInput
from ..fields import LARGEST_KEY, not_whole


class Input(Schema):
    """Base of request bodies: unknown fields are refused."""

    class Meta:
        unknown = RAISE


def key_field(**options: Any) -> fields.Integer:
    """The key of a record."""
    bounds = validate.Range(min=1, max=LARGEST_KEY, error=_l("This is not the key of a record."))
    return fields.Integer(strict=True, validate=bounds, **options)


def whole_field(low: int, high: int, *, description: str | None = None, **options: Any) -> fields.Integer:
    """A whole number; what is none is told the bounds, which the service checks."""
    metadata = {"minimum": low, "maximum": high, **({"description": description} if description else {})}
    told = dict.fromkeys(("invalid", "null"), not_whole(low, high))
    return fields.Integer(strict=True, metadata=metadata, error_messages=told, **options)


def choice_field(values: type[StrEnum], *, allow_none: bool = False, **options: Any) -> fields.String:
    """One of an enum's values; the service says so when it is not."""
    listed = [*map(str, values), *([None] if allow_none else [])]
    return fields.String(allow_none=allow_none, metadata={"enum": listed}, **options)


class Flag(fields.Boolean):
    """True or false, and nothing that only looks like it."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):  # to marshmallow 1 is among the words for true
            raise self.make_error("invalid", input=value)
        return value


def load(schema: type[Schema]) -> dict[str, Any]:
    """The request's JSON body, checked. Raises: InvalidInput naming each field."""
    try:
        body = request.get_json(silent=True)
        storable = _is_storable(body)
    except RecursionError:
        raise InvalidInput(_l("The request is nested too deeply.")) from None
    if not isinstance(body, dict):
        raise InvalidInput(_l("The request needs a JSON object as its body."))
    if not storable:
        raise InvalidInput(_l("The text contains a character that cannot be stored."))
    return _checked(schema, body)


def _checked(schema: type[Schema], given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        data: dict[str, Any] = schema().load(given)
    except ValidationError as error:
        messages = error.normalized_messages()  # type: ignore[no-untyped-call]
        raise InvalidInput(fields={str(name)[:100]: _flat(told) for name, told in messages.items()}) from None
    return data


def _flat(message: Any) -> str:
    """Marshmallow's nested messages as one line, in the reader's language."""
    if isinstance(message, Mapping):
        return "; ".join(f"{str(name)[:100]}: {_flat(told)}" for name, told in message.items())
    if isinstance(message, list | tuple):
        return " ".join(_flat(told) for told in message)
    return gettext(str(message))


def _is_storable(value: Any) -> bool:
    """Whether no text in it has what some database refuses: NUL, or half of a surrogate pair."""
    if isinstance(value, str):
        return "\x00" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
    if isinstance(value, Mapping):
        return all(_is_storable(name) and _is_storable(item) for name, item in value.items())
    return not isinstance(value, list) or all(map(_is_storable, value))


class ListQuery(Input):
    """The framework's `q`: filters, order, page."""

    filters = fields.List(fields.Dict())
    order_column = fields.String()
    order_direction = fields.String(validate=validate.OneOf(("asc", "desc"), error=_l("Choose asc or desc.")))
    page = fields.Integer()
    page_size = fields.Integer()
    columns = fields.List(fields.String())
    keys = fields.List(fields.String())


def list_query() -> dict[str, Any]:
    """The parameter `q`, Rison or JSON. Raises: InvalidInput for anything else."""
    text = request.args.get("q", "")
    if not text:
        return {}
    asked = _read(prison.loads, text)
    if not isinstance(asked, dict):
        asked = _read(json.loads, text)
    if not isinstance(asked, dict):
        raise InvalidInput(_l("The parameter q is neither Rison nor JSON."))
    return _checked(ListQuery, asked)


def _read(reader: Callable[[str], Any], text: str) -> Any:
    """What a notation makes of the text, or nothing. The Rison reader fails on junk in many ways."""
    try:
        return reader(text)
    except Exception:
        return None


def whole_number(name: str, value: Any, default: int, low: int, high: int) -> int:
    """A number of a list's parameters, kept within bounds. Raises: InvalidInput for junk."""
    if value is None:
        return default
    try:
        return max(low, min(int(str(value)), high))
    except ValueError:
        raise InvalidInput(fields={name: _l("This must be a whole number.")}) from None

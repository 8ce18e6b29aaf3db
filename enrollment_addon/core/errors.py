"""Refusals that reach a person: each has a stable code, an HTTP status and a translated message.

Broken invariants are not refusals: they raise AssertionError and are caught by nobody.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from flask_babel import get_locale
from flask_babel import lazy_gettext as _l

from . import dates


class AddonError(Exception):
    """A verb was refused; nothing was written.

    `message` may hold `%(name)s` placeholders filled from `params`; it is translated when it is shown,
    in the language of whoever sees it. `fields` maps a field's name to its own message, for forms. `confirm` names
    the input by which the caller says that it is meant, where there is one.
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 400
    confirm: ClassVar[str] = ""
    message: Any = _l("Something went wrong.")

    def __init__(
        self,
        message: Any = None,
        *,
        code: str | None = None,
        fields: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> None:
        super().__init__()
        if message is not None:
            self.message = message
        self.error_code = code or self.code
        self.params = params
        self.fields = dict(fields or {})

    def text(self) -> str:
        """The message in the reader's language, placeholders filled."""
        message = str(self.message)
        return message % {name: _told(value) for name, value in self.params.items()} if self.params else message

    def __str__(self) -> str:
        return self.text()


def _told(value: Any) -> Any:
    """Days and instants as the reader's language writes them, the latter by the clock that they have."""
    locale = str(get_locale() or "en")
    if isinstance(value, dt.datetime):
        return dates.moment(value, locale)
    return dates.day(value, locale) if isinstance(value, dt.date) else value


class InvalidInput(AddonError):
    code = "invalid_input"
    http_status = 422
    message = _l("Please correct the marked fields.")


class NotFound(AddonError):
    code = "not_found"
    http_status = 404
    message = _l("This record was not found.")


class Forbidden(AddonError):
    code = "forbidden"
    http_status = 403
    message = _l("You do not have permission to do this.")


class Conflict(AddonError):
    code = "conflict"
    http_status = 409
    message = _l("This is not possible in the record’s present state.")


class IdempotencyMismatch(Conflict):
    code = "idempotency_mismatch"
    message = _l("This request was already made with other input. Please start again.")


class InUse(Conflict):
    code = "in_use"
    message = _l("This record cannot be deleted because it is used by: %(holders)s.")


class Busy(AddonError):
    code = "busy"
    http_status = 503
    message = _l("The database is busy or full. Nothing was saved; please try again in a moment.")

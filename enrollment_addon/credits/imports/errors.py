"""Refusals of the import verbs."""

from flask_babel import lazy_gettext as _l

from ...core.errors import Conflict, InvalidInput


class BadFile(InvalidInput):
    """The file as a whole cannot be used."""

    code = "bad_file"


class ImportStateConflict(Conflict):
    code = "state_conflict"
    message = _l("This import is “%(state)s”; this is not possible now.")

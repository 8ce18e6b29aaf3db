"""How the fixed words of imports are called."""

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

from .models import ImportState, Outcome

FIELDS = (
    ("first_name", _l("First name")),
    ("last_name", _l("Last name")),
    ("email", _l("E-mail")),
    ("phone", _l("Phone")),
    ("birth_date", _l("Birth date")),
    ("locale", _l("Language")),
    ("club", _l("Club")),
    ("team_member", _l("Team member")),
    ("tags", _l("Tags")),
    ("notes", _l("Notes")),
    ("reference", _l("External reference")),
    ("event_type", _l("Event type")),
    ("quantity", _l("Credits")),
    ("expires_on", _l("Expires on")),
    ("unit_value", _l("Unit cost")),
)
STATES = (
    (ImportState.uploaded, _l("Columns to be chosen")),
    (ImportState.checking, _l("Being checked")),
    (ImportState.checked, _l("Ready to import")),
    (ImportState.running, _l("In progress")),
    (ImportState.done, _l("Done")),
)
STATE_CLASSES = {ImportState.done: "active", ImportState.checking: "warn", ImportState.running: "warn"}
PLANNED = (
    (Outcome.create, _l("Would be created")),
    (Outcome.update, _l("Would be updated")),
    (Outcome.unchanged, _l("Unchanged")),
    (Outcome.refused, _l("Refused")),
)
DONE = (
    (Outcome.create, lazy_pgettext("import", "Created")),
    (Outcome.update, lazy_pgettext("import", "Updated")),
    (Outcome.unchanged, _l("Unchanged")),
    (Outcome.refused, _l("Refused")),
)
OUTCOME_CLASSES = {Outcome.create: "active", Outcome.update: "active", Outcome.refused: "bad"}
DATES = (
    ("ymd", _l("Year, month, day: 2027-01-31")),
    ("dmy", _l("Day, month, year: 31.1.2027")),
    ("mdy", _l("Month, day, year: 1/31/2027")),
)
DECIMALS = ((".", _l("Point: 12.50")), (",", _l("Comma: 12,50")))

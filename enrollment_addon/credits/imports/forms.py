"""The forms of the import wizard."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import FileField

from ...core.web import forms
from .calc import CLIENT_FIELDS, CREDIT_FIELDS, FIELDS, Options, cell_text
from .labels import DATES, DECIMALS
from .labels import FIELDS as LABELS

GROUPS: Sequence[tuple[Any, Sequence[str]]] = (
    (_l("The client"), (*CLIENT_FIELDS, "reference")),
    (_l("Opening credits"), CREDIT_FIELDS),
    (_l("How to read the file"), ("club_id", "dates", "decimal")),
)
EXAMPLE = 30
"""How much of a cell is shown beside a column's name."""


class UploadForm(forms.Form):
    """The file."""

    file = FileField(
        _l("File"), render_kw={"accept": ".csv,.txt,.tsv,.xlsx", "required": True},
        description=_l(
            "CSV or XLSX with one header row, up to 100,000 rows. Rows of the same person are taken together, so "
            "that a client can have several kinds of credits."
        ),
    )


class ColumnsForm(forms.Form):
    """Which column of the file is which field, and how its dates and numbers are written."""

    club_id = forms.Reference(
        _l("Club"), source="clubs", description=_l("For rows that do not name one."),
    )
    dates = forms.Choice(_l("Dates"), options=DATES, default="ymd")
    decimal = forms.Choice(_l("Decimal sign"), options=DECIMALS, default=".")

    def options(self) -> Options:
        """What was chosen."""
        columns = {name: int(self._fields[name].data) for name in FIELDS if self._fields[name].data}
        return Options(columns, self.club_id.data, str(self.dates.data), str(self.decimal.data))


def columns_form(header: Sequence[str], sample: Sequence[Sequence[Any]]) -> type[ColumnsForm]:
    """A form with a choice of the file's columns for every field; each is shown with its first value."""
    choices = [(str(place), _shown(place, title, sample)) for place, title in enumerate(header) if title]
    members: Mapping[str, Any] = {
        name: forms.Choice(label, options=choices, optional=True) for name, label in LABELS
    }
    return type("ImportColumnsForm", (ColumnsForm,), dict(members))


def _shown(place: int, title: str, sample: Sequence[Sequence[Any]]) -> str:
    example = next((t for row in sample if place < len(row) and (t := cell_text(row[place]))), "")
    return f"{title} ({example[:EXAMPLE]})" if example else title

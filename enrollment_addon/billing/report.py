"""Open charges by age: who owes how much since when, on a page and as a file."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from flask import request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _

from ..core import clock, money
from ..core.errors import NotFound
from ..core.web import access, export_files, render
from ..core.web.access import needs
from ..core.web.views import FORMATS, PageView
from . import queries

ROWS = 50
SLICE = 1_000
"""Rows of a file per statement."""


def age_labels() -> list[str]:
    """The ages as they head the columns."""
    bounds = queries.AGES
    between = [
        _("%(first)s–%(last)s days overdue", first=render.number(low + 1), last=render.number(high))
        for low, high in pairwise(bounds)
    ]
    return [_("Not due yet"), *between, _("Over %(days)s days overdue", days=render.number(bounds[-1]))]


class OpenChargesView(PageView):
    """What clients owe, by the age of the debt."""

    route_base = "/enrollment/open-charges"
    class_permission_name = "EnrollmentCharge"
    default_view = "show"

    @expose("/")
    @needs("read")
    def show(self) -> Any:
        """Totals by currency, then a page of clients."""
        after = _after(request.args.get("after", ""))
        rows = queries.aged_debts(self.session, after=after, size=ROWS + 1)
        last = rows[ROWS - 1] if len(rows) > ROWS else None
        readable = access.may("read", "EnrollmentClient")
        return self.render_template(
            "enrollment_addon/open_charges.html", title=_("Open charges by age"), ages=age_labels(),
            totals=[_shown(currency, by_age) for currency, by_age in queries.debt_totals(self.session)],
            rows=[
                {**_shown(row.currency, row.by_age), "client": row.client,
                 "url": url_for("ClientView.show", pk=row.client_id) if readable else None}
                for row in rows[:ROWS]
            ],
            exports=[
                {"label": fmt.upper(), "url": url_for("OpenChargesView.export", fmt=fmt)} for fmt in FORMATS
            ],
            next_url=url_for("OpenChargesView.show", after=f"{last.client_id}-{last.currency}") if last else None,
        )

    @expose("/export/<fmt>")
    @needs("read")
    def export(self, fmt: str) -> Any:
        """The whole report as a file."""
        if fmt not in FORMATS:
            raise NotFound
        header = [_("Client number"), _("Client"), _("Currency"), *age_labels(), _("Total")]
        return export_files.send(f"open-charges-{clock.now():%Y-%m-%d}.{fmt}", fmt, header, self._rows())

    def _rows(self) -> Iterator[Sequence[Any]]:
        after = (0, "")
        while rows := queries.aged_debts(self.session, after=after, size=SLICE):
            for row in rows:
                amounts = [money.to_decimal(minor, row.currency) for minor in (*row.by_age, row.total)]
                yield row.client_id, row.client, row.currency, *amounts
            after = (rows[-1].client_id, rows[-1].currency)


def _after(text: str) -> tuple[int, str]:
    """Behind which row a page begins; anything odd is the first page."""
    key, _separator, currency = text.partition("-")
    return (int(key), currency[:3]) if key.isdecimal() and len(key) < 19 else (0, "")


def _shown(currency: str, by_age: Sequence[int]) -> dict[str, Any]:
    return {
        "currency": currency, "total": render.amount(sum(by_age), currency),
        "by_age": [render.amount(minor, currency) if minor else "–" for minor in by_age],
    }

"""Open charges by age: who owes how much since when, on a page and as a file."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from flask import request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _

from ..core import money
from ..core.errors import NotFound
from ..core.web import access, export_files, render
from ..core.web.access import needs
from ..core.web.views import FORMATS, PageView
from . import queries

ROWS = 50


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

    @expose("/export/<fmt>", methods=["GET", "POST"])
    @needs("read")
    def export(self, fmt: str) -> Any:
        """The whole report as a file; for a large one, ask and have it prepared in the background."""
        if fmt not in FORMATS:
            raise NotFound
        return export_files.deliver(self, fmt)

    def crumbs(self) -> Any:
        return [{"label": _("Open charges by age"), "url": url_for("OpenChargesView.show")}]

    def export_header(self) -> Sequence[str]:
        return [_("Client number"), _("Client"), _("Currency"), *age_labels(), _("Total")]

    def export_count(self, query: str, cap: int) -> tuple[int, bool]:
        return queries.count_debts(self.session, cap)

    def export_piece(self, query: str, after: Any, size: int) -> tuple[Sequence[Sequence[Any]], Any]:
        debts = queries.aged_debts(self.session, after=tuple(after or (0, "")), size=size)
        rows = [
            [d.client_id, d.client, d.currency, *(money.to_decimal(a, d.currency) for a in (*d.by_age, d.total))]
            for d in debts
        ]
        return rows, [debts[-1].client_id, debts[-1].currency] if debts else after


def _after(text: str) -> tuple[int, str]:
    """Behind which row a page begins; anything odd is the first page."""
    key, _separator, currency = text.partition("-")
    return (int(key), currency[:3]) if key.isdecimal() and len(key) < 19 else (0, "")


def _shown(currency: str, by_age: Sequence[int]) -> dict[str, Any]:
    return {
        "currency": currency, "total": render.amount(sum(by_age), currency),
        "by_age": [render.amount(minor, currency) if minor else "–" for minor in by_age],
    }

"""What the pages share that do something to chosen lots, for the views from which lots can be chosen."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import redirect, url_for
from flask_babel import gettext as _
from sqlalchemy import func, select

from ...core.web import forms, render
from ...core.web.views import Selection, form_key, notice
from ..models import CreditLot


def sized(lots: int, clients: int) -> list[dict[str, Any]]:
    """How many lots were chosen, and of how many clients, as facts of a page."""
    return [
        {"label": _("Lots"), "value": render.number(lots)}, {"label": _("Clients"), "value": render.number(clients)},
    ]


class LotPages:
    """Mixin of a view: it says which lots a selection means, where it was made, and where to go afterwards."""

    session: Any
    actor: Any
    attempt: Any
    selected: Any
    render_template: Any
    crumbs: Any
    endpoint: Any

    def lots_of(self, selection: Selection) -> Any:
        """The keys of the lots, or a query of them; of a list of lots they are its rows."""
        return self.selected(selection)

    def carried(self, selection: Selection) -> Sequence[tuple[str, Any]]:
        """The fields that carry the selection through the steps of a form."""
        return selection.hidden()

    def back_url(self, selection: Selection) -> str:
        """Where the selection was made."""
        return url_for(f"{self.endpoint}.list")

    def after_verb(self, selection: Selection, batch_id: int) -> str:
        """The page that follows when it was done at once."""
        return self.back_url(selection)

    def ask(
        self, template: str, form: forms.Form, selection: Selection, *, hidden: Sequence[tuple[str, Any]] = (),
        **texts: Any,
    ) -> Any:
        """The page that says what would be done to the chosen lots, and asks for the rest."""
        return self.render_template(
            template, form=form, hidden=[*self.carried(selection), *hidden], crumbs=self.crumbs(),
            subtitle=self._whose(selection), cancel_url=self.back_url(selection), idempotency_key=form_key(), **texts,
        )

    def _whose(self, selection: Selection) -> str:
        """Whose lots they are, as far as all are of one client; of a single lot also what for."""
        lots, first, last, only = self.session.execute(
            select(
                func.count(CreditLot.id), func.min(CreditLot.client_id), func.max(CreditLot.client_id),
                func.min(CreditLot.id),
            ).where(CreditLot.id.in_(self.lots_of(selection)))
        ).one()
        if not lots or first != last:
            return ""
        lot = self.session.get_one(CreditLot, only)
        return f"{lot.event_type.label} · {lot.client.full_name}" if lots == 1 else str(lot.client.full_name)

    def told(self, selection: Selection, result: Mapping[str, Any], done: str, in_background: str) -> Any:
        """Say what a verb on the lots did and go on, or show its job."""
        if result["job_id"] is not None:
            notice(in_background)
            return redirect(url_for("JobView.show", pk=result["job_id"]))
        batch, after = url_for("BatchView.show", pk=result["batch_id"]), self.after_verb(selection, result["batch_id"])
        notice(done, *(() if after == batch else (batch, _("Show or undo"))))
        return redirect(after)

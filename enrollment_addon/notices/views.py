"""The list of notices: what clients were told, and whom nobody could reach."""

from typing import Any

from flask import url_for
from flask_appbuilder.baseviews import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy.orm import joinedload

from ..core.web.access import may, needs
from ..core.web.filters import Filter
from ..core.web.views import Column, RecordView
from ..people.models import Client
from .calc import NoticeState
from .labels import KINDS, STATE_CLASSES, STATES
from .models import Notice
from .texts import subject_of, text_of


def _clock_of(notice: Notice) -> str:
    return notice.client.club.timezone


class NoticeView(RecordView):
    """The outbox, the newest first."""

    route_base = "/enrollment/notices"
    datamodel = SQLAInterface(Notice)
    class_permission_name = "EnrollmentNotice"
    list_title = _l("Notices")
    singular = lazy_pgettext("a message", "Notice")
    empty_text = _l("Clients are told when the waitlist gets them a place and when a session they booked is closed.")
    load = (joinedload(Notice.client).joinedload(Client.club),)
    columns = (
        Column("subject", lazy_pgettext("a message", "Notice"), value=subject_of, kind="link", phone="title"),
        Column("client", _l("Client"), value=lambda n: n.client.full_name),
        Column("state", _l("State"), value=lambda n: str(dict(STATES)[n.state]), kind="badge", phone="end",
               badge=lambda n: STATE_CLASSES.get(n.state, "")),
        Column("created_at", _l("Queued"), order=(Notice.id,), kind="moment", timezone=_clock_of),
        Column("sent_at", _l("Sent"), kind="moment", phone="hide", timezone=_clock_of),
    )
    filters = (
        Filter("client_id", _l("Client"), "reference", Notice.client_id, source="clients"),
        Filter("kind", _l("Kind"), "choice", Notice.kind, KINDS),
        Filter("state", _l("State"), "choice", Notice.state, STATES),
    )
    default_order = (Notice.id,)
    default_descending = True

    @expose("/show/<pk>")
    @needs("read")
    def show(self, pk: str) -> Any:
        return self.render_template("enrollment_addon/show.html", **self.show_page(self.find(pk)))

    def title_of(self, item: Notice) -> str:
        return subject_of(item)

    def show_page(self, item: Notice) -> dict[str, Any]:
        page = super().show_page(item)
        page["fields"] = [
            {"label": c.label, "value": c.told(item), "wide": False}
            for c in self.shown_columns if c.name not in ("subject", "state")  # the title and its badge
        ]
        state = NoticeState(item.state)
        page["badge"] = {"label": dict(STATES)[state], "class": STATE_CLASSES.get(state, "")}
        page["fields"].append({"label": _("What it says"), "value": text_of(item), "wide": True})
        if may("read", "EnrollmentClient"):
            client = {"label": item.client.full_name, "url": url_for("ClientView.show", pk=item.client_id)}
            page["crumbs"] = [*page["crumbs"], client]
        return page

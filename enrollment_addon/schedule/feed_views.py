"""Calendar links: making, changing and ending them, and what calendars read there."""

from typing import Any

from flask import Response, redirect, request, url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import RadioField
from wtforms.fields.choices import SelectChoice

from ..core.errors import InvalidInput
from ..core.web.access import anyone, verb
from ..core.web.api import key_of
from ..core.web.forms import REQUIRED, Flag, Form, Reference
from ..core.web.views import PageView, form_status, notice
from . import feeds
from .feeds import FeedKind
from .models import CalendarFeed

KINDS = (
    (FeedKind.team_member, _l("Team member")),
    (FeedKind.client, _l("Client")),
    (FeedKind.class_group, _l("Class group")),
)


class FeedForm(Form):
    """Whose calendar the link is for."""

    kind = RadioField(
        _l("Calendar of"), choices=[SelectChoice(*kind) for kind in KINDS], default=FeedKind.team_member
    )
    team_member_id = Reference(_l("Team member"), source="team_members")
    client_id = Reference(_l("Client"), source="clients")
    class_group_id = Reference(_l("Class group"), source="class_groups")
    replace = Flag(_l("End the link that is in use and make a new one"))

    def target(self) -> tuple[FeedKind, int]:
        """Raises: InvalidInput when nobody was chosen."""
        kind = FeedKind(self.kind.data)
        name = f"{kind}_id"
        if not self[name].data:
            raise InvalidInput(fields={name: REQUIRED})
        return kind, self[name].data


class FeedView(PageView):
    """The links in one's reach; each is shown whole only when it is made."""

    route_base = "/enrollment/calendar-links"
    class_permission_name = "EnrollmentSession"
    default_view = "links"

    @expose("/", methods=["GET", "POST"])
    @verb("manage_calendar_links")
    def links(self) -> Any:
        """The links there are, and a form that makes one; the new link stands on the page once."""
        form, made = FeedForm(), None
        if request.method == "POST" and form.validate():
            ok, secret = self.attempt(form, lambda: self._rotate(form))
            made = url_for("CalendarFileView.read", secret=secret, _external=True) if ok else None
        page = self.render_template(
            "enrollment_addon/calendar_links.html", title=_("Calendar links"), form=form,
            url=made,
            rows=[_row(feed) for feed in feeds.feeds_in_reach(self.session)],
            crumbs=[{"label": _("Schedule"), "url": url_for("CalendarView.calendar")}],
        )
        return page, 200 if made else form_status()

    @expose("/end/<pk>", methods=["POST"])
    @verb("manage_calendar_links")
    def end(self, pk: str) -> Any:
        self.work(lambda: feeds.end_feed(self.session, feed_id=key_of(pk), actor=self.actor))
        notice(_("The link no longer works."))
        return redirect(url_for("FeedView.links"))

    def _rotate(self, form: FeedForm) -> str:
        kind, target_id = form.target()
        if feeds.has_feed(self.session, kind=kind, target_id=target_id) and not form.replace.data:
            raise InvalidInput(
                fields={"replace": _l("There is a link to this calendar. Programs that read it would get nothing.")}
            )
        return feeds.rotate_feed(self.session, kind=kind, target_id=target_id, actor=self.actor)


class CalendarFileView(PageView):
    """What a calendar reads at a link; the secret in it is all that is asked for."""

    route_base = "/enrollment/calendar"
    class_permission_name = "EnrollmentSession"
    default_view = "read"

    @expose("/<secret>.ics")
    @anyone
    def read(self, secret: str) -> Any:
        answer = Response(feeds.calendar_of(self.session, secret), mimetype="text/calendar")
        answer.headers["Content-Disposition"] = 'inline; filename="calendar.ics"'
        answer.headers["Cache-Control"] = "private, max-age=300"
        return answer


def _row(feed: CalendarFeed) -> dict[str, Any]:
    of = feed.team_member or feed.client or feed.class_group
    kind = next(kind for kind in FeedKind if getattr(feed, f"{kind}_id") is not None)
    return {
        "name": str(of), "kind": dict(KINDS)[kind], "made": feed.created_at,
        "end": {
            "label": _("End"), "url": url_for("FeedView.end", pk=feed.id), "post": True, "danger": True,
            "confirmation": _("End the link to the calendar of %(name)s? Calendars that use it get no more changes.",
                              name=of),
        },
    }

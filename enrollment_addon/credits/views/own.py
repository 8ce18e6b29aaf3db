"""The clients' own page of what they have: how their credits came about."""

from typing import Any

from flask import url_for
from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _

from ...core.errors import NotFound
from ...core.web.access import needs
from ...core.web.pages import PageView
from ...people.queries import client_of_account
from .explain import explanation


class OwnCreditsView(PageView):
    """How the credits of the client who is logged in came about."""

    route_base = "/enrollment/my/credits"
    class_permission_name = "EnrollmentOwnPage"
    default_view = "explain"

    @expose("/")
    @needs("read")
    def explain(self) -> Any:
        client = client_of_account(self.session, self.actor.user_id)
        if client is None:
            raise NotFound
        return self.render_template(
            "enrollment_addon/explain.html", title=_("My session credits explained"),
            crumbs=[{"label": _("My sessions and credits"), "url": url_for("OwnPageView.show")}], own=True,
            **explanation(
                self.session, client, lambda **asked: url_for("OwnCreditsView.explain", **asked), own=True
            ),
        )

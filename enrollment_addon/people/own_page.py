"""The page of clients who log in: what they have, read only; each domain adds its section."""

from typing import Any

from flask_appbuilder.baseviews import expose
from flask_babel import gettext as _

from ..core.web import render
from ..core.web.access import needs
from ..core.web.pages import PageView
from .parts import client_parts
from .queries import client_of_account


class OwnPageView(PageView):
    """What the client who is logged in has."""

    route_base = "/enrollment/my"
    class_permission_name = "EnrollmentOwnPage"
    default_view = "show"

    @expose("/")
    @needs("read")
    def show(self) -> Any:
        """The sections of the domains; nothing on it can be changed."""
        client = client_of_account(self.session, self.actor.user_id)
        if client is not None:
            render.use_timezone(client.club.timezone)
        return self.render_template(
            "enrollment_addon/own_page.html", title=_("My sessions and credits"), client=client,
            sections=[part.own(client) for part in client_parts() if part.own] if client else [],
        )

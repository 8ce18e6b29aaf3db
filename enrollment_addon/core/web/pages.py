"""Base of all pages: what each of them does whatever it shows, and the base of hand-made ones (`PageView`)."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flask import current_app, flash, g, request
from flask_appbuilder import BaseView
from flask_babel import gettext as _
from markupsafe import Markup
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from ..db import PASSING_ERRORS, is_passing, unit_of_work
from ..errors import AddonError, Busy, InvalidInput
from ..log import logger
from ..scope import Actor
from . import access, forms, render
from .access import current_actor, current_session
from .api import new_key
from .request_ids import give_ids
from .routes import Routed

log = logger()


def posted_key() -> str | None:
    """The idempotency key that a form of ours carries, bound to the person; None for anything else."""
    key = request.form.get("idempotency_key", "")
    return f"form:u{current_actor().user_id}:{key}" if re.fullmatch("[0-9A-Za-z-]{1,64}", key) else None


def form_key() -> str:
    """The idempotency key of a form: one that is shown again keeps the key it was posted with."""
    return request.form.get("idempotency_key") or new_key()


def form_status() -> int:
    """The status of a page with a form: one that is shown again after it was posted was refused, or came too soon."""
    if g.get("enrollment_busy"):
        return Busy.http_status
    return 422 if request.method == "POST" else 200


class Mended(Routed):
    """What every page of the add-on does, whatever it shows."""

    is_page = True
    crumbs: Any
    """The method that gives the pages this one stands below, as labels with addresses."""
    permissions: Sequence[str] = ()
    """The permissions that exist on this class's menu, as the manifest says."""
    exclude_route_methods: set[str]

    def __init__(self, **kwargs: Any) -> None:
        self.permissions = access.permissions_on(self.class_permission_name)  # type: ignore[attr-defined]
        self.base_permissions = [access.PERMISSION_PREFIX + p for p in self.permissions]
        self.exclude_route_methods = {*self.exclude_route_methods, *self._forbidden_to_all()}
        super().__init__(**kwargs)

    def _forbidden_to_all(self) -> Iterator[str]:
        """The inherited pages of this record for which no permission exists, such as adding by hand."""
        for name in dir(self):
            permission, menu = getattr(getattr(self, name), "enrollment_needs", (None, None))
            if permission and menu is None and permission not in self.permissions:
                yield name

    def create_blueprint(self, *args: Any, **kwargs: Any) -> Any:
        blueprint = super().create_blueprint(*args, **kwargs)  # type: ignore[misc]
        give_ids(blueprint)
        blueprint.before_request(access.check_csrf)
        blueprint.register_error_handler(AddonError, self.show_error)
        blueprint.register_error_handler(DataError, lambda _error: self.show_error(InvalidInput()))
        blueprint.register_error_handler(HTTPException, self.show_http_error)
        for kind in PASSING_ERRORS:
            blueprint.register_error_handler(kind, self.show_passing)
        return blueprint

    def show_error(self, error: AddonError) -> Any:
        """A refusal that no form caught, as a page of its own with the right status."""
        log.info("refused", code=error.error_code, endpoint=request.endpoint)
        return self._error_page(error.http_status, error.text())

    def show_passing(self, error: Exception) -> Any:
        """A page that the database could not answer just now; any other failure of it stays one.

        On a page that asks the database nothing: the host's own, with menu and name, would fail again.
        """
        if not is_passing(error):
            raise error
        current_session().rollback()
        log.warning("busy", endpoint=request.endpoint)
        template = current_app.jinja_env.get_template("enrollment_addon/busy.html")  # without whom Flask adds: the user
        return template.render(title=_("Please try again"), text=Busy().text()), Busy.http_status

    def show_http_error(self, error: HTTPException) -> Any:
        """What the server itself refuses, such as a form that is too large; answers of the host pass unchanged."""
        if error.code is None or error.response is not None:
            return error
        texts = {
            400: access.CsrfFailed.message, 413: _("This is too much to send at once."), 500: AddonError.message
        }
        return self._error_page(error.code, texts.get(error.code) or _("The server could not use this request."))

    def _error_page(self, status: int, text: Any) -> Any:
        current_session().rollback()
        if "user" not in g:  # the host refused the request before the framework asked who is there
            current_app.appbuilder.sm.before_request()  # type: ignore[attr-defined]
        again = _("Please try again")
        titles = {403: _("Not allowed"), 404: _("Not found"), 409: _("Not possible"), 500: again, 503: again}
        page = self.render_template(
            "enrollment_addon/error.html",
            code=status,
            title=titles.get(status, _("Please check your input")),
            text=text,
            back_url=access.same_site(request.referrer) or current_app.appbuilder.get_url_for_index,  # type: ignore[attr-defined]
        )
        return page, status

    def render_template(self, template: str, **context: Any) -> Any:
        render.begin_page()
        return super().render_template(template, **context)  # type: ignore[misc]

    def ask_first(
        self, form: forms.Form, *, title: str, submit_label: str, cancel_url: str, crumbs: Any = None,
        template: str = "enrollment_addon/ask.html", **context: Any,
    ) -> Any:
        """The page that asks before a verb is done: what it would do, as a `sentence` and `facts`, and the form.

        It is posted to its own address unless `action_url` is another. Without `danger` it takes nothing away.
        """
        page = self.render_template(
            template, form=form, title=title, submit_label=submit_label, cancel_url=cancel_url,
            crumbs=self.crumbs() if crumbs is None else crumbs,
            **{"sentence": "", "facts": (), "danger": True, "action_url": request.path,
               "idempotency_key": form_key(), **context},
        )
        return page, form_status()

    @property
    def session(self) -> Session:
        return current_session()

    @property
    def actor(self) -> Actor:
        return current_actor()

    def work(self, do: Callable[[], Any]) -> Any:
        """Run a verb in one unit of work."""
        with unit_of_work(self.session):
            return do()

    def attempt(self, form: forms.Form, do: Callable[[], Any], *, apart: bool = False) -> tuple[bool, Any]:
        """Carry a verb out in a unit of work; what it refuses is shown in the form, which keeps what was typed.

        That includes NotFound: the page has found its own record, so it is one that was chosen in the form. What
        the person may confirm is told at the box for it. A verb that talks with somebody else opens units of work
        itself, and is carried out `apart` from ours.
        """
        try:
            return True, do() if apart else self.work(do)
        except AddonError as error:
            g.enrollment_busy = isinstance(error, Busy)
            at_box = {error.confirm: error.text()} if error.confirm in form else {}
            form.add_errors(error.fields or at_box, error.text())
            return False, error


class PageView(Mended, BaseView):  # type: ignore[misc]
    """Base of hand-made pages."""


def notice(text: str, url: str | None = None, label: str | None = None, category: str = "success") -> None:
    """Say what was done, with a link to it."""
    flash(Markup('{} <a href="{}">{}</a>').format(text, url, label) if url else text, category)

"""Choices for references: what a select asks the server while a person types."""

from typing import Any

from flask import jsonify, request
from flask_appbuilder.baseviews import expose
from flask_login import current_user

from ..errors import NotFound
from . import access, lists
from .forms import sources
from .views import PageView

PAGE = 25


class OptionsView(PageView):
    """Answers `{"results": [{"id", "text", "meta"}], "more": bool}`, 25 at a time, within the person's reach."""

    route_base = "/enrollment/options"
    class_permission_name = access.MENU
    default_view = "options"

    @expose("/<source>")
    def options(self, source: str) -> Any:
        found = sources.get(source)
        if not current_user.is_authenticated:
            raise access.Unauthorized
        if found is None:
            raise NotFound
        access.authorize(found.permission, found.menu)
        page = lists.whole(request.args.get("page"), 0, 0, 1000)
        rows = found.search(self.session, lists.search_of(request.args, "q"), PAGE + 1, page * PAGE)
        return jsonify(
            results=[{"id": key, "text": name, "meta": meta} for key, name, meta in rows[:PAGE]],
            more=len(rows) > PAGE,
        )

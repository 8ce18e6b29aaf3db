"""Choices for references: what a select asks the server while a person types."""

from typing import Any

from flask import jsonify, request
from flask_appbuilder.baseviews import expose

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
        if found is None:
            raise NotFound
        access.authorize("read", found.menu)
        page = lists.whole(request.args.get("page"), 0, 0, 1000)
        text = request.args.get("q", "").replace("\x00", "").strip()[:100]
        rows = found.search(self.session, text, PAGE + 1, page * PAGE)
        return jsonify(
            results=[{"id": key, "text": name, "meta": meta} for key, name, meta in rows[:PAGE]],
            more=len(rows) > PAGE,
        )

"""Whether the add-on lives and is ready to serve: database, migrations, broker."""

from typing import Any

from flask import current_app, jsonify
from flask_appbuilder.baseviews import expose
from marshmallow import Schema, fields
from sqlalchemy import text
from sqlalchemy.orm import Session

from . import access
from .api import Api, operation
from .openapi import document
from .pages import PageView


def state_of(session: Session) -> dict[str, bool | None]:
    """What works. A broker that is away keeps nothing from being ready: jobs wait in the database until it is back."""
    from .. import install  # Alembic alone is a tenth of a second of every start

    database = migrations = False
    try:
        session.execute(text("SELECT 1"))
        database = True
        migrations = install.at_head(session.get_bind())  # type: ignore[arg-type]
    except Exception:
        session.rollback()
    broker = current_app.extensions["enrollment"].dispatcher.broker_reachable()
    ready = database and migrations
    return {"live": True, "ready": ready, "database": database, "migrations": migrations, "broker": broker}


class HealthAnswer(Schema):
    example = {"live": True, "ready": True, "database": True, "migrations": True, "broker": None}

    live = fields.Boolean(required=True)
    ready = fields.Boolean(required=True)
    database = fields.Boolean(required=True)
    migrations = fields.Boolean(required=True)
    broker = fields.Boolean(required=True, allow_none=True, metadata={"description": "null: no broker configured"})


class HealthApi(Api):
    """`health` needs no log-in and tells no version; `_openapi` describes the interface."""

    resource = ""
    class_permission_name = "EnrollmentHealth"
    openapi_spec_tag = "Operations"

    @operation("/health", summary="Whether the service is ready; a broker that is away is told, and keeps it so",
               permission="", open=True, answers={200: HealthAnswer, 503: HealthAnswer})
    def health(self) -> Any:
        body = state_of(self.session)
        return self.result(body, 200 if body["ready"] else 503, **body)

    @operation("/_openapi", summary="This description", permission="", open=True, answers={200: None})
    def description(self) -> Any:
        return self.answer(200, document(current_app.extensions["enrollment"].apis))


class HealthView(PageView):
    """The same beside the pages, for what watches over the service; plain JSON."""

    route_base = "/enrollment"
    class_permission_name = "EnrollmentHealth"
    default_view = "health"

    @expose("/health")
    @access.anyone
    def health(self) -> Any:
        body = state_of(self.session)
        return jsonify(body), 200 if body["ready"] else 503

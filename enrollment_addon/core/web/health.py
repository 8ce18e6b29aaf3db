"""Whether the add-on lives and is ready to serve: database, migrations, broker."""

from typing import Any

from flask import current_app
from marshmallow import Schema, fields
from sqlalchemy import text

from .api import Api, operation
from .openapi import document


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

    @operation("/health", summary="Whether the service is ready", permission="", open=True,
               answers={200: HealthAnswer, 503: HealthAnswer})
    def health(self) -> Any:
        from .. import install  # Alembic alone is a tenth of a second of every start

        database = migrations = False
        try:
            self.session.execute(text("SELECT 1"))
            database = True
            migrations = install.at_head(self.session.get_bind())  # type: ignore[arg-type]
        except Exception:
            self.session.rollback()
        broker = current_app.extensions["enrollment"].dispatcher.broker_reachable()
        ready = database and migrations and broker is not False
        body = {"live": True, "ready": ready, "database": database, "migrations": migrations, "broker": broker}
        return self.result(body, 200 if ready else 503, **body)

    @operation("/_openapi", summary="This description", permission="", open=True, answers={200: None})
    def description(self) -> Any:
        return self.answer(200, document(current_app.extensions["enrollment"].apis))

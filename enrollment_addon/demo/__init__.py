"""The demo host: the smallest Flask-AppBuilder application with the add-on, and realistic data for it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, redirect, url_for
from flask_appbuilder import AppBuilder, IndexView, expose
from flask_appbuilder.utils.legacy import get_sqla_class
from flask_login import current_user
from sqlalchemy import Engine, event

from ..core.web.access import may

LANGUAGES = {
    "en": {"flag": "gb", "name": "English"},
    "es": {"flag": "es", "name": "Español"},
    "fr": {"flag": "fr", "name": "Français"},
    "de": {"flag": "de", "name": "Deutsch"},
    "ar": {"flag": "sa", "name": "العربية"},
}


class DemoIndexView(IndexView):  # type: ignore[misc]
    """The home page leads to the clients, and a client to what they have."""

    @expose("/")
    def index(self) -> Any:
        if current_user.is_authenticated:
            own = may("read", "EnrollmentOwnPage") and not may("read", "EnrollmentClient")
            return redirect(url_for("OwnPageView.show" if own else "ClientView.list"))
        return redirect(self.appbuilder.get_url_for_login)


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """A Flask-AppBuilder application with the add-on in `ADDON_MANAGERS`; `config` overrides anything.

    The framework's own tables are created at start; the add-on's come from `flask enrollment init`.
    """
    folder = Path(os.environ.get("ENROLLMENT_DEMO_FOLDER", "var")).resolve()
    app = Flask(__name__, instance_path=str(folder))
    app.config.update(
        SECRET_KEY=os.environ.get("SECRET_KEY", "only-for-the-demo-on-this-machine"),
        SQLALCHEMY_DATABASE_URI=os.environ.get("DATABASE_URL", f"sqlite:///{folder / 'demo.db'}"),
        APP_NAME="Enrollment",
        LANGUAGES=LANGUAGES,
        FAB_INDEX_VIEW="enrollment_addon.demo.DemoIndexView",
        FAB_API_SWAGGER_UI=True,
        ADDON_MANAGERS=["enrollment_addon.manager.EnrollmentManager"],
    )
    for name in ("ENROLLMENT_BROKER_URL",):
        if os.environ.get(name):
            app.config[name] = os.environ[name]
    app.config.update(config or {})
    if app.config["SQLALCHEMY_DATABASE_URI"].startswith(f"sqlite:///{folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    db = get_sqla_class()()
    db.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            _tune_sqlite(db.engine)
        AppBuilder(app, db.session)
    return app


def _tune_sqlite(engine: Engine) -> None:
    """Write-ahead logging: readers and the one writer do not wait for each other."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA busy_timeout = 15000")
        cursor.close()

"""The one line a host adds: `ADDON_MANAGERS = ["enrollment_addon.manager.EnrollmentManager"]`."""

import gc
import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from flask import Blueprint, Flask, current_app, has_request_context
from flask_appbuilder.basemanager import BaseManager

from .settings import SettingsError, load_settings

DIALECTS = ("sqlite", "postgresql", "mysql", "mariadb")


@contextmanager
def _without_collections() -> Iterator[None]:
    """Let the garbage collector rest: all that a start makes stays, and it would be looked through again and again.

    Freezing and thawing makes it old at once: the next collection of the young need not look through it either.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()
        if was_on:
            gc.enable()


class EnrollmentManager(BaseManager):  # type: ignore[misc]
    """Checks the host, then registers what the manifest lists.

    All of it happens in the constructor, with this module importing next to nothing: the framework logs and
    swallows what fails while it imports a manager or calls `register_views` and the like, and would serve half of
    an add-on, or none; an exception from the constructor stops the start.
    """

    @_without_collections()
    def __init__(self, appbuilder: Any) -> None:
        super().__init__(appbuilder)
        settings = load_settings(current_app.config)
        self._check_host()
        from . import manifest
        from .core.extension import Extension
        from .core.web import metrics, render, routes

        modules = [m for m in manifest.MODULES if m.name in settings.modules]
        self.extension = Extension(
            settings=settings,
            verbs=manifest.verbs(modules),
            permissions=manifest.permissions(modules),
        )
        current_app.extensions["enrollment"] = self.extension
        self._prepare_session()
        self._add_translations()
        render.install(current_app)
        current_app.register_blueprint(
            Blueprint(
                "enrollment_static", "enrollment_addon", static_folder="static", template_folder="templates",
                static_url_path="/enrollment/static",
            )
        )
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        if settings.metrics:
            metrics.serve(app)
        for module in modules:
            module.wire(app, settings)
        with routes.late_rules(app):
            for entry in manifest.in_menu_order(modules):
                self._register(entry)
            for api in (a for module in modules for a in module.apis):
                self.extension.apis.append(self.appbuilder.add_api(api))
        app.before_request(self._check_rest_ourselves)

    def _check_host(self) -> None:
        version = importlib.metadata.version("flask-appbuilder")
        if not version.startswith("5.3."):
            raise SettingsError(f"enrollment_addon needs Flask-AppBuilder 5.3; this host has {version}.")
        dialect = self.appbuilder.session.get_bind().dialect.name
        if dialect not in DIALECTS:
            raise SettingsError(f"enrollment_addon works on {', '.join(DIALECTS)}; this host uses {dialect}.")
        if not current_app.config.get("SECRET_KEY"):
            raise SettingsError("enrollment_addon needs the host's SECRET_KEY: its forms are signed with it.")

    def _prepare_session(self) -> None:
        from .core import scope
        from .core.translations import LOCALE
        from .core.web import access, render

        session = self.appbuilder.session
        scope.install(session)
        known = {
            scope.ACTOR: access.current_actor,
            LOCALE: lambda: render.locale_name() if has_request_context() else None,
        }
        if hasattr(session, "session_factory"):
            session.session_factory.configure(info=known)
        session.info.update(known)

    @staticmethod
    def _add_translations() -> None:
        folder = str(files("enrollment_addon.translations"))
        current_app.extensions["babel"].translation_directories.append(folder)

    def _check_rest_ourselves(self) -> None:
        """Keep the host's CSRFProtect off our REST, which checks tokens itself and takes bearer tokens too.

        The framework does the same for a CSRFProtect that was there before it; one that came later is seen here.
        """
        if csrf := current_app.extensions.get("csrf"):
            for api in self.extension.apis:
                csrf.exempt(api.blueprint)

    def _register(self, entry: Any) -> None:
        view = entry.view()
        if entry.name:
            self.appbuilder.add_view(
                view, entry.name, label=entry.label, icon=entry.icon, category=entry.category,
                category_label=entry.category_label, category_icon=entry.category_icon,
            )
        else:
            self.appbuilder.add_view_no_menu(view)
        self.extension.views[type(view).__name__] = view

"""Small applications of somebody else's that use the add-on as its README says."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.testing import FlaskCliRunner
from flask_appbuilder import AppBuilder
from flask_appbuilder.utils.legacy import get_sqla_class
from sqlalchemy import event

from tests.servers import STATEMENTS

MANAGER = "enrollment_addon.manager.EnrollmentManager"

Extend = Callable[[Flask, Any], None]


def nothing(app: Flask, db: Any) -> None:
    """A host without anything of its own."""


def make_host(
    url: str, *, addon: bool = True, before: Extend = nothing, after: Extend = nothing, **config: Any
) -> Flask:
    """A host application; `before` and `after` say what it does around the framework's start.

    Permissions come from `flask enrollment init`, as a deployment's do, unless the test switches the
    framework's synchronisation at every start on.
    """
    app = Flask("somebody_elses_host")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS={"execution_options": STATEMENTS},
        SECRET_KEY="for tests only, and long enough for tokens",
        TESTING=True,
        ADDON_MANAGERS=[MANAGER] if addon else [],
        FAB_UPDATE_PERMS=False,
        ENROLLMENT_WORKER=False,
    )
    app.config.update(config)
    db = get_sqla_class()()
    db.init_app(app)
    with app.app_context():
        before(app, db)
        AppBuilder(app, db.session)
        after(app, db)
    return app


class Command:
    """`flask enrollment …` on an application."""

    def __init__(self, app: Flask) -> None:
        self.runner: FlaskCliRunner = app.test_cli_runner()

    def __call__(self, *arguments: Any, code: int = 0) -> Any:
        """Run it and demand an exit code; the result has `stdout` and `stderr`."""
        from enrollment_addon.cli import enrollment

        result = self.runner.invoke(enrollment, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result


class QueryCount:
    """Counts the statements an engine executes while it is entered."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.statements = engine, []

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        self.statements.append(statement)

    def __enter__(self) -> "QueryCount":
        event.listen(self.engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_error: Any) -> None:
        event.remove(self.engine, "before_cursor_execute", self._note)

"""What every command stands on: the group, how it refuses, what it answers, and where it finds the host."""

import functools
import json
import sys
from collections.abc import Callable
from typing import Any

import click
from alembic.util import CommandError
from flask import Flask, current_app
from flask.cli import AppGroup
from sqlalchemy.exc import InterfaceError, OperationalError

from ..core import install
from ..core.errors import AddonError
from ..core.extension import Extension


class Line:
    """One line on standard error that says how far a command is, where that is a terminal.

    A bar would not do: what is found is printed meanwhile, and a job says only later how many items it has.
    """

    def __init__(self, *, hidden: bool) -> None:
        self._shown = not hidden and sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self._shown:
            click.echo(f"\r\033[K{text}", err=True, nl=False)

    def clear(self) -> None:
        """Make room for other lines."""
        self.show("")

    def share(self, what: str, share: float) -> None:
        self.show(f"{what}: {share:.0%}")

    def count(self, what: str, done: int, total: int) -> None:
        self.show(f"{what}: {done:,} of {max(done, total):,}")


@click.group(cls=AppGroup)
def enrollment() -> None:
    """Enrollment and session credits."""


as_json = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for machines.")


def refusing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a refusal, and a database that is away, are told on standard error and end with code 2."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except AddonError as error:
            fields = "; ".join(f"{name}: {message}" for name, message in error.fields.items())
            refuse(f"{error.error_code}: {error.text()} {fields}".rstrip())
        except CommandError as error:
            refuse(str(error))
        except (OperationalError, InterfaceError) as error:
            refuse(f"The database cannot be used now: {error.orig}")

    return run


def working(module: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: a command that needs the tables at their newest and this module switched on."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(*args: Any, **kwargs: Any) -> Any:
            if module not in get_extension().settings.modules:
                refuse(f"The module {module} is switched off (ENROLLMENT_MODULES).")
            if not install.at_head(get_engine()):
                refuse("The tables are not those of this version. Run: flask enrollment init")
            return command(*args, **kwargs)

        return refusing(run)

    return decorate


def refuse(text: str) -> None:
    click.echo(text, err=True)
    sys.exit(2)


def get_app() -> Flask:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return app


def get_extension() -> Extension:
    extension: Extension = current_app.extensions["enrollment"]
    return extension


def get_session() -> Any:
    return current_app.appbuilder.session  # type: ignore[attr-defined]


def get_engine() -> Any:
    return get_session().get_bind()


def say(machine: bool, facts: dict[str, Any], text: str) -> None:
    click.echo(json.dumps(facts, default=str) if machine else text)

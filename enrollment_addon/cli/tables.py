"""The add-on's tables, permissions and roles."""

import sys

import click
from flask import current_app
from flask.cli import AppGroup

from ..core import install
from ..core.db import unit_of_work
from .common import as_json, enrollment, get_engine, get_extension, get_session, refusing, say

database = AppGroup("db", help="The add-on's own tables.")
enrollment.add_command(database)


@enrollment.command()
@as_json
@refusing
def init(as_json: bool) -> None:
    """Bring the tables up to date and install what roles and permissions are new in this version."""
    install.upgrade(get_engine())
    say(as_json, {"added": (added := install_permissions())}, _added(added))


def install_permissions() -> dict[str, int]:
    """Write the add-on's permissions and roles; how many permissions each role got that it never had."""
    from .. import manifest
    from ..core.roles import install_roles

    appbuilder = current_app.appbuilder  # type: ignore[attr-defined]
    appbuilder.add_permissions(update_perms=True)
    wanted = manifest.role_permissions(get_extension().settings.modules)
    with unit_of_work(get_session()) as session:
        return install_roles(session, appbuilder.sm, wanted)


def _added(added: dict[str, int]) -> str:
    lines = [f"{role}: {count} permissions added" for role, count in added.items() if count]
    return "\n".join(lines) or "Everything is up to date."


@database.command("upgrade")
@click.argument("revision", default="head")
@as_json
@refusing
def db_upgrade(revision: str, as_json: bool) -> None:
    """Bring the tables to a revision (default: the newest)."""
    install.upgrade(get_engine(), revision)
    _say_revision(as_json, "at ")


def _say_revision(machine: bool, before: str = "") -> None:
    revision = install.current(get_engine())
    say(machine, {"revision": revision, "newest": install.head()}, f"{before}{revision or 'base'}")


@database.command("downgrade")
@click.argument("revision")
@click.option("--drop-data", is_flag=True, help="Also remove tables that hold data.")
@as_json
@refusing
def db_downgrade(revision: str, drop_data: bool, as_json: bool) -> None:
    """Go back to an earlier revision, keeping the data; "base" removes the add-on's tables."""
    install.downgrade(get_engine(), revision, drop_data=drop_data)
    _say_revision(as_json, "at ")


@database.command("current")
@as_json
@refusing
def db_current(as_json: bool) -> None:
    """Which revision the database is at."""
    _say_revision(as_json)


@database.command("check")
@as_json
@refusing
def db_check(as_json: bool) -> None:
    """Compare the database with the models; code 1 if they differ."""
    found = install.check(get_engine())
    say(as_json, {"differences": found}, "\n".join(found) or "The database and the models agree.")
    sys.exit(1 if found else 0)

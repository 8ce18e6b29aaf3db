"""The add-on's tables in a host's database: made, changed and compared by its own Alembic history.

The history has a version table of its own and touches nothing but tables named `enrollment_…`; the host's
tables (`ab_user` is referred to) must exist before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask_babel import lazy_gettext as _l
from sqlalchemy import Connection, Engine, Table, inspect, literal, select, text

from .db import metadata, write_lock
from .errors import Conflict

VERSION_TABLE = "enrollment_alembic_version"
PREFIX = "enrollment_"
BOOKKEEPING = frozenset({"enrollment_write_lock", "enrollment_installed_permission"})
"""Tables whose rows the installation writes by itself: not data of anybody."""
OLDEST = {"PostgreSQL": (13,), "MariaDB": (10, 6), "MySQL": (8,)}
"""The oldest versions of databases that the add-on works with."""


class DatabaseTooOld(Conflict):
    code = "database_too_old"
    message = _l("%(name)s %(found)s is too old: %(needed)s or newer is needed.")


class DataWouldBeLost(Conflict):
    code = "data_would_be_lost"
    message = _l("Nothing was removed, because these tables hold data: %(tables)s.")


def refuse_old(name: str, found: tuple[int, ...]) -> None:
    """Raises: DatabaseTooOld for a version that the add-on was not made for."""
    needed = OLDEST.get(name, ())
    if found[: len(needed)] < needed:
        raise DatabaseTooOld(name=name, found=_dotted(found), needed=_dotted(needed))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _refuse_old_server(connection: Connection) -> None:
    dialect = connection.dialect
    name = "MariaDB" if getattr(dialect, "is_mariadb", False) else {"postgresql": "PostgreSQL", "mysql": "MySQL"}.get(
        dialect.name, dialect.name
    )
    refuse_old(name, tuple(part for part in dialect.server_version_info or () if isinstance(part, int)))


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the tables to a revision. Two deployments that upgrade at once take turns. Raises: DatabaseTooOld."""
    with _turn(engine) as connection:
        _refuse_old_server(connection)
        command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str, *, drop_data: bool = False) -> None:
    """Bring the tables back to an earlier revision, with their data; "base" removes the add-on's tables.

    `drop_data`: also those that hold data. Raises: DataWouldBeLost when one does and that was not said; all of
    them are asked before the first step, since MariaDB keeps each step that was done.
    """
    with _turn(engine) as connection:
        if revision == "base" and not drop_data:
            held = [table.name for table in _ours(connection) if _holds_rows(connection, table)]
            if held:
                raise DataWouldBeLost(tables=", ".join(held))
        command.downgrade(_config(connection, drop_data=drop_data), revision)


def _ours(connection: Connection) -> list[Table]:
    """The add-on's tables that are there, but for its own bookkeeping."""
    there = set(inspect(connection).get_table_names()) - BOOKKEEPING
    return [table for name, table in sorted(metadata.tables.items()) if name in there and name.startswith(PREFIX)]


def _holds_rows(connection: Connection, table: Table) -> bool:
    return connection.execute(select(literal(1)).select_from(table).limit(1)).first() is not None


def current(engine: Engine) -> str | None:
    """The revision the database is at; None before the first upgrade."""
    with engine.connect() as connection:
        return _revision(connection)


@cache
def head() -> str:
    """The revision this version of the add-on works with."""
    found = ScriptDirectory(_folder()).get_current_head()
    assert found, "the history has one end"
    return found


def at_head(engine: Engine) -> bool:
    """Whether the database is at the revision this version of the add-on works with."""
    return current(engine) == head()


def check(engine: Engine) -> list[str]:
    """Every difference between the database and the models, in words; empty when there is none.

    Compares tables, columns, types, keys, indexes, names of CHECKs and triggers, and the write lock's row.
    The caller has imported the models of all domains. Raises: DatabaseTooOld.
    """
    with engine.connect() as connection:
        _refuse_old_server(connection)
        found = _revision(connection)
        said = [] if found == head() else [f"the database is at revision {found}, the add-on needs {head()}"]
        present = {name for name in inspect(connection).get_table_names() if name in metadata.tables}
        said += [_say(difference) for difference in _flat(_compare(connection))]
        for name in sorted(present):
            said += _missing_triggers(connection, metadata.tables[name])
        if write_lock.name in present and connection.execute(select(write_lock.c.id)).first() is None:
            said.append(f"missing row in {write_lock.name}")
    return said


def _folder() -> Path:
    """Where the revisions are: in the installed package, or beside it in a checkout."""
    try:
        return Path(str(resources.files(import_module("enrollment_addon.migrations"))))
    except ModuleNotFoundError:
        return Path(__file__).parents[2] / "migrations"


def _config(connection: Connection, **attributes: Any) -> Config:
    config = Config(attributes={"connection": connection, **attributes})
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _turn(engine: Engine) -> Iterator[Connection]:
    """A transaction on a connection that no other migration runs beside.

    SQLite's driver would run every CREATE and DROP on its own; begun by hand, all of a run is kept or none.
    MariaDB commits each of them whatever one does.
    """
    with engine.connect() as connection, connection.begin():
        match connection.dialect.name:
            case "sqlite":
                if not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
            case "postgresql":
                lock = text("SELECT pg_advisory_xact_lock(hashtext(:name))")
                connection.execute(lock, {"name": VERSION_TABLE})
                yield connection
            case _:
                name = {"name": f"{connection.engine.url.database}.{VERSION_TABLE}"[-64:]}
                connection.execute(text("SELECT GET_LOCK(:name, 600)"), name)
                try:
                    yield connection
                finally:
                    connection.execute(text("SELECT RELEASE_LOCK(:name)"), name)


def _revision(connection: Connection) -> str | None:
    migration = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return migration.get_current_revision()


def _compare(connection: Connection) -> list[Any]:
    def ours(name: str | None, kind: str, parents: Any) -> bool:
        return kind != "table" or name in metadata.tables

    options = {
        "version_table": VERSION_TABLE,
        "include_name": ours,
        "autogenerate_plugins": ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
    }
    found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    return found


def _flat(differences: Any) -> Iterator[tuple[Any, ...]]:
    """Alembic gives a column's differences as lists inside the list."""
    for difference in differences:
        if isinstance(difference, tuple):
            yield difference
        else:
            yield from _flat(difference)


def _say(difference: tuple[Any, ...]) -> str:
    what, kind = difference[0].split("_", 1)
    if what == "modify":
        _, _, table, column, _, found, wanted = difference
        return f"different {kind} of {table}.{column}: {found!r} in the database, {wanted!r} in the models"
    said = {"add": "missing", "remove": "unexpected"}[what]
    item = difference[-1]
    where = "" if kind == "table" else f" on {difference[2] if kind == 'column' else item.table.name}"
    return f"{said} {kind} {item.name}{where}"


_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND tgenabled <> 'D'",
    "mysql": "SELECT trigger_name FROM information_schema.triggers "
    "WHERE trigger_schema = DATABASE() AND event_object_table = :name",
}


def _missing_triggers(connection: Connection, table: Table) -> list[str]:
    dialect = "mysql" if connection.dialect.name == "mariadb" else connection.dialect.name
    present = set(connection.execute(text(_TRIGGERS[dialect]), {"name": table.name}).scalars())
    wanted = table.info.get("triggers", {}).get(dialect, ())
    return [f"missing trigger {name} on {table.name}" for name in wanted if name not in present]

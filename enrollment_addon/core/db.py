"""Tables, types, the unit of work and idempotency keys.

The add-on's tables live in their own metadata with their own migrations, beside the host's. The engine and
the session are the host's: nothing here changes how they behave for the host.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, TypeVar

from flask_appbuilder.security.sqla.models import User as User
from flask_babel import lazy_gettext as _l
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    TypeDecorator,
    column,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from . import clock
from .errors import Busy, IdempotencyMismatch, InvalidInput, NotFound
from .log import timed_verbs

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = BigInteger().with_variant(Integer, "sqlite")
"""Type of primary and foreign keys: 64 bits; on SQLite the row id."""

LONGEST_KEY = 200
ExactText = String(LONGEST_KEY).with_variant(
    mysql.VARCHAR(LONGEST_KEY, collation="utf8mb4_bin"), "mysql", "mariadb"
)
"""Text whose case counts on MariaDB too, for keys that a caller chose."""

Document = JSON().with_variant(postgresql.JSONB(), "postgresql")


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An aware instant, stored in UTC; naive values are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        assert value.tzinfo is not None, "instants are aware"
        value = value.astimezone(dt.UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Base(DeclarativeBase):
    """Base of every table of the add-on."""

    metadata = metadata


def user_key() -> Column[int]:
    """A foreign key to the host's users, by column object: the two metadatas never mix."""
    return mapped_column(ForeignKey(User.__table__.c.id, ondelete="SET NULL"), index=True)  # type: ignore[return-value]


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """The CHECK that keeps a text column to the values of an enum (names equal values)."""
    allowed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


class Tracked:
    """Mixin: when a record was created and last changed; the audit events say by whom."""

    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)
    updated_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now, onupdate=clock.now)


write_lock = Table(
    "enrollment_write_lock", metadata, Column("id", Integer, primary_key=True), Column("turn", Integer)
)
"""One row. On SQLite a unit of work writes it first, which takes the database's write lock before anything is
read; without that two connections read the same state and the second one fails or overwrites."""


class IdempotencyKey(Base):
    """The first use of a caller's key: what was asked and what came out of it."""

    __tablename__ = "enrollment_idempotency_key"

    key: Mapped[str] = mapped_column(ExactText, primary_key=True)
    verb: Mapped[str] = mapped_column(String(60))
    fingerprint: Mapped[str] = mapped_column(String(64))
    result: Mapped[Any] = mapped_column(Document, nullable=True)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=clock.now)


def dialect_of(session: Session) -> str:
    """postgresql, sqlite or mysql (MariaDB counts as mysql)."""
    name = session.get_bind().dialect.name
    return "mysql" if name == "mariadb" else name


_DEPTH = "enrollment_unit_of_work"


@contextmanager
def unit_of_work(session: Session) -> Iterator[Session]:
    """One transaction around one verb: commits at the end, rolls everything back on any error.

    Nested uses join the outer one. To be opened before anything is written: on MariaDB it ends the
    transaction that reading has begun, so that it reads what is there now. Raises: Busy when the database is
    locked, full or deadlocked, the connection is lost or none is free.
    """
    if session.info.get(_DEPTH):
        yield session
        return
    session.info[_DEPTH] = True
    with timed_verbs():
        try:
            _begin(session)
            yield session
            session.commit()
        except PASSING_ERRORS as error:
            session.rollback()
            if is_passing(error):
                raise Busy from error
            raise
        except BaseException:
            session.rollback()
            raise
        finally:
            session.info.pop(_DEPTH, None)


def _begin(session: Session) -> None:
    dialect = dialect_of(session)
    if dialect == "sqlite":
        session.execute(update(write_lock).values(turn=write_lock.c.turn))
    elif dialect == "mysql" and not (session.new or session.dirty or session.deleted):
        session.rollback()
        session.connection(execution_options={"isolation_level": "READ COMMITTED"})


_PASSING_SQLSTATES = {
    "40001", "40P01", "55P03", "53100", "53200", "57014", "57P01", "57P03", "08006", "08001",
}
_PASSING_SQLITE = ("database is locked", "disk is full", "disk i/o error", "readonly database")
_PASSING_MYSQL = {1021, 1041, 1114, 1205, 1213, 2002, 2003, 2006, 2013}


PASSING_ERRORS: tuple[type[Exception], ...] = (OperationalError, PendingRollbackError, NoFreeConnection)
"""What the database's own troubles come as; `is_passing` says of which a retry may help."""


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed a little later: locks, deadlocks, full disks, lost connections."""
    if isinstance(error, NoFreeConnection) or getattr(error, "connection_invalidated", False):
        return True
    original = error.orig if isinstance(error, DBAPIError) else None
    if getattr(original, "sqlstate", None) in _PASSING_SQLSTATES:
        return True
    if original is not None and original.args and original.args[0] in _PASSING_MYSQL:
        return True
    said = str(original or error).lower()
    return any(part in said for part in _PASSING_SQLITE)


Record = TypeVar("Record", bound=Base)


def require(session: Session, model: type[Record], key: int, *, lock: bool = False) -> Record:
    """The record with this key, as far as the session's actor reaches it.

    Always asks the database: what an earlier actor of this session loaded proves nothing. `lock`: nobody else
    changes the row until the transaction ends. Raises: NotFound.
    """
    if not isinstance(key, int) or not 0 < key < 2**63:
        raise NotFound
    statement = select(model).where(model.id == key)  # type: ignore[attr-defined]
    if lock:
        statement = statement.with_for_update(of=model).execution_options(populate_existing=True)
    item = session.scalars(statement).one_or_none()
    if item is None:
        raise NotFound
    return item


def flush_unique(session: Session, table: Table, messages: Mapping[str, Any]) -> None:
    """Flush; a value that somebody else saved at the same moment is an input error of its field, not a crash.

    `messages`: unique column → what to tell. Raises: InvalidInput.
    """
    try:
        session.flush()
    except IntegrityError as error:
        told = str(error.orig)
        for column, message in messages.items():
            if f"uq_{table.name}_{column}" in told or f"{table.name}.{column}" in told:
                raise InvalidInput(fields={column: message}) from error
        raise


_DUPLICATE_MYSQL = 1062


def insert_new(session: Session, table: Table, values: Mapping[str, Any], keys: list[str]) -> bool:
    """Insert one row unless a row with the same unique key exists. Whether it was inserted."""
    dialect = dialect_of(session)
    if dialect == "mysql":
        try:
            session.connection().execute(insert(table).values(**values))
        except IntegrityError as error:
            if error.orig is None or error.orig.args[0] != _DUPLICATE_MYSQL:
                raise
            return False
        return True
    maker: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = maker(table).values(**values).on_conflict_do_nothing(index_elements=keys)
    return session.execute(statement.returning(table.c[keys[0]])).first() is not None


def ensure_row(session: Session, table: Table, values: Mapping[str, Any], keys: list[str]) -> None:
    """Insert one row unless there is one with the same unique key; for a row that is locked right after.

    On MariaDB an insert that fails keeps a shared lock, and two callers who then ask for the row would wait for
    each other; this one takes the exclusive lock at once.
    """
    if dialect_of(session) == "mysql":
        statement = mysql.insert(table).values(**values)
        same = {keys[0]: table.c[keys[0]]}
        session.connection().execute(statement.on_duplicate_key_update(**same))
    else:
        insert_new(session, table, values, keys)


_KEY_LISTS = {
    "sqlite": "SELECT value AS id FROM json_each(:keys)",
    "postgresql": "SELECT CAST(value AS bigint) AS id FROM json_array_elements_text(CAST(:keys AS json))",
    "mysql": "SELECT id FROM JSON_TABLE(:keys, '$[*]' COLUMNS (id BIGINT PATH '$')) AS wanted",
}


def key_list(session: Session, keys: Iterable[int]) -> Select[tuple[int]]:
    """A SELECT of the given keys, sent as one parameter: no limit on their number, one statement to cache."""
    statement = text(_KEY_LISTS[dialect_of(session)]).bindparams(keys=json.dumps(sorted(set(keys))))
    return select(statement.columns(column("id", Key)).subquery().c.id)


def idempotent(
    session: Session,
    *,
    key: str | None,
    verb: str,
    asked: Mapping[str, Any],
    do: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """Run `do` once per key; a repeat with the same input returns the first result (a JSON object).

    The key's row is written in the same transaction as the verb's own rows, so a crash leaves neither.
    Raises: IdempotencyMismatch when the key was used for other input; InvalidInput when it is too long.
    """
    if key is None:
        return do()
    if len(key) > LONGEST_KEY:
        raise InvalidInput(_l("The key of a request has at most %(most)s characters."), most=LONGEST_KEY)
    table: Table = IdempotencyKey.__table__  # type: ignore[assignment]
    row = {
        "key": key, "verb": verb, "fingerprint": _fingerprint(verb, asked), "result": None, "created_at": clock.now()
    }
    if insert_new(session, table, row, ["key"]):
        result = do()
        session.execute(update(table).where(table.c.key == key).values(result=result))
        return result
    first = first_result(session, key=key, verb=verb, asked=asked)
    assert first is not None, "the key is there"
    return first


def first_result(
    session: Session, *, key: str | None, verb: str, asked: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What the first use of a key gave; None for a new one. For a verb that asks somebody else before it writes.

    Raises: IdempotencyMismatch when the key was used for other input.
    """
    table: Table = IdempotencyKey.__table__  # type: ignore[assignment]
    first = session.execute(select(table.c.fingerprint, table.c.result).where(table.c.key == key)).one_or_none()
    if first is None:
        return None
    if first.fingerprint != _fingerprint(verb, asked):
        raise IdempotencyMismatch
    return first.result  # type: ignore[no-any-return]


def _fingerprint(verb: str, asked: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([verb, asked], sort_keys=True, default=str).encode()).hexdigest()

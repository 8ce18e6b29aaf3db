"""The add-on's own history: it makes what the models say, on every database, and loses nothing."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask_appbuilder import Model
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from enrollment_addon.core import install
from enrollment_addon.core.db import metadata
from tests import factories
from tests.servers import connect

pytestmark = pytest.mark.all_databases


@pytest.fixture
def host(new_database: Callable[..., str]) -> Iterator[Engine]:
    """A host's database that the add-on has not touched."""
    engine = connect(new_database(empty=True))
    Model.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def built(new_database: Callable[..., str]) -> Iterator[Engine]:
    """A database whose tables were made from the models themselves."""
    engine = connect(new_database(empty=True))
    Model.metadata.create_all(engine)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def values(engine: Engine, statement: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(statement)).scalars())


def our_tables(engine: Engine) -> set[str]:
    return {name for name in inspect(engine).get_table_names() if name.startswith("enrollment_")}


def describe(engine: Engine) -> dict[str, Any]:
    """Everything a database says about the add-on's tables."""
    found = inspect(engine)
    triggers = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'trigger'"
        " UNION SELECT name FROM sqlite_master WHERE sql LIKE '% AUTOINCREMENT%'",
        "postgresql": "SELECT pg_get_triggerdef(oid) || pg_get_functiondef(tgfoid) FROM pg_trigger"
        " WHERE NOT tgisinternal UNION SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname LIKE 'enrollment%'",
        "mysql": "SELECT CONCAT_WS(' ', trigger_name, action_timing, event_manipulation, action_statement) "
        "FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
    }
    said: dict[str, Any] = {"triggers": sorted(values(engine, triggers[engine.dialect.name]))}
    for name in metadata.tables:
        said[name] = {
            "columns": {
                item["name"]: (repr(item["type"]), item["nullable"], item["default"])
                for item in found.get_columns(name)
            },
            "primary key": found.get_pk_constraint(name),
            **{
                kind: {item["name"]: plain(item) for item in read(name)}
                for kind, read in {
                    "foreign keys": found.get_foreign_keys,
                    "unique": found.get_unique_constraints,
                    "checks": found.get_check_constraints,
                    "indexes": found.get_indexes,
                }.items()
            },
        }
    return said


def plain(item: Any) -> Any:
    """A reflected constraint or index with its options as text, so that two of them can be compared."""
    return {**item, "dialect_options": {k: str(v) for k, v in item.get("dialect_options", {}).items()}}


def test_upgrade_makes_exactly_what_the_models_say(host: Engine, built: Engine) -> None:
    assert install.current(host) is None
    install.upgrade(host)
    assert install.at_head(host)
    assert install.check(host) == []
    by_history, by_models = describe(host), describe(built)
    for name in by_models:
        assert by_history[name] == by_models[name]


def test_upgrade_twice_changes_nothing(host: Engine) -> None:
    install.upgrade(host)
    install.upgrade(host)
    assert values(host, "SELECT COUNT(*) FROM enrollment_write_lock") == [1]
    assert install.check(host) == []


def test_two_deployments_upgrade_at_once(host: Engine) -> None:
    failed: list[BaseException] = []

    def deploy() -> None:
        try:
            install.upgrade(host)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=deploy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert install.check(host) == []


def test_the_history_of_the_host_is_left_alone(host: Engine) -> None:
    run(
        host,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('its own')",
        "CREATE TABLE enrollment_of_the_host (id INTEGER)",
    )
    install.upgrade(host)
    assert install.check(host) == []
    install.downgrade(host, "base")
    assert values(host, "SELECT version_num FROM alembic_version") == ["its own"]
    assert our_tables(host) == {"enrollment_alembic_version", "enrollment_of_the_host"}


def test_downgrade_refuses_to_drop_data_unless_told(host: Engine) -> None:
    install.upgrade(host)
    with Session(host) as session:
        client = factories.make_client(session)
        factories.make_household(session, client, factories.make_client(session))
        factories.make_lot(session, client, factories.make_event_type(session))
        session.commit()
    with pytest.raises(install.DataWouldBeLost) as refusal:
        install.downgrade(host, "base")
    assert "enrollment_credit_entry" in str(refusal.value)
    assert install.at_head(host), "on MariaDB too, which would keep the steps that lost nothing"
    assert install.check(host) == []
    assert values(host, "SELECT COUNT(*) FROM enrollment_credit_lot") == [1]

    install.downgrade(host, "base", drop_data=True)
    assert install.current(host) is None
    assert our_tables(host) == {"enrollment_alembic_version"}
    install.upgrade(host)
    assert install.check(host) == []


@pytest.mark.databases("sqlite", "postgresql")
def test_a_failing_upgrade_leaves_nothing_behind(host: Engine) -> None:
    run(host, "CREATE TABLE enrollment_credit_lot (id INTEGER)")
    with pytest.raises(DBAPIError):
        install.upgrade(host)
    assert install.current(host) is None
    assert our_tables(host) == {"enrollment_credit_lot"}


DAMAGE = {
    "missing index ix_enrollment_client_phone on enrollment_client": "DROP INDEX ix_enrollment_client_phone",
    "missing column note on enrollment_credit_lot": "ALTER TABLE enrollment_credit_lot DROP COLUMN note",
    "missing table enrollment_translation": "DROP TABLE enrollment_translation",
    "unexpected column spare on enrollment_club": "ALTER TABLE enrollment_club ADD spare INTEGER",
    "missing row in enrollment_write_lock": "DELETE FROM enrollment_write_lock",
    "missing trigger enrollment_credit_entry_no_delete on enrollment_credit_entry": (
        "DROP TRIGGER enrollment_credit_entry_no_delete"
    ),
    "the database is at revision 0000, the add-on needs": (
        "UPDATE enrollment_alembic_version SET version_num = '0000'"
    ),
}


@pytest.mark.parametrize("said", DAMAGE)
def test_check_names_what_is_wrong(said: str, engine: Engine) -> None:
    statement = DAMAGE[said]
    if engine.dialect.name == "mysql" and statement.startswith("DROP INDEX"):
        statement += " ON enrollment_client"
    if engine.dialect.name == "postgresql" and statement.startswith("DROP TRIGGER"):
        said = said.replace("no_delete", "no_change")
        statement = "DROP TRIGGER enrollment_credit_entry_no_change ON enrollment_credit_entry"
    run(engine, statement)
    differences = install.check(engine)
    assert len(differences) == 1, differences
    assert differences[0].startswith(said)


@pytest.mark.databases("postgresql", "mariadb")
def test_check_names_changed_columns_and_lost_constraints(engine: Engine) -> None:
    nullable = {
        "postgresql": "ALTER TABLE enrollment_club ALTER COLUMN currency DROP NOT NULL",
        "mysql": "ALTER TABLE enrollment_club MODIFY currency VARCHAR(3) NULL",
    }
    run(
        engine,
        "ALTER TABLE enrollment_credit_lot DROP CONSTRAINT ck_enrollment_credit_lot_adds_up",
        nullable[engine.dialect.name],
    )
    said = install.check(engine)
    assert len(said) == 2, said
    assert any(line.startswith("different nullable of enrollment_club.currency") for line in said)
    assert any("ck_enrollment_credit_lot_adds_up on enrollment_credit_lot" in line for line in said)


def test_the_ledger_is_append_only(engine: Engine, session: Session) -> None:
    factories.make_lot(session, factories.make_client(session), factories.make_event_type(session))
    session.commit()
    forbidden = [
        "UPDATE enrollment_credit_entry SET available_change = 99",
        "UPDATE enrollment_credit_entry SET reason = 'because'",
        "DELETE FROM enrollment_credit_entry",
    ]
    if engine.dialect.name == "postgresql":
        forbidden.append("TRUNCATE TABLE enrollment_credit_entry")
    for statement in forbidden:
        with pytest.raises(DBAPIError, match="append-only"):
            run(engine, statement)
    assert values(engine, "SELECT available_change FROM enrollment_credit_entry") == [10]


BAD_LOTS = {
    "ck_enrollment_credit_lot_quantity": {"quantity": 0, "available": 0},
    "ck_enrollment_credit_lot_priority": {"priority": 101},
    "ck_enrollment_credit_lot_unit_value": {"unit_value": -1},
    "ck_enrollment_credit_lot_not_negative": {"available": 11, "reserved": -1},
    "ck_enrollment_credit_lot_adds_up": {"available": 9},
    "ck_enrollment_credit_lot_origin": {"origin": "stolen"},
}


@pytest.mark.parametrize("constraint", BAD_LOTS)
def test_the_database_refuses_a_lot_that_cannot_be(constraint: str, session: Session) -> None:
    client, event_type = factories.make_client(session), factories.make_event_type(session)
    with pytest.raises(DBAPIError, match=constraint):
        factories.make_lot(session, client, event_type, **BAD_LOTS[constraint])


def test_the_database_refuses_a_negative_balance(session: Session) -> None:
    lot = factories.make_lot(session, factories.make_client(session), factories.make_event_type(session))
    with pytest.raises(DBAPIError, match="ck_enrollment_credit_balance_not_negative"):
        session.execute(
            text("UPDATE enrollment_credit_balance SET available = -1 WHERE client_id = :client"),
            {"client": lot.client_id},
        )


def test_a_client_with_credits_cannot_be_deleted(session: Session) -> None:
    lot = factories.make_lot(session, factories.make_client(session), factories.make_event_type(session))
    with pytest.raises(IntegrityError):
        session.execute(text("DELETE FROM enrollment_client WHERE id = :client"), {"client": lot.client_id})


@pytest.mark.databases("sqlite")
def test_a_database_that_is_too_old_is_refused() -> None:
    for name, old, enough in (
        ("PostgreSQL", (12, 22), (13, 0)), ("MariaDB", (10, 5, 29), (10, 6)), ("MySQL", (5, 7, 44), (8, 0, 11)),
    ):
        with pytest.raises(install.DatabaseTooOld, match=name):
            install.refuse_old(name, old)
        install.refuse_old(name, enough)
    install.refuse_old("sqlite", (3, 40))

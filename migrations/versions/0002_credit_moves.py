"""Credits in full: restrictions of lots, shared spending, moves between clients and event types.

The ledger learns a kind of entry that only changes the last day of a lot. SQLite changes no CHECK of a table
that exists, so there the ledger is copied into a new one; its triggers are taken off while the grace days, so
far at the beginning of a reason, get a column of their own.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

from enrollment_addon.core.install import DataWouldBeLost

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
LEDGER = "enrollment_credit_entry"
KIND = "ck_enrollment_credit_entry_kind"
BATCH = "fk_enrollment_credit_entry_batch_id"

OLD_KINDS = (
    "grant", "transfer_in", "reserve", "consume", "release", "restore", "expire", "void", "transfer_out",
)
NEW_KINDS = (*OLD_KINDS, "extend")
OLD_COLUMNS = (
    "id", "lot_id", "client_id", "event_type_id", "kind", "available_change", "reserved_change", "at",
    "actor_id", "reason", "booking_id", "turn", "reversal_of_id",
)
NEW_COLUMNS = (*OLD_COLUMNS, "member_id", "batch_id", "old_expires_on", "new_expires_on")


def upgrade() -> None:
    op.add_column("enrollment_credit_lot", sa.Column("enrollment_id", KEY, nullable=True))
    op.add_column(
        "enrollment_credit_lot", sa.Column("held", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.add_column("enrollment_credit_lot", sa.Column("member_cap", sa.Integer, nullable=True))
    op.create_index("ix_enrollment_credit_lot_enrollment_id", "enrollment_credit_lot", ["enrollment_id"])
    _create_lot_participant()
    _drop_guards()
    if _dialect() == "sqlite":
        _copy_ledger(NEW_KINDS, NEW_COLUMNS)
    else:
        for name, kind in (("member_id", KEY), ("batch_id", KEY), ("old_expires_on", sa.Date()),
                           ("new_expires_on", sa.Date())):
            op.add_column(LEDGER, sa.Column(name, kind, nullable=True))
        op.drop_constraint(KIND, LEDGER, type_="check")
        op.create_check_constraint(KIND, LEDGER, _is_one_of(NEW_KINDS))
    op.create_index(
        "ix_enrollment_credit_entry_batch_id", LEDGER, ["batch_id", "id"],
        postgresql_where=sa.text("batch_id IS NOT NULL"), sqlite_where=sa.text("batch_id IS NOT NULL"),
    )
    if _dialect() != "sqlite":
        op.create_foreign_key(BATCH, LEDGER, "enrollment_batch", ["batch_id"], ["id"], ondelete="RESTRICT")
    _move_grace_days()
    _create_guards(NEW_COLUMNS)


def downgrade() -> None:
    """Back to the first ledger, with its entries.

    Raises: DataWouldBeLost when something was written that it has no place for, unless the caller said to drop
    it: restrictions, pauses, caps, who spent a shared credit, and entries that only changed a last day.
    """
    held = {
        "enrollment_credit_lot": "enrollment_id IS NOT NULL OR held OR member_cap IS NOT NULL",
        "enrollment_credit_lot_participant": "1 = 1",
        LEDGER: "kind = 'extend' OR member_id IS NOT NULL OR batch_id IS NOT NULL",
    }
    lost = [name for name, condition in held.items() if _holds(name, condition)]
    if lost and not context.config.attributes.get("drop_data"):
        raise DataWouldBeLost(tables=", ".join(lost))
    _drop_guards()
    op.execute(f"DELETE FROM {LEDGER} WHERE kind = 'extend'")  # noqa: S608
    _put_grace_days_back()
    if _dialect() != "sqlite":
        op.drop_constraint(BATCH, LEDGER, type_="foreignkey")
    op.drop_index("ix_enrollment_credit_entry_batch_id", LEDGER)
    if _dialect() == "sqlite":
        _copy_ledger(OLD_KINDS, OLD_COLUMNS)
    else:
        op.drop_constraint(KIND, LEDGER, type_="check")
        op.create_check_constraint(KIND, LEDGER, _is_one_of(OLD_KINDS))
        for name in ("new_expires_on", "old_expires_on", "batch_id", "member_id"):
            op.drop_column(LEDGER, name)
    _create_guards(OLD_COLUMNS)
    op.drop_table("enrollment_credit_lot_participant")
    op.drop_index("ix_enrollment_credit_lot_enrollment_id", "enrollment_credit_lot")
    for name in ("member_cap", "held", "enrollment_id"):
        op.drop_column("enrollment_credit_lot", name)


def _dialect() -> str:
    name = op.get_bind().dialect.name
    return "mysql" if name == "mariadb" else name


def _is_one_of(kinds: tuple[str, ...]) -> str:
    return f"kind IN ({', '.join(repr(kind) for kind in kinds)})"


def _holds(table: str, condition: str) -> bool:
    one = sa.select(sa.literal(1)).select_from(sa.table(table)).where(sa.text(condition)).limit(1)
    return op.get_bind().execute(one).first() is not None


def _create_lot_participant() -> None:
    op.create_table(
        "enrollment_credit_lot_participant",
        sa.Column("lot_id", KEY, autoincrement=False, nullable=False),
        sa.Column("participant_id", KEY, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("lot_id", "participant_id", name="pk_enrollment_credit_lot_participant"),
        sa.ForeignKeyConstraint(
            ["lot_id"], ["enrollment_credit_lot.id"], name="fk_enrollment_credit_lot_participant_lot_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"], ["enrollment_participant.id"],
            name="fk_enrollment_credit_lot_participant_participant_id", ondelete="RESTRICT",
        ),
        **TABLE,
    )
    op.create_index(
        "ix_enrollment_credit_lot_participant_participant_id", "enrollment_credit_lot_participant",
        ["participant_id"],
    )


def _copy_ledger(kinds: tuple[str, ...], columns: tuple[str, ...]) -> None:
    """SQLite: the ledger in a new table with these kinds and columns, every entry kept."""
    for index in (
        "ix_enrollment_credit_entry_client_id_event_type_id_id", "ix_enrollment_credit_entry_lot_id_id",
        "uq_enrollment_credit_entry_booking",
    ):
        op.drop_index(index, LEDGER)
    op.rename_table(LEDGER, f"{LEDGER}_before")
    new = columns == NEW_COLUMNS
    op.create_table(
        LEDGER,
        sa.Column("id", KEY, nullable=False),
        sa.Column("lot_id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("event_type_id", KEY, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("available_change", sa.Integer, nullable=False),
        sa.Column("reserved_change", sa.Integer, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor_id", KEY, nullable=True),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("booking_id", KEY, nullable=True),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("reversal_of_id", KEY, nullable=True),
        *(_new_columns() if new else ()),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_credit_entry"),
        sa.ForeignKeyConstraint(
            ["lot_id"], ["enrollment_credit_lot.id"], name="fk_enrollment_credit_entry_lot_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint(_is_one_of(kinds), name=KIND),
        *(
            (sa.ForeignKeyConstraint(["batch_id"], ["enrollment_batch.id"], name=BATCH, ondelete="RESTRICT"),)
            if new else ()
        ),
    )
    kept = ", ".join(OLD_COLUMNS)
    op.execute(f"INSERT INTO {LEDGER} ({kept}) SELECT {kept} FROM {LEDGER}_before")  # noqa: S608
    op.drop_table(f"{LEDGER}_before")
    op.create_index(
        "ix_enrollment_credit_entry_client_id_event_type_id_id", LEDGER, ["client_id", "event_type_id", "id"],
    )
    op.create_index("ix_enrollment_credit_entry_lot_id_id", LEDGER, ["lot_id", "id"])
    op.create_index(
        "uq_enrollment_credit_entry_booking", LEDGER, ["booking_id", "kind", "turn", "lot_id"], unique=True,
        sqlite_where=sa.text("booking_id IS NOT NULL"),
    )


def _new_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("member_id", KEY, nullable=True),
        sa.Column("batch_id", KEY, nullable=True),
        sa.Column("old_expires_on", sa.Date, nullable=True),
        sa.Column("new_expires_on", sa.Date, nullable=True),
    )


def _move_grace_days() -> None:
    """“grace:2025-01-14 ill” becomes the date and the reason “ill”."""
    day = "substr(reason, 7, 10)" if _dialect() == "sqlite" else "CAST(substr(reason, 7, 10) AS date)"
    op.execute(
        f"UPDATE {LEDGER} SET new_expires_on = {day} WHERE kind = 'release' AND reason LIKE 'grace:%'"  # noqa: S608
    )
    op.execute(
        f"UPDATE {LEDGER} SET reason = NULLIF(substr(reason, 18), '') "  # noqa: S608
        "WHERE kind = 'release' AND new_expires_on IS NOT NULL"
    )


def _put_grace_days_back() -> None:
    if _dialect() == "mysql":
        told = "substr(CONCAT('grace:', new_expires_on, IFNULL(CONCAT(' ', reason), '')), 1, 500)"
    else:
        told = "substr('grace:' || new_expires_on || coalesce(' ' || reason, ''), 1, 500)"
    op.execute(
        f"UPDATE {LEDGER} SET reason = {told} "  # noqa: S608
        "WHERE kind = 'release' AND new_expires_on IS NOT NULL"
    )


def _drop_guards() -> None:
    """The triggers that make the ledger append-only, for the time of the change."""
    match _dialect():
        case "postgresql":
            for name in ("no_change", "no_truncate"):
                op.execute(f"DROP TRIGGER {LEDGER}_{name} ON {LEDGER}")
            op.execute(f"DROP FUNCTION {LEDGER}_guard()")
        case _:
            for name in ("no_update", "no_delete"):
                op.execute(f"DROP TRIGGER {LEDGER}_{name}")


def _only_reason_erased(columns: tuple[str, ...], same: str) -> str:
    """The condition, in SQL, of the one change of an entry that is let through: an erased client's reason."""
    kept = (f"NEW.{name} {same} OLD.{name}" for name in columns if name != "reason")
    return " AND ".join((f"NEW.reason {same} '[erased]'", *kept))


def _create_guards(columns: tuple[str, ...]) -> None:
    guards = {
        "sqlite": (
            f"CREATE TRIGGER {LEDGER}_no_update BEFORE UPDATE ON {LEDGER} "
            f"WHEN NOT ({_only_reason_erased(columns, 'IS')}) "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
            f"CREATE TRIGGER {LEDGER}_no_delete BEFORE DELETE ON {LEDGER} "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
        ),
        "postgresql": (
            f"CREATE FUNCTION {LEDGER}_guard() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN "
            "IF TG_OP = 'UPDATE' THEN "
            f"IF {_only_reason_erased(columns, 'IS NOT DISTINCT FROM')} THEN RETURN NEW; END IF; "
            "END IF; "
            "RAISE EXCEPTION 'the ledger is append-only'; END $$",
            f"CREATE TRIGGER {LEDGER}_no_change BEFORE UPDATE OR DELETE ON {LEDGER} "
            f"FOR EACH ROW EXECUTE FUNCTION {LEDGER}_guard()",
            f"CREATE TRIGGER {LEDGER}_no_truncate BEFORE TRUNCATE ON {LEDGER} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {LEDGER}_guard()",
        ),
        "mysql": (
            f"CREATE TRIGGER {LEDGER}_no_update BEFORE UPDATE ON {LEDGER} "  # noqa: S608
            f"FOR EACH ROW IF NOT ({_only_reason_erased(columns, '<=>')}) THEN SIGNAL "
            "SQLSTATE '45000' SET MESSAGE_TEXT = 'the ledger is append-only'; END IF",
            f"CREATE TRIGGER {LEDGER}_no_delete BEFORE DELETE ON {LEDGER} "
            "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the ledger is append-only'",
        ),
    }
    for statement in guards[_dialect()]:
        op.execute(statement)

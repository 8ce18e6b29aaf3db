"""The foundation: jobs, people, the catalog and the ledger of session credits.

Everything is spelled out: later changes of the models do not change what this revision does.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql, postgresql

from enrollment_addon.core.install import DataWouldBeLost

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
EXACT_TEXT = sa.String(200).with_variant(mysql.VARCHAR(200, collation="utf8mb4_bin"), "mysql", "mariadb")
WORD = (
    sa.String(80)
    .with_variant(sa.String(80, collation="C"), "postgresql")
    .with_variant(mysql.VARCHAR(80, collation="utf8mb4_bin"), "mysql", "mariadb")
)
TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
HOUSEHOLD_HEAD = "fk_enrollment_household_head_id"
"""A household needs its head, and a client may name a household: this key comes after both tables."""

TABLES = (
    "enrollment_write_lock",
    "enrollment_idempotency_key",
    "enrollment_installed_permission",
    "enrollment_audit_event",
    "enrollment_batch",
    "enrollment_batch_target",
    "enrollment_translation",
    "enrollment_search_word",
    "enrollment_job",
    "enrollment_job_error",
    "enrollment_club",
    "enrollment_team_member",
    "enrollment_team_member_club",
    "enrollment_household",
    "enrollment_client",
    "enrollment_participant",
    "enrollment_event_type",
    "enrollment_credit_lot",
    "enrollment_credit_entry",
    "enrollment_credit_balance",
)

OWN_BOOKKEEPING = ("enrollment_write_lock", "enrollment_installed_permission")
"""Tables whose rows the installation writes by itself: not data of anybody."""

_KEPT = (
    "id", "lot_id", "client_id", "event_type_id", "kind", "available_change", "reserved_change",
    "at", "actor_id", "booking_id", "turn", "reversal_of_id",
)


def _only_reason_erased(same: str) -> str:
    """The condition, in SQL, of the one change of an entry that is let through: an erased client's reason."""
    kept = (f"NEW.{name} {same} OLD.{name}" for name in _KEPT)
    return " AND ".join((f"NEW.reason {same} '[erased]'", *kept))


GUARDS = {
    "sqlite": (
        "CREATE TRIGGER enrollment_credit_entry_no_update BEFORE UPDATE ON enrollment_credit_entry "
        f"WHEN NOT ({_only_reason_erased('IS')}) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
        "CREATE TRIGGER enrollment_credit_entry_no_delete BEFORE DELETE ON enrollment_credit_entry "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION enrollment_credit_entry_guard() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN "
        "IF TG_OP = 'UPDATE' THEN "
        f"IF {_only_reason_erased('IS NOT DISTINCT FROM')} THEN RETURN NEW; END IF; "
        "END IF; "
        "RAISE EXCEPTION 'the ledger is append-only'; END $$",
        "CREATE TRIGGER enrollment_credit_entry_no_change BEFORE UPDATE OR DELETE ON enrollment_credit_entry "
        "FOR EACH ROW EXECUTE FUNCTION enrollment_credit_entry_guard()",
        "CREATE TRIGGER enrollment_credit_entry_no_truncate BEFORE TRUNCATE ON enrollment_credit_entry "
        "FOR EACH STATEMENT EXECUTE FUNCTION enrollment_credit_entry_guard()",
    ),
    "mysql": (
        "CREATE TRIGGER enrollment_credit_entry_no_update BEFORE UPDATE ON enrollment_credit_entry "  # noqa: S608
        f"FOR EACH ROW IF NOT ({_only_reason_erased('<=>')}) THEN SIGNAL "
        "SQLSTATE '45000' SET MESSAGE_TEXT = 'the ledger is append-only'; END IF",
        "CREATE TRIGGER enrollment_credit_entry_no_delete BEFORE DELETE ON enrollment_credit_entry "
        "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the ledger is append-only'",
    ),
}
"""The triggers that make the ledger append-only."""


def upgrade() -> None:
    _create_write_lock()
    _create_idempotency_key()
    _create_installed_permission()
    _create_audit_event()
    _create_batch()
    _create_batch_target()
    _create_translation()
    _create_search_word()
    _create_job()
    _create_job_error()
    _create_club()
    _create_team_member()
    _create_team_member_club()
    _create_household()
    _create_client()
    _create_participant()
    _create_event_type()
    _create_credit_lot()
    _create_credit_entry()
    _create_credit_balance()
    if _dialect() != "sqlite":
        op.create_foreign_key(
            HOUSEHOLD_HEAD, "enrollment_household", "enrollment_client", ["head_id"], ["id"],
            ondelete="RESTRICT",
        )
    op.execute("INSERT INTO enrollment_write_lock (id, turn) VALUES (1, 0)")
    for statement in GUARDS[_dialect()]:
        op.execute(statement)


def downgrade() -> None:
    """Remove every table of the add-on: there is nothing below to keep their rows in.

    Raises: DataWouldBeLost when any table holds rows, unless the caller said to drop them.
    """
    if not context.config.attributes.get("drop_data"):
        held = [name for name in TABLES if name not in OWN_BOOKKEEPING and _holds_rows(name)]
        if held:
            raise DataWouldBeLost(tables=", ".join(held))
    if _dialect() == "sqlite":
        op.execute("PRAGMA defer_foreign_keys = ON")
    else:
        op.drop_constraint(HOUSEHOLD_HEAD, "enrollment_household", type_="foreignkey")
    for name in reversed(TABLES):
        op.drop_table(name)
    if _dialect() == "postgresql":
        op.execute("DROP FUNCTION enrollment_credit_entry_guard()")


def _dialect() -> str:
    name = op.get_bind().dialect.name
    return "mysql" if name == "mariadb" else name


def _holds_rows(table: str) -> bool:
    one = sa.select(sa.literal(1)).select_from(sa.table(table)).limit(1)
    return op.get_bind().execute(one).first() is not None


def _create_write_lock() -> None:
    op.create_table(
        "enrollment_write_lock",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("turn", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_write_lock"),
        **TABLE,
    )


def _create_idempotency_key() -> None:
    op.create_table(
        "enrollment_idempotency_key",
        sa.Column("key", EXACT_TEXT, nullable=False),
        sa.Column("verb", sa.String(60), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("result", DOCUMENT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_enrollment_idempotency_key"),
        **TABLE,
    )


def _create_installed_permission() -> None:
    op.create_table(
        "enrollment_installed_permission",
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("permission", sa.String(100), nullable=False),
        sa.Column("menu", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("role", "permission", "menu", name="pk_enrollment_installed_permission"),
        **TABLE,
    )


def _create_audit_event() -> None:
    op.create_table(
        "enrollment_audit_event",
        sa.Column("id", KEY, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor_id", sa.Integer, nullable=True),
        sa.Column("verb", sa.String(60), nullable=False),
        sa.Column("record", sa.String(60), nullable=False),
        sa.Column("record_id", KEY, nullable=True),
        sa.Column("client_id", KEY, nullable=True),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("details", DOCUMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_audit_event"),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["ab_user.id"], name="fk_enrollment_audit_event_actor_id", ondelete="SET NULL",
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_audit_event_actor_id", "enrollment_audit_event", ["actor_id"])
    op.create_index("ix_enrollment_audit_event_client_id_id", "enrollment_audit_event", ["client_id", "id"])
    op.create_index(
        "ix_enrollment_audit_event_record_record_id", "enrollment_audit_event", ["record", "record_id"],
    )


def _create_batch() -> None:
    op.create_table(
        "enrollment_batch",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by_id", sa.Integer, nullable=True),
        sa.Column("note", sa.String(500), nullable=True),
        sa.Column("input", DOCUMENT, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("skipped", DOCUMENT, nullable=False),
        sa.Column("cursor", KEY, nullable=False),
        sa.Column("undone_at", INSTANT, nullable=True),
        sa.Column("undone_by_id", sa.Integer, nullable=True),
        sa.Column("undo_reason", sa.String(500), nullable=True),
        sa.Column("undo_cursor", KEY, nullable=False),
        sa.Column("undo_result", DOCUMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_batch"),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["ab_user.id"], name="fk_enrollment_batch_created_by_id", ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["undone_by_id"], ["ab_user.id"], name="fk_enrollment_batch_undone_by_id", ondelete="SET NULL",
        ),
        sa.CheckConstraint(
            "state IN ('open', 'done', 'undoing', 'undone')", name="ck_enrollment_batch_state",
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_batch_created_by_id", "enrollment_batch", ["created_by_id"])
    op.create_index("ix_enrollment_batch_kind", "enrollment_batch", ["kind"])
    op.create_index("ix_enrollment_batch_undone_by_id", "enrollment_batch", ["undone_by_id"])


def _create_batch_target() -> None:
    op.create_table(
        "enrollment_batch_target",
        sa.Column("batch_id", KEY, autoincrement=False, nullable=False),
        sa.Column("key", KEY, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "key", name="pk_enrollment_batch_target"),
        **TABLE,
    )


def _create_translation() -> None:
    op.create_table(
        "enrollment_translation",
        sa.Column("record", sa.String(40), nullable=False),
        sa.Column("record_id", KEY, autoincrement=False, nullable=False),
        sa.Column("field", sa.String(40), nullable=False),
        sa.Column("locale", sa.String(16), nullable=False),
        sa.Column("text", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("record", "record_id", "field", "locale", name="pk_enrollment_translation"),
        **TABLE,
    )


def _create_search_word() -> None:
    op.create_table(
        "enrollment_search_word",
        sa.Column("record", sa.String(20), nullable=False),
        sa.Column("word", WORD, nullable=False),
        sa.Column("record_id", KEY, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("record", "word", "record_id", name="pk_enrollment_search_word"),
        **TABLE,
    )
    op.create_index(
        "ix_enrollment_search_word_record_record_id", "enrollment_search_word", ["record", "record_id"],
    )


def _create_job() -> None:
    op.create_table(
        "enrollment_job",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("input", DOCUMENT, nullable=False),
        sa.Column("position", DOCUMENT, nullable=True),
        sa.Column("result", DOCUMENT, nullable=True),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("skipped", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("rate", sa.Double, nullable=True),
        sa.Column("code", sa.String(60), nullable=True),
        sa.Column("message", sa.String(500), nullable=True),
        sa.Column("params", DOCUMENT, nullable=True),
        sa.Column("retry_upto", KEY, nullable=True),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(80), nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by_id", sa.Integer, nullable=True),
        sa.Column("by_system", sa.Boolean, nullable=False),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_job"),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["ab_user.id"], name="fk_enrollment_job_created_by_id", ondelete="SET NULL",
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="ck_enrollment_job_state",
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_job_created_by_id", "enrollment_job", ["created_by_id"])
    op.create_index("ix_enrollment_job_kind", "enrollment_job", ["kind"])
    op.create_index("ix_enrollment_job_state_lease_until", "enrollment_job", ["state", "lease_until"])


def _create_job_error() -> None:
    op.create_table(
        "enrollment_job_error",
        sa.Column("id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("item", DOCUMENT, nullable=False),
        sa.Column("code", sa.String(60), nullable=False),
        sa.Column("message", sa.String(500), nullable=False),
        sa.Column("params", DOCUMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_job_error"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["enrollment_job.id"], name="fk_enrollment_job_error_job_id", ondelete="CASCADE",
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_job_error_job_id", "enrollment_job_error", ["job_id"])


def _create_club() -> None:
    op.create_table(
        "enrollment_club",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("address", sa.String(500), nullable=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_club"),
        sa.UniqueConstraint("name", name="uq_enrollment_club_name"),
        **TABLE,
    )


def _create_team_member() -> None:
    op.create_table(
        "enrollment_team_member",
        sa.Column("id", KEY, nullable=False),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("scope", sa.String(20), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_team_member"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ab_user.id"], name="fk_enrollment_team_member_user_id", ondelete="RESTRICT",
        ),
        sa.CheckConstraint(
            "scope IN ('own_clients', 'own_clubs', 'everything')", name="ck_enrollment_team_member_scope",
        ),
        sa.UniqueConstraint("user_id", name="uq_enrollment_team_member_user_id"),
        **TABLE,
    )


def _create_team_member_club() -> None:
    op.create_table(
        "enrollment_team_member_club",
        sa.Column("team_member_id", KEY, autoincrement=False, nullable=False),
        sa.Column("club_id", KEY, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("team_member_id", "club_id", name="pk_enrollment_team_member_club"),
        sa.ForeignKeyConstraint(
            ["club_id"], ["enrollment_club.id"], name="fk_enrollment_team_member_club_club_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["team_member_id"], ["enrollment_team_member.id"],
            name="fk_enrollment_team_member_club_team_member_id", ondelete="CASCADE",
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_team_member_club_club_id", "enrollment_team_member_club", ["club_id"])


def _create_household() -> None:
    inline = []
    if _dialect() == "sqlite":  # which adds no key to a table later
        inline.append(
            sa.ForeignKeyConstraint(
                ["head_id"], ["enrollment_client.id"], name=HOUSEHOLD_HEAD, ondelete="RESTRICT",
            )
        )
    op.create_table(
        "enrollment_household",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("head_id", KEY, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_household"),
        sa.UniqueConstraint("head_id", name="uq_enrollment_household_head_id"),
        *inline,
        **TABLE,
    )
    op.create_index("ix_enrollment_household_name", "enrollment_household", ["name"])


def _create_client() -> None:
    op.create_table(
        "enrollment_client",
        sa.Column("id", KEY, nullable=False),
        sa.Column("first_name", sa.String(80), nullable=False),
        sa.Column("last_name", sa.String(80), nullable=False),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("phone", sa.String(40), nullable=True),
        sa.Column("birth_date", sa.Date, nullable=True),
        sa.Column("locale", sa.String(16), nullable=True),
        sa.Column("club_id", KEY, nullable=False),
        sa.Column("team_member_id", KEY, nullable=True),
        sa.Column("household_id", KEY, nullable=True),
        sa.Column("relationship_to_head", sa.String(20), nullable=True),
        sa.Column("tags", DOCUMENT, nullable=False),
        sa.Column("notes", sa.Text, nullable=True),
        sa.Column("portal_user_id", sa.Integer, nullable=True),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("erased_at", INSTANT, nullable=True),
        sa.Column("merged_into_id", KEY, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_client"),
        sa.ForeignKeyConstraint(
            ["club_id"], ["enrollment_club.id"], name="fk_enrollment_client_club_id", ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["enrollment_household.id"], name="fk_enrollment_client_household_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["merged_into_id"], ["enrollment_client.id"], name="fk_enrollment_client_merged_into_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["portal_user_id"], ["ab_user.id"], name="fk_enrollment_client_portal_user_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["team_member_id"], ["enrollment_team_member.id"], name="fk_enrollment_client_team_member_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint(
            "relationship_to_head IN ('head', 'partner', 'child', 'parent', 'sibling', 'other')",
            name="ck_enrollment_client_relationship_to_head",
        ),
        sa.UniqueConstraint("email", name="uq_enrollment_client_email"),
        sqlite_autoincrement=True,
        **TABLE,
    )
    op.create_index("ix_enrollment_client_club_id_archived", "enrollment_client", ["club_id", "archived"])
    op.create_index("ix_enrollment_client_household_id", "enrollment_client", ["household_id"])
    op.create_index(
        "ix_enrollment_client_last_name_first_name_id", "enrollment_client",
        ["last_name", "first_name", "id"],
    )
    op.create_index("ix_enrollment_client_merged_into_id", "enrollment_client", ["merged_into_id"])
    op.create_index("ix_enrollment_client_phone", "enrollment_client", ["phone"])
    op.create_index("ix_enrollment_client_portal_user_id", "enrollment_client", ["portal_user_id"])
    op.create_index("ix_enrollment_client_team_member_id", "enrollment_client", ["team_member_id"])


def _create_participant() -> None:
    op.create_table(
        "enrollment_participant",
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("birth_date", sa.Date, nullable=True),
        sa.Column("species", sa.String(60), nullable=True),
        sa.Column("breed", sa.String(60), nullable=True),
        sa.Column("notes", sa.Text, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_participant"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_participant_client_id",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "kind IN ('self', 'child', 'pet', 'other')", name="ck_enrollment_participant_kind",
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_participant_client_id", "enrollment_participant", ["client_id"])


def _create_event_type() -> None:
    op.create_table(
        "enrollment_event_type",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("duration_minutes", sa.Integer, nullable=False),
        sa.Column("colour", sa.String(7), nullable=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_event_type"),
        sa.CheckConstraint(
            "duration_minutes BETWEEN 1 AND 1440", name="ck_enrollment_event_type_duration_minutes",
        ),
        sa.CheckConstraint("kind IN ('appointment', 'class')", name="ck_enrollment_event_type_kind"),
        sa.UniqueConstraint("name", name="uq_enrollment_event_type_name"),
        **TABLE,
    )


def _create_credit_lot() -> None:
    op.create_table(
        "enrollment_credit_lot",
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("event_type_id", KEY, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("available", sa.Integer, nullable=False),
        sa.Column("reserved", sa.Integer, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("expired", sa.Integer, nullable=False),
        sa.Column("voided", sa.Integer, nullable=False),
        sa.Column("transferred", sa.Integer, nullable=False),
        sa.Column("granted_at", INSTANT, nullable=False),
        sa.Column("expires_on", sa.Date, nullable=True),
        sa.Column("origin", sa.String(20), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("unit_value", KEY, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("batch_id", KEY, nullable=True),
        sa.Column("note", sa.String(500), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_credit_lot"),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["enrollment_batch.id"], name="fk_enrollment_credit_lot_batch_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_credit_lot_client_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["event_type_id"], ["enrollment_event_type.id"], name="fk_enrollment_credit_lot_event_type_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint(
            "available + reserved + used + expired + voided + transferred = quantity",
            name="ck_enrollment_credit_lot_adds_up",
        ),
        sa.CheckConstraint(
            "available >= 0 AND reserved >= 0 AND used >= 0 AND expired >= 0 AND voided >= 0 AND "
            "transferred >= 0",
            name="ck_enrollment_credit_lot_not_negative",
        ),
        sa.CheckConstraint(
            "origin IN ('manual', 'purchase', 'enrollment', 'makeup', 'transfer', 'import')",
            name="ck_enrollment_credit_lot_origin",
        ),
        sa.CheckConstraint("priority BETWEEN 0 AND 100", name="ck_enrollment_credit_lot_priority"),
        sa.CheckConstraint("quantity BETWEEN 1 AND 1000000", name="ck_enrollment_credit_lot_quantity"),
        sa.CheckConstraint("unit_value >= 0", name="ck_enrollment_credit_lot_unit_value"),
        sa.UniqueConstraint("batch_id", "client_id", name="uq_enrollment_credit_lot_batch_id_client_id"),
        **TABLE,
    )
    op.create_index("ix_enrollment_credit_lot_client_id_id", "enrollment_credit_lot", ["client_id", "id"])
    op.create_index("ix_enrollment_credit_lot_event_type_id", "enrollment_credit_lot", ["event_type_id"])
    op.create_index(
        "ix_enrollment_credit_lot_expiring", "enrollment_credit_lot", ["expires_on"],
        postgresql_where=sa.text("available > 0"), sqlite_where=sa.text("available > 0"),
    )
    op.create_index(
        "ix_enrollment_credit_lot_spendable", "enrollment_credit_lot",
        ["client_id", "event_type_id", "expires_on"], postgresql_where=sa.text("available > 0"),
        sqlite_where=sa.text("available > 0"),
    )


def _create_credit_entry() -> None:
    op.create_table(
        "enrollment_credit_entry",
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
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_credit_entry"),
        sa.ForeignKeyConstraint(
            ["lot_id"], ["enrollment_credit_lot.id"], name="fk_enrollment_credit_entry_lot_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint(
            "kind IN ('grant', 'transfer_in', 'reserve', 'consume', 'release', 'restore', 'expire', "
            "'void', 'transfer_out')",
            name="ck_enrollment_credit_entry_kind",
        ),
        **TABLE,
    )
    op.create_index(
        "ix_enrollment_credit_entry_client_id_event_type_id_id", "enrollment_credit_entry",
        ["client_id", "event_type_id", "id"],
    )
    op.create_index("ix_enrollment_credit_entry_lot_id_id", "enrollment_credit_entry", ["lot_id", "id"])
    op.create_index(
        "uq_enrollment_credit_entry_booking", "enrollment_credit_entry",
        ["booking_id", "kind", "turn", "lot_id"], unique=True,
        postgresql_where=sa.text("booking_id IS NOT NULL"), sqlite_where=sa.text("booking_id IS NOT NULL"),
    )


def _create_credit_balance() -> None:
    op.create_table(
        "enrollment_credit_balance",
        sa.Column("client_id", KEY, autoincrement=False, nullable=False),
        sa.Column("event_type_id", KEY, autoincrement=False, nullable=False),
        sa.Column("available", sa.Integer, nullable=False),
        sa.Column("reserved", sa.Integer, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "event_type_id", name="pk_enrollment_credit_balance"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_credit_balance_client_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["event_type_id"], ["enrollment_event_type.id"],
            name="fk_enrollment_credit_balance_event_type_id", ondelete="RESTRICT",
        ),
        sa.CheckConstraint(
            "available >= 0 AND reserved >= 0 AND used >= 0",
            name="ck_enrollment_credit_balance_not_negative",
        ),
        postgresql_with={"fillfactor": 85},
        **TABLE,
    )
    op.create_index(
        "ix_enrollment_credit_balance_event_type_id_available_client_id", "enrollment_credit_balance",
        ["event_type_id", "available", "client_id"],
    )

"""Imports of clients with opening credits."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql, postgresql

from enrollment_addon.core.install import DataWouldBeLost

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
TABLES = (
    "enrollment_import",
    "enrollment_import_row",
    "enrollment_import_identity",
    "enrollment_import_credit",
)


def upgrade() -> None:
    _create_import()
    _create_import_row()
    _create_import_identity()
    _create_import_credit()


def downgrade() -> None:
    """Remove the tables of imports: there is nothing below to keep their rows in.

    Raises: DataWouldBeLost when any of them holds rows, unless the caller said to drop them.
    """
    if not context.config.attributes.get("drop_data"):
        held = [name for name in TABLES if _holds_rows(name)]
        if held:
            raise DataWouldBeLost(tables=", ".join(held))
    for name in reversed(TABLES):
        op.drop_table(name)


def _holds_rows(table: str) -> bool:
    one = sa.select(sa.literal(1)).select_from(sa.table(table)).limit(1)
    return op.get_bind().execute(one).first() is not None


def _create_import() -> None:
    op.create_table(
        "enrollment_import",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("header", DOCUMENT, nullable=False),
        sa.Column("options", DOCUMENT, nullable=True),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("job_id", KEY, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by_id", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_import"),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["ab_user.id"], name="fk_enrollment_import_created_by_id", ondelete="SET NULL"
        ),
        sa.CheckConstraint(
            "state IN ('uploaded', 'checking', 'checked', 'running', 'done')", name="ck_enrollment_import_state"
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_import_created_by_id", "enrollment_import", ["created_by_id"])
    op.create_index("ix_enrollment_import_digest", "enrollment_import", ["digest"])


def _create_import_row() -> None:
    op.create_table(
        "enrollment_import_row",
        sa.Column("import_id", KEY, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("cells", DOCUMENT, nullable=True),
        sa.Column("identity", sa.String(64), nullable=True),
        sa.Column("outcome", sa.String(20), nullable=True),
        sa.Column("message", sa.String(500), nullable=True),
        sa.Column("params", DOCUMENT, nullable=True),
        sa.Column("client_id", KEY, nullable=True),
        sa.PrimaryKeyConstraint("import_id", "number", name="pk_enrollment_import_row"),
        sa.ForeignKeyConstraint(
            ["import_id"], ["enrollment_import.id"], name="fk_enrollment_import_row_import_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "outcome IN ('create', 'update', 'unchanged', 'refused')", name="ck_enrollment_import_row_outcome"
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_import_row_client_id", "enrollment_import_row", ["client_id"])
    op.create_index(
        "ix_enrollment_import_row_import_id_identity_number", "enrollment_import_row",
        ["import_id", "identity", "number"],
    )
    op.create_index(
        "ix_enrollment_import_row_import_id_outcome_number", "enrollment_import_row",
        ["import_id", "outcome", "number"],
    )


def _create_import_identity() -> None:
    op.create_table(
        "enrollment_import_identity",
        sa.Column("identity", sa.String(64), nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("identity", name="pk_enrollment_import_identity"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_import_identity_client_id",
            ondelete="CASCADE",
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_import_identity_client_id", "enrollment_import_identity", ["client_id"])


def _create_import_credit() -> None:
    op.create_table(
        "enrollment_import_credit",
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("event_type_id", KEY, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("expires_on", sa.Date, nullable=True),
        sa.Column("unit_value", KEY, nullable=False),
        sa.Column("lot_id", KEY, nullable=False),
        sa.Column("import_id", KEY, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_import_credit"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_import_credit_client_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["lot_id"], ["enrollment_credit_lot.id"], name="fk_enrollment_import_credit_lot_id",
            ondelete="CASCADE",
        ),
        **TABLE,
    )
    op.create_index(
        "ix_enrollment_import_credit_client_id_event_type_id", "enrollment_import_credit",
        ["client_id", "event_type_id"],
    )
    op.create_index("ix_enrollment_import_credit_lot_id", "enrollment_import_credit", ["lot_id"])

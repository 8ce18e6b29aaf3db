"""Notices to clients."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql, postgresql

from enrollment_addon.core.install import DataWouldBeLost

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}

NAME = "enrollment_notice"


def upgrade() -> None:
    op.create_table(
        NAME,
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("details", DOCUMENT, nullable=False),
        sa.Column("sent_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_notice"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_notice_client_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "kind IN ('place_given', 'place_held', 'session_closed', 'session_reopened')",
            name="ck_enrollment_notice_kind",
        ),
        sa.CheckConstraint("state IN ('queued', 'sent', 'unreachable')", name="ck_enrollment_notice_state"),
        **TABLE,
    )
    op.create_index("ix_enrollment_notice_client_id_id", NAME, ["client_id", "id"])
    op.create_index("ix_enrollment_notice_state_id", NAME, ["state", "id"])


def downgrade() -> None:
    """Remove the table. Raises: DataWouldBeLost when it holds notices, unless the caller said to drop them."""
    held = sa.select(sa.literal(1)).select_from(sa.table(NAME)).limit(1)
    if not context.config.attributes.get("drop_data") and op.get_bind().execute(held).first() is not None:
        raise DataWouldBeLost(tables=NAME)
    op.drop_table(NAME)

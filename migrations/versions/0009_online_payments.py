"""Requests to pay charges online, and refunds at the provider."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

from enrollment_addon.core.install import DataWouldBeLost

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EXACT = sa.String(200).with_variant(mysql.VARCHAR(200, collation="utf8mb4_bin"), "mysql", "mariadb")
INSTANT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}

TABLES = ("enrollment_online_payment", "enrollment_online_payment_charge", "enrollment_online_refund")


def upgrade() -> None:
    _create_online_payment()
    _create_online_payment_charge()
    _create_online_refund()


def downgrade() -> None:
    """Remove the tables of this revision.

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


def _create_online_payment() -> None:
    op.create_table(
        "enrollment_online_payment",
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("amount", KEY, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.Column("checkout_id", EXACT, nullable=False),
        sa.Column("provider_payment", EXACT, nullable=True),
        sa.Column("url", sa.Text, nullable=True),
        sa.Column("ends_at", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by_id", sa.Integer, nullable=True),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.Column("received", KEY, nullable=True),
        sa.Column("payment_id", KEY, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_online_payment"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_online_payment_client_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["ab_user.id"], name="fk_enrollment_online_payment_created_by_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["enrollment_payment.id"], name="fk_enrollment_online_payment_payment_id",
            ondelete="RESTRICT",
        ),
        sa.UniqueConstraint("reference", name="uq_enrollment_online_payment_reference"),
        sa.UniqueConstraint("checkout_id", name="uq_enrollment_online_payment_checkout_id"),
        sa.UniqueConstraint("provider_payment", name="uq_enrollment_online_payment_provider_payment"),
        sa.UniqueConstraint("payment_id", name="uq_enrollment_online_payment_payment_id"),
        sa.CheckConstraint(
            "state IN ('open', 'pending', 'paid', 'expired', 'cancelled', 'failed')",
            name="ck_enrollment_online_payment_state",
        ),
        sa.CheckConstraint("amount > 0", name="ck_enrollment_online_payment_amount"),
        sa.CheckConstraint(
            "(state = 'paid' AND payment_id IS NOT NULL AND received > 0) "
            "OR (state <> 'paid' AND payment_id IS NULL AND received IS NULL)",
            name="ck_enrollment_online_payment_paid",
        ),
        sa.CheckConstraint(
            "(state IN ('open', 'pending') AND closed_at IS NULL) "
            "OR (state NOT IN ('open', 'pending') AND closed_at IS NOT NULL)",
            name="ck_enrollment_online_payment_closed",
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_online_payment_client_id_id", "enrollment_online_payment", ["client_id", "id"])
    op.create_index("ix_enrollment_online_payment_created_by_id", "enrollment_online_payment", ["created_by_id"])
    op.create_index(
        "ix_enrollment_online_payment_state_asked_at_id", "enrollment_online_payment", ["state", "asked_at", "id"]
    )


def _create_online_payment_charge() -> None:
    op.create_table(
        "enrollment_online_payment_charge",
        sa.Column("online_payment_id", KEY, autoincrement=False, nullable=False),
        sa.Column("charge_id", KEY, autoincrement=False, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("amount", KEY, nullable=False),
        sa.PrimaryKeyConstraint("online_payment_id", "charge_id", name="pk_enrollment_online_payment_charge"),
        sa.ForeignKeyConstraint(
            ["online_payment_id"], ["enrollment_online_payment.id"],
            name="fk_enrollment_online_payment_charge_online_payment_id", ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["charge_id"], ["enrollment_charge.id"], name="fk_enrollment_online_payment_charge_charge_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_online_payment_charge_client_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint("amount > 0", name="ck_enrollment_online_payment_charge_amount"),
        **TABLE,
    )
    op.create_index(
        "ix_enrollment_online_payment_charge_charge_id", "enrollment_online_payment_charge", ["charge_id"]
    )
    op.create_index(
        "ix_enrollment_online_payment_charge_client_id", "enrollment_online_payment_charge", ["client_id"]
    )


def _create_online_refund() -> None:
    op.create_table(
        "enrollment_online_refund",
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("online_payment_id", KEY, nullable=False),
        sa.Column("refund_id", KEY, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.Column("provider_refund", EXACT, nullable=True),
        sa.Column("problem", sa.String(500), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_online_refund"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_online_refund_client_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["online_payment_id"], ["enrollment_online_payment.id"],
            name="fk_enrollment_online_refund_online_payment_id", ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["refund_id"], ["enrollment_refund.id"], name="fk_enrollment_online_refund_refund_id",
            ondelete="RESTRICT",
        ),
        sa.UniqueConstraint("refund_id", name="uq_enrollment_online_refund_refund_id"),
        sa.UniqueConstraint("reference", name="uq_enrollment_online_refund_reference"),
        sa.UniqueConstraint("provider_refund", name="uq_enrollment_online_refund_provider_refund"),
        sa.CheckConstraint("state IN ('due', 'sent', 'failed')", name="ck_enrollment_online_refund_state"),
        sa.CheckConstraint(
            "state <> 'sent' OR provider_refund IS NOT NULL", name="ck_enrollment_online_refund_sent"
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_online_refund_client_id", "enrollment_online_refund", ["client_id"])
    op.create_index(
        "ix_enrollment_online_refund_online_payment_id", "enrollment_online_refund", ["online_payment_id"]
    )
    op.create_index("ix_enrollment_online_refund_state_id", "enrollment_online_refund", ["state", "id"])

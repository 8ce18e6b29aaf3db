"""Charges, payments, settlements, refunds."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

from enrollment_addon.core.install import DataWouldBeLost

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}

TABLES = (
    "enrollment_money_account",
    "enrollment_charge",
    "enrollment_payment",
    "enrollment_settlement",
    "enrollment_refund",
)


def upgrade() -> None:
    _create_money_account()
    _create_charge()
    _create_payment()
    _create_settlement()
    _create_refund()


def downgrade() -> None:
    """Remove the tables of money. Raises: DataWouldBeLost when there is any, unless the caller said so."""
    if not context.config.attributes.get("drop_data"):
        held = [name for name in TABLES if _holds_rows(name)]
        if held:
            raise DataWouldBeLost(tables=", ".join(held))
    for name in reversed(TABLES):
        op.drop_table(name)


def _holds_rows(table: str) -> bool:
    one = sa.select(sa.literal(1)).select_from(sa.table(table)).limit(1)
    return op.get_bind().execute(one).first() is not None


def _create_money_account() -> None:
    op.create_table(
        "enrollment_money_account",
        sa.Column("client_id", KEY, autoincrement=False, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("on_account", KEY, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "currency", name="pk_enrollment_money_account"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_money_account_client_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint("on_account >= 0", name="ck_enrollment_money_account_on_account"),
        **TABLE,
    )


def _create_charge() -> None:
    op.create_table(
        "enrollment_charge",
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("enrollment_id", KEY, nullable=True),
        sa.Column("booking_id", KEY, nullable=True),
        sa.Column("what", sa.String(200), nullable=False),
        sa.Column("net", KEY, nullable=False),
        sa.Column("tax", KEY, nullable=False),
        sa.Column("gross", KEY, nullable=False),
        sa.Column("tax_rate", sa.Integer, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("issued_at", INSTANT, nullable=False),
        sa.Column("due_on", sa.Date, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("settled", KEY, nullable=False),
        sa.Column("credited", KEY, nullable=False),
        sa.Column("voided_at", INSTANT, nullable=True),
        sa.Column("void_reason", sa.String(500), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_charge"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_charge_client_id", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["enrollment_id"], ["enrollment_enrollment.id"], name="fk_enrollment_charge_enrollment_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["enrollment_booking.id"], name="fk_enrollment_charge_booking_id", ondelete="RESTRICT"
        ),
        sa.CheckConstraint("status IN ('open', 'paid', 'void')", name="ck_enrollment_charge_status"),
        sa.CheckConstraint("net >= 0 AND tax >= 0 AND net + tax = gross", name="ck_enrollment_charge_adds_up"),
        sa.CheckConstraint("tax_rate BETWEEN 0 AND 100000", name="ck_enrollment_charge_tax_rate"),
        sa.CheckConstraint(
            "settled >= 0 AND credited >= 0 AND settled + credited <= gross", name="ck_enrollment_charge_settled"
        ),
        sa.CheckConstraint(
            "(status = 'open' AND settled + credited < gross) OR (status = 'paid' AND settled + credited = gross) "
            "OR (status = 'void' AND settled = 0)",
            name="ck_enrollment_charge_state",
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_charge_booking_id", "enrollment_charge", ["booking_id"])
    op.create_index("ix_enrollment_charge_client_id_id", "enrollment_charge", ["client_id", "id"])
    op.create_index("ix_enrollment_charge_enrollment_id", "enrollment_charge", ["enrollment_id"])
    op.create_index("ix_enrollment_charge_status_due_on_id", "enrollment_charge", ["status", "due_on", "id"])


def _create_payment() -> None:
    op.create_table(
        "enrollment_payment",
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("amount", KEY, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("method", sa.String(20), nullable=False),
        sa.Column("reference", sa.String(120), nullable=True),
        sa.Column("paid_on", sa.Date, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by_id", sa.Integer, nullable=True),
        sa.Column("settled", KEY, nullable=False),
        sa.Column("refunded", KEY, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_payment"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_payment_client_id", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["ab_user.id"], name="fk_enrollment_payment_created_by_id", ondelete="SET NULL"
        ),
        sa.CheckConstraint("method IN ('cash', 'card', 'transfer', 'online')", name="ck_enrollment_payment_method"),
        sa.CheckConstraint("amount > 0", name="ck_enrollment_payment_amount"),
        sa.CheckConstraint(
            "settled >= 0 AND refunded >= 0 AND settled + refunded <= amount", name="ck_enrollment_payment_used"
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_payment_client_id_id", "enrollment_payment", ["client_id", "id"])
    op.create_index("ix_enrollment_payment_created_by_id", "enrollment_payment", ["created_by_id"])
    op.create_index("ix_enrollment_payment_paid_on_id", "enrollment_payment", ["paid_on", "id"])


def _create_settlement() -> None:
    op.create_table(
        "enrollment_settlement",
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("payment_id", KEY, nullable=False),
        sa.Column("charge_id", KEY, nullable=False),
        sa.Column("amount", KEY, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("freed_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_settlement"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_settlement_client_id", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["enrollment_payment.id"], name="fk_enrollment_settlement_payment_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["charge_id"], ["enrollment_charge.id"], name="fk_enrollment_settlement_charge_id", ondelete="RESTRICT"
        ),
        sa.CheckConstraint("amount > 0", name="ck_enrollment_settlement_amount"),
        **TABLE,
    )
    op.create_index("ix_enrollment_settlement_charge_id", "enrollment_settlement", ["charge_id"])
    op.create_index("ix_enrollment_settlement_client_id_id", "enrollment_settlement", ["client_id", "id"])
    op.create_index("ix_enrollment_settlement_payment_id", "enrollment_settlement", ["payment_id"])


def _create_refund() -> None:
    op.create_table(
        "enrollment_refund",
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("payment_id", KEY, nullable=False),
        sa.Column("charge_id", KEY, nullable=True),
        sa.Column("amount", KEY, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by_id", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_refund"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_refund_client_id", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["enrollment_payment.id"], name="fk_enrollment_refund_payment_id", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["charge_id"], ["enrollment_charge.id"], name="fk_enrollment_refund_charge_id", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["ab_user.id"], name="fk_enrollment_refund_created_by_id", ondelete="SET NULL"
        ),
        sa.CheckConstraint("amount > 0", name="ck_enrollment_refund_amount"),
        **TABLE,
    )
    op.create_index("ix_enrollment_refund_charge_id", "enrollment_refund", ["charge_id"])
    op.create_index("ix_enrollment_refund_client_id_id", "enrollment_refund", ["client_id", "id"])
    op.create_index("ix_enrollment_refund_created_by_id", "enrollment_refund", ["created_by_id"])
    op.create_index("ix_enrollment_refund_payment_id", "enrollment_refund", ["payment_id"])

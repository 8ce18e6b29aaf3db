"""Packages and enrollments."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql, postgresql

from enrollment_addon.core.install import DataWouldBeLost

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}

TABLES = (
    "enrollment_package",
    "enrollment_package_club",
    "enrollment_enrollment",
    "enrollment_enrollment_pause",
    "enrollment_enrollment_change",
)


def upgrade() -> None:
    _create_package()
    _create_package_club()
    _create_enrollment()
    _create_enrollment_pause()
    _create_enrollment_change()


def downgrade() -> None:
    """Remove packages and enrollments. Raises: DataWouldBeLost when there are any, unless the caller said so."""
    if not context.config.attributes.get("drop_data"):
        held = [name for name in TABLES if _holds_rows(name)]
        if held:
            raise DataWouldBeLost(tables=", ".join(held))
    for name in reversed(TABLES):
        op.drop_table(name)


def _holds_rows(table: str) -> bool:
    one = sa.select(sa.literal(1)).select_from(sa.table(table)).limit(1)
    return op.get_bind().execute(one).first() is not None


def _create_package() -> None:
    op.create_table(
        "enrollment_package",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("description", sa.String(500), nullable=True),
        sa.Column("event_type_id", KEY, nullable=False),
        sa.Column("sessions", sa.Integer, nullable=False),
        sa.Column("price", KEY, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("valid_days", sa.Integer, nullable=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_package"),
        sa.ForeignKeyConstraint(
            ["event_type_id"], ["enrollment_event_type.id"], name="fk_enrollment_package_event_type_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint("sessions BETWEEN 1 AND 1000", name="ck_enrollment_package_sessions"),
        sa.CheckConstraint("price >= 0", name="ck_enrollment_package_price"),
        sa.CheckConstraint("valid_days BETWEEN 1 AND 3650", name="ck_enrollment_package_valid_days"),
        **TABLE,
    )
    op.create_index("ix_enrollment_package_event_type_id", "enrollment_package", ["event_type_id"])


def _create_package_club() -> None:
    op.create_table(
        "enrollment_package_club",
        sa.Column("package_id", KEY, autoincrement=False, nullable=False),
        sa.Column("club_id", KEY, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("package_id", "club_id", name="pk_enrollment_package_club"),
        sa.ForeignKeyConstraint(
            ["club_id"], ["enrollment_club.id"], name="fk_enrollment_package_club_club_id", ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["package_id"], ["enrollment_package.id"], name="fk_enrollment_package_club_package_id",
            ondelete="CASCADE",
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_package_club_club_id", "enrollment_package_club", ["club_id"])


def _create_enrollment() -> None:
    op.create_table(
        "enrollment_enrollment",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("participant_id", KEY, nullable=True),
        sa.Column("club_id", KEY, nullable=False),
        sa.Column("package_id", KEY, nullable=True),
        sa.Column("event_type_id", KEY, nullable=True),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("price", KEY, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("begins_on", sa.Date, nullable=False),
        sa.Column("ends_on", sa.Date, nullable=True),
        sa.Column("renewed_from_id", KEY, nullable=True),
        sa.Column("created_by_id", sa.Integer, nullable=True),
        sa.Column("deleted_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_enrollment"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_enrollment_client_id", ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"], ["enrollment_participant.id"], name="fk_enrollment_enrollment_participant_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["club_id"], ["enrollment_club.id"], name="fk_enrollment_enrollment_club_id", ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["package_id"], ["enrollment_package.id"], name="fk_enrollment_enrollment_package_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["event_type_id"], ["enrollment_event_type.id"], name="fk_enrollment_enrollment_event_type_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["renewed_from_id"], ["enrollment_enrollment.id"], name="fk_enrollment_enrollment_renewed_from_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["ab_user.id"], name="fk_enrollment_enrollment_created_by_id", ondelete="SET NULL",
        ),
        sa.CheckConstraint("kind IN ('package', 'course', 'program')", name="ck_enrollment_enrollment_kind"),
        sa.CheckConstraint(
            "status IN ('active', 'paused', 'completed', 'cancelled', 'transferred', 'exited')",
            name="ck_enrollment_enrollment_status",
        ),
        sa.CheckConstraint("total >= 0", name="ck_enrollment_enrollment_total"),
        sa.CheckConstraint("price >= 0", name="ck_enrollment_enrollment_price"),
        sa.CheckConstraint("ends_on >= begins_on", name="ck_enrollment_enrollment_ends_on"),
        sa.CheckConstraint(
            "kind <> 'package' OR (package_id IS NOT NULL AND event_type_id IS NOT NULL)",
            name="ck_enrollment_enrollment_package",
        ),
        **TABLE,
    )
    for columns in (
        ["client_id", "id"], ["status", "id"], ["participant_id"], ["club_id"], ["package_id"], ["event_type_id"],
        ["renewed_from_id"], ["created_by_id"],
    ):
        op.create_index(f"ix_enrollment_enrollment_{'_'.join(columns)}", "enrollment_enrollment", columns)


def _create_enrollment_pause() -> None:
    op.create_table(
        "enrollment_enrollment_pause",
        sa.Column("id", KEY, nullable=False),
        sa.Column("enrollment_id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("begins_on", sa.Date, nullable=False),
        sa.Column("ends_on", sa.Date, nullable=False),
        sa.Column("resumed_on", sa.Date, nullable=True),
        sa.Column("days", sa.Integer, nullable=False),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_enrollment_pause"),
        sa.ForeignKeyConstraint(
            ["enrollment_id"], ["enrollment_enrollment.id"], name="fk_enrollment_enrollment_pause_enrollment_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_enrollment_pause_client_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint("ends_on >= begins_on", name="ck_enrollment_enrollment_pause_ends_on"),
        sa.CheckConstraint("resumed_on >= begins_on", name="ck_enrollment_enrollment_pause_resumed_on"),
        sa.CheckConstraint("days >= 0", name="ck_enrollment_enrollment_pause_days"),
        **TABLE,
    )
    for columns in (["enrollment_id"], ["client_id"], ["resumed_on", "begins_on"]):
        op.create_index(
            f"ix_enrollment_enrollment_pause_{'_'.join(columns)}", "enrollment_enrollment_pause", columns,
        )


def _create_enrollment_change() -> None:
    op.create_table(
        "enrollment_enrollment_change",
        sa.Column("id", KEY, nullable=False),
        sa.Column("enrollment_id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("verb", sa.String(60), nullable=False),
        sa.Column("status_before", sa.String(20), nullable=True),
        sa.Column("status_after", sa.String(20), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor_id", sa.Integer, nullable=True),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("details", DOCUMENT, nullable=False),
        sa.Column("undone_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_enrollment_change"),
        sa.ForeignKeyConstraint(
            ["enrollment_id"], ["enrollment_enrollment.id"], name="fk_enrollment_enrollment_change_enrollment_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_enrollment_change_client_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["ab_user.id"], name="fk_enrollment_enrollment_change_actor_id", ondelete="SET NULL",
        ),
        **TABLE,
    )
    for columns in (["enrollment_id", "id"], ["client_id", "id"], ["actor_id"]):
        op.create_index(
            f"ix_enrollment_enrollment_change_{'_'.join(columns)}", "enrollment_enrollment_change", columns,
        )

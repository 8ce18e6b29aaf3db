"""Training reports and the skills they rate."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

from enrollment_addon.core.install import DataWouldBeLost

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}

TABLES = ("enrollment_skill", "enrollment_training_report", "enrollment_skill_rating")


def upgrade() -> None:
    _create_skill()
    _create_training_report()
    _create_skill_rating()


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


def _create_skill() -> None:
    op.create_table(
        "enrollment_skill",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_skill"),
        sa.UniqueConstraint("name", name="uq_enrollment_skill_name"),
        **TABLE,
    )


def _create_training_report() -> None:
    op.create_table(
        "enrollment_training_report",
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("participant_id", KEY, nullable=False),
        sa.Column("session_id", KEY, nullable=True),
        sa.Column("enrollment_id", KEY, nullable=True),
        sa.Column("author_id", sa.Integer, nullable=True),
        sa.Column("held_on", sa.Date, nullable=False),
        sa.Column("worked_on", sa.Text, nullable=False),
        sa.Column("homework", sa.Text, nullable=True),
        sa.Column("goals", sa.Text, nullable=True),
        sa.Column("visible_to_client", sa.Boolean, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_training_report"),
        sa.ForeignKeyConstraint(
            ["author_id"], ["ab_user.id"], name="fk_enrollment_training_report_author_id", ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["enrollment_client.id"],
            name="fk_enrollment_training_report_client_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["enrollment_id"],
            ["enrollment_enrollment.id"],
            name="fk_enrollment_training_report_enrollment_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["enrollment_participant.id"],
            name="fk_enrollment_training_report_participant_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["enrollment_session.id"],
            name="fk_enrollment_training_report_session_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint(
            "session_id IS NOT NULL OR enrollment_id IS NOT NULL", name="ck_enrollment_training_report_about",
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_training_report_author_id", "enrollment_training_report", ["author_id"])
    op.create_index(
        "ix_enrollment_training_report_client_id_held_on", "enrollment_training_report", ["client_id", "held_on"],
    )
    op.create_index("ix_enrollment_training_report_enrollment_id", "enrollment_training_report", ["enrollment_id"])
    op.create_index("ix_enrollment_training_report_participant_id", "enrollment_training_report", ["participant_id"])
    op.create_index("ix_enrollment_training_report_session_id", "enrollment_training_report", ["session_id"])


def _create_skill_rating() -> None:
    op.create_table(
        "enrollment_skill_rating",
        sa.Column("report_id", KEY, autoincrement=False, nullable=False),
        sa.Column("skill_id", KEY, autoincrement=False, nullable=False),
        sa.Column("rating", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("report_id", "skill_id", name="pk_enrollment_skill_rating"),
        sa.ForeignKeyConstraint(
            ["report_id"],
            ["enrollment_training_report.id"],
            name="fk_enrollment_skill_rating_report_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["skill_id"], ["enrollment_skill.id"], name="fk_enrollment_skill_rating_skill_id", ondelete="RESTRICT",
        ),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name="ck_enrollment_skill_rating_rating"),
        **TABLE,
    )
    op.create_index("ix_enrollment_skill_rating_skill_id", "enrollment_skill_rating", ["skill_id"])

"""Class groups, sessions, bookings."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

from enrollment_addon.core.install import DataWouldBeLost

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}

TABLES = (
    "enrollment_class_category",
    "enrollment_activity_level",
    "enrollment_semester",
    "enrollment_class_group",
    "enrollment_class_group_slot",
    "enrollment_session",
    "enrollment_booking",
    "enrollment_closure_effect",
    "enrollment_calendar_feed",
)


def upgrade() -> None:
    _create_class_category()
    _create_activity_level()
    _create_semester()
    _create_class_group()
    _create_class_group_slot()
    _create_session()
    _create_booking()
    _create_closure_effect()
    _create_calendar_feed()


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


def _create_class_category() -> None:
    op.create_table(
        "enrollment_class_category",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_class_category"),
        sa.UniqueConstraint("name", name="uq_enrollment_class_category_name"),
        **TABLE,
    )


def _create_activity_level() -> None:
    op.create_table(
        "enrollment_activity_level",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("level_rank", sa.Integer, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_activity_level"),
        sa.CheckConstraint("level_rank BETWEEN 0 AND 1000", name="ck_enrollment_activity_level_level_rank"),
        sa.UniqueConstraint("name", name="uq_enrollment_activity_level_name"),
        **TABLE,
    )


def _create_semester() -> None:
    op.create_table(
        "enrollment_semester",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("first_date", sa.Date, nullable=False),
        sa.Column("last_date", sa.Date, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_semester"),
        sa.CheckConstraint("last_date >= first_date", name="ck_enrollment_semester_dates"),
        sa.UniqueConstraint("name", name="uq_enrollment_semester_name"),
        **TABLE,
    )


def _create_class_group() -> None:
    op.create_table(
        "enrollment_class_group",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("category_id", KEY, nullable=True),
        sa.Column("level_id", KEY, nullable=True),
        sa.Column("club_id", KEY, nullable=False),
        sa.Column("room", sa.String(80), nullable=True),
        sa.Column("team_member_id", KEY, nullable=True),
        sa.Column("event_type_id", KEY, nullable=False),
        sa.Column("semester_id", KEY, nullable=True),
        sa.Column("first_date", sa.Date, nullable=False),
        sa.Column("last_date", sa.Date, nullable=True),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("dropin_price", KEY, nullable=True),
        sa.Column("colour", sa.String(7), nullable=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_class_group"),
        sa.ForeignKeyConstraint(
            ["category_id"],
            ["enrollment_class_category.id"],
            name="fk_enrollment_class_group_category_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["club_id"], ["enrollment_club.id"], name="fk_enrollment_class_group_club_id", ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["enrollment_event_type.id"],
            name="fk_enrollment_class_group_event_type_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["level_id"],
            ["enrollment_activity_level.id"],
            name="fk_enrollment_class_group_level_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["semester_id"],
            ["enrollment_semester.id"],
            name="fk_enrollment_class_group_semester_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["team_member_id"],
            ["enrollment_team_member.id"],
            name="fk_enrollment_class_group_team_member_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint("capacity BETWEEN 1 AND 10000", name="ck_enrollment_class_group_capacity"),
        sa.CheckConstraint("last_date >= first_date", name="ck_enrollment_class_group_dates"),
        sa.CheckConstraint("dropin_price >= 0", name="ck_enrollment_class_group_dropin_price"),
        **TABLE,
    )
    op.create_index("ix_enrollment_class_group_category_id", "enrollment_class_group", ["category_id"])
    op.create_index("ix_enrollment_class_group_club_id", "enrollment_class_group", ["club_id"])
    op.create_index("ix_enrollment_class_group_event_type_id", "enrollment_class_group", ["event_type_id"])
    op.create_index("ix_enrollment_class_group_level_id", "enrollment_class_group", ["level_id"])
    op.create_index("ix_enrollment_class_group_name_id", "enrollment_class_group", ["name", "id"])
    op.create_index("ix_enrollment_class_group_semester_id", "enrollment_class_group", ["semester_id"])
    op.create_index("ix_enrollment_class_group_team_member_id", "enrollment_class_group", ["team_member_id"])


def _create_class_group_slot() -> None:
    op.create_table(
        "enrollment_class_group_slot",
        sa.Column("id", KEY, nullable=False),
        sa.Column("class_group_id", KEY, nullable=False),
        sa.Column("weekday", sa.Integer, nullable=False),
        sa.Column("starts_at_time", sa.Time, nullable=False),
        sa.Column("duration_minutes", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_class_group_slot"),
        sa.ForeignKeyConstraint(
            ["class_group_id"],
            ["enrollment_class_group.id"],
            name="fk_enrollment_class_group_slot_class_group_id",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "duration_minutes BETWEEN 1 AND 1440", name="ck_enrollment_class_group_slot_duration_minutes",
        ),
        sa.CheckConstraint("weekday BETWEEN 0 AND 6", name="ck_enrollment_class_group_slot_weekday"),
        sa.UniqueConstraint(
            "class_group_id", "weekday", "starts_at_time", name="uq_enrollment_class_group_slot_time",
        ),
        **TABLE,
    )


def _create_session() -> None:
    op.create_table(
        "enrollment_session",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("class_group_id", KEY, nullable=True),
        sa.Column("planned_at", INSTANT, nullable=True),
        sa.Column("event_type_id", KEY, nullable=False),
        sa.Column("club_id", KEY, nullable=False),
        sa.Column("team_member_id", KEY, nullable=True),
        sa.Column("room", sa.String(80), nullable=True),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("moved", sa.Boolean, nullable=False),
        sa.Column("cancel_reason", sa.String(500), nullable=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("closed_by_id", KEY, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_session"),
        sa.ForeignKeyConstraint(
            ["class_group_id"],
            ["enrollment_class_group.id"],
            name="fk_enrollment_session_class_group_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["closed_by_id"],
            ["enrollment_batch.id"],
            name="fk_enrollment_session_closed_by_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["club_id"], ["enrollment_club.id"], name="fk_enrollment_session_club_id", ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["enrollment_event_type.id"],
            name="fk_enrollment_session_event_type_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["team_member_id"],
            ["enrollment_team_member.id"],
            name="fk_enrollment_session_team_member_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint("capacity BETWEEN 1 AND 10000", name="ck_enrollment_session_capacity"),
        sa.CheckConstraint("kind IN ('class', 'appointment')", name="ck_enrollment_session_kind"),
        sa.CheckConstraint("status IN ('scheduled', 'cancelled', 'done')", name="ck_enrollment_session_status"),
        sa.CheckConstraint("ends_at > starts_at", name="ck_enrollment_session_times"),
        sa.UniqueConstraint(
            "class_group_id", "planned_at", name="uq_enrollment_session_class_group_id_planned_at",
        ),
        **TABLE,
    )
    op.create_index("ix_enrollment_session_closed_by_id", "enrollment_session", ["closed_by_id"])
    op.create_index("ix_enrollment_session_club_id_starts_at", "enrollment_session", ["club_id", "starts_at"])
    op.create_index("ix_enrollment_session_event_type_id", "enrollment_session", ["event_type_id"])
    op.create_index("ix_enrollment_session_starts_at", "enrollment_session", ["starts_at"])
    op.create_index(
        "ix_enrollment_session_team_member_id_starts_at", "enrollment_session", ["team_member_id", "starts_at"],
    )


def _create_booking() -> None:
    op.create_table(
        "enrollment_booking",
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("participant_id", KEY, nullable=False),
        sa.Column("session_id", KEY, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("live", sa.Boolean, nullable=True),
        sa.Column("pays", sa.String(20), nullable=True),
        sa.Column("enrollment_id", KEY, nullable=True),
        sa.Column("lot_id", KEY, nullable=True),
        sa.Column("amount", KEY, nullable=True),
        sa.Column("queued_at", INSTANT, nullable=True),
        sa.Column("held_until", INSTANT, nullable=True),
        sa.Column("returned", sa.Boolean, nullable=True),
        sa.Column("cancel_reason", sa.String(500), nullable=True),
        sa.Column("closed_by_id", KEY, nullable=True),
        sa.Column("created_by_id", sa.Integer, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_booking"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["enrollment_client.id"], name="fk_enrollment_booking_client_id", ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["closed_by_id"], ["enrollment_batch.id"], name="fk_enrollment_booking_closed_by_id", ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["ab_user.id"], name="fk_enrollment_booking_created_by_id", ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["enrollment_id"],
            ["enrollment_enrollment.id"],
            name="fk_enrollment_booking_enrollment_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["lot_id"], ["enrollment_credit_lot.id"], name="fk_enrollment_booking_lot_id", ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["enrollment_participant.id"],
            name="fk_enrollment_booking_participant_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["enrollment_session.id"], name="fk_enrollment_booking_session_id", ondelete="RESTRICT",
        ),
        sa.CheckConstraint("amount >= 0", name="ck_enrollment_booking_amount"),
        sa.CheckConstraint(
            "held_until IS NULL OR state = 'waitlisted'", name="ck_enrollment_booking_held_until",
        ),
        sa.CheckConstraint(
            "(state IN ('late_cancel', 'cancelled')) = (live IS NULL)", name="ck_enrollment_booking_live",
        ),
        sa.CheckConstraint(
            "pays IN ('enrollment', 'lot', 'charge', 'trial', 'nothing')", name="ck_enrollment_booking_pays",
        ),
        sa.CheckConstraint(
            "state IN ('booked', 'waitlisted', 'attended', 'no_show', 'late_cancel', 'cancelled')",
            name="ck_enrollment_booking_state",
        ),
        sa.UniqueConstraint(
            "session_id", "participant_id", "live", name="uq_enrollment_booking_session_id_participant_id_live",
        ),
        **TABLE,
    )
    _index_booking()


def _index_booking() -> None:
    op.create_index("ix_enrollment_booking_client_id_id", "enrollment_booking", ["client_id", "id"])
    op.create_index("ix_enrollment_booking_closed_by_id", "enrollment_booking", ["closed_by_id"])
    op.create_index("ix_enrollment_booking_created_by_id", "enrollment_booking", ["created_by_id"])
    op.create_index("ix_enrollment_booking_enrollment_id", "enrollment_booking", ["enrollment_id"])
    op.create_index("ix_enrollment_booking_held_until", "enrollment_booking", ["held_until"])
    op.create_index("ix_enrollment_booking_lot_id", "enrollment_booking", ["lot_id"])
    op.create_index("ix_enrollment_booking_participant_id", "enrollment_booking", ["participant_id"])


def _create_closure_effect() -> None:
    op.create_table(
        "enrollment_closure_effect",
        sa.Column("batch_id", KEY, autoincrement=False, nullable=False),
        sa.Column("lot_id", KEY, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("days", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "lot_id", name="pk_enrollment_closure_effect"),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["enrollment_batch.id"],
            name="fk_enrollment_closure_effect_batch_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["lot_id"],
            ["enrollment_credit_lot.id"],
            name="fk_enrollment_closure_effect_lot_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint("kind IN ('extended', 'makeup')", name="ck_enrollment_closure_effect_kind"),
        **TABLE,
    )
    op.create_index("ix_enrollment_closure_effect_lot_id", "enrollment_closure_effect", ["lot_id"])


def _create_calendar_feed() -> None:
    op.create_table(
        "enrollment_calendar_feed",
        sa.Column("id", KEY, nullable=False),
        sa.Column("team_member_id", KEY, nullable=True),
        sa.Column("client_id", KEY, nullable=True),
        sa.Column("class_group_id", KEY, nullable=True),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_calendar_feed"),
        sa.ForeignKeyConstraint(
            ["team_member_id"],
            ["enrollment_team_member.id"],
            name="fk_enrollment_calendar_feed_team_member_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["enrollment_client.id"],
            name="fk_enrollment_calendar_feed_client_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["class_group_id"],
            ["enrollment_class_group.id"],
            name="fk_enrollment_calendar_feed_class_group_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("team_member_id", name="uq_enrollment_calendar_feed_team_member_id"),
        sa.UniqueConstraint("client_id", name="uq_enrollment_calendar_feed_client_id"),
        sa.UniqueConstraint("class_group_id", name="uq_enrollment_calendar_feed_class_group_id"),
        sa.UniqueConstraint("secret_hash", name="uq_enrollment_calendar_feed_secret_hash"),
        sa.CheckConstraint(
            "(CASE WHEN team_member_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN client_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN class_group_id IS NULL THEN 0 ELSE 1 END) = 1",
            name="ck_enrollment_calendar_feed_one_target",
        ),
        **TABLE,
    )

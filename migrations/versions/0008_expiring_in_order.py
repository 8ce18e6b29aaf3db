"""The index of lots by their last day also holds their keys, for walking through them in order."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NAME, TABLE = "ix_enrollment_credit_lot_expiring", "enrollment_credit_lot"
LIVE: dict[str, Any] = {"postgresql_where": sa.text("available > 0"), "sqlite_where": sa.text("available > 0")}


def upgrade() -> None:
    op.drop_index(NAME, table_name=TABLE)
    op.create_index(NAME, TABLE, ["expires_on", "id"], **LIVE)


def downgrade() -> None:
    op.drop_index(NAME, table_name=TABLE)
    op.create_index(NAME, TABLE, ["expires_on"], **LIVE)

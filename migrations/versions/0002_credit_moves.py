"""Credits in full: restrictions of lots, shared spending, moves between clients and event types."""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

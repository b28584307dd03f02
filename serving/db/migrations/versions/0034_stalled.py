"""Goods that stalled are called so; slow turnover is another figure.

Revision: 0034, after 0033.
"""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE scores.reorder_suggestions RENAME COLUMN is_slow_mover TO is_stalled")


def downgrade() -> None:
    op.execute("ALTER TABLE scores.reorder_suggestions RENAME COLUMN is_stalled TO is_slow_mover")

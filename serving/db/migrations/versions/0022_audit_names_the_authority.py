"""The audit log names the authority by which a fact was stated.

Revision: 0022, after 0021.
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE ops.audit_log ADD COLUMN authority TEXT")


def downgrade() -> None:
    op.execute("ALTER TABLE ops.audit_log DROP COLUMN authority")

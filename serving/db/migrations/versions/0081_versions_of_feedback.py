"""Texts of consumers have versions, so that their topics come into the lake.

Revision: 0081, after 0080.
"""

from alembic import op

revision = "0081"
down_revision = "0080"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE feedback.message ADD COLUMN xact_id XID8 NOT NULL DEFAULT pg_current_xact_id()",
    "CREATE INDEX feedback_by_xact ON feedback.message (xact_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE feedback.message DROP COLUMN xact_id")

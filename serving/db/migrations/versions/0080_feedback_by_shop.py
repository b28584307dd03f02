"""The id of a text is its shop's own: two shops may use one id.

Revision: 0080, after 0079.
"""

from alembic import op

revision = "0080"
down_revision = "0079"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE feedback.message DROP CONSTRAINT message_pkey")
    op.execute("ALTER TABLE feedback.message ADD PRIMARY KEY (tenant_id, merchant_id, feedback_id)")


def downgrade() -> None:
    op.execute("ALTER TABLE feedback.message DROP CONSTRAINT message_pkey")
    op.execute("ALTER TABLE feedback.message ADD PRIMARY KEY (tenant_id, feedback_id)")

"""When a party ended: a payment is settled by who sold at its own moment.

Revision: 0044, after 0043.
"""

from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE parties.party ADD COLUMN ended_at TIMESTAMPTZ")
    # Of terminations of the past the review's end is known, where there was one.
    op.execute(
        "UPDATE parties.party p SET ended_at = (SELECT max(h.resolved_at) FROM settlement.hold h"
        " WHERE h.tenant_id = p.tenant_id AND h.target_type = 'party'"
        " AND h.target_id = p.party_type || ':' || p.party_id AND h.reason_code = 'termination_review')"
        " WHERE NOT p.is_active"
    )
    op.execute("ALTER TABLE parties.party ADD CHECK (ended_at IS NULL OR NOT is_active)")


def downgrade() -> None:
    op.execute("ALTER TABLE parties.party DROP COLUMN ended_at")

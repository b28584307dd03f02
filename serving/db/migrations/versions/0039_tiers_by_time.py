"""Since when an agent stands on a tier: a payment is settled by the tier of its own moment.

Revision: 0039, after 0038.
"""

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE agents.tier_change ADD COLUMN changed_at TIMESTAMPTZ",
    # Of changes of the past only the month is known, or when the violation was.
    "UPDATE agents.tier_change c SET changed_at = coalesce((SELECT v.occurred_at FROM agents.violation v"
    " WHERE v.tenant_id = c.tenant_id AND c.reason = 'violation:' || v.violation_id),"
    " (c.month_on + INTERVAL '1 month') AT TIME ZONE 'UTC')",
    "ALTER TABLE agents.tier_change ALTER COLUMN changed_at SET NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE agents.tier_change DROP COLUMN changed_at")

"""Reviews know how many orders had a buyer who is known: orders a buyer counts those.

Until the next publication the rows that are there say what they said: all orders.

Revision: 0089, after 0088.
"""

from alembic import op

revision = "0089"
down_revision = "0088"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE scores.party_reviews ADD COLUMN known_order_count BIGINT",
    "UPDATE scores.party_reviews SET known_order_count = order_count",
    "ALTER TABLE scores.party_reviews ALTER COLUMN known_order_count SET NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE scores.party_reviews DROP COLUMN known_order_count")

"""What a consumer did last at a merchant is found at once: lists are ordered by it.

Revision: 0040, after 0039.
"""

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX event_by_consumer ON events.event (tenant_id, consumer_id, merchant_id, occurred_at)"
        " WHERE consumer_id IS NOT NULL AND sku_id IS NOT NULL AND event_type IN"
        " ('view', 'favourite', 'add_to_cart', 'remove_from_cart', 'checkout')"
    )


def downgrade() -> None:
    op.execute("DROP INDEX events.event_by_consumer")

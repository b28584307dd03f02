"""Since when terms of supply are in force that were stated here, so that the warehouse can read them back.

Revision: 0053, after 0052.
"""

from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE orders.offer ADD COLUMN in_force_at TIMESTAMPTZ,"
    " ADD COLUMN xact_id XID8 NOT NULL DEFAULT pg_current_xact_id()",
    "CREATE INDEX offer_by_xact ON orders.offer (xact_id) WHERE in_force_at IS NOT NULL",
    "COMMENT ON COLUMN orders.offer.in_force_at IS"
    " 'When terms that were stated here were taken over; null for those of the feed'",
    "COMMENT ON TABLE orders.offer IS"
    " 'Supply price and terms in force; xact_id is of the last change. One row per supplier and sku.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE orders.offer DROP COLUMN in_force_at, DROP COLUMN xact_id")
    op.execute(
        "COMMENT ON TABLE orders.offer IS 'Supply price and terms in force. One row per supplier and sku.'"
    )

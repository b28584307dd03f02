"""Purchase orders say which transaction wrote them last, so that the lake reads each version once.

Revision: 0059, after 0058.
"""

from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE purchasing.purchase_order ADD COLUMN xact_id XID8 NOT NULL DEFAULT pg_current_xact_id()",
    "CREATE INDEX purchase_order_by_xact ON purchasing.purchase_order (xact_id)",
    # What arrived of an order, and when.
    "CREATE INDEX stock_movement_by_purchase ON orders.stock_movement (tenant_id, purchase_order_id, sku_id)"
    " WHERE purchase_order_id IS NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX orders.stock_movement_by_purchase")
    op.execute("ALTER TABLE purchasing.purchase_order DROP COLUMN xact_id")

"""How many units of a line left: of a line that cost nothing no refund tells how many were cancelled before.

Revision: 0090, after 0089.
"""

from alembic import op

revision = "0090"
down_revision = "0089"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE orders.order_line ADD COLUMN sent_qty BIGINT NOT NULL DEFAULT 0"
        " CHECK (sent_qty BETWEEN 0 AND qty)"
    )
    # What was cancelled before of a line that left is known by its money only.
    op.execute(
        """
        UPDATE orders.order_line l SET sent_qty = CASE WHEN l.net_paid_cents = 0 THEN l.qty ELSE
            (l.qty * (l.net_paid_cents - (SELECT coalesce(sum(r.refund_cents), 0) FROM settlement.refund r
                WHERE r.tenant_id = l.tenant_id AND r.order_id = l.order_id AND r.line_no = l.line_no
                    AND r.case_id IS NULL)) + l.net_paid_cents - 1)::bigint / l.net_paid_cents END
        FROM orders.sub_order s
        WHERE s.tenant_id = l.tenant_id AND s.order_id = l.order_id AND s.supplier_id = l.supplier_id
            AND s.status IN ('shipped', 'received', 'released')
        """
    )


def downgrade() -> None:
    op.execute("ALTER TABLE orders.order_line DROP COLUMN sent_qty")

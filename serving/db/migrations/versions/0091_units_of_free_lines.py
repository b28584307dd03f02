"""A line that cost nothing goes back by units: how many came back of it, and how many each refund left gone.

Revision: 0091, after 0090.
"""

from alembic import op

revision = "0091"
down_revision = "0090"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE orders.order_line ADD COLUMN back_qty BIGINT NOT NULL DEFAULT 0,"
        " ADD CHECK (back_qty BETWEEN 0 AND sent_qty)"
    )
    op.execute("ALTER TABLE settlement.refund ADD COLUMN units_gone BIGINT NOT NULL DEFAULT 0")
    # Until now such a line went back as a whole.
    op.execute(
        """
        UPDATE settlement.refund r SET units_gone = l.qty FROM orders.order_line l
        WHERE l.tenant_id = r.tenant_id AND l.order_id = r.order_id AND l.line_no = r.line_no
            AND r.refund_cents = 0
        """
    )
    op.execute(
        """
        UPDATE orders.order_line l SET back_qty = l.sent_qty
        WHERE l.net_paid_cents = 0 AND (
            EXISTS (SELECT FROM settlement.refund r WHERE r.tenant_id = l.tenant_id
                AND r.order_id = l.order_id AND r.line_no = l.line_no)
            OR EXISTS (SELECT FROM orders.after_sale a WHERE a.tenant_id = l.tenant_id
                AND a.order_id = l.order_id AND a.line_no = l.line_no AND a.status = 'refunded'))
        """
    )
    # Of legs of very few fen a unit may take none: then no transaction tells of the refund.
    op.execute("ALTER TABLE settlement.refund ALTER COLUMN transaction_id DROP NOT NULL")
    op.execute(
        "ALTER TABLE settlement.refund ADD CONSTRAINT fen_or_units_go_back"
        " CHECK (refund_cents > 0 AND units_gone = 0 AND transaction_id IS NOT NULL"
        " OR refund_cents = 0 AND units_gone > 0)"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE settlement.refund DROP CONSTRAINT fen_or_units_go_back")
    op.execute("DELETE FROM settlement.refund WHERE transaction_id IS NULL")
    op.execute("ALTER TABLE settlement.refund ALTER COLUMN transaction_id SET NOT NULL")
    op.execute("ALTER TABLE settlement.refund DROP COLUMN units_gone")
    op.execute("ALTER TABLE orders.order_line DROP COLUMN back_qty")

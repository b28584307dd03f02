"""After-sale cases carry quantities, the supplier's answer, the way back and a decision; unpaid orders have an index.

Revision: 0029, after 0028.
"""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_COLUMNS = (
    "qty",
    "supplier_answer",
    "answer_code",
    "answered_at",
    "return_carrier",
    "return_tracking_no",
    "sent_back_at",
    "received_qty",
    "restocked_qty",
    "received_back_at",
    "decision",
    "decision_code",
    "decided_at",
)

STATEMENTS = (
    """
    ALTER TABLE orders.after_sale
        ADD COLUMN qty BIGINT CHECK (qty >= 1),
        ADD COLUMN supplier_answer TEXT CHECK (supplier_answer IN ('agreed', 'disagreed')),
        ADD COLUMN answer_code TEXT,
        ADD COLUMN answered_at TIMESTAMPTZ,
        ADD COLUMN return_carrier TEXT,
        ADD COLUMN return_tracking_no TEXT,
        ADD COLUMN sent_back_at TIMESTAMPTZ,
        ADD COLUMN received_qty BIGINT CHECK (received_qty BETWEEN 0 AND qty),
        ADD COLUMN restocked_qty BIGINT CHECK (restocked_qty BETWEEN 0 AND received_qty),
        ADD COLUMN received_back_at TIMESTAMPTZ,
        ADD COLUMN decision TEXT CHECK (decision IN ('refund', 'reject')),
        ADD COLUMN decision_code TEXT,
        ADD COLUMN decided_at TIMESTAMPTZ
    """,
    # Sealed by serving.privacy, like recipients: where a supplier wants goods back.
    """
    CREATE TABLE orders.return_address (
        tenant_id TEXT NOT NULL,
        case_id TEXT NOT NULL,
        name_enc BYTEA NOT NULL,
        phone_enc BYTEA NOT NULL,
        address_enc BYTEA NOT NULL,
        PRIMARY KEY (tenant_id, case_id),
        FOREIGN KEY (tenant_id, case_id) REFERENCES orders.after_sale (tenant_id, case_id)
    )
    """,
    "COMMENT ON TABLE orders.return_address IS"
    " 'Where goods of a case go back to, encrypted. One row per case that has one.'",
    "ALTER TABLE orders.return_address ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON orders.return_address FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT, UPDATE ON orders.return_address TO muyun_app",
    "CREATE INDEX customer_order_unpaid ON orders.customer_order (tenant_id, placed_at) WHERE status = 'placed'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX orders.customer_order_unpaid")
    op.execute("DROP TABLE orders.return_address")
    for column in reversed(_COLUMNS):
        op.execute(f"ALTER TABLE orders.after_sale DROP COLUMN {column}")

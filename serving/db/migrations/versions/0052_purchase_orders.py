"""Purchase orders: what suppliers are asked to bring in, what they answer, ship, and what arrived.

Revision: 0052, after 0051.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA purchasing",
    """
    CREATE TABLE purchasing.policy (
        tenant_id TEXT NOT NULL,
        category_id TEXT NOT NULL,
        mode TEXT NOT NULL CHECK (mode IN ('auto', 'approve', 'off')),
        max_cents BIGINT NOT NULL CHECK (max_cents >= 0),
        changed_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, category_id)
    )
    """,
    "COMMENT ON TABLE purchasing.policy IS 'How suggestions of a category become purchase orders; the category"
    " * speaks for all others. One row per category.'",
    """
    CREATE TABLE purchasing.purchase_order (
        tenant_id TEXT NOT NULL,
        purchase_order_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN
            ('placed', 'changed', 'confirmed', 'shipped', 'received', 'declined', 'cancelled')),
        cause TEXT NOT NULL CHECK (cause IN ('auto', 'approved', 'stated')),
        placed_at TIMESTAMPTZ NOT NULL,
        expected_on DATE NOT NULL,
        answered_at TIMESTAMPTZ,
        shipped_at TIMESTAMPTZ,
        closed_at TIMESTAMPTZ,
        reason_code TEXT,
        source TEXT NOT NULL,
        PRIMARY KEY (tenant_id, purchase_order_id),
        CHECK ((status IN ('received', 'declined', 'cancelled')) = (closed_at IS NOT NULL))
    )
    """,
    "CREATE INDEX purchase_order_by_supplier ON purchasing.purchase_order"
    " (tenant_id, supplier_id, purchase_order_id)",
    "COMMENT ON TABLE purchasing.purchase_order IS 'Orders at suppliers. One row per purchase order.'",
    """
    CREATE TABLE purchasing.purchase_line (
        tenant_id TEXT NOT NULL,
        purchase_order_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        ordered_qty BIGINT NOT NULL CHECK (ordered_qty > 0),
        confirmed_qty BIGINT CHECK (confirmed_qty BETWEEN 0 AND ordered_qty),
        shipped_qty BIGINT NOT NULL DEFAULT 0 CHECK (shipped_qty BETWEEN 0 AND coalesce(confirmed_qty, 0)),
        received_qty BIGINT NOT NULL DEFAULT 0 CHECK (received_qty BETWEEN 0 AND shipped_qty),
        supply_price_cents BIGINT NOT NULL CHECK (supply_price_cents >= 0),
        promised_on DATE,
        PRIMARY KEY (tenant_id, purchase_order_id, sku_id),
        FOREIGN KEY (tenant_id, purchase_order_id)
            REFERENCES purchasing.purchase_order (tenant_id, purchase_order_id)
    )
    """,
    "CREATE INDEX purchase_line_by_sku ON purchasing.purchase_line (tenant_id, sku_id)",
    "COMMENT ON TABLE purchasing.purchase_line IS 'What a purchase order asks for. One row per sku.'",
    """
    CREATE TABLE purchasing.purchase_share (
        tenant_id TEXT NOT NULL,
        purchase_order_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        qty BIGINT NOT NULL CHECK (qty > 0),
        PRIMARY KEY (tenant_id, purchase_order_id, sku_id, merchant_id),
        FOREIGN KEY (tenant_id, purchase_order_id, sku_id)
            REFERENCES purchasing.purchase_line (tenant_id, purchase_order_id, sku_id)
    )
    """,
    "CREATE INDEX purchase_share_by_merchant ON purchasing.purchase_share"
    " (tenant_id, merchant_id, purchase_order_id)",
    "COMMENT ON TABLE purchasing.purchase_share IS 'For which merchants a line is expected to sell. One row"
    " per line and merchant.'",
    "ALTER TABLE orders.stock_movement ADD COLUMN purchase_order_id TEXT",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("purchasing")


def downgrade() -> None:
    op.execute("ALTER TABLE orders.stock_movement DROP COLUMN purchase_order_id")
    op.execute("DROP SCHEMA purchasing CASCADE")

"""What a supplier may offer, offers that wait for a decision, and how much a merchant may lose in a day.

Revision: 0019, after 0018.
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_NEW_TABLES = ("supplier_sku", "offer_proposal", "loss_budget")

STATEMENTS = (
    """
    CREATE TABLE orders.supplier_sku (
        tenant_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        is_approved BOOLEAN NOT NULL DEFAULT true,
        may_be_free BOOLEAN NOT NULL DEFAULT false,
        PRIMARY KEY (tenant_id, supplier_id, sku_id)
    )
    """,
    "COMMENT ON TABLE orders.supplier_sku IS"
    " 'Which skus a supplier may offer, and whether for nothing. One row per supplier and sku.'",
    "INSERT INTO orders.supplier_sku (tenant_id, supplier_id, sku_id, may_be_free)"
    " SELECT tenant_id, supplier_id, sku_id, supply_price_cents = 0 FROM orders.offer",
    # Null: what is in force was never measured, and is itself what the next statement is measured against.
    """
    ALTER TABLE orders.offer
        ADD COLUMN reference_price_cents BIGINT CHECK (reference_price_cents >= 0),
        ADD COLUMN reference_freight_cents BIGINT CHECK (reference_freight_cents >= 0),
        ADD COLUMN reference_at TIMESTAMPTZ
    """,
    """
    CREATE TABLE orders.offer_proposal (
        tenant_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        source_at TIMESTAMPTZ NOT NULL,
        supply_price_cents BIGINT NOT NULL CHECK (supply_price_cents >= 0),
        freight_cents BIGINT NOT NULL CHECK (freight_cents >= 0),
        lead_time_days INTEGER NOT NULL CHECK (lead_time_days >= 0),
        min_order_qty BIGINT NOT NULL CHECK (min_order_qty >= 1),
        ship_from_region TEXT,
        state TEXT NOT NULL DEFAULT 'waiting'
            CHECK (state IN ('waiting', 'accepted', 'rejected', 'superseded')),
        reason TEXT NOT NULL
            CHECK (reason IN ('no_reference', 'own_price', 'other_suppliers', 'delivered_price')),
        low_cents BIGINT,
        high_cents BIGINT,
        stated_at TIMESTAMPTZ NOT NULL,
        stated_by TEXT NOT NULL,
        decided_at TIMESTAMPTZ,
        decided_by TEXT,
        PRIMARY KEY (tenant_id, supplier_id, sku_id, source_at),
        CHECK ((state = 'waiting') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX offer_proposal_waiting ON orders.offer_proposal (tenant_id, supplier_id, sku_id)"
    " WHERE state = 'waiting'",
    "COMMENT ON TABLE orders.offer_proposal IS"
    " 'Offers outside the price corridor of their sku: they wait, and do not route. One row per statement.'",
    """
    CREATE TABLE orders.loss_budget (
        tenant_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        day DATE NOT NULL,
        limit_cents BIGINT NOT NULL CHECK (limit_cents >= 0),
        spent_cents BIGINT NOT NULL DEFAULT 0 CHECK (spent_cents BETWEEN 0 AND limit_cents),
        PRIMARY KEY (tenant_id, merchant_id, day)
    )
    """,
    "COMMENT ON TABLE orders.loss_budget IS"
    " 'What the platform may add to lines that bring less than they cost. One row per merchant and local day.'",
    """
    ALTER TABLE orders.order_line
        ADD COLUMN loss_cents BIGINT NOT NULL DEFAULT 0 CHECK (loss_cents >= 0),
        ADD COLUMN loss_day DATE,
        ADD CONSTRAINT order_line_loss_has_a_day CHECK ((loss_cents > 0) = (loss_day IS NOT NULL))
    """,
    *(f"ALTER TABLE orders.{table} ENABLE ROW LEVEL SECURITY" for table in _NEW_TABLES),
    *(
        f"CREATE POLICY own_tenant ON orders.{table} FOR ALL TO muyun_app USING (tenant_id = ops.current_tenant())"
        for table in _NEW_TABLES
    ),
    *(f"GRANT SELECT, INSERT, UPDATE ON orders.{table} TO muyun_app" for table in _NEW_TABLES),
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE orders.order_line DROP COLUMN loss_cents, DROP COLUMN loss_day")
    op.execute(
        "ALTER TABLE orders.offer DROP COLUMN reference_price_cents, DROP COLUMN reference_freight_cents,"
        " DROP COLUMN reference_at"
    )
    for table in reversed(_NEW_TABLES):
        op.execute(f"DROP TABLE orders.{table}")

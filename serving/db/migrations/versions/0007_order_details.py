"""Coupons and scene roles of orders, and the indexes by which agents and operators list orders.

Revision: 0007, after 0006.

The application may read when what was published: the clock of an embedded panel goes on from there.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NEW_TABLES = ("order_coupon", "order_role")

STATEMENTS = (
    """
    CREATE TABLE orders.order_coupon (
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        coupon_no SMALLINT NOT NULL CHECK (coupon_no >= 1),
        kind TEXT NOT NULL CHECK (kind IN ('threshold', 'percentage')),
        discount_cents BIGINT NOT NULL CHECK (discount_cents >= 0),
        funder_split_bps JSONB NOT NULL,
        PRIMARY KEY (tenant_id, order_id, coupon_no),
        FOREIGN KEY (tenant_id, order_id) REFERENCES orders.customer_order (tenant_id, order_id)
    )
    """,
    "COMMENT ON TABLE orders.order_coupon IS 'Coupons of orders, and who pays for them. One row per order and coupon.'",
    """
    CREATE TABLE orders.order_role (
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('distributor', 'group_leader', 'live_anchor', 'store_guide')),
        party_type TEXT NOT NULL CHECK (party_type IN ('merchant', 'agent')),
        party_id TEXT NOT NULL,
        PRIMARY KEY (tenant_id, order_id, role),
        FOREIGN KEY (tenant_id, order_id) REFERENCES orders.customer_order (tenant_id, order_id)
    )
    """,
    "COMMENT ON TABLE orders.order_role IS 'Who brought an order about, beside its seller. One row per order and role.'",
    "CREATE INDEX customer_order_by_agent ON orders.customer_order (tenant_id, agent_id, placed_at, order_id)"
    " WHERE agent_id IS NOT NULL",
    "CREATE INDEX customer_order_by_time ON orders.customer_order (tenant_id, placed_at, order_id)",
    "CREATE INDEX customer_order_by_consumer ON orders.customer_order (tenant_id, consumer_id, paid_at)",
    "CREATE INDEX stock_movement_by_stock ON orders.stock_movement (tenant_id, supplier_id, sku_id, occurred_at)",
    *(f"ALTER TABLE orders.{table} ENABLE ROW LEVEL SECURITY" for table in _NEW_TABLES),
    *(
        f"CREATE POLICY own_tenant ON orders.{table} FOR ALL TO muyun_app USING (tenant_id = ops.current_tenant())"
        for table in _NEW_TABLES
    ),
    *(f"GRANT SELECT, INSERT, UPDATE ON orders.{table} TO muyun_app" for table in _NEW_TABLES),
    "GRANT USAGE ON SCHEMA scores TO muyun_app",
    "GRANT SELECT ON scores.publication, scores.current_publication TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("REVOKE ALL ON scores.publication, scores.current_publication FROM muyun_app")
    op.execute("REVOKE ALL ON SCHEMA scores FROM muyun_app")
    for table in _NEW_TABLES:
        op.execute(f"DROP TABLE orders.{table}")
    for index in (
        "customer_order_by_agent",
        "customer_order_by_time",
        "customer_order_by_consumer",
        "stock_movement_by_stock",
    ):
        op.execute(f"DROP INDEX orders.{index}")

"""Stock by warehouse, where a supplier states it; the total of a sku stays the one that orders reserve from.

Revision: 0064, after 0063.
"""

from alembic import op

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE orders.stock ADD COLUMN is_by_warehouse BOOLEAN NOT NULL DEFAULT false",
    """
    CREATE TABLE orders.warehouse_stock (
        tenant_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        warehouse_id TEXT NOT NULL,
        on_hand_qty BIGINT NOT NULL CHECK (on_hand_qty >= 0),
        PRIMARY KEY (tenant_id, supplier_id, sku_id, warehouse_id),
        FOREIGN KEY (tenant_id, supplier_id, sku_id) REFERENCES orders.stock (tenant_id, supplier_id, sku_id)
    ) WITH (fillfactor = 70)
    """,
    "COMMENT ON TABLE orders.warehouse_stock IS 'Where the stock of a supplier lies, of skus that it counts by"
    " warehouse. One row per supplier, sku and warehouse.'",
    "ALTER TABLE orders.warehouse_stock ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON orders.warehouse_stock FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT, UPDATE ON orders.warehouse_stock TO muyun_app",
    # What a unit leaves from is free again by the line that no longer reserves it: no counter to put right.
    "CREATE INDEX order_line_reserved ON orders.order_line (tenant_id, sku_id, supplier_id)"
    " WHERE reserved_qty > 0 AND warehouse_id IS NOT NULL",
    "ALTER TABLE orders.stock_movement ADD COLUMN warehouse_id TEXT",
    """
    CREATE FUNCTION orders.require_stock_adds_up() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    DECLARE
        lies BIGINT;
        total BIGINT;
    BEGIN
        SELECT s.on_hand_qty INTO total FROM orders.stock s WHERE s.tenant_id = NEW.tenant_id
            AND s.supplier_id = NEW.supplier_id AND s.sku_id = NEW.sku_id AND s.is_by_warehouse;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        SELECT coalesce(sum(w.on_hand_qty), 0) INTO lies FROM orders.warehouse_stock w
            WHERE w.tenant_id = NEW.tenant_id AND w.supplier_id = NEW.supplier_id AND w.sku_id = NEW.sku_id;
        IF lies <> total THEN
            RAISE EXCEPTION 'stock of sku % at supplier %: % units in warehouses, % in all',
                NEW.sku_id, NEW.supplier_id, lies, total
                USING ERRCODE = 'check_violation', CONSTRAINT = 'warehouse_stock_adds_up';
        END IF;
        RETURN NULL;
    END $$
    """,
    "CREATE CONSTRAINT TRIGGER warehouse_stock_adds_up AFTER INSERT OR UPDATE ON orders.warehouse_stock"
    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION orders.require_stock_adds_up()",
    # What only reserves does not fire it.
    "CREATE CONSTRAINT TRIGGER stock_adds_up AFTER UPDATE ON orders.stock DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW WHEN (NEW.is_by_warehouse AND (OLD.on_hand_qty, OLD.is_by_warehouse)"
    " IS DISTINCT FROM (NEW.on_hand_qty, NEW.is_by_warehouse))"
    " EXECUTE FUNCTION orders.require_stock_adds_up()",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER stock_adds_up ON orders.stock")
    op.execute("DROP TABLE orders.warehouse_stock")
    op.execute("DROP FUNCTION orders.require_stock_adds_up()")
    op.execute("ALTER TABLE orders.stock_movement DROP COLUMN warehouse_id")
    op.execute("DROP INDEX orders.order_line_reserved")
    op.execute("ALTER TABLE orders.stock DROP COLUMN is_by_warehouse")

"""Warehouses as orders see them, and which of them ships a line on which day.

Revision: 0054, after 0053.
"""

from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE supply.warehouse (
        tenant_id TEXT NOT NULL,
        warehouse_id TEXT NOT NULL,
        supplier_id TEXT,
        region_code TEXT NOT NULL,
        latitude DOUBLE PRECISION,
        longitude DOUBLE PRECISION,
        capacity_per_day BIGINT CHECK (capacity_per_day >= 0),
        cut_off_minutes INTEGER CHECK (cut_off_minutes BETWEEN 0 AND 1440),
        working_days TEXT NOT NULL CHECK (working_days ~ '^[1-7]+$'),
        time_zone TEXT,
        PRIMARY KEY (tenant_id, warehouse_id),
        CHECK ((latitude IS NULL) = (longitude IS NULL))
    )
    """,
    "COMMENT ON TABLE supply.warehouse IS 'Where parcels leave, until when of a day, and how many. One row per"
    " warehouse.'",
    """
    CREATE TABLE supply.warehouse_closure (
        tenant_id TEXT NOT NULL,
        warehouse_id TEXT NOT NULL,
        closed_on DATE NOT NULL,
        PRIMARY KEY (tenant_id, warehouse_id, closed_on)
    )
    """,
    "COMMENT ON TABLE supply.warehouse_closure IS 'Days on which a warehouse is closed although it works on"
    " that day of the week. One row per warehouse and day.'",
    "ALTER TABLE supply.warehouse ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON supply.warehouse FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    "ALTER TABLE supply.warehouse_closure ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON supply.warehouse_closure FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    # Only the nightly step writes it; whoever locks a row needs the right to update one column of it.
    "GRANT SELECT, UPDATE (capacity_per_day) ON supply.warehouse TO muyun_app",
    "GRANT SELECT ON supply.warehouse_closure TO muyun_app",
    "ALTER TABLE orders.order_line ADD COLUMN warehouse_id TEXT, ADD COLUMN ships_on DATE,"
    " ADD COLUMN promised_on DATE, ADD CONSTRAINT order_line_leaves_before_it_arrives"
    " CHECK (ships_on <= promised_on), ADD CONSTRAINT order_line_leaves_a_warehouse_on_a_day"
    " CHECK (warehouse_id IS NULL OR ships_on IS NOT NULL)",
    "CREATE INDEX order_line_by_warehouse ON orders.order_line (tenant_id, warehouse_id, ships_on)"
    " WHERE warehouse_id IS NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX orders.order_line_by_warehouse")
    op.execute(
        "ALTER TABLE orders.order_line DROP COLUMN warehouse_id, DROP COLUMN ships_on,"
        " DROP COLUMN promised_on"
    )
    op.execute("DROP TABLE supply.warehouse_closure")
    op.execute("DROP TABLE supply.warehouse")

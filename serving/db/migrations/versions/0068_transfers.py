"""Transfers of a supplier's units between warehouses.

Revision: 0068, after 0067.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA transfers",
    """
    CREATE TABLE transfers.transfer (
        tenant_id TEXT NOT NULL,
        transfer_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        from_warehouse_id TEXT NOT NULL,
        to_warehouse_id TEXT NOT NULL CHECK (to_warehouse_id <> from_warehouse_id),
        status TEXT NOT NULL CHECK (status IN ('planned', 'shipped', 'received', 'cancelled')),
        cause TEXT NOT NULL CHECK (cause IN ('approved', 'stated', 'alarm')),
        planned_qty BIGINT NOT NULL CHECK (planned_qty > 0),
        shipped_qty BIGINT NOT NULL DEFAULT 0 CHECK (shipped_qty BETWEEN 0 AND planned_qty),
        received_qty BIGINT NOT NULL DEFAULT 0 CHECK (received_qty BETWEEN 0 AND shipped_qty),
        planned_at TIMESTAMPTZ NOT NULL,
        expected_on DATE NOT NULL,
        shipped_at TIMESTAMPTZ,
        closed_at TIMESTAMPTZ,
        reason_code TEXT,
        source TEXT NOT NULL,
        PRIMARY KEY (tenant_id, transfer_id),
        CHECK ((status IN ('received', 'cancelled')) = (closed_at IS NOT NULL)),
        CHECK ((status IN ('shipped', 'received')) = (shipped_qty > 0))
    )
    """,
    "COMMENT ON TABLE transfers.transfer IS 'Units of a sku that go from one warehouse of a supplier to another."
    " One row per transfer.'",
    "CREATE INDEX transfer_by_supplier ON transfers.transfer (tenant_id, supplier_id, transfer_id)",
    "CREATE INDEX transfer_open ON transfers.transfer (tenant_id, sku_id, supplier_id)"
    " WHERE status IN ('planned', 'shipped')",
    "ALTER TABLE orders.stock_movement ADD COLUMN transfer_id TEXT",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("transfers")


def downgrade() -> None:
    op.execute("ALTER TABLE orders.stock_movement DROP COLUMN transfer_id")
    op.execute("DROP SCHEMA transfers CASCADE")

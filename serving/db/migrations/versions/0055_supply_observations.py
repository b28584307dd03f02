"""Observations of the supply side as the API took them in.

Revision: 0055, after 0054.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA watch",
    """
    CREATE TABLE watch.observation (
        tenant_id TEXT NOT NULL,
        observation_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('parcel_scan', 'capacity', 'stock_level', 'device')),
        supplier_id TEXT,
        warehouse_id TEXT,
        sku_id TEXT,
        shipment_id TEXT,
        batch_id TEXT,
        device_id TEXT,
        place TEXT,
        status TEXT,
        qty BIGINT CHECK (qty BETWEEN 0 AND 1000000000),
        reading DOUBLE PRECISION,
        reading_unit TEXT,
        occurred_at TIMESTAMPTZ NOT NULL,
        received_at TIMESTAMPTZ NOT NULL,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, observation_id)
    )
    """,
    "CREATE INDEX observation_by_xact ON watch.observation (xact_id)",
    "CREATE INDEX observation_by_shipment ON watch.observation (tenant_id, shipment_id)"
    " WHERE shipment_id IS NOT NULL",
    "COMMENT ON TABLE watch.observation IS 'What was seen of the supply side. One row per observation.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    op.execute(
        "CREATE TRIGGER observation_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON watch.observation"
        " FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()"
    )
    protect("watch")


def downgrade() -> None:
    op.execute("DROP SCHEMA watch CASCADE")

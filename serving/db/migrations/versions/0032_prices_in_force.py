"""Which published prices came into force, and when.

Revision: 0032, after 0031.
"""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE market.price_change (
        tenant_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        changed_at TIMESTAMPTZ NOT NULL,
        price_cents BIGINT NOT NULL CHECK (price_cents >= 1),
        list_price_cents BIGINT NOT NULL,
        version TEXT NOT NULL,
        revision BIGINT NOT NULL CHECK (revision >= 0),
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, merchant_id, sku_id, changed_at)
    )
    """,
    "CREATE INDEX price_change_by_xact ON market.price_change (xact_id)",
    "COMMENT ON TABLE market.price_change IS"
    " 'Prices that readers were shown as published, from a business time on, with the list price of then;"
    " revision 0 is the publication itself, others its deltas. One row per change of a listing.'",
    "ALTER TABLE market.price_change ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON market.price_change FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT ON market.price_change TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE market.price_change")

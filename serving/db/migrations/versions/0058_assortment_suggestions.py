"""Published suggestions of assortment, and what merchants decided on them.

Revision: 0058, after 0057.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE scores.assortment_suggestions (
        snapshot_id BIGINT NOT NULL,
        merchant_id TEXT NOT NULL,
        rank BIGINT NOT NULL,
        sku_id TEXT NOT NULL,
        scene TEXT NOT NULL,
        category_id TEXT NOT NULL,
        horizon_days BIGINT NOT NULL,
        expected_qty DOUBLE PRECISION NOT NULL,
        expected_margin_cents BIGINT NOT NULL,
        list_price_cents BIGINT NOT NULL,
        supplier_id TEXT NOT NULL,
        supply_price_cents BIGINT NOT NULL,
        backups JSONB NOT NULL,
        is_new_product BOOLEAN NOT NULL,
        propensity DOUBLE PRECISION NOT NULL,
        basis TEXT NOT NULL,
        reason_code TEXT NOT NULL,
        explanation JSONB NOT NULL,
        PRIMARY KEY (snapshot_id, merchant_id, rank)
    )
    """,
    "CREATE SCHEMA assortment",
    """
    CREATE TABLE assortment.decision (
        tenant_id TEXT NOT NULL,
        decision_no BIGINT GENERATED ALWAYS AS IDENTITY,
        merchant_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        is_taken BOOLEAN NOT NULL,
        reason_code TEXT,
        decided_at TIMESTAMPTZ NOT NULL,
        until_at TIMESTAMPTZ,
        version TEXT NOT NULL,
        rank BIGINT NOT NULL,
        basis TEXT NOT NULL,
        propensity DOUBLE PRECISION NOT NULL,
        category_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        expected_qty DOUBLE PRECISION NOT NULL,
        list_price_cents BIGINT,
        PRIMARY KEY (tenant_id, decision_no),
        UNIQUE (tenant_id, merchant_id, sku_id, version),
        CHECK (is_taken = (list_price_cents IS NOT NULL)),
        CHECK (is_taken = (until_at IS NULL)),
        CHECK (is_taken = (reason_code IS NULL))
    )
    """,
    "COMMENT ON TABLE assortment.decision IS 'What merchants did with suggestions of assortment, with the"
    " propensity with which each was shown. One row per decision; rows are never changed.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("assortment")
    op.execute("REVOKE UPDATE ON assortment.decision FROM muyun_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA assortment CASCADE")
    op.execute("DROP TABLE scores.assortment_suggestions")

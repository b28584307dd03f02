"""Published grades of suppliers and channels, and the gates that stop a supplier's offers.

Revision: 0046, after 0045.
"""

from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

_GRADED = """
        grade TEXT NOT NULL,
        gate TEXT,
        score DOUBLE PRECISION NOT NULL,
        score_low DOUBLE PRECISION NOT NULL,
        score_high DOUBLE PRECISION NOT NULL,
        quality DOUBLE PRECISION,
        fulfilment DOUBLE PRECISION,
        price DOUBLE PRECISION,
"""
STATEMENTS = (
    f"""
    CREATE TABLE scores.supplier_grades (
        snapshot_id BIGINT NOT NULL,
        supplier_id TEXT NOT NULL,
        {_GRADED}
        channels BIGINT NOT NULL,
        line_count BIGINT NOT NULL,
        graded_on DATE NOT NULL,
        explanation JSONB NOT NULL,
        PRIMARY KEY (snapshot_id, supplier_id)
    )
    """,
    f"""
    CREATE TABLE scores.channel_scores (
        snapshot_id BIGINT NOT NULL,
        supplier_id TEXT NOT NULL,
        category_id TEXT NOT NULL,
        rank BIGINT NOT NULL,
        {_GRADED}
        line_count BIGINT NOT NULL,
        graded_on DATE NOT NULL,
        explanation JSONB NOT NULL,
        PRIMARY KEY (snapshot_id, supplier_id, category_id)
    )
    """,
    "CREATE INDEX channel_scores_category ON scores.channel_scores (snapshot_id, category_id, rank)",
    "CREATE SCHEMA supply",
    """
    CREATE TABLE supply.supplier_gate (
        tenant_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        reason TEXT NOT NULL,
        since TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, supplier_id)
    )
    """,
    "COMMENT ON TABLE supply.supplier_gate IS"
    " 'Suppliers whose offers route no orders, and why. One row per gated supplier.'",
    "ALTER TABLE supply.supplier_gate ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON supply.supplier_gate FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    "GRANT USAGE ON SCHEMA supply TO muyun_app",
    # Only the nightly grading writes it.
    "GRANT SELECT ON supply.supplier_gate TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP SCHEMA supply CASCADE")
    op.execute("DROP TABLE scores.channel_scores")
    op.execute("DROP TABLE scores.supplier_grades")

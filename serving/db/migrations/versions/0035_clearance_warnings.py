"""Published warnings about stock that turns over slowly.

Revision: 0035, after 0034.
"""

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE scores.clearance_warnings (
        snapshot_id BIGINT NOT NULL,
        supplier_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        on_hand_qty BIGINT NOT NULL,
        sold_qty DOUBLE PRECISION NOT NULL,
        window_days BIGINT NOT NULL,
        turnover_rate DOUBLE PRECISION NOT NULL,
        days_to_clear_now DOUBLE PRECISION,
        price_cents BIGINT,
        cost_cents BIGINT,
        elasticity DOUBLE PRECISION NOT NULL,
        cuts JSONB NOT NULL,
        PRIMARY KEY (snapshot_id, supplier_id, sku_id)
    )
    """,
    "CREATE INDEX clearance_warnings_sku ON scores.clearance_warnings (snapshot_id, sku_id, supplier_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE scores.clearance_warnings")

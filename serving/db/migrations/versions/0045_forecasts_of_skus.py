"""Published forecasts of skus.

Revision: 0045, after 0044.
"""

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE scores.sku_forecasts (
        snapshot_id BIGINT NOT NULL,
        sku_id TEXT NOT NULL,
        week_start_on DATE NOT NULL,
        category_id TEXT NOT NULL,
        horizon_weeks BIGINT NOT NULL,
        mean_qty DOUBLE PRECISION NOT NULL,
        p10_qty DOUBLE PRECISION NOT NULL,
        p50_qty DOUBLE PRECISION NOT NULL,
        p90_qty DOUBLE PRECISION NOT NULL,
        new_listing_qty DOUBLE PRECISION NOT NULL,
        basis TEXT NOT NULL,
        PRIMARY KEY (snapshot_id, sku_id, week_start_on)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE scores.sku_forecasts")

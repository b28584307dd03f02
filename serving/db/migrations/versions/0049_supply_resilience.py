"""Published resilience of supply.

Revision: 0049, after 0048.
"""

from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE scores.supply_resilience (
        snapshot_id BIGINT NOT NULL,
        category_id TEXT NOT NULL,
        units_per_day DOUBLE PRECISION NOT NULL,
        suppliers BIGINT NOT NULL,
        main_supplier_id TEXT NOT NULL,
        main_share DOUBLE PRECISION NOT NULL,
        is_main_too_large BOOLEAN NOT NULL,
        backup_share DOUBLE PRECISION NOT NULL,
        is_backup_too_small BOOLEAN NOT NULL,
        trial_share DOUBLE PRECISION NOT NULL,
        trial_skus JSONB NOT NULL,
        moved_share DOUBLE PRECISION NOT NULL,
        extra_cents_per_day BIGINT NOT NULL,
        PRIMARY KEY (snapshot_id, category_id)
    )
    """,
    """
    CREATE TABLE scores.supply_proposals (
        snapshot_id BIGINT NOT NULL,
        category_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        units_per_day DOUBLE PRECISION NOT NULL,
        proposed_per_day DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (snapshot_id, category_id, sku_id, supplier_id)
    )
    """,
    """
    CREATE TABLE scores.supply_failures (
        snapshot_id BIGINT NOT NULL,
        supplier_id TEXT NOT NULL,
        horizon_days BIGINT NOT NULL,
        skus BIGINT NOT NULL,
        units DOUBLE PRECISION NOT NULL,
        lost_units DOUBLE PRECISION NOT NULL,
        lost_sales_cents BIGINT NOT NULL,
        extra_cost_cents BIGINT NOT NULL,
        extra_days DOUBLE PRECISION,
        days_until_short BIGINT,
        lost_skus JSONB NOT NULL,
        PRIMARY KEY (snapshot_id, supplier_id)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in ("supply_failures", "supply_proposals", "supply_resilience"):
        op.execute(f"DROP TABLE scores.{table}")

"""Published forecasts of days and months.

Revision: 0047, after 0046.
"""

from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE scores.demand_outlook (
        snapshot_id BIGINT NOT NULL,
        merchant_id TEXT NOT NULL,
        category_id TEXT NOT NULL,
        grain TEXT NOT NULL,
        starts_on DATE NOT NULL,
        ends_on DATE NOT NULL,
        mean_qty DOUBLE PRECISION NOT NULL,
        p10_qty DOUBLE PRECISION NOT NULL,
        p50_qty DOUBLE PRECISION NOT NULL,
        p90_qty DOUBLE PRECISION NOT NULL,
        model TEXT NOT NULL,
        PRIMARY KEY (snapshot_id, merchant_id, category_id, grain, ends_on)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE scores.demand_outlook")

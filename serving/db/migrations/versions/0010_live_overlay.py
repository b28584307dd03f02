"""What changed since a publication: rows that lie over a snapshot until the snapshot goes.

Revision: 0010, after 0009.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Rows are replaced in place many times a day: room on the page keeps such updates out of the indexes.
STATEMENTS = (
    """
    CREATE TABLE scores.live_pointer (
        snapshot_id BIGINT NOT NULL,
        revision BIGINT NOT NULL,
        as_of JSONB NOT NULL,
        schema_fingerprint TEXT,
        published_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (snapshot_id),
        CONSTRAINT live_pointer_revision_positive CHECK (revision > 0),
        FOREIGN KEY(snapshot_id) REFERENCES scores.snapshot (snapshot_id) ON DELETE CASCADE
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE scores.live_profile (
        snapshot_id BIGINT NOT NULL,
        consumer_id TEXT NOT NULL,
        tags JSONB NOT NULL,
        is_removed BOOLEAN NOT NULL,
        revision BIGINT NOT NULL,
        PRIMARY KEY (snapshot_id, consumer_id),
        FOREIGN KEY(snapshot_id) REFERENCES scores.live_pointer (snapshot_id) ON DELETE CASCADE
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE scores.live_price (
        snapshot_id BIGINT NOT NULL,
        merchant_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        cost_cents BIGINT NOT NULL,
        list_price_cents BIGINT NOT NULL,
        price_cents BIGINT NOT NULL,
        floor_cents BIGINT NOT NULL,
        ceiling_cents BIGINT NOT NULL,
        anchor_cents BIGINT NOT NULL,
        printed_formula_cents BIGINT,
        elasticity DOUBLE PRECISION NOT NULL,
        pricing_mode TEXT NOT NULL,
        action TEXT NOT NULL,
        explanation JSONB NOT NULL,
        revision BIGINT NOT NULL,
        PRIMARY KEY (snapshot_id, merchant_id, sku_id),
        FOREIGN KEY(snapshot_id) REFERENCES scores.live_pointer (snapshot_id) ON DELETE CASCADE
    ) WITH (fillfactor = 70)
    """,
    "COMMENT ON TABLE scores.live_pointer IS"
    " 'Up to which revision a snapshot was brought since it was loaded, and as of when. One row per snapshot.'",
    "COMMENT ON TABLE scores.live_profile IS"
    " 'Tags that changed since the snapshot of profiles was loaded. One row per snapshot and consumer.'",
    "COMMENT ON TABLE scores.live_price IS"
    " 'Prices that changed since the snapshot of prices was loaded. One row per snapshot, merchant and sku.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in ("live_price", "live_profile", "live_pointer"):
        op.execute(f"DROP TABLE scores.{table}")

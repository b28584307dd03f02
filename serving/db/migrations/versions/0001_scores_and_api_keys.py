"""Published scores and API keys.

Revision: 0001, the first.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA IF NOT EXISTS scores",
    "CREATE SCHEMA IF NOT EXISTS ops",
    """
    CREATE TABLE ops.api_key (
        key_id TEXT NOT NULL,
        key_hash BYTEA NOT NULL,
        name TEXT NOT NULL,
        scopes TEXT[] NOT NULL,
        merchant_id TEXT,
        rate_per_s DOUBLE PRECISION,
        burst INTEGER,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        revoked_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (key_id),
        UNIQUE (key_hash)
    )
    """,
    """
    CREATE TABLE scores.demand_forecasts (
        snapshot_id BIGINT NOT NULL,
        merchant_id TEXT NOT NULL,
        category_id TEXT NOT NULL,
        week_start_on DATE NOT NULL,
        horizon_weeks BIGINT NOT NULL,
        mean_qty DOUBLE PRECISION NOT NULL,
        p10_qty DOUBLE PRECISION NOT NULL,
        p50_qty DOUBLE PRECISION NOT NULL,
        p90_qty DOUBLE PRECISION NOT NULL,
        model TEXT NOT NULL,
        PRIMARY KEY (snapshot_id, merchant_id, category_id, week_start_on)
    )
    """,
    """
    CREATE TABLE scores.popular_items (
        snapshot_id BIGINT NOT NULL,
        merchant_id TEXT NOT NULL,
        item_count INTEGER NOT NULL,
        items JSONB NOT NULL,
        PRIMARY KEY (snapshot_id, merchant_id)
    )
    """,
    """
    CREATE TABLE scores.prices (
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
        PRIMARY KEY (snapshot_id, merchant_id, sku_id)
    )
    """,
    """
    CREATE TABLE scores.profiles (
        snapshot_id BIGINT NOT NULL,
        consumer_id TEXT NOT NULL,
        tags JSONB NOT NULL,
        schema_fingerprint TEXT NOT NULL,
        as_of TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (snapshot_id, consumer_id)
    )
    """,
    """
    CREATE TABLE scores.publication (
        version TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        as_of TIMESTAMP WITH TIME ZONE NOT NULL,
        data_from TIMESTAMP WITH TIME ZONE NOT NULL,
        data_to TIMESTAMP WITH TIME ZONE NOT NULL,
        model_versions JSONB NOT NULL,
        row_counts JSONB NOT NULL,
        content_hash TEXT NOT NULL,
        status TEXT DEFAULT 'loaded' NOT NULL,
        loaded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (version),
        CONSTRAINT publication_status_known CHECK (status in ('loaded', 'withdrawn')),
        CONSTRAINT publication_data_range_ordered CHECK (data_from <= data_to)
    )
    """,
    """
    CREATE TABLE scores.rebuy_reminders (
        snapshot_id BIGINT NOT NULL,
        consumer_id TEXT NOT NULL,
        item_count INTEGER NOT NULL,
        items JSONB NOT NULL,
        PRIMARY KEY (snapshot_id, consumer_id)
    )
    """,
    """
    CREATE TABLE scores.recommendations (
        snapshot_id BIGINT NOT NULL,
        merchant_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        item_count INTEGER NOT NULL,
        items JSONB NOT NULL,
        PRIMARY KEY (snapshot_id, merchant_id, consumer_id)
    )
    """,
    """
    CREATE TABLE scores.reorder_merchant_shares (
        snapshot_id BIGINT NOT NULL,
        merchant_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        expected_qty DOUBLE PRECISION NOT NULL,
        reorder_qty BIGINT NOT NULL,
        PRIMARY KEY (snapshot_id, merchant_id, sku_id, supplier_id)
    )
    """,
    """
    CREATE TABLE scores.reorder_suggestions (
        snapshot_id BIGINT NOT NULL,
        supplier_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        on_hand_qty BIGINT,
        lead_time_days BIGINT,
        demand_mean_qty DOUBLE PRECISION NOT NULL,
        demand_p90_qty DOUBLE PRECISION NOT NULL,
        order_up_to_qty BIGINT NOT NULL,
        reorder_qty BIGINT NOT NULL,
        order_by_on DATE,
        is_slow_mover BOOLEAN NOT NULL,
        reason_code TEXT NOT NULL,
        explanation JSONB NOT NULL,
        PRIMARY KEY (snapshot_id, supplier_id, sku_id)
    )
    """,
    """
    CREATE TABLE scores.snapshot (
        snapshot_id BIGINT GENERATED ALWAYS AS IDENTITY,
        table_name TEXT NOT NULL,
        row_count BIGINT NOT NULL,
        sha256 TEXT NOT NULL,
        PRIMARY KEY (snapshot_id)
    )
    """,
    """
    CREATE TABLE scores.wakeup_list (
        snapshot_id BIGINT NOT NULL,
        consumer_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        rank BIGINT NOT NULL,
        dormant_days BIGINT NOT NULL,
        churn_probability DOUBLE PRECISION NOT NULL,
        expected_value_cents BIGINT NOT NULL,
        is_high_value BOOLEAN NOT NULL,
        offer_code TEXT,
        offer_threshold_cents BIGINT,
        offer_value_cents BIGINT,
        reason_codes JSONB NOT NULL,
        is_control BOOLEAN NOT NULL,
        PRIMARY KEY (snapshot_id, consumer_id)
    )
    """,
    "CREATE INDEX wakeup_list_rank ON scores.wakeup_list (snapshot_id, rank, consumer_id)",
    "CREATE INDEX wakeup_list_merchant ON scores.wakeup_list (snapshot_id, merchant_id, rank, consumer_id)",
    """
    CREATE TABLE scores.current_publication (
        singleton BOOLEAN DEFAULT true NOT NULL,
        version TEXT NOT NULL,
        switched_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (singleton),
        CONSTRAINT current_publication_is_one_row CHECK (singleton),
        FOREIGN KEY(version) REFERENCES scores.publication (version)
    )
    """,
    """
    CREATE TABLE scores.publication_table (
        version TEXT NOT NULL,
        table_name TEXT NOT NULL,
        snapshot_id BIGINT NOT NULL,
        PRIMARY KEY (version, table_name),
        FOREIGN KEY(version) REFERENCES scores.publication (version) ON DELETE CASCADE,
        FOREIGN KEY(snapshot_id) REFERENCES scores.snapshot (snapshot_id)
    )
    """,
    "CREATE INDEX publication_table_snapshot ON scores.publication_table (snapshot_id)",
    "COMMENT ON TABLE ops.api_key IS 'API keys; only the SHA-256 of a key is kept. One row per key.'",
    "COMMENT ON TABLE scores.publication IS 'Published versions that are kept. One row per version.'",
    "COMMENT ON TABLE scores.snapshot IS "
    "'A load of one table; versions that carry a table over share it. One row per loaded table.'",
    "COMMENT ON TABLE scores.current_publication IS "
    "'The version that readers see. At most one row per database.'",
    "COMMENT ON TABLE scores.publication_table IS "
    "'Which snapshot a version shows. One row per version and table.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP SCHEMA scores CASCADE")
    op.execute("DROP SCHEMA ops CASCADE")

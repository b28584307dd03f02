"""Experiments: what they say, which units were exposed to which arm; the draw of an arm in SQL.

Revision: 0066, after 0065.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA experiments",
    """
    CREATE TABLE experiments.experiment (
        tenant_id TEXT NOT NULL,
        experiment_id TEXT NOT NULL,
        document JSONB NOT NULL,
        digest TEXT NOT NULL,
        surface TEXT NOT NULL CHECK (surface IN ('recommendations', 'prices', 'coupons')),
        unit TEXT NOT NULL CHECK (unit IN ('consumer', 'sku', 'merchant')),
        layer TEXT NOT NULL,
        weights JSONB NOT NULL,
        held_arms TEXT[] NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('draft', 'running', 'stopped')),
        first_bps INTEGER CHECK (first_bps >= 0),
        end_bps INTEGER CHECK (end_bps <= 10000),
        made_by TEXT NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        started_at TIMESTAMPTZ,
        ends_at TIMESTAMPTZ,
        stopped_at TIMESTAMPTZ,
        reason TEXT,
        PRIMARY KEY (tenant_id, experiment_id),
        CHECK (surface <> 'prices' OR unit <> 'consumer'),
        CHECK ((state = 'draft') = (started_at IS NULL)),
        CHECK ((state = 'draft') = (first_bps IS NULL)),
        CHECK (first_bps < end_bps),
        CHECK ((state = 'stopped') = (stopped_at IS NOT NULL)),
        EXCLUDE USING gist (
            int8range(hashtextextended(tenant_id || '/' || layer, 0), hashtextextended(tenant_id || '/' || layer, 0),
                '[]') WITH &&,
            int4range(first_bps, end_bps) WITH &&
        ) WHERE (state = 'running')
    )
    """,
    "CREATE INDEX experiment_running ON experiments.experiment (tenant_id, surface) WHERE state = 'running'",
    "COMMENT ON TABLE experiments.experiment IS 'What is tried on whom; the words, arms and shares never change,"
    " and no two that run share places of a layer. One row per experiment.'",
    """
    CREATE TABLE experiments.exposure (
        tenant_id TEXT NOT NULL,
        experiment_id TEXT NOT NULL,
        unit TEXT NOT NULL CHECK (unit IN ('consumer', 'sku', 'merchant')),
        unit_id TEXT NOT NULL,
        consumer_id TEXT GENERATED ALWAYS AS (CASE WHEN unit = 'consumer' THEN unit_id END) STORED,
        arm TEXT NOT NULL,
        exposed_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, experiment_id, unit_id),
        FOREIGN KEY (tenant_id, experiment_id) REFERENCES experiments.experiment (tenant_id, experiment_id)
    )
    """,
    "CREATE INDEX exposure_by_consumer ON experiments.exposure (tenant_id, consumer_id) WHERE consumer_id IS NOT NULL",
    "COMMENT ON TABLE experiments.exposure IS 'The first moment at which an arm acted on a unit. One row per"
    " experiment and unit.'",
    # The same as models.experiments.assignment: statements that show and record prices draw where they read.
    """
    CREATE FUNCTION experiments.draw(VARIADIC parts TEXT[]) RETURNS FLOAT8
        LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
        SELECT (b::numeric + CASE WHEN b < 0 THEN 18446744073709551616 ELSE 0 END)::float8
            / 18446744073709551616::float8
        FROM (SELECT ('x' || encode(substr(sha256(convert_to(array_to_string(parts, E'\\x1f'), 'UTF8')), 1, 8),
            'hex'))::bit(64)::bigint AS b) h
    $$
    """,
    """
    CREATE FUNCTION experiments.arm_of(
        p_tenant TEXT, p_experiment TEXT, p_layer TEXT, p_first INTEGER, p_end INTEGER, p_weights JSONB, p_unit TEXT
    ) RETURNS TEXT
        LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
        SELECT w.name FROM (
            SELECT value ->> 0 AS name, ordinality,
                sum((value ->> 1)::integer) OVER (ORDER BY ordinality) AS upto
            FROM jsonb_array_elements(p_weights) WITH ORDINALITY) w
        WHERE experiments.draw(p_tenant, 'layer', p_layer, p_unit) * 10000 >= p_first
            AND experiments.draw(p_tenant, 'layer', p_layer, p_unit) * 10000 < p_end
            AND experiments.draw(p_tenant, 'arm', p_experiment, p_unit) * 10000 < w.upto
        ORDER BY w.ordinality LIMIT 1
    $$
    """,
    """
    CREATE FUNCTION experiments.erase(p_consumer TEXT, p_pseudonym TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        counted BIGINT;
    BEGIN
        UPDATE experiments.exposure SET unit_id = p_pseudonym
            WHERE tenant_id = ops.current_tenant() AND consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT;
        RETURN counted;
    END $$
    """,
    "REVOKE ALL ON FUNCTION experiments.erase(TEXT, TEXT) FROM PUBLIC",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("experiments")
    op.execute("REVOKE UPDATE ON experiments.exposure FROM muyun_app")
    op.execute("GRANT EXECUTE ON FUNCTION experiments.erase(TEXT, TEXT) TO muyun_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA experiments CASCADE")

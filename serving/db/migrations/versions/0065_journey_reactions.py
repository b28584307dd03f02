"""Journeys: reactions that the API did not record, what a message led to, runs that a replay made up.

Revision: 0065, after 0064.
"""

from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE journeys.reaction (
        tenant_id TEXT NOT NULL,
        source TEXT NOT NULL CHECK (source IN ('feed', 'simulated')),
        reaction_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('order', 'visit')),
        occurred_at TIMESTAMPTZ NOT NULL,
        stands BOOLEAN NOT NULL,
        PRIMARY KEY (tenant_id, source, kind, reaction_id)
    )
    """,
    "CREATE INDEX reaction_by_consumer ON journeys.reaction (tenant_id, consumer_id, kind, occurred_at)"
    " WHERE stands",
    "COMMENT ON TABLE journeys.reaction IS 'Orders and visits that the API did not record: of a shop''s feeds,"
    " or made up by a replay. One row per order or visit.'",
    "ALTER TABLE journeys.reaction ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON journeys.reaction FOR ALL TO muyun_app USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT, UPDATE ON journeys.reaction TO muyun_app",
    "ALTER TABLE journeys.run ADD COLUMN source TEXT NOT NULL DEFAULT 'live'"
    " CHECK (source IN ('live', 'simulated'))",
    "ALTER TABLE journeys.message ADD COLUMN opted_out_at TIMESTAMPTZ, ADD COLUMN converted_at TIMESTAMPTZ",
    "CREATE INDEX message_sent ON journeys.message (tenant_id, sent_at) WHERE sent_at IS NOT NULL",
    """
    CREATE TABLE journeys.passage (
        tenant_id TEXT NOT NULL,
        journey_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        arm TEXT NOT NULL,
        on_day DATE NOT NULL,
        step TEXT NOT NULL,
        next_step TEXT NOT NULL,
        reason TEXT NOT NULL,
        runs BIGINT NOT NULL CHECK (runs > 0),
        PRIMARY KEY (tenant_id, journey_id, version, arm, on_day, step, next_step, reason)
    )
    """,
    "COMMENT ON TABLE journeys.passage IS 'How many runs went from a step to the next, or out of the journey and"
    " why. One row per version, arm, day and way.'",
    "ALTER TABLE journeys.passage ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON journeys.passage FOR ALL TO muyun_app USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT, UPDATE ON journeys.passage TO muyun_app",
    # What is known of somebody's reactions goes with them.
    "ALTER FUNCTION journeys.erase(TEXT, TEXT) RENAME TO erase_runs",
    """
    CREATE FUNCTION journeys.erase(p_consumer TEXT, p_pseudonym TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        DELETE FROM journeys.reaction WHERE tenant_id = ops.current_tenant() AND consumer_id = p_consumer;
        RETURN journeys.erase_runs(p_consumer, p_pseudonym);
    END $$
    """,
    "REVOKE ALL ON FUNCTION journeys.erase(TEXT, TEXT) FROM PUBLIC",
    "REVOKE EXECUTE ON FUNCTION journeys.erase_runs(TEXT, TEXT) FROM muyun_app",
    "GRANT EXECUTE ON FUNCTION journeys.erase(TEXT, TEXT) TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION journeys.erase(TEXT, TEXT)")
    op.execute("ALTER FUNCTION journeys.erase_runs(TEXT, TEXT) RENAME TO erase")
    op.execute("GRANT EXECUTE ON FUNCTION journeys.erase(TEXT, TEXT) TO muyun_app")
    op.execute("DROP INDEX journeys.message_sent")
    op.execute("ALTER TABLE journeys.message DROP COLUMN opted_out_at, DROP COLUMN converted_at")
    op.execute("ALTER TABLE journeys.run DROP COLUMN source")
    op.execute("DROP TABLE journeys.reaction, journeys.passage")

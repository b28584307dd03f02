"""Communities: their members and calendar; promotions may be of one.

Revision: 0083, after 0082.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0083"
down_revision = "0082"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA communities",
    """
    CREATE TABLE communities.community (
        tenant_id TEXT NOT NULL,
        community_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        title TEXT NOT NULL,
        theme TEXT NOT NULL,
        rules TEXT NOT NULL,
        owner_type TEXT NOT NULL CHECK (owner_type IN ('agent', 'merchant')),
        owner_id TEXT NOT NULL,
        made_by TEXT NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        closed_at TIMESTAMPTZ,
        PRIMARY KEY (tenant_id, community_id)
    )
    """,
    "COMMENT ON TABLE communities.community IS 'Groups of consumers of a shop. One row per community.'",
    """
    CREATE TABLE communities.member (
        tenant_id TEXT NOT NULL,
        community_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        stay_no BIGINT GENERATED ALWAYS AS IDENTITY,
        joined_at TIMESTAMPTZ NOT NULL,
        via TEXT NOT NULL,
        left_at TIMESTAMPTZ CHECK (left_at >= joined_at),
        PRIMARY KEY (tenant_id, community_id, stay_no),
        FOREIGN KEY (tenant_id, community_id) REFERENCES communities.community (tenant_id, community_id)
    )
    """,
    "COMMENT ON TABLE communities.member IS"
    " 'Who is or was in a community. One row per community, consumer and stay.'",
    "CREATE UNIQUE INDEX member_now ON communities.member (tenant_id, community_id, consumer_id)"
    " WHERE left_at IS NULL",
    "CREATE INDEX member_by_consumer ON communities.member (tenant_id, consumer_id)",
    """
    CREATE TABLE communities.activity (
        tenant_id TEXT NOT NULL,
        community_id TEXT NOT NULL,
        activity_id TEXT NOT NULL,
        title TEXT NOT NULL,
        content TEXT NOT NULL,
        tag TEXT NOT NULL,
        starts_at TIMESTAMPTZ NOT NULL,
        ends_at TIMESTAMPTZ NOT NULL CHECK (ends_at > starts_at),
        made_by TEXT NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, community_id, activity_id),
        FOREIGN KEY (tenant_id, community_id) REFERENCES communities.community (tenant_id, community_id)
    )
    """,
    "COMMENT ON TABLE communities.activity IS"
    " 'What a community is told or invited to, beside its promotions. One row per community and activity.'",
    "ALTER TABLE promotions.promotion ADD COLUMN community_id TEXT",
    "CREATE INDEX promotion_by_community ON promotions.promotion (tenant_id, community_id)"
    " WHERE community_id IS NOT NULL",
    # Who was erased has left, and stays in the counts under the pseudonym.
    """
    CREATE FUNCTION communities.erase(p_consumer TEXT, p_pseudonym TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        counted BIGINT;
    BEGIN
        UPDATE communities.member SET consumer_id = p_pseudonym,
                left_at = coalesce(left_at, greatest(joined_at, (SELECT e.erased_at FROM consumers.erasure e
                    WHERE e.tenant_id = ops.current_tenant()
                        AND e.consumer_digest = consumers.digest(ops.current_tenant(), p_consumer))))
            WHERE tenant_id = ops.current_tenant() AND consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT;
        RETURN counted;
    END $$
    """,
    "REVOKE ALL ON FUNCTION communities.erase(TEXT, TEXT) FROM PUBLIC",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("communities")
    op.execute("GRANT EXECUTE ON FUNCTION communities.erase(TEXT, TEXT) TO muyun_app")


def downgrade() -> None:
    op.execute("ALTER TABLE promotions.promotion DROP COLUMN community_id")
    op.execute("DROP SCHEMA communities CASCADE")

"""Which anonymous visitors an erased person was, as digests, and who names the person in a tag.

Revision: 0015, after 0014.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ERASE = """
    CREATE OR REPLACE FUNCTION identity.erase(p_consumer TEXT) RETURNS BIGINT LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        own_tenant CONSTANT TEXT := ops.current_tenant();
        removed BIGINT;
        counted BIGINT;
    BEGIN
        {before}
        DELETE FROM events.event e USING identity.edge i
            WHERE i.tenant_id = own_tenant AND i.consumer_id = p_consumer AND e.tenant_id = own_tenant
              AND e.anonymous_id = i.anonymous_id AND e.consumer_id IS NULL;
        GET DIAGNOSTICS removed = ROW_COUNT;
        DELETE FROM identity.edge WHERE tenant_id = own_tenant AND consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT;
        RETURN removed + counted;
    END $$
"""

STATEMENTS = (
    """
    CREATE TABLE identity.erased_visitor (
        tenant_id TEXT NOT NULL,
        visitor_digest TEXT NOT NULL,
        erased_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, visitor_digest)
    )
    """,
    "COMMENT ON TABLE identity.erased_visitor IS"
    " 'Visitors who were joined to an erased person, as sha256(tenant_id:anonymous_id), and until when their"
    " events are kept out. One row per visitor.'",
    _ERASE.format(
        before="""INSERT INTO identity.erased_visitor (tenant_id, visitor_digest, erased_at)
            SELECT DISTINCT i.tenant_id, consumers.digest(i.tenant_id, i.anonymous_id), e.erased_at
                FROM identity.edge i JOIN consumers.erasure e ON e.tenant_id = i.tenant_id
                 AND e.consumer_digest = consumers.digest(i.tenant_id, i.consumer_id)
                WHERE i.tenant_id = own_tenant AND i.consumer_id = p_consumer
            ON CONFLICT (tenant_id, visitor_digest) DO UPDATE SET erased_at =
                greatest(identity.erased_visitor.erased_at, excluded.erased_at);"""
    ),
    # Whom they invited has a tag that names them.
    """
    CREATE FUNCTION consumers.erase_mentions(p_consumer TEXT, p_pseudonym TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        changed BIGINT;
        counted BIGINT;
    BEGIN
        UPDATE scores.profiles SET tags = jsonb_set(tags, '{referred_by}', to_jsonb(p_pseudonym))
            WHERE tags ->> 'referred_by' = p_consumer
              AND snapshot_id = ANY (ARRAY(SELECT snapshot_id FROM scores.snapshot));
        GET DIAGNOSTICS changed = ROW_COUNT;
        UPDATE scores.live_profile SET tags = jsonb_set(tags, '{referred_by}', to_jsonb(p_pseudonym))
            WHERE tags ->> 'referred_by' = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT;
        RETURN changed + counted;
    END $$
    """,
    "REVOKE ALL ON FUNCTION consumers.erase_mentions(TEXT, TEXT) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION consumers.erase_mentions(TEXT, TEXT) TO muyun_app",
    "ALTER TABLE identity.erased_visitor ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON identity.erased_visitor FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT ON identity.erased_visitor TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute(_ERASE.format(before=""))
    op.execute("DROP FUNCTION consumers.erase_mentions(TEXT, TEXT)")
    op.execute("DROP TABLE identity.erased_visitor")

"""What consumers decide about themselves: consents, and erasure.

Revision: 0012, after 0011.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA consumers",
    """
    CREATE TABLE consumers.consent (
        tenant_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        purpose TEXT NOT NULL CHECK (purpose IN ('marketing', 'profiling')),
        stated_at TIMESTAMPTZ NOT NULL,
        granted BOOLEAN NOT NULL,
        source TEXT NOT NULL,
        received_at TIMESTAMPTZ NOT NULL,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, consumer_id, purpose, stated_at)
    )
    """,
    "CREATE INDEX consent_by_xact ON consumers.consent (xact_id)",
    "COMMENT ON TABLE consumers.consent IS 'What consumers allowed and withdrew; append-only. One row per statement.'",
    """
    CREATE VIEW consumers.standing_consent AS
        SELECT DISTINCT ON (tenant_id, consumer_id, purpose) tenant_id, consumer_id, purpose, granted, stated_at
        FROM consumers.consent
        ORDER BY tenant_id, consumer_id, purpose, stated_at DESC
    """,
    "COMMENT ON VIEW consumers.standing_consent IS"
    " 'The latest statement. One row per consumer and purpose that was ever stated.'",
    # Only a digest: who was erased can be recognised when a row of theirs comes late, and not read off.
    """
    CREATE FUNCTION consumers.digest(p_tenant TEXT, p_consumer TEXT) RETURNS TEXT
        LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE
        RETURN encode(sha256(convert_to(p_tenant || ':' || p_consumer, 'UTF8')), 'hex')
    """,
    """
    CREATE TABLE consumers.erasure (
        tenant_id TEXT NOT NULL,
        consumer_digest TEXT NOT NULL,
        pseudonym TEXT NOT NULL,
        erased_at TIMESTAMPTZ NOT NULL,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, consumer_digest),
        UNIQUE (tenant_id, pseudonym)
    )
    """,
    "CREATE INDEX erasure_by_xact ON consumers.erasure (xact_id)",
    "COMMENT ON TABLE consumers.erasure IS"
    " 'Who was erased, as sha256(tenant_id:consumer_id), and the name that money rows have since. One row per person.'",
    # Caches of other processes watch it; a counter in a row, since a sequence would show before the commit.
    """
    CREATE TABLE consumers.change (
        singleton BOOLEAN PRIMARY KEY DEFAULT true CHECK (singleton),
        change_no BIGINT NOT NULL
    ) WITH (fillfactor = 10)
    """,
    "COMMENT ON TABLE consumers.change IS 'Counts consents and erasures. One row per database.'",
    "INSERT INTO consumers.change (change_no) VALUES (0)",
    "ALTER TABLE scores.snapshot ADD COLUMN erased_count BIGINT NOT NULL DEFAULT 0",
    """
    CREATE FUNCTION consumers.count_change() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        UPDATE consumers.change SET change_no = change_no + 1;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER consent_is_counted AFTER INSERT ON consumers.consent
        FOR EACH STATEMENT EXECUTE FUNCTION consumers.count_change()
    """,
    """
    CREATE TRIGGER erasure_is_counted AFTER INSERT ON consumers.erasure
        FOR EACH STATEMENT EXECUTE FUNCTION consumers.count_change()
    """,
    """
    CREATE TRIGGER consent_is_append_only BEFORE UPDATE OR TRUNCATE ON consumers.consent
        FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()
    """,
    """
    CREATE TRIGGER erasure_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON consumers.erasure
        FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()
    """,
    # The rows of published tables go by snapshot, so that a version still knows how many it was loaded with.
    """
    CREATE FUNCTION consumers.erase_scores(p_consumer TEXT) RETURNS BIGINT LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        erased BIGINT := 0;
        counted BIGINT;
        target RECORD;
    BEGIN
        FOR target IN
            SELECT c.table_name, bool_or(c.column_name = 'item_count') AS is_folded
            FROM information_schema.columns c
            WHERE c.table_schema = 'scores' AND c.table_name IN (
                SELECT t.table_name FROM information_schema.columns t
                WHERE t.table_schema = 'scores' AND t.column_name = 'consumer_id')
            GROUP BY c.table_name ORDER BY c.table_name
        LOOP
            EXECUTE format(
                'WITH gone AS (DELETE FROM scores.%1$I WHERE consumer_id = $1'
                '   AND snapshot_id = ANY (ARRAY(SELECT snapshot_id FROM scores.snapshot)) RETURNING snapshot_id, %2$s AS n),'
                ' sums AS (SELECT snapshot_id, sum(n) AS n FROM gone GROUP BY snapshot_id),'
                ' noted AS (UPDATE scores.snapshot s SET erased_count = erased_count + sums.n'
                '           FROM sums WHERE s.snapshot_id = sums.snapshot_id AND s.table_name = %1$L)'
                ' SELECT coalesce(sum(n), 0) FROM gone',
                target.table_name, CASE WHEN target.is_folded THEN 'item_count' ELSE '1' END
            ) INTO counted USING p_consumer;
            erased := erased + counted;
        END LOOP;
        RETURN erased;
    END $$
    """,
    # Everything that names the person, in one place. Rows about money stay, under the pseudonym.
    """
    CREATE FUNCTION consumers.erase(p_consumer TEXT, p_pseudonym TEXT, p_at TIMESTAMPTZ)
        RETURNS TABLE (is_new BOOLEAN, pseudonym TEXT, removed BIGINT, anonymised BIGINT)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        own_tenant CONSTANT TEXT := ops.current_tenant();
        known TEXT;
        counted BIGINT;
    BEGIN
        -- Publishers share this lock at the end of their transactions (serving.consumers.erased).
        PERFORM pg_advisory_xact_lock(1701994853);
        INSERT INTO consumers.erasure (tenant_id, consumer_digest, pseudonym, erased_at)
            VALUES (own_tenant, consumers.digest(own_tenant, p_consumer), p_pseudonym, p_at)
            ON CONFLICT (tenant_id, consumer_digest) DO NOTHING;
        is_new := FOUND;
        SELECT e.pseudonym INTO known FROM consumers.erasure e
            WHERE e.tenant_id = own_tenant AND e.consumer_digest = consumers.digest(own_tenant, p_consumer);
        pseudonym := known;

        removed := consumers.erase_scores(p_consumer);
        DELETE FROM consumers.consent WHERE tenant_id = own_tenant AND consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT; removed := removed + counted;
        DELETE FROM events.event WHERE tenant_id = own_tenant AND consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT; removed := removed + counted;
        DELETE FROM orders.recipient r USING orders.customer_order o
            WHERE o.tenant_id = own_tenant AND o.consumer_id = p_consumer
              AND r.tenant_id = o.tenant_id AND r.order_id = o.order_id;
        GET DIAGNOSTICS counted = ROW_COUNT; removed := removed + counted;

        UPDATE orders.idempotency i SET response = replace(i.response::text, to_json(p_consumer)::text,
                to_json(known)::text)::jsonb
            WHERE i.tenant_id = own_tenant
              AND position(to_json(p_consumer)::text IN i.response::text) > 0;
        GET DIAGNOSTICS counted = ROW_COUNT; anonymised := counted;
        UPDATE orders.customer_order SET consumer_id = known, xact_id = pg_current_xact_id()
            WHERE tenant_id = own_tenant AND consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT; anonymised := anonymised + counted;
        UPDATE agents.referral SET consumer_id = known
            WHERE tenant_id = own_tenant AND consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT; anonymised := anonymised + counted;
        UPDATE agents.agent SET own_consumer_id = known
            WHERE tenant_id = own_tenant AND own_consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT; anonymised := anonymised + counted;
        UPDATE ledger.account SET party_id = known
            WHERE tenant_id = own_tenant AND party_type = 'consumer' AND party_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT; anonymised := anonymised + counted;
        RETURN NEXT;
    END $$
    """,
    "REVOKE ALL ON FUNCTION consumers.erase(TEXT, TEXT, TIMESTAMPTZ), consumers.erase_scores(TEXT) FROM PUBLIC",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for table in ("consent", "erasure"):
        op.execute(f"ALTER TABLE consumers.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_tenant ON consumers.{table} FOR ALL TO muyun_app"
            " USING (tenant_id = ops.current_tenant())"
        )
    op.execute("GRANT USAGE ON SCHEMA consumers TO muyun_app")
    op.execute("GRANT SELECT, INSERT ON consumers.consent TO muyun_app")
    op.execute("GRANT SELECT ON consumers.erasure TO muyun_app")
    op.execute("GRANT EXECUTE ON FUNCTION consumers.erase(TEXT, TEXT, TIMESTAMPTZ) TO muyun_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA consumers CASCADE")
    op.execute("ALTER TABLE scores.snapshot DROP COLUMN erased_count")

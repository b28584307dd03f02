"""Published versions, and the home that publishes, belong to a tenant; the API reads as `muyun_app`.

What was there belongs to `default`. Going back is possible while nobody else published.

Revision: 0018, after 0017.
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_KEYED = ("publication", "publication_table", "current_publication")
_PROTECTED = (*(f"scores.{table}" for table in _KEYED), "ops.home", "ops.api_key")

STATEMENTS = (
    "ALTER TABLE scores.publication_table DROP CONSTRAINT publication_table_version_fkey",
    "ALTER TABLE scores.current_publication DROP CONSTRAINT current_publication_version_fkey",
    *(f"ALTER TABLE scores.{table} ADD COLUMN tenant_id TEXT NOT NULL DEFAULT 'default'" for table in _KEYED),
    *(f"ALTER TABLE scores.{table} ALTER COLUMN tenant_id DROP DEFAULT" for table in _KEYED),
    "ALTER TABLE scores.publication DROP CONSTRAINT publication_pkey, ADD PRIMARY KEY (tenant_id, version)",
    "ALTER TABLE scores.publication_table DROP CONSTRAINT publication_table_pkey,"
    " ADD PRIMARY KEY (tenant_id, version, table_name),"
    " ADD FOREIGN KEY (tenant_id, version) REFERENCES scores.publication (tenant_id, version) ON DELETE CASCADE",
    "ALTER TABLE scores.current_publication DROP COLUMN singleton, ADD PRIMARY KEY (tenant_id),"
    " ADD FOREIGN KEY (tenant_id, version) REFERENCES scores.publication (tenant_id, version)",
    "COMMENT ON TABLE scores.publication IS"
    " 'Published versions that are kept. One row per tenant and version.'",
    "COMMENT ON TABLE scores.publication_table IS"
    " 'Which snapshot a version shows. One row per tenant, version and table.'",
    "COMMENT ON TABLE scores.current_publication IS"
    " 'The version that readers see. At most one row per tenant.'",
    "ALTER TABLE ops.home ADD COLUMN tenant_id TEXT NOT NULL DEFAULT 'default'",
    "ALTER TABLE ops.home ALTER COLUMN tenant_id DROP DEFAULT",
    "ALTER TABLE ops.home DROP COLUMN singleton, ADD PRIMARY KEY (tenant_id),"
    " ADD CONSTRAINT home_has_one_tenant UNIQUE (home_id)",
    "COMMENT ON TABLE ops.home IS"
    " 'The installation that publishes for a tenant. At most one row per tenant and per home.'",
    *(
        statement
        for table in _PROTECTED
        for statement in (
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY own_tenant ON {table} FOR ALL TO muyun_app USING (tenant_id = ops.current_tenant())",
        )
    ),
    # Rows of scores are found by snapshot alone, and only `publication_table` names the snapshots of a tenant.
    "GRANT SELECT ON ALL TABLES IN SCHEMA scores TO muyun_app",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA scores GRANT SELECT ON TABLES TO muyun_app",
    "GRANT SELECT ON consumers.change, consumers.standing_consent TO muyun_app",
    "ALTER VIEW consumers.standing_consent SET (security_invoker = true)",
    # Before a key is known nobody knows the tenant: whoever has the digest may ask whose it is.
    """
    CREATE FUNCTION ops.key_of(p_digest BYTEA)
        RETURNS TABLE (key_id TEXT, tenant_id TEXT, role TEXT, party_id TEXT, scopes TEXT[],
                       rate_per_s DOUBLE PRECISION, burst INTEGER)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT k.key_id, k.tenant_id, k.role, k.party_id, k.scopes, k.rate_per_s, k.burst
            FROM ops.api_key k WHERE k.key_hash = p_digest AND k.revoked_at IS NULL
    $$
    """,
    "REVOKE ALL ON FUNCTION ops.key_of(BYTEA) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION ops.key_of(BYTEA) TO muyun_app",
)

# An erasure reaches the snapshots of its tenant: a consumer of the same id at another tenant is another person.
_ANY = "SELECT snapshot_id FROM scores.snapshot"
_OWN = "SELECT snapshot_id FROM scores.publication_table WHERE tenant_id = ops.current_tenant()"
_ERASE_SCORES = """
    DO $do$
    DECLARE
        known CONSTANT TEXT := pg_get_functiondef('consumers.erase_scores(text)'::regprocedure);
    BEGIN
        IF position('({old})' IN known) = 0 THEN
            RAISE EXCEPTION 'consumers.erase_scores is not as this migration expects it';
        END IF;
        EXECUTE replace(known, '({old})', '({new})');
    END $do$
"""
_ERASE_MENTIONS = """
    CREATE OR REPLACE FUNCTION consumers.erase_mentions(p_consumer TEXT, p_pseudonym TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        changed BIGINT;
        counted BIGINT;
    BEGIN
        UPDATE scores.profiles SET tags = jsonb_set(tags, '{{referred_by}}', to_jsonb(p_pseudonym))
            WHERE tags ->> 'referred_by' = p_consumer AND snapshot_id = ANY (ARRAY({snapshots}));
        GET DIAGNOSTICS changed = ROW_COUNT;
        UPDATE scores.live_profile SET tags = jsonb_set(tags, '{{referred_by}}', to_jsonb(p_pseudonym))
            WHERE tags ->> 'referred_by' = p_consumer AND snapshot_id = ANY (ARRAY({snapshots}));
        GET DIAGNOSTICS counted = ROW_COUNT;
        RETURN changed + counted;
    END $$
"""

UNDOING = (
    "DROP FUNCTION ops.key_of(BYTEA)",
    "ALTER VIEW consumers.standing_consent RESET (security_invoker)",
    "REVOKE SELECT ON consumers.change, consumers.standing_consent FROM muyun_app",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA scores REVOKE SELECT ON TABLES FROM muyun_app",
    "REVOKE SELECT ON ALL TABLES IN SCHEMA scores FROM muyun_app",
    "GRANT SELECT ON scores.publication, scores.current_publication TO muyun_app",
    *(f"DROP POLICY own_tenant ON {table}" for table in _PROTECTED),
    *(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY" for table in _PROTECTED),
    "ALTER TABLE ops.home DROP COLUMN tenant_id, DROP CONSTRAINT home_has_one_tenant,"
    " ADD COLUMN singleton BOOLEAN DEFAULT true NOT NULL PRIMARY KEY CONSTRAINT home_is_one_row CHECK (singleton)",
    "ALTER TABLE scores.publication_table DROP COLUMN tenant_id CASCADE, ADD PRIMARY KEY (version, table_name)",
    "ALTER TABLE scores.current_publication DROP COLUMN tenant_id CASCADE, ADD COLUMN singleton BOOLEAN"
    " DEFAULT true NOT NULL PRIMARY KEY CONSTRAINT current_publication_is_one_row CHECK (singleton)",
    "ALTER TABLE scores.publication DROP COLUMN tenant_id CASCADE, ADD PRIMARY KEY (version)",
    "ALTER TABLE scores.publication_table"
    " ADD FOREIGN KEY (version) REFERENCES scores.publication (version) ON DELETE CASCADE",
    "ALTER TABLE scores.current_publication ADD FOREIGN KEY (version) REFERENCES scores.publication (version)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    op.execute(_ERASE_SCORES.format(old=_ANY, new=_OWN))
    op.execute(_ERASE_MENTIONS.format(snapshots=_OWN))


def downgrade() -> None:
    op.execute(_ERASE_MENTIONS.format(snapshots=_ANY))
    op.execute(_ERASE_SCORES.format(old=_OWN, new=_ANY))
    for statement in UNDOING:
        op.execute(statement)

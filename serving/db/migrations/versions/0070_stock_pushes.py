"""Systems of suppliers that push their stock under a signature of their own, and the messages they sent.

Revision: 0070, after 0069.
"""

from alembic import op

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None

_TABLES = ("push_source", "push_nonce")

STATEMENTS = (
    """
    CREATE TABLE orders.push_source (
        tenant_id TEXT NOT NULL,
        source_id TEXT NOT NULL UNIQUE,
        supplier_id TEXT NOT NULL,
        public_key TEXT NOT NULL,
        is_active BOOLEAN NOT NULL DEFAULT true,
        created_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, source_id)
    )
    """,
    "COMMENT ON TABLE orders.push_source IS 'Systems that push the stock of a supplier, with the keys that"
    " they sign by. One row per system.'",
    # A key names one system of a supplier, however often it is registered.
    "CREATE UNIQUE INDEX push_source_by_key ON orders.push_source (tenant_id, supplier_id, md5(public_key))",
    """
    CREATE TABLE orders.push_nonce (
        tenant_id TEXT NOT NULL,
        source_id TEXT NOT NULL,
        nonce TEXT NOT NULL,
        seen_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, source_id, nonce),
        FOREIGN KEY (tenant_id, source_id) REFERENCES orders.push_source (tenant_id, source_id)
    )
    """,
    "COMMENT ON TABLE orders.push_nonce IS 'Nonces of pushed messages of the last day. One row per message.'",
    "CREATE INDEX push_nonce_by_age ON orders.push_nonce (tenant_id, source_id, seen_at)",
    """
    CREATE FUNCTION orders.tenant_of_push(p_source TEXT) RETURNS TEXT LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
        SELECT tenant_id FROM orders.push_source WHERE source_id = p_source AND is_active
    $$
    """,
    "REVOKE ALL ON FUNCTION orders.tenant_of_push(TEXT) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION orders.tenant_of_push(TEXT) TO muyun_app",
    "GRANT SELECT, INSERT, UPDATE ON orders.push_source TO muyun_app",
    "GRANT SELECT, INSERT, DELETE ON orders.push_nonce TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for table in _TABLES:
        op.execute(f"ALTER TABLE orders.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_tenant ON orders.{table} FOR ALL TO muyun_app"
            " USING (tenant_id = ops.current_tenant())"
        )


def downgrade() -> None:
    op.execute("DROP FUNCTION orders.tenant_of_push(TEXT)")
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE orders.{table}")

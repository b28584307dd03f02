"""Which anonymous visitor is which consumer, and what competitors ask.

Revision: 0014, after 0013.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA identity",
    # A device is no evidence: whoever holds it may be somebody else.
    """
    CREATE TABLE identity.edge (
        tenant_id TEXT NOT NULL,
        anonymous_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        valid_from TIMESTAMPTZ NOT NULL,
        evidence TEXT NOT NULL CHECK (evidence IN ('login', 'verified_contact', 'support')),
        received_at TIMESTAMPTZ NOT NULL,
        revoked_at TIMESTAMPTZ CHECK (revoked_at >= valid_from),
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, anonymous_id, consumer_id, valid_from)
    )
    """,
    "CREATE INDEX edge_by_consumer ON identity.edge (tenant_id, consumer_id)",
    "CREATE INDEX edge_by_xact ON identity.edge (xact_id)",
    "COMMENT ON TABLE identity.edge IS"
    " 'An anonymous visitor is a consumer from a moment on, until it is revoked; xact_id is of the last change."
    " One row per statement.'",
    """
    CREATE FUNCTION identity.erase(p_consumer TEXT) RETURNS BIGINT LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        own_tenant CONSTANT TEXT := ops.current_tenant();
        removed BIGINT;
        counted BIGINT;
    BEGIN
        DELETE FROM events.event e USING identity.edge i
            WHERE i.tenant_id = own_tenant AND i.consumer_id = p_consumer AND e.tenant_id = own_tenant
              AND e.anonymous_id = i.anonymous_id AND e.consumer_id IS NULL;
        GET DIAGNOSTICS removed = ROW_COUNT;
        DELETE FROM identity.edge WHERE tenant_id = own_tenant AND consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT;
        RETURN removed + counted;
    END $$
    """,
    "REVOKE ALL ON FUNCTION identity.erase(TEXT) FROM PUBLIC",
    "CREATE INDEX event_by_anonymous ON events.event (tenant_id, anonymous_id) WHERE anonymous_id IS NOT NULL",
    "CREATE SCHEMA market",
    """
    CREATE TABLE market.competitor_price (
        tenant_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        competitor TEXT NOT NULL,
        observed_at TIMESTAMPTZ NOT NULL,
        price_cents BIGINT NOT NULL CHECK (price_cents >= 1),
        merchant_id TEXT,
        received_at TIMESTAMPTZ NOT NULL,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, sku_id, competitor, observed_at)
    )
    """,
    "CREATE INDEX competitor_price_by_xact ON market.competitor_price (xact_id)",
    "COMMENT ON TABLE market.competitor_price IS"
    " 'Unit prices of competitors as observed; append-only. One row per sku, competitor and moment.'",
    """
    CREATE TRIGGER competitor_price_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
        ON market.competitor_price FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("identity", "market")
    op.execute("GRANT EXECUTE ON FUNCTION identity.erase(TEXT) TO muyun_app")


def downgrade() -> None:
    op.execute("DROP INDEX events.event_by_anonymous")
    op.execute("DROP SCHEMA market CASCADE")
    op.execute("DROP SCHEMA identity CASCADE")

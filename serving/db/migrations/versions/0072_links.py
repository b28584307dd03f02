"""Short links: destinations, links, clicks.

Revision: 0072, after 0071.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA links",
    """
    CREATE TABLE links.destination (
        tenant_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        destination_id TEXT NOT NULL,
        url TEXT NOT NULL CHECK (url LIKE 'https://%'),
        made_by TEXT NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        removed_at TIMESTAMPTZ,
        PRIMARY KEY (tenant_id, merchant_id, destination_id)
    )
    """,
    "COMMENT ON TABLE links.destination IS"
    " 'Addresses that short links of a shop may lead to. One row per shop and name.'",
    """
    CREATE TABLE links.link (
        tenant_id TEXT NOT NULL,
        link_id TEXT NOT NULL UNIQUE,
        merchant_id TEXT NOT NULL,
        agent_id TEXT,
        channel TEXT NOT NULL,
        campaign TEXT NOT NULL,
        destination_id TEXT NOT NULL,
        made_by TEXT NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL CHECK (expires_at > made_at),
        revoked_at TIMESTAMPTZ,
        PRIMARY KEY (tenant_id, link_id),
        FOREIGN KEY (tenant_id, merchant_id, destination_id)
            REFERENCES links.destination (tenant_id, merchant_id, destination_id)
    )
    """,
    "CREATE INDEX link_by_merchant ON links.link (tenant_id, merchant_id, link_id)",
    "COMMENT ON TABLE links.link IS 'Short links; what they stand for is signed. One row per link.'",
    """
    CREATE TABLE links.click (
        tenant_id TEXT NOT NULL,
        click_id TEXT NOT NULL,
        link_id TEXT NOT NULL,
        occurred_at TIMESTAMPTZ NOT NULL,
        consumer_id TEXT,
        anonymous_id TEXT,
        named_at TIMESTAMPTZ,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, click_id),
        FOREIGN KEY (tenant_id, link_id) REFERENCES links.link (tenant_id, link_id),
        CHECK (consumer_id IS NULL OR anonymous_id IS NULL),
        CHECK (named_at IS NOT NULL OR (consumer_id IS NULL AND anonymous_id IS NULL))
    )
    """,
    "CREATE INDEX click_by_link ON links.click (tenant_id, link_id)",
    "CREATE INDEX click_by_xact ON links.click (xact_id)",
    "CREATE INDEX click_by_consumer ON links.click (tenant_id, consumer_id) WHERE consumer_id IS NOT NULL",
    "CREATE INDEX click_by_visitor ON links.click (tenant_id, anonymous_id) WHERE anonymous_id IS NOT NULL",
    "COMMENT ON TABLE links.click IS"
    " 'Who followed a short link, once the shop said so; nothing is kept of a device. One row per click.'",
    """
    CREATE FUNCTION links.tenant_of(p_link TEXT) RETURNS TEXT LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
        SELECT tenant_id FROM links.link WHERE link_id = p_link
    $$
    """,
    "REVOKE ALL ON FUNCTION links.tenant_of(TEXT) FROM PUBLIC",
    # The click stays in the counts and names nobody; visitors who were the person are known by their digests.
    """
    CREATE FUNCTION links.erase(p_consumer TEXT, p_pseudonym TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        own_tenant CONSTANT TEXT := ops.current_tenant();
        counted BIGINT;
    BEGIN
        UPDATE links.click c SET consumer_id = NULL, anonymous_id = NULL, xact_id = pg_current_xact_id()
            WHERE c.tenant_id = own_tenant AND (c.consumer_id = p_consumer OR EXISTS (
                SELECT FROM identity.erased_visitor v WHERE v.tenant_id = own_tenant
                    AND c.anonymous_id IS NOT NULL AND c.occurred_at <= v.erased_at
                    AND v.visitor_digest = consumers.digest(own_tenant, c.anonymous_id)));
        GET DIAGNOSTICS counted = ROW_COUNT;
        RETURN counted;
    END $$
    """,
    "REVOKE ALL ON FUNCTION links.erase(TEXT, TEXT) FROM PUBLIC",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("links")
    op.execute("GRANT EXECUTE ON FUNCTION links.tenant_of(TEXT), links.erase(TEXT, TEXT) TO muyun_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA links CASCADE")

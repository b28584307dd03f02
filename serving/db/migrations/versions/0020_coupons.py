"""Coupon programmes, issued codes, redemptions, and what funders owe for discounts.

Revision: 0020, after 0019.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA coupons",
    """
    CREATE TABLE coupons.programme (
        tenant_id TEXT NOT NULL,
        programme_id TEXT NOT NULL,
        issuer_type TEXT NOT NULL CHECK (issuer_type IN ('platform', 'merchant')),
        issuer_id TEXT NOT NULL,
        name TEXT NOT NULL,
        terms JSONB NOT NULL,
        terms_digest TEXT NOT NULL,
        budget_cents BIGINT NOT NULL CHECK (budget_cents >= 1),
        budget_count BIGINT NOT NULL CHECK (budget_count >= 1),
        spent_cents BIGINT NOT NULL DEFAULT 0,
        spent_count BIGINT NOT NULL DEFAULT 0,
        valid_from TIMESTAMPTZ NOT NULL,
        valid_to TIMESTAMPTZ NOT NULL CHECK (valid_to > valid_from),
        status TEXT NOT NULL CHECK (status IN ('proposed', 'active', 'closed')),
        opened_at TIMESTAMPTZ NOT NULL,
        opened_by TEXT NOT NULL,
        closed_at TIMESTAMPTZ,
        closed_by TEXT,
        PRIMARY KEY (tenant_id, programme_id),
        CONSTRAINT budget_is_never_overspent CHECK (
            spent_cents BETWEEN 0 AND budget_cents AND spent_count BETWEEN 0 AND budget_count),
        CONSTRAINT closed_programmes_know_when CHECK ((status = 'closed') = (closed_at IS NOT NULL))
    )
    """,
    "COMMENT ON TABLE coupons.programme IS"
    " 'What coupons are worth, where they hold, and what they may cost; terms never change. One row per programme.'",
    """
    CREATE TABLE coupons.funder (
        tenant_id TEXT NOT NULL,
        programme_id TEXT NOT NULL,
        party_type TEXT NOT NULL CHECK (party_type IN ('platform', 'merchant', 'supplier')),
        party_id TEXT NOT NULL,
        share_bps INTEGER NOT NULL CHECK (share_bps BETWEEN 1 AND 10000),
        consented_at TIMESTAMPTZ,
        consented_by TEXT,
        PRIMARY KEY (tenant_id, programme_id, party_type),
        FOREIGN KEY (tenant_id, programme_id) REFERENCES coupons.programme (tenant_id, programme_id),
        CONSTRAINT consents_know_who CHECK ((consented_at IS NULL) = (consented_by IS NULL))
    )
    """,
    "COMMENT ON TABLE coupons.funder IS"
    " 'Who bears which share of a programme, and since when that party agrees. One row per programme and funder.'",
    "CREATE INDEX funder_by_party ON coupons.funder (tenant_id, party_type, party_id)",
    """
    CREATE TABLE coupons.coupon (
        tenant_id TEXT NOT NULL,
        code TEXT NOT NULL,
        programme_id TEXT NOT NULL,
        consumer_id TEXT,
        max_uses INTEGER NOT NULL CHECK (max_uses >= 1),
        used_count INTEGER NOT NULL DEFAULT 0,
        issued_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, code),
        FOREIGN KEY (tenant_id, programme_id) REFERENCES coupons.programme (tenant_id, programme_id),
        CONSTRAINT coupon_is_not_used_too_often CHECK (used_count BETWEEN 0 AND max_uses)
    )
    """,
    "COMMENT ON TABLE coupons.coupon IS 'Issued coupons; without a consumer whoever brings the code. One row per code.'",
    "CREATE INDEX coupon_by_programme ON coupons.coupon (tenant_id, programme_id, code)",
    "CREATE INDEX coupon_by_consumer ON coupons.coupon (tenant_id, consumer_id) WHERE consumer_id IS NOT NULL",
    """
    CREATE TABLE coupons.redemption (
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        code TEXT NOT NULL,
        programme_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        discount_cents BIGINT NOT NULL CHECK (discount_cents >= 1),
        redeemed_at TIMESTAMPTZ NOT NULL,
        state TEXT NOT NULL DEFAULT 'redeemed' CHECK (state IN ('redeemed', 'given_back', 'forfeited')),
        PRIMARY KEY (tenant_id, order_id, code),
        FOREIGN KEY (tenant_id, order_id) REFERENCES orders.customer_order (tenant_id, order_id),
        FOREIGN KEY (tenant_id, code) REFERENCES coupons.coupon (tenant_id, code)
    )
    """,
    "COMMENT ON TABLE coupons.redemption IS"
    " 'Coupons of orders; an order that ended gave them back or forfeited them. One row per order and code.'",
    "CREATE INDEX redemption_by_consumer ON coupons.redemption (tenant_id, programme_id, consumer_id)",
    """
    CREATE TABLE coupons.line_discount (
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        line_no INTEGER NOT NULL CHECK (line_no >= 1),
        code TEXT NOT NULL,
        party_type TEXT NOT NULL CHECK (party_type IN ('platform', 'merchant', 'supplier')),
        party_id TEXT NOT NULL,
        discount_cents BIGINT NOT NULL CHECK (discount_cents >= 1),
        PRIMARY KEY (tenant_id, order_id, line_no, code, party_type),
        FOREIGN KEY (tenant_id, order_id, code) REFERENCES coupons.redemption (tenant_id, order_id, code)
    )
    """,
    "COMMENT ON TABLE coupons.line_discount IS"
    " 'What coupons take off lines, and at whose cost. One row per line, code and funder.'",
    """
    CREATE TABLE settlement.discount_debt (
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        line_no INTEGER NOT NULL CHECK (line_no >= 1),
        party_type TEXT NOT NULL CHECK (party_type IN ('merchant', 'supplier')),
        party_id TEXT NOT NULL,
        discount_cents BIGINT NOT NULL CHECK (discount_cents >= 1),
        owed_cents BIGINT NOT NULL,
        reversed_cents BIGINT NOT NULL DEFAULT 0,
        PRIMARY KEY (tenant_id, order_id, line_no, party_type, party_id),
        FOREIGN KEY (tenant_id, order_id) REFERENCES orders.customer_order (tenant_id, order_id),
        CONSTRAINT a_funder_owes_at_most_its_discount CHECK (
            owed_cents BETWEEN 0 AND discount_cents AND reversed_cents BETWEEN 0 AND owed_cents)
    )
    """,
    "COMMENT ON TABLE settlement.discount_debt IS"
    " 'Agreed discounts, and what the funder''s own share does not carry of them. One row per line and funder.'",
    "ALTER TABLE settlement.discount_debt ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON settlement.discount_debt FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT, UPDATE ON settlement.discount_debt TO muyun_app",
    # Rows about money stay, under the pseudonym that `consumers.erase` gave.
    """
    CREATE FUNCTION coupons.erase(p_consumer TEXT, p_pseudonym TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        own_tenant CONSTANT TEXT := ops.current_tenant();
        issued BIGINT;
        redeemed BIGINT;
    BEGIN
        UPDATE coupons.coupon SET consumer_id = p_pseudonym
            WHERE tenant_id = own_tenant AND consumer_id = p_consumer;
        GET DIAGNOSTICS issued = ROW_COUNT;
        UPDATE coupons.redemption SET consumer_id = p_pseudonym
            WHERE tenant_id = own_tenant AND consumer_id = p_consumer;
        GET DIAGNOSTICS redeemed = ROW_COUNT;
        RETURN issued + redeemed;
    END $$
    """,
    "REVOKE ALL ON FUNCTION coupons.erase(TEXT, TEXT) FROM PUBLIC",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("coupons")
    op.execute("GRANT EXECUTE ON FUNCTION coupons.erase(TEXT, TEXT) TO muyun_app")


def downgrade() -> None:
    op.execute("DROP TABLE settlement.discount_debt")
    op.execute("DROP SCHEMA coupons CASCADE")

"""Promotions: their terms, units, groups of buyers, and the orders that took of them.

Revision: 0078, after 0077.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0078"
down_revision = "0077"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA promotions",
    """
    CREATE TABLE promotions.promotion (
        tenant_id TEXT NOT NULL,
        promotion_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('flash_sale', 'group_buy', 'threshold', 'limited_discount',
            'gift', 'live')),
        title TEXT NOT NULL,
        sku_ids TEXT[] NOT NULL,
        starts_at TIMESTAMPTZ NOT NULL,
        ends_at TIMESTAMPTZ NOT NULL,
        price_cents BIGINT CHECK (price_cents >= 0),
        min_goods_cents BIGINT NOT NULL CHECK (min_goods_cents >= 0),
        stock_qty INTEGER CHECK (stock_qty BETWEEN 1 AND 10000),
        per_consumer_qty INTEGER NOT NULL CHECK (per_consumer_qty >= 1),
        group_size INTEGER CHECK (group_size BETWEEN 2 AND 100),
        group_minutes INTEGER CHECK (group_minutes >= 1),
        scene_id TEXT,
        programme_id TEXT NOT NULL,
        code TEXT,
        status TEXT NOT NULL CHECK (status IN ('proposed', 'active', 'closed')),
        made_by TEXT NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        approved_by TEXT CHECK (approved_by <> made_by),
        approved_at TIMESTAMPTZ,
        closed_by TEXT,
        closed_at TIMESTAMPTZ,
        PRIMARY KEY (tenant_id, promotion_id),
        UNIQUE (tenant_id, programme_id),
        FOREIGN KEY (tenant_id, programme_id) REFERENCES coupons.programme (tenant_id, programme_id),
        CHECK (starts_at < ends_at),
        CHECK ((group_size IS NULL) = (kind <> 'group_buy')),
        CHECK ((group_minutes IS NULL) = (kind <> 'group_buy')),
        CHECK (status <> 'active' OR (approved_at IS NOT NULL AND code IS NOT NULL))
    )
    """,
    "COMMENT ON TABLE promotions.promotion IS"
    " 'What a shop promotes, how, and by which coupon programme it is paid for. One row per promotion.'",
    "CREATE INDEX promotion_by_shop ON promotions.promotion (tenant_id, merchant_id, promotion_id)",
    # A unit is a row, so that orders take units without waiting for each other.
    """
    CREATE TABLE promotions.unit (
        tenant_id TEXT NOT NULL,
        promotion_id TEXT NOT NULL,
        unit_no INTEGER NOT NULL CHECK (unit_no >= 1),
        order_id TEXT,
        PRIMARY KEY (tenant_id, promotion_id, unit_no),
        FOREIGN KEY (tenant_id, promotion_id) REFERENCES promotions.promotion (tenant_id, promotion_id)
    )
    """,
    "COMMENT ON TABLE promotions.unit IS"
    " 'Units of a promotion, and the order that has each. One row per promotion and unit.'",
    "CREATE INDEX unit_free ON promotions.unit (tenant_id, promotion_id, unit_no) WHERE order_id IS NULL",
    "CREATE INDEX unit_by_order ON promotions.unit (tenant_id, order_id) WHERE order_id IS NOT NULL",
    """
    CREATE TABLE promotions.buying_group (
        tenant_id TEXT NOT NULL,
        group_id TEXT NOT NULL,
        promotion_id TEXT NOT NULL,
        size INTEGER NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('open', 'complete', 'ended')),
        opened_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL CHECK (expires_at > opened_at),
        closed_at TIMESTAMPTZ,
        PRIMARY KEY (tenant_id, group_id),
        FOREIGN KEY (tenant_id, promotion_id) REFERENCES promotions.promotion (tenant_id, promotion_id),
        CHECK ((closed_at IS NULL) = (status = 'open'))
    )
    """,
    "COMMENT ON TABLE promotions.buying_group IS 'Buyers who buy together or not at all. One row per group.'",
    "CREATE INDEX group_due ON promotions.buying_group (tenant_id, expires_at) WHERE status = 'open'",
    "CREATE INDEX group_by_promotion ON promotions.buying_group (tenant_id, promotion_id, group_id)",
    """
    CREATE TABLE promotions.seat (
        tenant_id TEXT NOT NULL,
        group_id TEXT NOT NULL,
        seat_no INTEGER NOT NULL CHECK (seat_no >= 1),
        order_id TEXT,
        PRIMARY KEY (tenant_id, group_id, seat_no),
        FOREIGN KEY (tenant_id, group_id) REFERENCES promotions.buying_group (tenant_id, group_id)
    )
    """,
    "COMMENT ON TABLE promotions.seat IS 'Seats of a group, and the order that has each. One row per seat.'",
    "CREATE UNIQUE INDEX seat_by_order ON promotions.seat (tenant_id, order_id) WHERE order_id IS NOT NULL",
    """
    CREATE TABLE promotions.claim (
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        promotion_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        qty INTEGER NOT NULL CHECK (qty >= 1),
        group_id TEXT,
        state TEXT NOT NULL CHECK (state IN ('taken', 'given_back')),
        taken_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, order_id),
        FOREIGN KEY (tenant_id, promotion_id) REFERENCES promotions.promotion (tenant_id, promotion_id),
        FOREIGN KEY (tenant_id, group_id) REFERENCES promotions.buying_group (tenant_id, group_id)
    )
    """,
    "COMMENT ON TABLE promotions.claim IS 'What orders took of promotions. One row per order.'",
    "CREATE INDEX claim_by_buyer ON promotions.claim (tenant_id, promotion_id, consumer_id)",
    "CREATE INDEX claim_by_consumer ON promotions.claim (tenant_id, consumer_id)",
    "CREATE INDEX claim_by_group ON promotions.claim (tenant_id, group_id) WHERE group_id IS NOT NULL",
    """
    CREATE FUNCTION promotions.erase(p_consumer TEXT, p_pseudonym TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        counted BIGINT;
    BEGIN
        UPDATE promotions.claim SET consumer_id = p_pseudonym
            WHERE tenant_id = ops.current_tenant() AND consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT;
        RETURN counted;
    END $$
    """,
    "REVOKE ALL ON FUNCTION promotions.erase(TEXT, TEXT) FROM PUBLIC",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("promotions")
    op.execute("GRANT EXECUTE ON FUNCTION promotions.erase(TEXT, TEXT) TO muyun_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA promotions CASCADE")

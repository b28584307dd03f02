"""Parties, the catalogue of offers, stock, orders, after-sale, webhooks and behaviour events.

Revision: 0003, after 0002.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SCHEMAS = ("parties", "orders", "events")

_TABLES = (
    """
    CREATE TABLE parties.party (
        tenant_id TEXT NOT NULL,
        party_type TEXT NOT NULL CHECK (party_type IN ('supplier', 'merchant', 'agent')),
        party_id TEXT NOT NULL,
        name TEXT,
        region_code TEXT,
        is_natural_person BOOLEAN NOT NULL DEFAULT false,
        has_contract BOOLEAN NOT NULL DEFAULT false,
        is_verified BOOLEAN NOT NULL DEFAULT false,
        is_active BOOLEAN NOT NULL DEFAULT true,
        joined_on DATE,
        PRIMARY KEY (tenant_id, party_type, party_id)
    )
    """,
    "COMMENT ON TABLE parties.party IS 'Suppliers, merchants and agents. One row per party.'",
    """
    CREATE TABLE orders.product (
        tenant_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        title TEXT NOT NULL,
        category_ids TEXT[] NOT NULL DEFAULT '{}',
        PRIMARY KEY (tenant_id, sku_id)
    )
    """,
    "COMMENT ON TABLE orders.product IS 'What can be ordered. One row per sku.'",
    """
    CREATE TABLE orders.offer (
        tenant_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        supply_price_cents BIGINT NOT NULL CHECK (supply_price_cents >= 0),
        freight_cents BIGINT NOT NULL DEFAULT 0 CHECK (freight_cents >= 0),
        lead_time_days INTEGER NOT NULL CHECK (lead_time_days >= 0),
        min_order_qty BIGINT NOT NULL DEFAULT 1 CHECK (min_order_qty >= 1),
        ship_from_region TEXT,
        is_active BOOLEAN NOT NULL DEFAULT true,
        source_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, supplier_id, sku_id)
    )
    """,
    "CREATE INDEX offer_by_sku ON orders.offer (tenant_id, sku_id)",
    "COMMENT ON TABLE orders.offer IS 'Supply price and terms in force. One row per supplier and sku.'",
    """
    CREATE TABLE orders.stock (
        tenant_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        on_hand_qty BIGINT NOT NULL CHECK (on_hand_qty >= 0),
        reserved_qty BIGINT NOT NULL DEFAULT 0 CHECK (reserved_qty >= 0),
        buffer_qty BIGINT NOT NULL DEFAULT 0 CHECK (buffer_qty >= 0),
        source_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, supplier_id, sku_id)
    ) WITH (fillfactor = 70)
    """,
    "COMMENT ON TABLE orders.stock IS 'Stock as last reported, and what orders reserve. One row per supplier and sku.'",
    """
    CREATE TABLE orders.stock_movement (
        movement_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        qty_delta BIGINT NOT NULL CHECK (qty_delta <> 0),
        reason TEXT NOT NULL CHECK (reason IN ('inbound', 'sale', 'return', 'adjust', 'transfer')),
        order_id TEXT,
        occurred_at TIMESTAMPTZ NOT NULL,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id()
    )
    """,
    "CREATE INDEX stock_movement_by_xact ON orders.stock_movement (xact_id, movement_id)",
    "COMMENT ON TABLE orders.stock_movement IS 'Changes of stock on hand; append-only. One row per change.'",
    """
    CREATE TABLE orders.listing (
        tenant_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        list_price_cents BIGINT NOT NULL CHECK (list_price_cents >= 0),
        is_listed BOOLEAN NOT NULL DEFAULT true,
        PRIMARY KEY (tenant_id, merchant_id, sku_id)
    )
    """,
    "COMMENT ON TABLE orders.listing IS 'What a merchant sells at which unit price. One row per merchant and sku.'",
    """
    CREATE TABLE orders.customer_order (
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        agent_id TEXT,
        channel TEXT NOT NULL CHECK (channel IN ('mini_program', 'wecom', 'live', 'store', 'other')),
        region_code TEXT,
        source TEXT NOT NULL CHECK (source IN ('api', 'replay')),
        status TEXT NOT NULL CHECK (status IN
            ('placed', 'paid', 'shipped', 'received', 'completed', 'cancelled', 'refunded')),
        placed_at TIMESTAMPTZ NOT NULL,
        paid_at TIMESTAMPTZ,
        coupon_discount_cents BIGINT NOT NULL DEFAULT 0 CHECK (coupon_discount_cents >= 0),
        freight_cents BIGINT NOT NULL DEFAULT 0 CHECK (freight_cents >= 0),
        payable_cents BIGINT NOT NULL CHECK (payable_cents >= 0),
        captured_cents BIGINT NOT NULL DEFAULT 0 CHECK (captured_cents >= 0),
        refunded_cents BIGINT NOT NULL DEFAULT 0 CHECK (refunded_cents BETWEEN 0 AND captured_cents),
        plan_id TEXT,
        plan_version INTEGER,
        snapshot JSONB,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, order_id)
    )
    """,
    "CREATE INDEX customer_order_by_merchant ON orders.customer_order (tenant_id, merchant_id, placed_at, order_id)",
    "CREATE INDEX customer_order_by_xact ON orders.customer_order (xact_id)",
    "COMMENT ON TABLE orders.customer_order IS 'Orders of consumers; xact_id is of the last change. One row per order.'",
    # One supplier a line: a line that is split over suppliers becomes several lines when it is routed.
    """
    CREATE TABLE orders.order_line (
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        line_no INTEGER NOT NULL CHECK (line_no >= 1),
        sku_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        qty BIGINT NOT NULL CHECK (qty >= 1),
        list_price_cents BIGINT NOT NULL CHECK (list_price_cents >= 0),
        promo_discount_cents BIGINT NOT NULL DEFAULT 0 CHECK (promo_discount_cents >= 0),
        coupon_discount_cents BIGINT NOT NULL DEFAULT 0 CHECK (coupon_discount_cents >= 0),
        net_paid_cents BIGINT NOT NULL CHECK (net_paid_cents >= 0),
        supply_price_cents BIGINT NOT NULL CHECK (supply_price_cents >= 0),
        refunded_cents BIGINT NOT NULL DEFAULT 0 CHECK (refunded_cents BETWEEN 0 AND net_paid_cents),
        reserved_qty BIGINT NOT NULL DEFAULT 0 CHECK (reserved_qty BETWEEN 0 AND qty),
        PRIMARY KEY (tenant_id, order_id, line_no),
        FOREIGN KEY (tenant_id, order_id) REFERENCES orders.customer_order (tenant_id, order_id),
        CONSTRAINT net_is_list_less_discounts
            CHECK (net_paid_cents = list_price_cents - promo_discount_cents - coupon_discount_cents)
    )
    """,
    "COMMENT ON TABLE orders.order_line IS 'Lines of orders, amounts for the whole line. One row per order and line.'",
    """
    CREATE TABLE orders.sub_order (
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN
            ('pending', 'accepted', 'rejected', 'shipped', 'received', 'released', 'cancelled')),
        freight_cents BIGINT NOT NULL DEFAULT 0 CHECK (freight_cents >= 0),
        refunded_freight_cents BIGINT NOT NULL DEFAULT 0
            CHECK (refunded_freight_cents BETWEEN 0 AND freight_cents),
        accepted_at TIMESTAMPTZ,
        shipped_at TIMESTAMPTZ,
        received_at TIMESTAMPTZ,
        release_due_at TIMESTAMPTZ,
        PRIMARY KEY (tenant_id, order_id, supplier_id),
        FOREIGN KEY (tenant_id, order_id) REFERENCES orders.customer_order (tenant_id, order_id)
    )
    """,
    "CREATE INDEX sub_order_by_supplier ON orders.sub_order (tenant_id, supplier_id, status)",
    "CREATE INDEX sub_order_receipt_due ON orders.sub_order (tenant_id, shipped_at) WHERE status = 'shipped'",
    "CREATE INDEX sub_order_release_due ON orders.sub_order (tenant_id, release_due_at) WHERE status = 'received'",
    "COMMENT ON TABLE orders.sub_order IS 'What one supplier ships of an order. One row per order and supplier.'",
    # Personal fields are sealed by serving.privacy; no clear value is ever written.
    """
    CREATE TABLE orders.recipient (
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        name_enc BYTEA NOT NULL,
        phone_enc BYTEA NOT NULL,
        address_enc BYTEA NOT NULL,
        region_code TEXT,
        PRIMARY KEY (tenant_id, order_id),
        FOREIGN KEY (tenant_id, order_id) REFERENCES orders.customer_order (tenant_id, order_id)
    )
    """,
    "COMMENT ON TABLE orders.recipient IS 'Who receives an order, encrypted. One row per order that has a recipient.'",
    """
    CREATE TABLE orders.payment (
        tenant_id TEXT NOT NULL,
        payment_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        adapter TEXT NOT NULL,
        captured_cents BIGINT NOT NULL CHECK (captured_cents >= 0),
        fee_cents BIGINT NOT NULL CHECK (fee_cents >= 0),
        paid_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, payment_id),
        UNIQUE (tenant_id, order_id),
        FOREIGN KEY (tenant_id, order_id) REFERENCES orders.customer_order (tenant_id, order_id)
    )
    """,
    "COMMENT ON TABLE orders.payment IS 'Payments as the channel reported them. One row per payment.'",
    """
    CREATE TABLE orders.shipment (
        tenant_id TEXT NOT NULL,
        shipment_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        carrier TEXT,
        tracking_no TEXT,
        from_region TEXT,
        to_region TEXT,
        promised_at TIMESTAMPTZ NOT NULL,
        shipped_at TIMESTAMPTZ NOT NULL,
        delivered_at TIMESTAMPTZ,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, shipment_id),
        FOREIGN KEY (tenant_id, order_id, supplier_id) REFERENCES orders.sub_order (tenant_id, order_id, supplier_id)
    )
    """,
    "CREATE INDEX shipment_by_order ON orders.shipment (tenant_id, order_id)",
    "COMMENT ON TABLE orders.shipment IS 'Parcels. One row per parcel.'",
    # line_no 0 is the freight of the supplier.
    """
    CREATE TABLE orders.after_sale (
        tenant_id TEXT NOT NULL,
        case_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        line_no INTEGER NOT NULL CHECK (line_no >= 0),
        supplier_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('refund', 'return', 'complaint')),
        reason_code TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('open', 'refunded', 'rejected', 'closed')),
        requested_cents BIGINT NOT NULL CHECK (requested_cents >= 0),
        refund_cents BIGINT NOT NULL DEFAULT 0 CHECK (refund_cents >= 0),
        opened_at TIMESTAMPTZ NOT NULL,
        resolved_at TIMESTAMPTZ,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, case_id),
        FOREIGN KEY (tenant_id, order_id) REFERENCES orders.customer_order (tenant_id, order_id)
    )
    """,
    "CREATE INDEX after_sale_by_order ON orders.after_sale (tenant_id, order_id)",
    "CREATE INDEX after_sale_by_xact ON orders.after_sale (xact_id)",
    "COMMENT ON TABLE orders.after_sale IS 'After-sale cases. One row per case.'",
    """
    CREATE TABLE orders.idempotency (
        tenant_id TEXT NOT NULL,
        operation TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        request_hash BYTEA NOT NULL,
        status_code INTEGER,
        response JSONB,
        created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (tenant_id, operation, idempotency_key)
    )
    """,
    "COMMENT ON TABLE orders.idempotency IS 'Answers given under idempotency keys. One row per operation and key.'",
    """
    CREATE TABLE orders.webhook_endpoint (
        tenant_id TEXT NOT NULL,
        endpoint_id TEXT NOT NULL,
        party_type TEXT NOT NULL,
        party_id TEXT NOT NULL,
        url TEXT NOT NULL,
        secret_enc BYTEA NOT NULL,
        is_active BOOLEAN NOT NULL DEFAULT true,
        created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (tenant_id, endpoint_id)
    )
    """,
    "COMMENT ON TABLE orders.webhook_endpoint IS 'Where a party wants to be told. One row per address.'",
    """
    CREATE TABLE orders.webhook_delivery (
        delivery_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        endpoint_id TEXT NOT NULL,
        event_type TEXT NOT NULL,
        object_id TEXT NOT NULL,
        payload JSONB NOT NULL,
        state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'given_up')),
        attempts INTEGER NOT NULL DEFAULT 0,
        next_attempt_at TIMESTAMPTZ NOT NULL,
        last_answer TEXT,
        UNIQUE (tenant_id, endpoint_id, event_type, object_id),
        FOREIGN KEY (tenant_id, endpoint_id) REFERENCES orders.webhook_endpoint (tenant_id, endpoint_id)
    )
    """,
    "CREATE INDEX webhook_delivery_due ON orders.webhook_delivery (next_attempt_at) WHERE state = 'waiting'",
    "COMMENT ON TABLE orders.webhook_delivery IS 'Messages to endpoints. One row per endpoint and message.'",
    """
    CREATE TABLE events.event (
        tenant_id TEXT NOT NULL,
        event_id TEXT NOT NULL,
        merchant_id TEXT,
        consumer_id TEXT,
        anonymous_id TEXT,
        session_id TEXT NOT NULL,
        event_type TEXT NOT NULL CHECK (event_type IN ('impression', 'view', 'search', 'favourite', 'add_to_cart',
            'remove_from_cart', 'share', 'checkout')),
        sku_id TEXT,
        query TEXT,
        dwell_ms BIGINT,
        position INTEGER,
        policy_version TEXT,
        propensity DOUBLE PRECISION CHECK (propensity > 0 AND propensity <= 1),
        occurred_at TIMESTAMPTZ NOT NULL,
        received_at TIMESTAMPTZ NOT NULL,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, event_id)
    )
    """,
    "CREATE INDEX event_by_xact ON events.event (xact_id)",
    "COMMENT ON TABLE events.event IS 'Behaviour events. One row per event.'",
)


def upgrade() -> None:
    for schema in _SCHEMAS:
        op.execute(f"CREATE SCHEMA {schema}")
    for statement in _TABLES:
        op.execute(statement)
    op.execute(
        "CREATE TRIGGER stock_movement_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON orders.stock_movement"
        " FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()"
    )
    protect(*_SCHEMAS)


def downgrade() -> None:
    for schema in reversed(_SCHEMAS):
        op.execute(f"DROP SCHEMA {schema} CASCADE")

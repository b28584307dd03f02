"""Accounts at payment channels, what channels say, what they are asked, and money that fits nothing.

Revision: 0023, after 0022.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA channels",
    # A notice comes without a key: the id alone must say whose it is, hence unique over all tenants.
    """
    CREATE TABLE channels.account (
        tenant_id TEXT NOT NULL,
        channel_id TEXT NOT NULL UNIQUE,
        adapter TEXT NOT NULL,
        merchant_number TEXT NOT NULL,
        app_id TEXT NOT NULL,
        api_url TEXT NOT NULL,
        notify_url TEXT NOT NULL,
        fee_bps INTEGER NOT NULL CHECK (fee_bps BETWEEN 0 AND 10000),
        public_keys JSONB NOT NULL,
        secrets_enc BYTEA NOT NULL,
        is_active BOOLEAN NOT NULL DEFAULT true,
        created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (tenant_id, channel_id),
        UNIQUE (tenant_id, adapter, merchant_number)
    )
    """,
    "COMMENT ON TABLE channels.account IS"
    " 'Accounts at payment channels; secrets are sealed. One row per account.'",
    """
    CREATE FUNCTION channels.tenant_of(p_channel TEXT) RETURNS TEXT LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
        SELECT tenant_id FROM channels.account WHERE channel_id = p_channel
    $$
    """,
    "REVOKE ALL ON FUNCTION channels.tenant_of(TEXT) FROM PUBLIC",
    """
    CREATE TABLE channels.nonce (
        tenant_id TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        nonce TEXT NOT NULL,
        seen_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, channel_id, nonce)
    )
    """,
    "CREATE INDEX nonce_by_age ON channels.nonce (tenant_id, seen_at)",
    "COMMENT ON TABLE channels.nonce IS 'Nonces of signed messages of the last day. One row per message.'",
    """
    CREATE TABLE channels.fact (
        tenant_id TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('payment', 'refund', 'payout', 'chargeback')),
        reference TEXT NOT NULL,
        progress TEXT NOT NULL CHECK (progress IN ('accepted', 'done', 'failed', 'returned')),
        other_reference TEXT NOT NULL,
        amount_cents BIGINT NOT NULL CHECK (amount_cents > 0),
        currency TEXT NOT NULL,
        occurred_at TIMESTAMPTZ NOT NULL,
        notice_id TEXT NOT NULL,
        received_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (tenant_id, channel_id, kind, reference, progress),
        FOREIGN KEY (tenant_id, channel_id) REFERENCES channels.account (tenant_id, channel_id)
    )
    """,
    "COMMENT ON TABLE channels.fact IS"
    " 'What channels said under a verified signature; append-only. One row per thing and state.'",
    """
    CREATE TRIGGER fact_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
        ON channels.fact FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()
    """,
    """
    CREATE TABLE channels.misfit (
        tenant_id TEXT NOT NULL,
        misfit_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind TEXT NOT NULL,
        channel_id TEXT,
        reference TEXT NOT NULL,
        order_ref TEXT,
        amount_cents BIGINT NOT NULL,
        booked_cents BIGINT NOT NULL,
        currency TEXT NOT NULL,
        occurred_at TIMESTAMPTZ NOT NULL,
        detail TEXT,
        state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
        act TEXT,
        reason TEXT,
        closed_by TEXT,
        closed_at TIMESTAMPTZ,
        UNIQUE (tenant_id, kind, reference),
        CHECK ((state = 'closed') = (act IS NOT NULL AND closed_at IS NOT NULL))
    )
    """,
    "CREATE INDEX misfit_by_state ON channels.misfit (tenant_id, state, misfit_id)",
    "COMMENT ON TABLE channels.misfit IS"
    " 'Money that fits no order, refund or pay-out; booked_cents lies in reconciliation_suspense while open."
    " One row per difference.'",
    "ALTER TABLE orders.payment ADD COLUMN channel_id TEXT",
    "ALTER TABLE orders.payment ADD FOREIGN KEY (tenant_id, channel_id)"
    " REFERENCES channels.account (tenant_id, channel_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("channels")
    op.execute("GRANT EXECUTE ON FUNCTION channels.tenant_of(TEXT) TO muyun_app")
    op.execute("GRANT DELETE ON channels.nonce TO muyun_app")


def downgrade() -> None:
    op.execute("ALTER TABLE orders.payment DROP COLUMN channel_id")
    op.execute("DROP SCHEMA channels CASCADE")

"""What payment channels are asked to do, whom they pay, and refunds on their way.

Revision: 0031, after 0030.
"""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

STATEMENTS = (
    "INSERT INTO ledger.account_kind (kind, unit, has_balance_row, guard, description) VALUES"
    " ('refund_in_transit', 'CNY', false, 0,"
    " 'Owed to buyers: asked of the payment channel, not yet done.')",
    """
    CREATE TABLE channels.payee (
        tenant_id TEXT NOT NULL,
        payee_id TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        party_type TEXT NOT NULL,
        party_id TEXT NOT NULL,
        account_enc BYTEA NOT NULL,
        PRIMARY KEY (tenant_id, payee_id),
        UNIQUE (tenant_id, channel_id, party_type, party_id),
        FOREIGN KEY (tenant_id, channel_id) REFERENCES channels.account (tenant_id, channel_id)
    )
    """,
    "COMMENT ON TABLE channels.payee IS"
    " 'Where a channel pays parties to; accounts are sealed. One row per channel and party.'",
    """
    CREATE TABLE channels.request (
        tenant_id TEXT NOT NULL,
        reference TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('refund', 'payout')),
        subject TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        payment_id TEXT,
        order_id TEXT,
        party_type TEXT,
        party_id TEXT,
        amount_cents BIGINT NOT NULL CHECK (amount_cents > 0),
        total_cents BIGINT NOT NULL,
        frozen_cents BIGINT NOT NULL,
        reason TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'requested'
            CHECK (state IN ('requested', 'accepted', 'done', 'failed')),
        attempts INTEGER NOT NULL DEFAULT 0,
        next_attempt_at TIMESTAMPTZ NOT NULL,
        last_answer TEXT,
        failure TEXT,
        requested_at TIMESTAMPTZ NOT NULL,
        resolved_at TIMESTAMPTZ,
        PRIMARY KEY (tenant_id, reference),
        UNIQUE (tenant_id, kind, subject),
        FOREIGN KEY (tenant_id, channel_id) REFERENCES channels.account (tenant_id, channel_id),
        CHECK ((state IN ('done', 'failed')) = (resolved_at IS NOT NULL)),
        CHECK ((state = 'failed') = (failure IS NOT NULL))
    )
    """,
    "CREATE INDEX request_due ON channels.request (tenant_id, next_attempt_at)"
    " WHERE state IN ('requested', 'accepted')",
    "CREATE INDEX request_by_order ON channels.request (tenant_id, order_id) WHERE order_id IS NOT NULL",
    "COMMENT ON TABLE channels.request IS"
    " 'Refunds and pay-outs asked of channels; reference is our id there. One row per request.'",
    "ALTER TABLE settlement.channel_bill_line DROP CONSTRAINT channel_bill_line_kind_check",
    "ALTER TABLE settlement.channel_bill_line ADD CONSTRAINT channel_bill_line_kind_check"
    " CHECK (kind IN ('payment', 'refund', 'payout', 'chargeback', 'payout_return'))",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for table in ("payee", "request"):
        op.execute(f"ALTER TABLE channels.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_tenant ON channels.{table} FOR ALL TO muyun_app"
            " USING (tenant_id = ops.current_tenant())"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON channels.{table} TO muyun_app")


def downgrade() -> None:
    op.execute("ALTER TABLE settlement.channel_bill_line DROP CONSTRAINT channel_bill_line_kind_check")
    op.execute(
        "ALTER TABLE settlement.channel_bill_line ADD CONSTRAINT channel_bill_line_kind_check"
        " CHECK (kind IN ('payment', 'refund', 'payout'))"
    )
    op.execute("DROP TABLE channels.request")
    op.execute("DROP TABLE channels.payee")
    op.execute("DELETE FROM ledger.account_kind WHERE kind = 'refund_in_transit'")

"""Parts of payments that channels send on to receivers: who receives, how much may be split, what came back.

Revision: 0043, after 0042.
"""

from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

_ASKED = ("refund", "payout", "split", "split_return", "unfreeze")
_SAID = ("payment", "refund", "payout", "chargeback", "split", "split_return")
_BILLED = ("payment", "refund", "payout", "chargeback", "payout_return", "split", "split_return")

STATEMENTS = (
    "ALTER TABLE channels.account ADD COLUMN split_max_bps INTEGER NOT NULL DEFAULT 0"
    " CHECK (split_max_bps BETWEEN 0 AND 10000)",
    "ALTER TABLE orders.payment ADD COLUMN split_max_bps INTEGER NOT NULL DEFAULT 0"
    " CHECK (split_max_bps BETWEEN 0 AND 10000)",
    "CREATE INDEX payment_that_may_be_split ON orders.payment (tenant_id, order_id) WHERE split_max_bps > 0",
    """
    CREATE TABLE channels.receiver (
        tenant_id TEXT NOT NULL,
        receiver_id TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        party_type TEXT NOT NULL,
        party_id TEXT NOT NULL,
        account_enc BYTEA NOT NULL,
        name_enc BYTEA NOT NULL,
        is_told BOOLEAN NOT NULL DEFAULT false,
        PRIMARY KEY (tenant_id, receiver_id),
        UNIQUE (tenant_id, channel_id, party_type, party_id),
        FOREIGN KEY (tenant_id, channel_id) REFERENCES channels.account (tenant_id, channel_id)
    )
    """,
    "COMMENT ON TABLE channels.receiver IS 'Whom a channel sends parts of payments to, sealed; is_told: the"
    " channel was told of the receiver. One row per channel and party.'",
    "ALTER TABLE settlement.payout ADD COLUMN order_id TEXT, ADD COLUMN channel_id TEXT,"
    " ADD COLUMN payment_id TEXT, ADD CHECK ((order_id IS NULL) = (payment_id IS NULL)"
    " AND (channel_id IS NULL) = (payment_id IS NULL))",
    "CREATE INDEX payout_by_order ON settlement.payout (tenant_id, order_id) WHERE order_id IS NOT NULL",
    "ALTER TABLE channels.request ADD COLUMN split_reference TEXT,"
    " ADD CHECK ((kind = 'split_return') = (split_reference IS NOT NULL))",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    _kinds("channels.request", "request_kind_check", _ASKED)
    _kinds("channels.fact", "fact_kind_check", _SAID)
    _kinds("settlement.channel_bill_line", "channel_bill_line_kind_check", _BILLED)
    op.execute("ALTER TABLE channels.receiver ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_tenant ON channels.receiver FOR ALL TO muyun_app"
        " USING (tenant_id = ops.current_tenant())"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON channels.receiver TO muyun_app")


def downgrade() -> None:
    _kinds("settlement.channel_bill_line", "channel_bill_line_kind_check", _BILLED[:5])
    _kinds("channels.fact", "fact_kind_check", _SAID[:4])
    _kinds("channels.request", "request_kind_check", _ASKED[:2])
    op.execute("ALTER TABLE channels.request DROP COLUMN split_reference")
    op.execute(
        "ALTER TABLE settlement.payout DROP COLUMN order_id, DROP COLUMN channel_id, DROP COLUMN payment_id"
    )
    op.execute("DROP TABLE channels.receiver")
    op.execute("ALTER TABLE orders.payment DROP COLUMN split_max_bps")
    op.execute("ALTER TABLE channels.account DROP COLUMN split_max_bps")


def _kinds(table: str, name: str, kinds: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK (kind IN ({listed}))")

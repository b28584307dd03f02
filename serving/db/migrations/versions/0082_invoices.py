"""Purchase invoices by which parties show that their goods are genuine.

Revision: 0082, after 0081.
"""

from alembic import op

revision = "0082"
down_revision = "0081"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE supervision.invoice (
        tenant_id TEXT NOT NULL,
        party_type TEXT NOT NULL CHECK (party_type IN ('merchant', 'supplier')),
        party_id TEXT NOT NULL,
        invoice_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        issuer_tax_no TEXT NOT NULL,
        issued_on DATE NOT NULL,
        amount_cents BIGINT NOT NULL CHECK (amount_cents > 0),
        units BIGINT NOT NULL CHECK (units > 0),
        stated_by TEXT NOT NULL,
        stated_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, party_type, party_id, invoice_id, sku_id)
    )
    """,
    "COMMENT ON TABLE supervision.invoice IS 'Purchase invoices that back a listing or an offer, with the units of"
    " the sku on them; append-only. One row per party, invoice and sku.'",
    "CREATE INDEX invoice_by_id ON supervision.invoice (tenant_id, invoice_id)",
    "CREATE TRIGGER invoice_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON supervision.invoice"
    " FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change()",
    "ALTER TABLE supervision.invoice ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON supervision.invoice FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT ON supervision.invoice TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE supervision.invoice")

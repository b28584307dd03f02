"""A merchant is settled by a plan from a moment on; what was assigned before stays on record.

Revision: 0028, after 0027.
"""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

STATEMENTS = (
    # What was assigned until now has always been in force.
    "ALTER TABLE settlement.merchant_plan ADD COLUMN effective_at TIMESTAMPTZ NOT NULL"
    " DEFAULT '2000-01-01T00:00:00Z'",
    "ALTER TABLE settlement.merchant_plan ALTER COLUMN effective_at DROP DEFAULT",
    "ALTER TABLE settlement.merchant_plan DROP CONSTRAINT merchant_plan_pkey",
    "ALTER TABLE settlement.merchant_plan ADD PRIMARY KEY (tenant_id, merchant_id, effective_at)",
    "COMMENT ON TABLE settlement.merchant_plan IS"
    " 'Plan of a merchant from a moment on; '''' stands for all others. One row per merchant and moment.'",
    """
    CREATE TRIGGER merchant_plan_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement.merchant_plan
        FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER merchant_plan_is_immutable ON settlement.merchant_plan")
    op.execute(
        "DELETE FROM settlement.merchant_plan old USING settlement.merchant_plan new"
        " WHERE old.tenant_id = new.tenant_id AND old.merchant_id = new.merchant_id"
        " AND old.effective_at < new.effective_at"
    )
    op.execute("ALTER TABLE settlement.merchant_plan DROP CONSTRAINT merchant_plan_pkey")
    op.execute("ALTER TABLE settlement.merchant_plan ADD PRIMARY KEY (tenant_id, merchant_id)")
    op.execute("ALTER TABLE settlement.merchant_plan DROP COLUMN effective_at")

"""Who an agent is as a buyer, who referred which consumer, and the case that a violation belongs to.

Revision: 0008, after 0007.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE agents.agent ADD COLUMN own_consumer_id TEXT, ADD COLUMN runs_store BOOLEAN NOT NULL DEFAULT false",
    "CREATE UNIQUE INDEX agent_by_own_consumer ON agents.agent (tenant_id, own_consumer_id)"
    " WHERE own_consumer_id IS NOT NULL",
    "CREATE INDEX agent_by_merchant ON agents.agent (tenant_id, merchant_id, agent_id)",
    "COMMENT ON COLUMN agents.agent.own_consumer_id IS"
    " 'The consumer account of the same person: its purchases earn that person nothing.'",
    """
    CREATE TABLE agents.referral (
        tenant_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        agent_id TEXT NOT NULL,
        referred_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, consumer_id),
        FOREIGN KEY (tenant_id, agent_id) REFERENCES agents.agent (tenant_id, agent_id)
    )
    """,
    "COMMENT ON TABLE agents.referral IS 'Which agent brought a consumer; the first one counts. One row per consumer.'",
    "ALTER TABLE agents.violation ADD COLUMN reference TEXT",
    "UPDATE agents.violation SET reference = violation_id::TEXT",
    "ALTER TABLE agents.violation ALTER COLUMN reference SET NOT NULL",
    "CREATE UNIQUE INDEX violation_by_reference ON agents.violation (tenant_id, agent_id, reference)",
    "COMMENT ON COLUMN agents.violation.reference IS 'The operator''s number of the case.'",
    "COMMENT ON TABLE agents.tier_change IS"
    " 'Tiers as every month close found or moved them, and by violation. One row per agent, month and cause.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    op.execute("ALTER TABLE agents.referral ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_tenant ON agents.referral FOR ALL TO muyun_app USING (tenant_id = ops.current_tenant())"
    )
    op.execute("GRANT SELECT, INSERT ON agents.referral TO muyun_app")


def downgrade() -> None:
    op.execute("DROP INDEX agents.violation_by_reference")
    op.execute("ALTER TABLE agents.violation DROP COLUMN reference")
    op.execute("DROP TABLE agents.referral")
    op.execute("DROP INDEX agents.agent_by_merchant, agents.agent_by_own_consumer")
    op.execute("ALTER TABLE agents.agent DROP COLUMN runs_store, DROP COLUMN own_consumer_id")

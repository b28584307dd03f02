"""What the monthly review of an agent's income found.

Revision: 0017, after 0016.
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE agents.composition_review (
        tenant_id TEXT NOT NULL,
        agent_id TEXT NOT NULL,
        month_on DATE NOT NULL CHECK (extract(day FROM month_on) = 1),
        own_retail_cents BIGINT NOT NULL,
        self_purchase_cents BIGINT NOT NULL,
        downline_cents BIGINT NOT NULL,
        breaches JSONB NOT NULL,
        reviewed_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, agent_id, month_on),
        FOREIGN KEY (tenant_id, agent_id) REFERENCES agents.agent (tenant_id, agent_id)
    )
    """,
    "COMMENT ON TABLE agents.composition_review IS"
    " 'What agents lived on in a month, with the limits passed. One row per agent and month.'",
    "ALTER TABLE agents.composition_review ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON agents.composition_review FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT, UPDATE ON agents.composition_review TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE agents.composition_review")

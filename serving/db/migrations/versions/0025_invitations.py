"""Relations of consumers with agents are bound by invitation, in one shop and for a time.

What was stated before counts in the shop that its agent sells for; of an agent without a shop it counts nowhere.

Revision: 0025, after 0024.
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE agents.invitation (
        tenant_id TEXT NOT NULL,
        invitation_id TEXT NOT NULL,
        agent_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        made_by TEXT NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL CHECK (expires_at > made_at),
        bound_at TIMESTAMPTZ,
        bound_by TEXT,
        PRIMARY KEY (tenant_id, invitation_id),
        FOREIGN KEY (tenant_id, agent_id) REFERENCES agents.agent (tenant_id, agent_id),
        CONSTRAINT bound_invitations_know_who CHECK ((bound_at IS NULL) = (bound_by IS NULL))
    )
    """,
    "COMMENT ON TABLE agents.invitation IS"
    " 'Signed links by which a consumer may follow an agent into a shop, once. One row per link.'",
    "ALTER TABLE agents.invitation ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON agents.invitation FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT, UPDATE ON agents.invitation TO muyun_app",
    "ALTER TABLE agents.referral ADD COLUMN merchant_id TEXT, ADD COLUMN valid_to TIMESTAMPTZ,"
    " ADD COLUMN invitation_id TEXT",
    "UPDATE agents.referral r SET merchant_id = coalesce(a.merchant_id, '') FROM agents.agent a"
    " WHERE a.tenant_id = r.tenant_id AND a.agent_id = r.agent_id",
    "ALTER TABLE agents.referral ALTER COLUMN merchant_id SET NOT NULL, DROP CONSTRAINT referral_pkey,"
    " ADD PRIMARY KEY (tenant_id, merchant_id, consumer_id, referred_at),"
    " ADD CONSTRAINT relations_end_after_they_begin CHECK (valid_to > referred_at),"
    " ADD FOREIGN KEY (tenant_id, invitation_id) REFERENCES agents.invitation (tenant_id, invitation_id),"
    " ADD CONSTRAINT an_invitation_brings_one_consumer UNIQUE (tenant_id, invitation_id)",
    "CREATE INDEX referral_by_consumer ON agents.referral (tenant_id, consumer_id)",
    "COMMENT ON TABLE agents.referral IS"
    " 'Which agent a consumer follows in a shop, since when and how long; the first one counts."
    " One row per relation.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE agents.referral DROP CONSTRAINT referral_pkey, DROP COLUMN invitation_id")
    op.execute(
        "DELETE FROM agents.referral r USING agents.referral e WHERE e.tenant_id = r.tenant_id"
        " AND e.consumer_id = r.consumer_id"
        " AND (e.referred_at, e.merchant_id) < (r.referred_at, r.merchant_id)"
    )
    op.execute("DROP INDEX agents.referral_by_consumer")
    op.execute(
        "ALTER TABLE agents.referral DROP COLUMN valid_to, DROP COLUMN merchant_id,"
        " ADD PRIMARY KEY (tenant_id, consumer_id)"
    )
    op.execute("DROP TABLE agents.invitation")

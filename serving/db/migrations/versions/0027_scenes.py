"""Scenes of sales: who holds a role, in which shop, from when to when. Orders say which scene gave a role.

Revision: 0027, after 0026.
"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE agents.scene (
        tenant_id TEXT NOT NULL,
        scene_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('live_session', 'group', 'store_shift', 'enterprise_programme')),
        merchant_id TEXT NOT NULL,
        party_type TEXT NOT NULL CHECK (party_type IN ('merchant', 'agent')),
        party_id TEXT NOT NULL,
        opens_at TIMESTAMPTZ NOT NULL,
        closes_at TIMESTAMPTZ NOT NULL,
        registered_at TIMESTAMPTZ NOT NULL,
        registered_by TEXT NOT NULL,
        agreed_at TIMESTAMPTZ,
        agreed_by TEXT,
        closed_by TEXT,
        PRIMARY KEY (tenant_id, scene_id),
        CONSTRAINT scenes_are_opened_beforehand CHECK (opens_at >= registered_at),
        CONSTRAINT scenes_close_after_they_open CHECK (closes_at >= opens_at)
    )
    """,
    "COMMENT ON TABLE agents.scene IS"
    " 'Live sessions, groups, shifts and enterprise programmes of shops, and who holds them. One row per scene.'",
    "CREATE INDEX scene_by_party ON agents.scene (tenant_id, party_type, party_id)",
    "ALTER TABLE agents.scene ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON agents.scene FOR ALL TO muyun_app USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT, UPDATE ON agents.scene TO muyun_app",
    "ALTER TABLE orders.order_role ADD COLUMN scene_id TEXT",
    "ALTER TABLE orders.order_role ADD FOREIGN KEY (tenant_id, scene_id)"
    " REFERENCES agents.scene (tenant_id, scene_id)",
    "COMMENT ON COLUMN orders.order_role.scene_id IS 'What gave the role; none of orders before there were scenes.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE orders.order_role DROP COLUMN scene_id")
    op.execute("DROP TABLE agents.scene")

"""In whose time zone the months and days of a tenant begin.

Revision: 0033, after 0032.
"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE ops.tenant_calendar (
        tenant_id TEXT PRIMARY KEY,
        time_zone TEXT NOT NULL
    )
    """,
    "COMMENT ON TABLE ops.tenant_calendar IS"
    " 'Time zone of months and days; UTC for tenants without a row. One row per tenant that set one.'",
    "ALTER TABLE ops.tenant_calendar ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON ops.tenant_calendar FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT, UPDATE ON ops.tenant_calendar TO muyun_app",
    # For queries; serving.db.calendar says the same.
    """
    CREATE FUNCTION ops.local_zone() RETURNS TEXT LANGUAGE sql STABLE PARALLEL SAFE
        RETURN coalesce(
            (SELECT c.time_zone FROM ops.tenant_calendar c WHERE c.tenant_id = ops.current_tenant()), 'UTC')
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION ops.local_zone()")
    op.execute("DROP TABLE ops.tenant_calendar")

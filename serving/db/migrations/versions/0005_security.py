"""Data keys of the personal fields, the audit log, and a party for every key of a party's role.

Revision: 0005, after 0004.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE ops.api_key ADD CONSTRAINT api_key_party_fits_the_role
        CHECK ((party_id IS NOT NULL) = (role IN ('supplier', 'merchant', 'agent')))
    """,
    "CREATE SCHEMA privacy",
    """
    CREATE TABLE privacy.data_key (
        tenant_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        purpose TEXT NOT NULL CHECK (purpose IN ('field', 'index')),
        wrapped BYTEA NOT NULL,
        created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        retired_at TIMESTAMPTZ,
        PRIMARY KEY (tenant_id, key_id)
    )
    """,
    "CREATE UNIQUE INDEX data_key_current ON privacy.data_key (tenant_id, purpose) WHERE retired_at IS NULL",
    "COMMENT ON TABLE privacy.data_key IS"
    " 'Keys that seal personal values, wrapped by the master key. One row per tenant and key.'",
    """
    CREATE TABLE ops.audit_log (
        audit_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        tenant_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        role TEXT NOT NULL,
        party_id TEXT,
        action TEXT NOT NULL,
        object_type TEXT NOT NULL,
        object_id TEXT NOT NULL,
        request_id TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('done', 'repeated', 'refused')),
        details JSONB NOT NULL DEFAULT '{}'
    )
    """,
    "CREATE INDEX audit_log_by_tenant ON ops.audit_log (tenant_id, audit_id)",
    "CREATE INDEX audit_log_by_object ON ops.audit_log (tenant_id, object_type, object_id, audit_id)",
    "COMMENT ON TABLE ops.audit_log IS"
    " 'Privileged reads and all writes through the API; append-only. One row per act.'",
    """
    CREATE FUNCTION ops.refuse_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'MY403';
    END $$
    """,
    """
    CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ops.audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change()
    """,
    "ALTER TABLE ops.audit_log ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON ops.audit_log FOR ALL TO muyun_app USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT ON ops.audit_log TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("privacy")
    # The application begins and retires keys; only the owner of the tables wraps them again.
    op.execute("REVOKE UPDATE ON privacy.data_key FROM muyun_app")
    op.execute("GRANT UPDATE (retired_at) ON privacy.data_key TO muyun_app")


def downgrade() -> None:
    op.execute("DROP TABLE ops.audit_log")
    op.execute("DROP FUNCTION ops.refuse_change()")
    op.execute("DROP SCHEMA privacy CASCADE")
    op.execute("ALTER TABLE ops.api_key DROP CONSTRAINT api_key_party_fits_the_role")

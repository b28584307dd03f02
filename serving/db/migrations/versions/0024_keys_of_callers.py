"""Idempotency keys belong to their caller, and leave after a stated time.

Keys that were used before belong to nobody: a request that was sent then and is sent again is a new one.

Revision: 0024, after 0023.
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# The erasure of a person changes answers that name them.
_RENAME = """
    DO $do$
    DECLARE
        known CONSTANT TEXT := pg_get_functiondef('consumers.erase(text, text, timestamptz)'::regprocedure);
    BEGIN
        IF position('{old}' IN known) = 0 THEN
            RAISE EXCEPTION 'consumers.erase is not as this migration expects it';
        END IF;
        EXECUTE replace(known, '{old}', '{new}');
    END $do$
"""

STATEMENTS = (
    "ALTER TABLE orders.idempotency SET SCHEMA ops",
    "ALTER TABLE ops.idempotency ADD COLUMN caller TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE ops.idempotency ALTER COLUMN caller DROP DEFAULT, DROP CONSTRAINT idempotency_pkey,"
    " ADD PRIMARY KEY (tenant_id, caller, operation, idempotency_key)",
    "CREATE INDEX idempotency_by_age ON ops.idempotency (created_at)",
    "COMMENT ON TABLE ops.idempotency IS"
    " 'Answers given under idempotency keys. One row per tenant, caller, operation and key.'",
    _RENAME.format(old="orders.idempotency", new="ops.idempotency"),
)

UNDOING = (
    _RENAME.format(old="ops.idempotency", new="orders.idempotency"),
    "DROP INDEX ops.idempotency_by_age",
    "ALTER TABLE ops.idempotency DROP CONSTRAINT idempotency_pkey",
    # The same key of two callers is one again: the first answer stands.
    "DELETE FROM ops.idempotency a USING ops.idempotency b WHERE a.tenant_id = b.tenant_id"
    " AND a.operation = b.operation AND a.idempotency_key = b.idempotency_key AND a.ctid > b.ctid",
    "ALTER TABLE ops.idempotency DROP COLUMN caller, ADD PRIMARY KEY (tenant_id, operation, idempotency_key)",
    "ALTER TABLE ops.idempotency SET SCHEMA orders",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for statement in UNDOING:
        op.execute(statement)

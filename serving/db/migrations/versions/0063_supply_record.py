"""The record of the supply watch: blocks over observations and steps of alarms, chained by their hashes.

Revision: 0063, after 0062.
"""

from alembic import op

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None

_TABLES = ("block", "leaf")

STATEMENTS = (
    """
    CREATE TABLE watch.block (
        tenant_id TEXT NOT NULL,
        block_no BIGINT NOT NULL CHECK (block_no >= 1),
        leaves INTEGER NOT NULL CHECK (leaves >= 1),
        previous_hash BYTEA NOT NULL,
        root BYTEA NOT NULL,
        hash BYTEA NOT NULL,
        until_xact XID8 NOT NULL,
        PRIMARY KEY (tenant_id, block_no)
    )
    """,
    "COMMENT ON TABLE watch.block IS 'Sealed parts of the record; append-only. One row per block.'",
    """
    CREATE TABLE watch.leaf (
        tenant_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('observation', 'step')),
        record_id TEXT NOT NULL,
        block_no BIGINT NOT NULL,
        place INTEGER NOT NULL CHECK (place >= 0),
        hash BYTEA NOT NULL,
        PRIMARY KEY (tenant_id, kind, record_id),
        UNIQUE (tenant_id, block_no, place),
        FOREIGN KEY (tenant_id, block_no) REFERENCES watch.block (tenant_id, block_no)
    )
    """,
    "COMMENT ON TABLE watch.leaf IS 'Where a record stands in its block; append-only. One row per record.'",
    "CREATE INDEX alarm_event_by_xact ON watch.alarm_event (xact_id)",
    "CREATE INDEX alarm_by_object ON watch.alarm (tenant_id, kind, object_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for table in _TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON watch.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()"
        )
        op.execute(f"ALTER TABLE watch.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_tenant ON watch.{table} FOR ALL TO muyun_app"
            " USING (tenant_id = ops.current_tenant())"
        )
        op.execute(f"GRANT SELECT, INSERT ON watch.{table} TO muyun_app")


def downgrade() -> None:
    op.execute("DROP INDEX watch.alarm_by_object")
    op.execute("DROP INDEX watch.alarm_event_by_xact")
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE watch.{table}")

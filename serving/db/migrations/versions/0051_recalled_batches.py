"""The lines of a recall that is of some batches of a sku.

Revision: 0051, after 0050.
"""

from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE quality.recall_line (
        recall_id BIGINT NOT NULL REFERENCES quality.recall (recall_id),
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        line_no INT NOT NULL,
        PRIMARY KEY (recall_id, order_id, line_no)
    )
    """,
    "COMMENT ON TABLE quality.recall_line IS"
    " 'Lines of the batches that a recall is of; append-only. One row per recall of batches and line.'",
    """
    CREATE TRIGGER recall_line_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON quality.recall_line
        FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change()
    """,
    "ALTER TABLE quality.recall_line ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON quality.recall_line FOR ALL TO muyun_app USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT ON quality.recall_line TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE quality.recall_line")

"""What suppliers did not ship of customers' orders, the history of grades, versions of decisions.

Revision: 0069, after 0068.
"""

from alembic import op

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None

_TABLES = ("orders.refused_line", "supply.grade_change")

STATEMENTS = (
    """
    CREATE TABLE orders.refused_line (
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        line_no INTEGER NOT NULL,
        supplier_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        ordered_qty BIGINT NOT NULL CHECK (ordered_qty > 0),
        kept_qty BIGINT NOT NULL CHECK (kept_qty >= 0 AND kept_qty < ordered_qty),
        refused_at TIMESTAMPTZ NOT NULL,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, order_id, line_no, supplier_id)
    )
    """,
    "COMMENT ON TABLE orders.refused_line IS 'What a supplier said it does not ship of its part of an order,"
    " whoever ships it now. One row per line and supplier.'",
    "CREATE INDEX refused_line_by_xact ON orders.refused_line (xact_id)",
    """
    CREATE TABLE supply.grade_change (
        tenant_id TEXT NOT NULL,
        change_no BIGINT GENERATED ALWAYS AS IDENTITY,
        supplier_id TEXT NOT NULL,
        category_id TEXT NOT NULL,
        grade TEXT CHECK (grade IN ('A', 'B', 'C', 'D')),
        gate TEXT,
        score_low DOUBLE PRECISION,
        graded_at TIMESTAMPTZ NOT NULL,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, change_no)
    )
    """,
    "COMMENT ON TABLE supply.grade_change IS 'Grades of suppliers (category_id is empty) and of channels from"
    " when they hold; without a grade: graded no more. Append-only. One row per change.'",
    "CREATE INDEX grade_change_by_channel ON supply.grade_change"
    " (tenant_id, supplier_id, category_id, change_no DESC)",
    "CREATE INDEX grade_change_by_xact ON supply.grade_change (xact_id)",
    "CREATE TRIGGER grade_change_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON supply.grade_change"
    " FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()",
    "ALTER TABLE assortment.decision ADD COLUMN xact_id XID8 NOT NULL DEFAULT pg_current_xact_id()",
    "CREATE INDEX decision_by_xact ON assortment.decision (xact_id)",
    # Only the nightly grading writes grades.
    "GRANT SELECT ON supply.grade_change TO muyun_app",
    "GRANT SELECT, INSERT, UPDATE ON orders.refused_line TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_tenant ON {table} FOR ALL TO muyun_app"
            " USING (tenant_id = ops.current_tenant())"
        )


def downgrade() -> None:
    op.execute("ALTER TABLE assortment.decision DROP COLUMN xact_id")
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table}")

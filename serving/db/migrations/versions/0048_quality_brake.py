"""The quality brake: how hard a sku is held and why, improvement cases, frozen suppliers, recalls.

Revision: 0048, after 0047.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA quality",
    # What a person set holds until its end; what the estimates say goes on underneath.
    """
    CREATE TABLE quality.brake (
        tenant_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        held_level SMALLINT NOT NULL CHECK (held_level BETWEEN 0 AND 4),
        clean_since TIMESTAMPTZ,
        reason_code TEXT NOT NULL,
        evidence JSONB NOT NULL,
        judged_at TIMESTAMPTZ NOT NULL,
        counted_from TIMESTAMPTZ,
        override_level SMALLINT CHECK (override_level BETWEEN 0 AND 4),
        override_until TIMESTAMPTZ,
        override_reason TEXT,
        override_approval_id BIGINT REFERENCES approvals.request (approval_id),
        level SMALLINT GENERATED ALWAYS AS (coalesce(override_level, held_level)) STORED,
        PRIMARY KEY (tenant_id, sku_id),
        CONSTRAINT an_override_is_whole CHECK (
            num_nulls(override_level, override_until, override_reason, override_approval_id) IN (0, 4))
    )
    """,
    "COMMENT ON TABLE quality.brake IS"
    " 'How hard the quality brake holds a sku, and why. One row per sku that was ever judged above 0.'",
    "CREATE INDEX brake_by_level ON quality.brake (tenant_id, level, sku_id) WHERE level > 0",
    """
    CREATE TABLE quality.change (
        change_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        changed_at TIMESTAMPTZ NOT NULL,
        from_level SMALLINT NOT NULL,
        to_level SMALLINT NOT NULL,
        cause TEXT NOT NULL CHECK (cause IN ('estimate', 'clean_days', 'case_closed', 'override',
                                             'override_ended')),
        reason_code TEXT NOT NULL,
        evidence JSONB NOT NULL,
        recorded_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
    )
    """,
    "COMMENT ON TABLE quality.change IS"
    " 'Every change of a level with the numbers behind it; append-only. One row per change.'",
    "CREATE INDEX change_by_sku ON quality.change (tenant_id, sku_id, change_id)",
    """
    CREATE TABLE quality.improvement_case (
        case_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        opened_level SMALLINT NOT NULL CHECK (opened_level BETWEEN 2 AND 4),
        opened_at TIMESTAMPTZ NOT NULL,
        closed_at TIMESTAMPTZ
    )
    """,
    "CREATE UNIQUE INDEX case_open ON quality.improvement_case (tenant_id, sku_id) WHERE closed_at IS NULL",
    "COMMENT ON TABLE quality.improvement_case IS"
    " 'What five departments look into before a level is released. One row per case; one open one per sku.'",
    """
    CREATE TABLE quality.sign_off (
        case_id BIGINT NOT NULL REFERENCES quality.improvement_case (case_id),
        tenant_id TEXT NOT NULL,
        department TEXT NOT NULL CHECK (department IN ('service', 'quality', 'product', 'research',
                                                       'purchasing')),
        finding TEXT NOT NULL CHECK (length(finding) BETWEEN 1 AND 2000),
        signed_by TEXT NOT NULL,
        signed_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (case_id, department),
        CONSTRAINT nobody_signs_for_two UNIQUE (case_id, signed_by)
    )
    """,
    "COMMENT ON TABLE quality.sign_off IS"
    " 'What a department found and signed; append-only. One row per case and department.'",
    """
    CREATE TABLE quality.frozen_supplier (
        tenant_id TEXT NOT NULL,
        supplier_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        frozen_at TIMESTAMPTZ NOT NULL,
        lifted_at TIMESTAMPTZ,
        PRIMARY KEY (tenant_id, supplier_id, sku_id, frozen_at)
    )
    """,
    "CREATE UNIQUE INDEX frozen_standing ON quality.frozen_supplier (tenant_id, supplier_id, sku_id) WHERE lifted_at IS NULL",
    "COMMENT ON TABLE quality.frozen_supplier IS"
    " 'Suppliers whose offers do not route, and for which sku. One row per supplier, sku and beginning.'",
    # Buyers are read from the orders, which an erasure makes anonymous: nobody is named here.
    """
    CREATE TABLE quality.recall (
        recall_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        reason_code TEXT NOT NULL,
        evidence JSONB NOT NULL,
        opened_at TIMESTAMPTZ NOT NULL
    )
    """,
    "COMMENT ON TABLE quality.recall IS"
    " 'Skus whose buyers are to be told. One row per time that a sku came to level 4.'",
    "CREATE INDEX recall_by_tenant ON quality.recall (tenant_id, recall_id)",
    *(
        f"""
        CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON quality.{table}
            FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change()
        """
        for table in ("change", "sign_off", "recall")
    ),
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("quality")
    op.execute("REVOKE UPDATE ON quality.change, quality.sign_off, quality.recall FROM muyun_app")
    op.execute("REVOKE UPDATE ON quality.improvement_case, quality.frozen_supplier FROM muyun_app")
    op.execute("GRANT UPDATE (closed_at) ON quality.improvement_case TO muyun_app")
    op.execute("GRANT UPDATE (lifted_at) ON quality.frozen_supplier TO muyun_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA quality CASCADE")

"""Supervision of listings and offers: cases with their evidence, what parties say, decisions, changes.

Revision: 0056, after 0055.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA supervision",
    """
    CREATE TABLE supervision.listing_case (
        case_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        party_type TEXT NOT NULL CHECK (party_type IN ('merchant', 'supplier')),
        party_id TEXT NOT NULL,
        sku_id TEXT NOT NULL,
        level SMALLINT NOT NULL CHECK (level BETWEEN 0 AND 3),
        score DOUBLE PRECISION NOT NULL CHECK (score >= 0 AND score < 1),
        evidence JSONB NOT NULL,
        opened_at TIMESTAMPTZ NOT NULL,
        judged_at TIMESTAMPTZ NOT NULL,
        due_at TIMESTAMPTZ,
        clean_since TIMESTAMPTZ,
        ended_at TIMESTAMPTZ,
        ended_by TEXT CHECK (ended_by IN ('clean_days', 'cleared')),
        CONSTRAINT an_end_is_whole CHECK (num_nulls(ended_at, ended_by) IN (0, 2)),
        CONSTRAINT an_ended_case_holds_nothing CHECK (ended_at IS NULL OR (level = 0 AND due_at IS NULL))
    )
    """,
    "COMMENT ON TABLE supervision.listing_case IS"
    " 'What is held against a listing of a merchant or an offer of a supplier. One row per case; one open one"
    " per listing.'",
    "CREATE UNIQUE INDEX listing_case_open ON supervision.listing_case (tenant_id, party_type, party_id, sku_id)"
    " WHERE ended_at IS NULL",
    "CREATE INDEX listing_case_of_party ON supervision.listing_case (tenant_id, party_type, party_id, case_id)",
    "CREATE INDEX listing_case_by_id ON supervision.listing_case (tenant_id, case_id)",
    """
    CREATE TABLE supervision.statement (
        statement_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        case_id BIGINT NOT NULL REFERENCES supervision.listing_case (case_id),
        kind TEXT NOT NULL CHECK (kind IN ('papers', 'appeal')),
        body TEXT NOT NULL CHECK (length(body) BETWEEN 1 AND 4000),
        papers TEXT[] NOT NULL,
        stated_by TEXT NOT NULL,
        stated_at TIMESTAMPTZ NOT NULL,
        decide_by TIMESTAMPTZ NOT NULL,
        decided_at TIMESTAMPTZ
    )
    """,
    "COMMENT ON TABLE supervision.statement IS"
    " 'Papers and appeals of the party of a case. One row per statement; one that waits per case.'",
    "CREATE UNIQUE INDEX statement_waiting ON supervision.statement (tenant_id, case_id) WHERE decided_at IS NULL",
    "CREATE INDEX statement_of_case ON supervision.statement (tenant_id, case_id, statement_id)",
    """
    CREATE TABLE supervision.decision (
        decision_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        case_id BIGINT NOT NULL REFERENCES supervision.listing_case (case_id),
        statement_id BIGINT REFERENCES supervision.statement (statement_id),
        outcome TEXT NOT NULL CHECK (outcome IN ('cleared', 'upheld')),
        finding TEXT NOT NULL CHECK (length(finding) BETWEEN 1 AND 2000),
        decided_by TEXT NOT NULL,
        decided_at TIMESTAMPTZ NOT NULL
    )
    """,
    "COMMENT ON TABLE supervision.decision IS"
    " 'What an operator decided about a case, and why; append-only. One row per decision.'",
    "CREATE INDEX decision_of_case ON supervision.decision (tenant_id, case_id, decision_id)",
    """
    CREATE TABLE supervision.change (
        change_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        case_id BIGINT NOT NULL REFERENCES supervision.listing_case (case_id),
        changed_at TIMESTAMPTZ NOT NULL,
        from_level SMALLINT NOT NULL,
        to_level SMALLINT NOT NULL,
        cause TEXT NOT NULL CHECK (cause IN ('signs', 'papers_overdue', 'unanswered', 'clean_days', 'cleared')),
        score DOUBLE PRECISION NOT NULL,
        evidence JSONB NOT NULL,
        recorded_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
    )
    """,
    "COMMENT ON TABLE supervision.change IS"
    " 'Every change of what is done about a listing, with the signs behind it; append-only. One row per change.'",
    "CREATE INDEX change_of_case ON supervision.change (tenant_id, case_id, change_id)",
    """
    CREATE TABLE supervision.deposit (
        tenant_id TEXT NOT NULL,
        case_id BIGINT NOT NULL REFERENCES supervision.listing_case (case_id),
        amount_cents BIGINT NOT NULL CHECK (amount_cents > 0),
        taken_at TIMESTAMPTZ NOT NULL,
        returned_at TIMESTAMPTZ CHECK (returned_at >= taken_at),
        PRIMARY KEY (tenant_id, case_id)
    )
    """,
    "COMMENT ON TABLE supervision.deposit IS"
    " 'What a party set aside because a listing was taken off. One row per case; the money is in the ledger.'",
    *(
        f"""
        CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON supervision.{table}
            FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change()
        """
        for table in ("decision", "change")
    ),
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("supervision")
    op.execute(
        "REVOKE UPDATE ON supervision.decision, supervision.change, supervision.statement FROM muyun_app"
    )
    op.execute("REVOKE UPDATE ON supervision.deposit FROM muyun_app")
    op.execute("GRANT UPDATE (decided_at) ON supervision.statement TO muyun_app")
    op.execute("GRANT UPDATE (returned_at) ON supervision.deposit TO muyun_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA supervision CASCADE")

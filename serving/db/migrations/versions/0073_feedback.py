"""Feedback: texts of consumers with their topics and answers.

Revision: 0073, after 0072.
"""

from alembic import op

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA feedback",
    "GRANT USAGE ON SCHEMA feedback TO muyun_app",
    """
    CREATE TABLE feedback.message (
        tenant_id TEXT NOT NULL,
        feedback_id TEXT NOT NULL,
        number BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
        merchant_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        order_id TEXT,
        sku_id TEXT,
        rating SMALLINT CHECK (rating BETWEEN 1 AND 5),
        text TEXT NOT NULL CHECK (length(text) BETWEEN 1 AND 2000),
        occurred_at TIMESTAMPTZ NOT NULL,
        received_at TIMESTAMPTZ NOT NULL,
        is_verified BOOLEAN NOT NULL,
        topic TEXT,
        topic_probability REAL,
        sentiment TEXT CHECK (sentiment IN ('negative', 'positive')),
        sentiment_probability REAL,
        sorted_by TEXT,
        sorted_at TIMESTAMPTZ,
        answer TEXT CHECK (length(answer) BETWEEN 1 AND 2000),
        answered_by TEXT,
        answered_at TIMESTAMPTZ,
        PRIMARY KEY (tenant_id, feedback_id),
        CHECK ((topic IS NULL) = (sorted_by IS NULL) AND (topic IS NULL) = (sentiment IS NULL)),
        CHECK ((answer IS NULL) = (answered_at IS NULL))
    )
    """,
    "COMMENT ON TABLE feedback.message IS 'What consumers wrote about goods and shops. One row per text.'",
    "CREATE INDEX feedback_by_time ON feedback.message (tenant_id, occurred_at)",
    "CREATE INDEX feedback_by_number ON feedback.message (tenant_id, number)",
    "CREATE INDEX feedback_to_sort ON feedback.message (tenant_id, number)"
    " WHERE topic IS NULL OR topic = 'unsure'",
    "CREATE INDEX feedback_by_consumer ON feedback.message (tenant_id, consumer_id)",
    "ALTER TABLE feedback.message ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON feedback.message FOR ALL TO muyun_app USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT, UPDATE ON feedback.message TO muyun_app",
    # A text is somebody's words: it goes with the person.
    """
    CREATE FUNCTION feedback.erase(p_consumer TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        gone BIGINT;
    BEGIN
        DELETE FROM feedback.message WHERE tenant_id = ops.current_tenant() AND consumer_id = p_consumer;
        GET DIAGNOSTICS gone = ROW_COUNT;
        RETURN gone;
    END $$
    """,
    "REVOKE ALL ON FUNCTION feedback.erase(TEXT) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION feedback.erase(TEXT) TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP SCHEMA feedback CASCADE")

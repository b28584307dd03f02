"""What waits for somebody's decision, and who decided what.

Revision: 0021, after 0020.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA approvals",
    # Texts that a decision is about (a plan, the list of a pay-out); a suggestion holds their digest.
    """
    CREATE TABLE approvals.document (
        tenant_id TEXT NOT NULL,
        sha256 TEXT NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
        body TEXT NOT NULL,
        PRIMARY KEY (tenant_id, sha256)
    )
    """,
    "COMMENT ON TABLE approvals.document IS"
    " 'Texts that requests are about, by digest; append-only. One row per text.'",
    # Four eyes hold here as well, whoever writes: nobody gives both halves, or decides what they asked for.
    """
    CREATE TABLE approvals.request (
        approval_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        subject_type TEXT NOT NULL,
        subject_id TEXT NOT NULL,
        party_type TEXT,
        party_id TEXT,
        suggestion JSONB NOT NULL,
        adjusted JSONB,
        digest TEXT NOT NULL,
        source TEXT NOT NULL,
        value_cents BIGINT NOT NULL CHECK (value_cents >= 0),
        bucket TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'half_approved', 'approved', 'in_effect', 'rejected',
                                             'snoozed', 'superseded', 'expired', 'withdrawn')),
        version INT NOT NULL DEFAULT 1 CHECK (version >= 1),
        asked_by TEXT NOT NULL,
        asked_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL CHECK (expires_at > asked_at),
        effect_at TIMESTAMPTZ,
        approvals_needed SMALLINT NOT NULL CHECK (approvals_needed IN (1, 2)),
        asker_may_decide BOOLEAN NOT NULL,
        snoozed_until TIMESTAMPTZ,
        first_approver TEXT,
        second_approver TEXT,
        superseded_by BIGINT REFERENCES approvals.request (approval_id),
        effect JSONB,
        CONSTRAINT two_people CHECK (first_approver <> second_approver),
        CONSTRAINT not_by_the_asker CHECK (asker_may_decide OR (asked_by IS DISTINCT FROM first_approver
                                                                AND asked_by IS DISTINCT FROM second_approver)),
        CONSTRAINT approved_by_enough CHECK (
            (state <> 'half_approved' OR (first_approver IS NOT NULL AND second_approver IS NULL))
            AND (state NOT IN ('approved', 'in_effect')
                 OR (first_approver IS NOT NULL AND (approvals_needed = 1 OR second_approver IS NOT NULL)))),
        CONSTRAINT a_party_has_type_and_id CHECK ((party_type IS NULL) = (party_id IS NULL)),
        CONSTRAINT snoozed_until_a_moment CHECK ((state = 'snoozed') = (snoozed_until IS NOT NULL))
    )
    """,
    # One open request for a subject; a newer one supersedes it.
    """
    CREATE UNIQUE INDEX request_open ON approvals.request (tenant_id, kind, subject_type, subject_id)
        WHERE state IN ('pending', 'half_approved', 'snoozed')
    """,
    "CREATE INDEX request_by_subject ON approvals.request (tenant_id, kind, subject_type, subject_id, approval_id)",
    "CREATE INDEX request_by_state ON approvals.request (tenant_id, state, kind, bucket, approval_id)",
    "CREATE INDEX request_by_party ON approvals.request (tenant_id, party_type, party_id, approval_id)"
    " WHERE party_id IS NOT NULL",
    "COMMENT ON TABLE approvals.request IS"
    " 'What waits or waited for a decision, as codes and numbers. One row per request.'",
    """
    CREATE TABLE approvals.batch (
        batch_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        bucket TEXT NOT NULL,
        digest TEXT NOT NULL,
        shown JSONB NOT NULL,
        frozen_by TEXT NOT NULL,
        frozen_at TIMESTAMPTZ NOT NULL,
        decided_by TEXT,
        decided_at TIMESTAMPTZ,
        action TEXT,
        CHECK ((decided_by IS NULL) = (decided_at IS NULL) AND (decided_by IS NULL) = (action IS NULL))
    )
    """,
    "COMMENT ON TABLE approvals.batch IS"
    " 'Frozen selections of requests that are decided at once. One row per selection.'",
    """
    CREATE TABLE approvals.batch_item (
        batch_id BIGINT NOT NULL REFERENCES approvals.batch (batch_id),
        approval_id BIGINT NOT NULL REFERENCES approvals.request (approval_id),
        tenant_id TEXT NOT NULL,
        version INT NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (batch_id, approval_id)
    )
    """,
    "COMMENT ON TABLE approvals.batch_item IS"
    " 'Requests as they were when a selection was frozen; append-only. One row per selection and request.'",
    """
    CREATE TABLE approvals.decision (
        tenant_id TEXT NOT NULL,
        approval_id BIGINT NOT NULL REFERENCES approvals.request (approval_id),
        version INT NOT NULL,
        action TEXT NOT NULL,
        from_state TEXT,
        to_state TEXT NOT NULL,
        decided_by TEXT NOT NULL,
        role TEXT NOT NULL,
        decided_at TIMESTAMPTZ NOT NULL,
        recorded_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        digest TEXT NOT NULL,
        reason_code TEXT,
        batch_id BIGINT REFERENCES approvals.batch (batch_id),
        details JSONB NOT NULL DEFAULT '{}',
        PRIMARY KEY (approval_id, version)
    )
    """,
    "COMMENT ON TABLE approvals.decision IS"
    " 'Every move of a request: who, when, what, on which digest; append-only. One row per request and version.'",
    *(
        f"""
        CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON approvals.{table}
            FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change()
        """
        for table in ("decision", "batch_item", "document")
    ),
    """
    CREATE TRIGGER request_is_kept BEFORE DELETE OR TRUNCATE ON approvals.request
        FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change()
    """,
    # A consumer is named by party_type and party_id, or by consumer_id; ids of others may look the same.
    """
    CREATE FUNCTION approvals.renamed(p_document JSONB, p_consumer TEXT, p_pseudonym TEXT) RETURNS JSONB
        LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF jsonb_typeof(p_document) = 'array' THEN
            RETURN coalesce((SELECT jsonb_agg(approvals.renamed(v, p_consumer, p_pseudonym) ORDER BY n)
                FROM jsonb_array_elements(p_document) WITH ORDINALITY AS e (v, n)), '[]');
        ELSIF jsonb_typeof(p_document) = 'object' THEN
            RETURN coalesce((SELECT jsonb_object_agg(k, CASE
                WHEN v = to_jsonb(p_consumer)
                     AND (k = 'consumer_id' OR (k = 'party_id' AND p_document ->> 'party_type' = 'consumer'))
                THEN to_jsonb(p_pseudonym) ELSE approvals.renamed(v, p_consumer, p_pseudonym) END)
                FROM jsonb_each(p_document) AS e (k, v)), '{}');
        END IF;
        RETURN p_document;
    END $$
    """,
    """
    CREATE FUNCTION approvals.erase(p_consumer TEXT, p_pseudonym TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        own_tenant CONSTANT TEXT := ops.current_tenant();
        changed BIGINT;
    BEGIN
        UPDATE approvals.request SET
                suggestion = approvals.renamed(suggestion, p_consumer, p_pseudonym),
                adjusted = approvals.renamed(adjusted, p_consumer, p_pseudonym),
                subject_id = CASE WHEN subject_type = 'consumer' AND subject_id = p_consumer
                    THEN p_pseudonym ELSE subject_id END,
                party_id = CASE WHEN party_type = 'consumer' AND party_id = p_consumer
                    THEN p_pseudonym ELSE party_id END
            WHERE tenant_id = own_tenant
              AND ((subject_type = 'consumer' AND subject_id = p_consumer)
                   OR (party_type = 'consumer' AND party_id = p_consumer)
                   OR approvals.renamed(suggestion, p_consumer, p_pseudonym) <> suggestion);
        GET DIAGNOSTICS changed = ROW_COUNT;
        RETURN changed;
    END $$
    """,
    "REVOKE ALL ON FUNCTION approvals.erase(TEXT, TEXT) FROM PUBLIC",
)

# What was asked stays as it was asked; only where it stands changes.
_CHANGING = (
    "adjusted, digest, state, version, snoozed_until, first_approver, second_approver, superseded_by, effect"
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("approvals")
    op.execute("REVOKE UPDATE ON ALL TABLES IN SCHEMA approvals FROM muyun_app")
    op.execute(f"GRANT UPDATE ({_CHANGING}) ON approvals.request TO muyun_app")
    op.execute("GRANT UPDATE (decided_by, decided_at, action) ON approvals.batch TO muyun_app")
    op.execute("GRANT EXECUTE ON FUNCTION approvals.erase(TEXT, TEXT) TO muyun_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA approvals CASCADE")

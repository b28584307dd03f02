"""Journeys: their versions, the runs of consumers in them, messages, receipts, tasks for people.

Revision: 0057, after 0056.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA journeys",
    """
    CREATE TABLE journeys.version (
        tenant_id TEXT NOT NULL,
        journey_id TEXT NOT NULL,
        version INTEGER NOT NULL CHECK (version >= 1),
        document JSONB NOT NULL,
        digest TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('draft', 'live', 'paused', 'replaced', 'stopped')),
        made_by TEXT NOT NULL,
        made_at TIMESTAMPTZ NOT NULL,
        live_at TIMESTAMPTZ,
        ended_at TIMESTAMPTZ,
        reason TEXT,
        PRIMARY KEY (tenant_id, journey_id, version),
        CHECK ((state IN ('replaced', 'stopped')) = (ended_at IS NOT NULL))
    )
    """,
    "CREATE UNIQUE INDEX one_version_in_force ON journeys.version (tenant_id, journey_id)"
    " WHERE state IN ('live', 'paused')",
    "COMMENT ON TABLE journeys.version IS"
    " 'What a journey says; a document never changes. One row per version.'",
    """
    CREATE TABLE journeys.run (
        tenant_id TEXT NOT NULL,
        run_id BIGINT GENERATED ALWAYS AS IDENTITY,
        journey_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        consumer_id TEXT NOT NULL,
        spell TEXT NOT NULL,
        arm TEXT NOT NULL CHECK (arm IN ('treated', 'control', 'universal')),
        entered_at TIMESTAMPTZ NOT NULL,
        step TEXT NOT NULL,
        arrived_at TIMESTAMPTZ NOT NULL,
        due_at TIMESTAMPTZ,
        ended_at TIMESTAMPTZ,
        reason TEXT,
        PRIMARY KEY (tenant_id, run_id),
        UNIQUE (tenant_id, journey_id, consumer_id, spell),
        FOREIGN KEY (tenant_id, journey_id, version) REFERENCES journeys.version (tenant_id, journey_id, version),
        CHECK ((due_at IS NULL) = (ended_at IS NOT NULL)),
        CHECK ((ended_at IS NULL) = (reason IS NULL))
    )
    """,
    "CREATE INDEX run_due ON journeys.run (tenant_id, due_at, run_id) WHERE due_at IS NOT NULL",
    "CREATE INDEX run_by_consumer ON journeys.run (tenant_id, consumer_id)",
    "CREATE INDEX run_by_journey ON journeys.run (tenant_id, journey_id, entered_at)",
    "COMMENT ON TABLE journeys.run IS"
    " 'A consumer in a journey; the arm is drawn before anything is sent. One row per entry.'",
    """
    CREATE TABLE journeys.message (
        tenant_id TEXT NOT NULL,
        message_id BIGINT GENERATED ALWAYS AS IDENTITY,
        run_id BIGINT NOT NULL,
        step TEXT NOT NULL,
        journey_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        purpose TEXT NOT NULL CHECK (purpose IN ('marketing', 'service')),
        body TEXT NOT NULL,
        coupon_code TEXT,
        sku_ids TEXT[] NOT NULL,
        decided_at TIMESTAMPTZ NOT NULL,
        state TEXT NOT NULL
            CHECK (state IN ('waiting', 'sent', 'delivered', 'failed', 'withheld', 'would_send')),
        reason TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_try_at TIMESTAMPTZ,
        give_up_at TIMESTAMPTZ,
        sent_at TIMESTAMPTZ,
        told_at TIMESTAMPTZ,
        clicked_at TIMESTAMPTZ,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (tenant_id, message_id),
        UNIQUE (tenant_id, run_id, step, decided_at),
        FOREIGN KEY (tenant_id, run_id) REFERENCES journeys.run (tenant_id, run_id),
        CHECK ((state = 'waiting') = (next_try_at IS NOT NULL))
    )
    """,
    "CREATE INDEX message_due ON journeys.message (tenant_id, channel, next_try_at) WHERE next_try_at IS NOT NULL",
    "CREATE INDEX message_by_consumer ON journeys.message (tenant_id, consumer_id, decided_at)",
    "CREATE INDEX message_by_xact ON journeys.message (xact_id)",
    "COMMENT ON TABLE journeys.message IS 'The outbox: what goes out, went out, was withheld, and what controls"
    " would have got. One row per decision of a step.'",
    """
    CREATE TABLE journeys.receipt (
        tenant_id TEXT NOT NULL,
        receipt_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        message_id BIGINT,
        kind TEXT NOT NULL CHECK (kind IN ('delivered', 'failed', 'clicked', 'opted_out')),
        occurred_at TIMESTAMPTZ NOT NULL,
        received_at TIMESTAMPTZ NOT NULL,
        fits BOOLEAN NOT NULL,
        PRIMARY KEY (tenant_id, channel, receipt_id)
    )
    """,
    "COMMENT ON TABLE journeys.receipt IS 'What channels told of messages; what fits no message that was sent"
    " says so. One row per notice.'",
    """
    CREATE TABLE journeys.opt_out (
        tenant_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        stated_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, consumer_id, channel)
    )
    """,
    "COMMENT ON TABLE journeys.opt_out IS 'Channels that consumers want nothing on. One row per consumer and"
    " channel.'",
    """
    CREATE TABLE journeys.task (
        tenant_id TEXT NOT NULL,
        task_id BIGINT GENERATED ALWAYS AS IDENTITY,
        run_id BIGINT NOT NULL,
        step TEXT NOT NULL,
        journey_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        title TEXT NOT NULL,
        sku_ids TEXT[] NOT NULL,
        asked_at TIMESTAMPTZ NOT NULL,
        due_at TIMESTAMPTZ NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'claimed', 'done', 'dropped')),
        claimed_by TEXT,
        claimed_at TIMESTAMPTZ,
        ended_at TIMESTAMPTZ,
        outcome TEXT,
        PRIMARY KEY (tenant_id, task_id),
        UNIQUE (tenant_id, run_id, step, asked_at),
        FOREIGN KEY (tenant_id, run_id) REFERENCES journeys.run (tenant_id, run_id),
        CHECK ((state IN ('done', 'dropped')) = (ended_at IS NOT NULL))
    )
    """,
    "CREATE INDEX task_open ON journeys.task (tenant_id, due_at, task_id) WHERE state IN ('open', 'claimed')",
    "COMMENT ON TABLE journeys.task IS 'What a journey asks of a person, with a service level. One row per task.'",
    """
    CREATE TABLE journeys.move (
        tenant_id TEXT NOT NULL,
        move_id BIGINT GENERATED ALWAYS AS IDENTITY,
        run_id BIGINT NOT NULL,
        at TIMESTAMPTZ NOT NULL,
        step TEXT NOT NULL,
        act TEXT NOT NULL,
        reason TEXT,
        PRIMARY KEY (tenant_id, move_id),
        FOREIGN KEY (tenant_id, run_id) REFERENCES journeys.run (tenant_id, run_id)
    )
    """,
    "CREATE INDEX move_by_run ON journeys.move (tenant_id, run_id)",
    "COMMENT ON TABLE journeys.move IS 'What a run did and what was in its way; append-only. One row per act.'",
    """
    CREATE TRIGGER move_is_append_only BEFORE UPDATE OR TRUNCATE ON journeys.move
        FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()
    """,
    # Who asks to be forgotten leaves every journey: what was sent goes, what counted stays under the pseudonym.
    """
    CREATE FUNCTION journeys.erase(p_consumer TEXT, p_pseudonym TEXT) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        own_tenant CONSTANT TEXT := ops.current_tenant();
        anonymised BIGINT := 0;
        counted BIGINT;
    BEGIN
        DELETE FROM journeys.opt_out WHERE tenant_id = own_tenant AND consumer_id = p_consumer;
        UPDATE journeys.message SET consumer_id = p_pseudonym, body = '', coupon_code = NULL, sku_ids = '{}',
            state = CASE WHEN state = 'waiting' THEN 'withheld' ELSE state END,
            reason = CASE WHEN state = 'waiting' THEN 'erased' ELSE reason END, next_try_at = NULL,
            xact_id = pg_current_xact_id()
            WHERE tenant_id = own_tenant AND consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT; anonymised := anonymised + counted;
        UPDATE journeys.task SET consumer_id = p_pseudonym, sku_ids = '{}', title = '',
            state = CASE WHEN state IN ('open', 'claimed') THEN 'dropped' ELSE state END,
            outcome = CASE WHEN state IN ('open', 'claimed') THEN 'erased' ELSE outcome END,
            ended_at = coalesce(ended_at, asked_at)
            WHERE tenant_id = own_tenant AND consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT; anonymised := anonymised + counted;
        UPDATE journeys.run SET consumer_id = p_pseudonym, due_at = NULL, step = 'end',
            ended_at = coalesce(ended_at, arrived_at), reason = coalesce(reason, 'erased')
            WHERE tenant_id = own_tenant AND consumer_id = p_consumer;
        GET DIAGNOSTICS counted = ROW_COUNT; anonymised := anonymised + counted;
        RETURN anonymised;
    END $$
    """,
    "REVOKE ALL ON FUNCTION journeys.erase(TEXT, TEXT) FROM PUBLIC",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect("journeys")
    op.execute("GRANT EXECUTE ON FUNCTION journeys.erase(TEXT, TEXT) TO muyun_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA journeys CASCADE")

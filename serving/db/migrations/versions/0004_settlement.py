"""Plans, legs, holds, pay-outs, statements, channel bills and the relations of agents.

Revision: 0004, after 0003.
"""

from alembic import op

from serving.db.migrations.tenancy import protect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SCHEMAS = ("settlement", "agents")

_TABLES = (
    """
    CREATE TABLE settlement.plan_version (
        tenant_id TEXT NOT NULL,
        plan_id TEXT NOT NULL,
        version INTEGER NOT NULL CHECK (version >= 1),
        profile TEXT NOT NULL CHECK (profile IN ('cn_strict', 'cn_two_level', 'whitepaper_demo')),
        document TEXT NOT NULL,
        content_hash TEXT NOT NULL,
        published_at TIMESTAMPTZ NOT NULL,
        effective_at TIMESTAMPTZ NOT NULL,
        legal_review_id TEXT,
        PRIMARY KEY (tenant_id, plan_id, version),
        UNIQUE (tenant_id, plan_id, effective_at),
        CONSTRAINT notice_of_seven_days CHECK (version = 1 OR effective_at >= published_at + interval '7 days'),
        CONSTRAINT two_levels_need_a_review CHECK (profile <> 'cn_two_level' OR legal_review_id IS NOT NULL)
    )
    """,
    "COMMENT ON TABLE settlement.plan_version IS"
    " 'Plans as published; a version is in force until the next one is. Immutable. One row per version.'",
    """
    CREATE TRIGGER plan_version_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement.plan_version
        FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()
    """,
    """
    CREATE TABLE settlement.legal_review (
        tenant_id TEXT NOT NULL,
        review_id TEXT NOT NULL,
        plan_id TEXT NOT NULL,
        signed_by TEXT NOT NULL,
        signed_at TIMESTAMPTZ NOT NULL,
        reference TEXT NOT NULL,
        PRIMARY KEY (tenant_id, review_id)
    )
    """,
    """
    CREATE TABLE settlement.merchant_plan (
        tenant_id TEXT NOT NULL,
        merchant_id TEXT NOT NULL,
        plan_id TEXT NOT NULL,
        PRIMARY KEY (tenant_id, merchant_id)
    )
    """,
    "COMMENT ON TABLE settlement.merchant_plan IS"
    " 'Plan of a merchant; the merchant '''' stands for all others. One row per merchant.'",
    # line_no 0 is the freight of the supplier. P12: at most two paid levels above the seller.
    """
    CREATE TABLE settlement.leg (
        leg_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        line_no INTEGER NOT NULL CHECK (line_no >= 0),
        supplier_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        scenario SMALLINT NOT NULL CHECK (scenario BETWEEN 1 AND 8),
        rule_id TEXT,
        plan_id TEXT NOT NULL,
        plan_version INTEGER NOT NULL,
        payee_type TEXT NOT NULL CHECK (payee_type IN ('platform', 'supplier', 'merchant', 'agent')),
        payee_id TEXT NOT NULL,
        level SMALLINT NOT NULL DEFAULT 0 CONSTRAINT at_most_two_paid_levels CHECK (level BETWEEN 0 AND 2),
        base TEXT,
        base_cents BIGINT,
        rate_bps INTEGER CHECK (rate_bps BETWEEN 0 AND 10000),
        wanted_cents BIGINT NOT NULL,
        amount_cents BIGINT NOT NULL,
        reversed_cents BIGINT NOT NULL DEFAULT 0,
        cut_reason TEXT,
        explanation TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'locked', 'released', 'voided')),
        is_unfrozen BOOLEAN NOT NULL DEFAULT false,
        accrued_at TIMESTAMPTZ NOT NULL,
        released_at TIMESTAMPTZ,
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        FOREIGN KEY (tenant_id, order_id) REFERENCES orders.customer_order (tenant_id, order_id),
        CONSTRAINT reversal_never_exceeds_the_leg CHECK (
            CASE WHEN amount_cents >= 0 THEN reversed_cents BETWEEN 0 AND amount_cents
                 ELSE reversed_cents BETWEEN amount_cents AND 0 END),
        CONSTRAINT released_legs_know_when CHECK ((state = 'released') = (released_at IS NOT NULL) OR state = 'voided')
    )
    """,
    "CREATE INDEX leg_by_order ON settlement.leg (tenant_id, order_id, supplier_id)",
    "CREATE INDEX leg_by_payee ON settlement.leg (tenant_id, payee_type, payee_id, accrued_at)",
    "CREATE INDEX leg_not_yet_released ON settlement.leg (tenant_id, order_id, supplier_id)"
    " WHERE state IN ('pending', 'locked')",
    "CREATE INDEX leg_by_xact ON settlement.leg (xact_id)",
    "COMMENT ON TABLE settlement.leg IS"
    " 'Shares of order lines, with the formula; xact_id is of the last change. One row per line and share.'",
    """
    CREATE TABLE settlement.leg_reversal (
        tenant_id TEXT NOT NULL,
        refund_id TEXT NOT NULL,
        leg_id BIGINT NOT NULL REFERENCES settlement.leg (leg_id),
        reversed_cents BIGINT NOT NULL CHECK (reversed_cents <> 0),
        transaction_id BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, refund_id, leg_id)
    )
    """,
    "COMMENT ON TABLE settlement.leg_reversal IS 'What a refund took from a leg. One row per refund and leg.'",
    """
    CREATE TABLE settlement.refund (
        tenant_id TEXT NOT NULL,
        refund_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        line_no INTEGER NOT NULL CHECK (line_no >= 0),
        supplier_id TEXT NOT NULL,
        case_id TEXT,
        refund_cents BIGINT NOT NULL CHECK (refund_cents > 0),
        rounding_cents BIGINT NOT NULL,
        refunded_at TIMESTAMPTZ NOT NULL,
        transaction_id BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, refund_id),
        FOREIGN KEY (tenant_id, order_id) REFERENCES orders.customer_order (tenant_id, order_id)
    )
    """,
    "CREATE INDEX refund_by_order ON settlement.refund (tenant_id, order_id, line_no)",
    "COMMENT ON TABLE settlement.refund IS 'Refunds of lines. One row per refund.'",
    # P2: locked referral legs wait for a batch of three.
    """
    CREATE TABLE settlement.hold (
        hold_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        target_type TEXT NOT NULL CHECK (target_type IN ('leg', 'sub_order', 'order', 'party')),
        target_id TEXT NOT NULL,
        source TEXT NOT NULL CHECK (source IN ('risk', 'violation', 'diversion', 'composition', 'operator')),
        reason_code TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'standing' CHECK (state IN ('standing', 'lifted', 'confirmed')),
        placed_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ,
        resolved_at TIMESTAMPTZ,
        resolved_by TEXT,
        CONSTRAINT resolved_holds_know_when CHECK ((state = 'standing') = (resolved_at IS NULL))
    )
    """,
    "CREATE INDEX hold_standing ON settlement.hold (tenant_id, target_type, target_id) WHERE state = 'standing'",
    "COMMENT ON TABLE settlement.hold IS 'Reasons not to release; each is resolved once. One row per hold.'",
    """
    CREATE TABLE settlement.payout_batch (
        tenant_id TEXT NOT NULL,
        batch_id TEXT NOT NULL,
        prepared_at TIMESTAMPTZ NOT NULL,
        adapter TEXT NOT NULL,
        PRIMARY KEY (tenant_id, batch_id)
    )
    """,
    """
    CREATE TABLE settlement.payout (
        tenant_id TEXT NOT NULL,
        payout_id TEXT NOT NULL,
        batch_id TEXT NOT NULL,
        party_type TEXT NOT NULL,
        party_id TEXT NOT NULL,
        amount_cents BIGINT NOT NULL CHECK (amount_cents > 0),
        state TEXT NOT NULL CHECK (state IN ('in_transit', 'paid', 'failed')),
        sent_at TIMESTAMPTZ NOT NULL,
        resolved_at TIMESTAMPTZ,
        failure TEXT,
        PRIMARY KEY (tenant_id, payout_id),
        FOREIGN KEY (tenant_id, batch_id) REFERENCES settlement.payout_batch (tenant_id, batch_id)
    )
    """,
    "CREATE INDEX payout_by_party ON settlement.payout (tenant_id, party_type, party_id)",
    "COMMENT ON TABLE settlement.payout IS 'Transfers to parties. One row per transfer.'",
    """
    CREATE TABLE settlement.statement (
        tenant_id TEXT NOT NULL,
        party_type TEXT NOT NULL,
        party_id TEXT NOT NULL,
        period_start DATE NOT NULL,
        period_end DATE NOT NULL,
        opening_cents BIGINT NOT NULL,
        closing_cents BIGINT NOT NULL,
        movements JSONB NOT NULL,
        closed_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, party_type, party_id, period_start),
        CHECK (period_end > period_start)
    )
    """,
    "COMMENT ON TABLE settlement.statement IS"
    " 'Closed statements; movements by account and kind. One row per party and period.'",
    """
    CREATE TRIGGER statement_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement.statement
        FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()
    """,
    """
    CREATE TABLE settlement.channel_bill (
        tenant_id TEXT NOT NULL,
        bill_id TEXT NOT NULL,
        adapter TEXT NOT NULL,
        bill_from TIMESTAMPTZ NOT NULL,
        bill_to TIMESTAMPTZ NOT NULL,
        content_hash TEXT NOT NULL,
        loaded_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (tenant_id, bill_id)
    )
    """,
    """
    CREATE TABLE settlement.channel_bill_line (
        tenant_id TEXT NOT NULL,
        bill_id TEXT NOT NULL,
        line_no INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('payment', 'refund', 'payout')),
        reference TEXT NOT NULL,
        amount_cents BIGINT NOT NULL,
        fee_cents BIGINT NOT NULL DEFAULT 0,
        occurred_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (tenant_id, bill_id, line_no),
        FOREIGN KEY (tenant_id, bill_id) REFERENCES settlement.channel_bill (tenant_id, bill_id)
    )
    """,
    "COMMENT ON TABLE settlement.channel_bill_line IS 'What the payment channel says. One row per line of a bill.'",
    """
    CREATE TABLE settlement.reconciliation (
        tenant_id TEXT NOT NULL,
        run_id TEXT NOT NULL,
        bill_id TEXT,
        as_of TIMESTAMPTZ NOT NULL,
        counts JSONB NOT NULL,
        difference_cents BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, run_id)
    )
    """,
    """
    CREATE TABLE settlement.reconciliation_break (
        tenant_id TEXT NOT NULL,
        run_id TEXT NOT NULL,
        break_type TEXT NOT NULL,
        kind TEXT NOT NULL,
        reference TEXT NOT NULL,
        expected_cents BIGINT,
        found_cents BIGINT,
        details TEXT,
        PRIMARY KEY (tenant_id, run_id, break_type, kind, reference),
        FOREIGN KEY (tenant_id, run_id) REFERENCES settlement.reconciliation (tenant_id, run_id)
    )
    """,
    "COMMENT ON TABLE settlement.reconciliation_break IS"
    " 'Differences between ledger, channel bill and orders. One row per difference.'",
    """
    CREATE TABLE settlement.service_fee (
        tenant_id TEXT NOT NULL,
        fee_id TEXT NOT NULL,
        party_type TEXT NOT NULL,
        party_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('service_fee', 'slot_fee', 'penalty', 'compensation')),
        amount_cents BIGINT NOT NULL CHECK (amount_cents > 0),
        recognised_at TIMESTAMPTZ NOT NULL,
        beneficiary_type TEXT,
        beneficiary_id TEXT,
        transaction_id BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, fee_id)
    )
    """,
    "COMMENT ON TABLE settlement.service_fee IS 'Fees and penalties outside orders. One row per fee.'",
    # P12: relation depth at most 3, counting the top payee; a check that configuration cannot override.
    """
    CREATE TABLE agents.agent (
        tenant_id TEXT NOT NULL,
        agent_id TEXT NOT NULL,
        merchant_id TEXT,
        inviter_agent_id TEXT,
        manager_agent_id TEXT,
        depth SMALLINT NOT NULL CONSTRAINT relation_depth_at_most_three CHECK (depth BETWEEN 1 AND 3),
        tier TEXT NOT NULL DEFAULT 'none' CHECK (tier IN ('none', 'bronze', 'silver', 'gold', 'diamond')),
        region_code TEXT,
        has_service_evidence BOOLEAN NOT NULL DEFAULT false,
        joined_on DATE,
        PRIMARY KEY (tenant_id, agent_id),
        FOREIGN KEY (tenant_id, inviter_agent_id) REFERENCES agents.agent (tenant_id, agent_id),
        FOREIGN KEY (tenant_id, manager_agent_id) REFERENCES agents.agent (tenant_id, agent_id),
        CONSTRAINT nobody_invites_himself CHECK (inviter_agent_id IS DISTINCT FROM agent_id),
        CONSTRAINT only_the_top_has_no_inviter CHECK ((inviter_agent_id IS NULL) = (depth = 1))
    )
    """,
    "CREATE INDEX agent_by_inviter ON agents.agent (tenant_id, inviter_agent_id)",
    "COMMENT ON TABLE agents.agent IS 'Agents and who invited them. One row per agent.'",
    """
    CREATE FUNCTION agents.set_depth() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND NEW.inviter_agent_id IS DISTINCT FROM OLD.inviter_agent_id THEN
            RAISE EXCEPTION 'the inviter of agent % is fixed when the agent joins', NEW.agent_id USING ERRCODE = 'MY422';
        END IF;
        IF NEW.inviter_agent_id IS NULL THEN
            NEW.depth := 1;
        ELSE
            SELECT a.depth + 1 INTO NEW.depth FROM agents.agent a
                WHERE a.tenant_id = NEW.tenant_id AND a.agent_id = NEW.inviter_agent_id;
            IF NEW.depth IS NULL THEN
                RAISE EXCEPTION 'inviter % of agent % is unknown', NEW.inviter_agent_id, NEW.agent_id
                    USING ERRCODE = 'MY422';
            END IF;
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER agent_depth BEFORE INSERT OR UPDATE ON agents.agent
        FOR EACH ROW EXECUTE FUNCTION agents.set_depth()
    """,
    """
    CREATE TABLE agents.tier_change (
        tenant_id TEXT NOT NULL,
        agent_id TEXT NOT NULL,
        month_on DATE NOT NULL,
        tier_before TEXT NOT NULL,
        tier_after TEXT NOT NULL,
        end_customers INTEGER NOT NULL,
        net_sales_cents BIGINT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (tenant_id, agent_id, month_on, reason),
        FOREIGN KEY (tenant_id, agent_id) REFERENCES agents.agent (tenant_id, agent_id)
    )
    """,
    "COMMENT ON TABLE agents.tier_change IS 'Tiers at month close and by violation. One row per agent and change.'",
    """
    CREATE TABLE agents.violation (
        violation_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        agent_id TEXT NOT NULL,
        points INTEGER NOT NULL CHECK (points IN (1, 3, 6, 12)),
        reason_code TEXT NOT NULL,
        occurred_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL,
        withdrawn_at TIMESTAMPTZ,
        FOREIGN KEY (tenant_id, agent_id) REFERENCES agents.agent (tenant_id, agent_id)
    )
    """,
    "CREATE INDEX violation_by_agent ON agents.violation (tenant_id, agent_id)",
    "COMMENT ON TABLE agents.violation IS 'Violation points. One row per violation.'",
    """
    CREATE TABLE agents.protected_region (
        tenant_id TEXT NOT NULL,
        region_code TEXT NOT NULL,
        agent_id TEXT NOT NULL,
        protected_from DATE NOT NULL,
        protected_to DATE NOT NULL,
        PRIMARY KEY (tenant_id, region_code, protected_from),
        FOREIGN KEY (tenant_id, agent_id) REFERENCES agents.agent (tenant_id, agent_id),
        CHECK (protected_to > protected_from)
    )
    """,
    "COMMENT ON TABLE agents.protected_region IS 'Regions that belong to an agent for a time. One row per grant.'",
)


def upgrade() -> None:
    for schema in _SCHEMAS:
        op.execute(f"CREATE SCHEMA {schema}")
    for statement in _TABLES:
        op.execute(statement)
    protect(*_SCHEMAS)


def downgrade() -> None:
    for schema in reversed(_SCHEMAS):
        op.execute(f"DROP SCHEMA {schema} CASCADE")

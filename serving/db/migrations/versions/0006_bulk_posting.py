"""Many postings in one call, locking of balances by the application, and what settlement keeps on a leg.

Revision: 0006, after 0005.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    # The application may not update balances, so it may not lock them either: this function does it in the one
    # order that every posting keeps.
    """
    CREATE FUNCTION ledger.lock_balances(p_tenant TEXT, p_accounts BIGINT[])
    RETURNS TABLE (account_id BIGINT, amount BIGINT)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF p_tenant IS DISTINCT FROM ops.current_tenant() THEN
            RAISE EXCEPTION 'tenant % is not the tenant of this session', p_tenant USING ERRCODE = 'MY403';
        END IF;
        RETURN QUERY SELECT b.account_id, b.amount FROM ledger.balance b
            WHERE b.account_id = ANY (p_accounts) AND b.tenant_id = p_tenant ORDER BY b.account_id FOR UPDATE;
    END $$
    """,
    # ledger.post for many transactions at once: same checks, one statement each for all of them. The number of an
    # entry is the position (from 1) of its transaction.
    """
    CREATE FUNCTION ledger.post_many(
        p_tenant TEXT, p_keys TEXT[], p_hashes BYTEA[], p_kinds TEXT[], p_orders TEXT[], p_booked_at TIMESTAMPTZ[],
        p_details JSONB[], p_numbers INTEGER[], p_accounts BIGINT[], p_amounts BIGINT[], p_legs BIGINT[]
    ) RETURNS TABLE (number INTEGER, transaction_id BIGINT, is_new BOOLEAN)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    #variable_conflict use_column
    DECLARE
        new_keys TEXT[];
        new_ids BIGINT[];
        clash TEXT;
        closed TIMESTAMPTZ;
    BEGIN
        IF p_tenant IS DISTINCT FROM ops.current_tenant() THEN
            RAISE EXCEPTION 'tenant % is not the tenant of this session', p_tenant USING ERRCODE = 'MY403';
        END IF;
        IF cardinality(p_keys) <> cardinality(p_hashes) OR cardinality(p_keys) <> cardinality(p_kinds)
           OR cardinality(p_keys) <> cardinality(p_orders) OR cardinality(p_keys) <> cardinality(p_booked_at)
           OR cardinality(p_keys) <> cardinality(p_details)
           OR cardinality(p_numbers) <> cardinality(p_accounts)
           OR cardinality(p_numbers) <> cardinality(p_amounts) OR cardinality(p_numbers) <> cardinality(p_legs)
           OR EXISTS (SELECT 1 FROM unnest(p_numbers) AS n (no)
                      WHERE n.no NOT BETWEEN 1 AND cardinality(p_keys)) THEN
            RAISE EXCEPTION 'postings and entries do not fit together' USING ERRCODE = 'MY422';
        END IF;
        -- Before the numbers are drawn: whoever closes a period then knows every smaller number.
        PERFORM pg_advisory_xact_lock_shared(hashtext('ledger.close'), hashtext(p_tenant));
        -- In order of key, so that two calls with the same keys wait for each other instead of in a circle.
        WITH added AS (
            INSERT INTO ledger.transaction AS t
                (tenant_id, idempotency_key, request_hash, kind, order_id, booked_at, details)
            SELECT p_tenant, n.key, n.hash, n.kind, n.order_id, n.booked_at, n.details
            FROM unnest(p_keys, p_hashes, p_kinds, p_orders, p_booked_at, p_details)
                 AS n (key, hash, kind, order_id, booked_at, details)
            ORDER BY n.key
            ON CONFLICT (tenant_id, idempotency_key) DO NOTHING
            RETURNING t.idempotency_key, t.transaction_id
        )
        SELECT array_agg(a.idempotency_key), array_agg(a.transaction_id) INTO new_keys, new_ids FROM added a;
        SELECT n.key INTO clash FROM unnest(p_keys, p_hashes) AS n (key, hash)
            JOIN ledger.transaction t ON t.tenant_id = p_tenant AND t.idempotency_key = n.key
            WHERE t.request_hash <> n.hash LIMIT 1;
        IF clash IS NOT NULL THEN
            RAISE EXCEPTION 'idempotency key % was used with another body', clash USING ERRCODE = 'MY409';
        END IF;
        SELECT min(n.booked_at) INTO closed FROM unnest(p_keys, p_booked_at) AS n (key, booked_at)
            JOIN ledger.closed_until c ON c.tenant_id = p_tenant AND c.closed_until > n.booked_at
            WHERE n.key = ANY (new_keys);
        IF closed IS NOT NULL THEN
            RAISE EXCEPTION 'the period of % is closed: book it with a later time', closed USING ERRCODE = 'MY423';
        END IF;
        INSERT INTO ledger.entry (transaction_id, entry_no, tenant_id, account_id, unit, amount, leg_id)
            SELECT k.id, row_number() OVER (PARTITION BY e.no ORDER BY e.position), p_tenant, e.account_id,
                   coalesce(a.unit, '?'), e.amount, e.leg_id
            FROM unnest(p_numbers, p_accounts, p_amounts, p_legs) WITH ORDINALITY
                 AS e (no, account_id, amount, leg_id, position)
            JOIN unnest(p_keys) WITH ORDINALITY AS n (key, no) ON n.no = e.no
            JOIN unnest(new_keys, new_ids) AS k (key, id) ON k.key = n.key
            LEFT JOIN ledger.account a ON a.account_id = e.account_id;
        PERFORM 1 FROM ledger.balance b WHERE b.account_id = ANY (p_accounts) ORDER BY b.account_id FOR UPDATE;
        UPDATE ledger.balance b SET amount = b.amount + d.delta
            FROM (SELECT e.account_id, sum(e.amount)::BIGINT AS delta
                  FROM unnest(p_numbers, p_accounts, p_amounts) AS e (no, account_id, amount)
                  JOIN unnest(p_keys) WITH ORDINALITY AS n (key, no) ON n.no = e.no
                  WHERE n.key = ANY (new_keys) GROUP BY e.account_id) d
            WHERE b.account_id = d.account_id;
        RETURN QUERY SELECT n.no::INTEGER, t.transaction_id, t.idempotency_key = ANY (coalesce(new_keys, '{}'))
            FROM unnest(p_keys) WITH ORDINALITY AS n (key, no)
            JOIN ledger.transaction t ON t.tenant_id = p_tenant AND t.idempotency_key = n.key
            ORDER BY n.no;
    END $$
    """,
    "REVOKE EXECUTE ON FUNCTION ledger.lock_balances, ledger.post_many FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION ledger.lock_balances, ledger.post_many TO muyun_app",
    # forfeited_cents: what of the leg the platform holds instead of the payee (a confirmed hold, a three-for-one batch
    # that is bounded or that expired). rounding_cents: what refunds of the line gave back beyond the reversals of its
    # legs; one leg of a line carries it, so that the money at the channel follows. is_replaced: the line went to
    # another supplier, and other legs stand in its place.
    """
    ALTER TABLE settlement.leg
        ADD COLUMN forfeited_cents BIGINT NOT NULL DEFAULT 0,
        ADD COLUMN rounding_cents BIGINT NOT NULL DEFAULT 0,
        ADD COLUMN is_replaced BOOLEAN NOT NULL DEFAULT false,
        ADD CONSTRAINT forfeited_is_what_is_left CHECK (
            forfeited_cents = 0 OR forfeited_cents BETWEEN 0 AND amount_cents - reversed_cents),
        ADD CONSTRAINT replaced_legs_are_void CHECK (NOT is_replaced OR state = 'voided')
    """,
    "CREATE INDEX leg_frozen ON settlement.leg (tenant_id, accrued_at, order_id)"
    " WHERE NOT is_unfrozen AND state <> 'voided'",
    "CREATE INDEX leg_locked ON settlement.leg (tenant_id, payee_type, payee_id) WHERE state = 'locked'",
    # A fee waits, is released and is taken back like a leg; share_cents is the beneficiary's.
    """
    ALTER TABLE settlement.service_fee
        ADD COLUMN plan_id TEXT,
        ADD COLUMN plan_version INTEGER,
        ADD COLUMN share_cents BIGINT NOT NULL DEFAULT 0 CHECK (share_cents >= 0),
        ADD COLUMN reversed_cents BIGINT NOT NULL DEFAULT 0,
        ADD COLUMN state TEXT NOT NULL DEFAULT 'released' CHECK (state IN ('pending', 'released', 'voided')),
        ADD COLUMN released_at TIMESTAMPTZ,
        ADD COLUMN explanation TEXT NOT NULL DEFAULT '',
        ADD CONSTRAINT share_is_part_of_the_fee CHECK (share_cents <= amount_cents),
        ADD CONSTRAINT fee_reversal_never_exceeds_it CHECK (reversed_cents BETWEEN 0 AND amount_cents)
    """,
    "CREATE INDEX service_fee_pending ON settlement.service_fee (tenant_id, recognised_at) WHERE state = 'pending'",
    """
    CREATE TABLE settlement.service_fee_reversal (
        tenant_id TEXT NOT NULL,
        reversal_id TEXT NOT NULL,
        fee_id TEXT NOT NULL,
        amount_cents BIGINT NOT NULL CHECK (amount_cents > 0),
        share_cents BIGINT NOT NULL,
        reversed_at TIMESTAMPTZ NOT NULL,
        transaction_id BIGINT NOT NULL,
        PRIMARY KEY (tenant_id, reversal_id),
        FOREIGN KEY (tenant_id, fee_id) REFERENCES settlement.service_fee (tenant_id, fee_id)
    )
    """,
    "COMMENT ON TABLE settlement.service_fee_reversal IS 'What was given back of fees. One row per reversal.'",
    "ALTER TABLE settlement.service_fee_reversal ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON settlement.service_fee_reversal FOR ALL TO muyun_app"
    " USING (tenant_id = ops.current_tenant())",
    "GRANT SELECT, INSERT ON settlement.service_fee_reversal TO muyun_app",
    # The return of a line that cost nothing refunds 0 and still takes its legs back.
    "ALTER TABLE settlement.refund DROP CONSTRAINT refund_refund_cents_check",
    "ALTER TABLE settlement.refund ADD CONSTRAINT refund_refund_cents_check CHECK (refund_cents >= 0)",
    # In the order in which release runs visit sub-orders, however many are due at one moment.
    "DROP INDEX orders.sub_order_release_due",
    "CREATE INDEX sub_order_release_due ON orders.sub_order (tenant_id, release_due_at, order_id, supplier_id)"
    " WHERE status = 'received'",
    "DROP INDEX settlement.hold_standing",
    "CREATE UNIQUE INDEX hold_standing ON settlement.hold (tenant_id, target_type, target_id, source, reason_code)"
    " WHERE state = 'standing'",
    "CREATE INDEX hold_confirmed_on_party ON settlement.hold (tenant_id, target_id)"
    " WHERE state = 'confirmed' AND target_type = 'party'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX orders.sub_order_release_due")
    op.execute(
        "CREATE INDEX sub_order_release_due ON orders.sub_order (tenant_id, release_due_at) WHERE status = 'received'"
    )
    op.execute("DROP FUNCTION ledger.post_many, ledger.lock_balances")
    op.execute(
        "DROP INDEX settlement.hold_confirmed_on_party, settlement.hold_standing, settlement.leg_locked"
    )
    op.execute("DROP INDEX settlement.leg_frozen")
    op.execute("DROP TABLE settlement.service_fee_reversal")
    op.execute(
        "ALTER TABLE settlement.service_fee DROP COLUMN plan_id, DROP COLUMN plan_version, DROP COLUMN share_cents,"
        " DROP COLUMN reversed_cents, DROP COLUMN state, DROP COLUMN released_at, DROP COLUMN explanation"
    )
    op.execute(
        "CREATE INDEX hold_standing ON settlement.hold (tenant_id, target_type, target_id) WHERE state = 'standing'"
    )
    op.execute("ALTER TABLE settlement.refund DROP CONSTRAINT refund_refund_cents_check")
    op.execute(
        "ALTER TABLE settlement.refund ADD CONSTRAINT refund_refund_cents_check CHECK (refund_cents > 0) NOT VALID"
    )
    op.execute(
        "ALTER TABLE settlement.leg DROP COLUMN is_replaced, DROP COLUMN rounding_cents, DROP COLUMN forfeited_cents"
    )

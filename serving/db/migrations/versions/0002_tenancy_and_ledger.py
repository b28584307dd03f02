"""Tenants, the role of the application, and the double-entry ledger.

Revision: 0002, after 0001.

Convention of sign: a positive entry is a credit (the platform owes the account's holder more), a negative one a
debit. Money that lies at the payment channel is an asset, so the channel accounts are negative; every
transaction sums to zero per unit.

The role `muyun_app` belongs to the whole server, so `downgrade` leaves it: another database may use it.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Postings read and write a handful of rows by key. With plans made once, through the indexes, a posting costs the
# same after years, and less than with a plan made anew for every call.
_POINT_PLANS = (
    "SET plan_cache_mode = force_generic_plan SET enable_seqscan = off"
    " SET enable_hashjoin = off SET enable_mergejoin = off"
)

STATEMENTS = (
    """
    DO $$
    BEGIN
        CREATE ROLE muyun_app NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END $$
    """,
    """
    DO $$
    BEGIN
        IF NOT pg_has_role(current_user, 'muyun_app', 'MEMBER') THEN
            EXECUTE format('GRANT muyun_app TO %I', current_user);
        END IF;
    END $$
    """,
    "ALTER TABLE ops.api_key ADD COLUMN tenant_id TEXT DEFAULT 'default' NOT NULL",
    "ALTER TABLE ops.api_key ADD COLUMN role TEXT DEFAULT 'operator' NOT NULL",
    "ALTER TABLE ops.api_key ADD COLUMN party_id TEXT",
    "UPDATE ops.api_key SET role = 'merchant', party_id = merchant_id WHERE merchant_id IS NOT NULL",
    """
    ALTER TABLE ops.api_key ADD CONSTRAINT api_key_role_known
        CHECK (role IN ('operator', 'auditor', 'supplier', 'merchant', 'agent'))
    """,
    "CREATE SCHEMA ledger",
    """
    CREATE FUNCTION ops.current_tenant() RETURNS TEXT LANGUAGE sql STABLE PARALLEL SAFE
        RETURN current_setting('muyun.tenant', true)
    """,
    # What kinds of accounts there are. guard 1: never below 0, guard -1: never above 0, guard 0: free.
    """
    CREATE TABLE ledger.account_kind (
        kind TEXT PRIMARY KEY,
        unit TEXT NOT NULL CHECK (unit IN ('CNY', 'PT')),
        has_balance_row BOOLEAN NOT NULL,
        guard SMALLINT NOT NULL CHECK (guard IN (-1, 0, 1)),
        description TEXT NOT NULL,
        CONSTRAINT a_guard_needs_a_balance_row CHECK (guard = 0 OR has_balance_row)
    )
    """,
    """
    INSERT INTO ledger.account_kind (kind, unit, has_balance_row, guard, description) VALUES
        ('channel_frozen', 'CNY', false, 0, 'Money captured and still frozen at the payment channel.'),
        ('channel_available', 'CNY', false, 0, 'Money at the payment channel that can be paid out.'),
        ('clawback_receivable', 'CNY', true, -1, 'What a party owes after a refund that it was already paid for.'),
        ('supplier_pending', 'CNY', true, 1, 'Accrued for a supplier, not yet released.'),
        ('supplier_available', 'CNY', true, 1, 'Released to a supplier, not yet paid out.'),
        ('merchant_pending', 'CNY', true, 1, 'Accrued for a merchant, not yet released.'),
        ('merchant_available', 'CNY', true, 1, 'Released to a merchant, not yet paid out.'),
        ('merchant_locked', 'CNY', true, 1, 'Accrued for a merchant, locked until a rule unlocks it.'),
        ('agent_pending', 'CNY', true, 1, 'Accrued for an agent, not yet released.'),
        ('agent_available', 'CNY', true, 1, 'Released to an agent, not yet paid out.'),
        ('agent_locked', 'CNY', true, 1, 'Accrued for an agent, locked until a rule unlocks it.'),
        ('deposit', 'CNY', true, 1, 'Deposit of a party.'),
        ('guarantee', 'CNY', true, 1, 'Guarantee of a party for after-sale claims.'),
        ('support_fund', 'CNY', false, 0, 'Grant fund for merchants and agents.'),
        ('platform_fee', 'CNY', false, 0, 'What the platform keeps of orders; revenue.'),
        ('platform_rounding', 'CNY', false, 0, 'Fen of partial refunds that no leg carries; 0 after a full refund.'),
        ('penalty', 'CNY', false, 0, 'Penalties; revenue.'),
        ('subsidy', 'CNY', false, 0, 'What the platform adds to an order; expense.'),
        ('channel_fee', 'CNY', false, 0, 'Fee that the payment channel takes.'),
        ('tax_withheld', 'CNY', false, 0, 'Tax withheld for the authority.'),
        ('payout_in_transit', 'CNY', false, 0, 'Sent to the payment channel for pay-out, not yet confirmed.'),
        ('reconciliation_suspense', 'CNY', false, 0, 'Differences under inquiry.'),
        ('consumer_points', 'PT', true, 1, 'Points of a consumer.'),
        ('points_liability', 'PT', false, 0, 'Points issued and not yet used, with the other sign.')
    """,
    """
    CREATE TABLE ledger.account (
        account_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        kind TEXT NOT NULL REFERENCES ledger.account_kind (kind),
        party_type TEXT NOT NULL CHECK (party_type IN ('platform', 'supplier', 'merchant', 'agent', 'consumer')),
        party_id TEXT NOT NULL,
        unit TEXT NOT NULL,
        has_balance_row BOOLEAN NOT NULL,
        created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        UNIQUE (tenant_id, kind, party_type, party_id)
    )
    """,
    "COMMENT ON TABLE ledger.account IS 'Ledger accounts. One row per tenant, kind and party.'",
    # Half-empty pages keep the updates of a balance on its page (HOT), whatever the history.
    """
    CREATE TABLE ledger.balance (
        account_id BIGINT PRIMARY KEY REFERENCES ledger.account (account_id),
        tenant_id TEXT NOT NULL,
        amount BIGINT NOT NULL DEFAULT 0,
        guard SMALLINT NOT NULL,
        CONSTRAINT balance_guard CHECK (guard = 0 OR amount * guard >= 0)
    ) WITH (fillfactor = 50)
    """,
    "COMMENT ON TABLE ledger.balance IS 'Running balance of payee accounts. One row per such account.'",
    """
    CREATE TABLE ledger.transaction (
        transaction_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        request_hash BYTEA NOT NULL,
        kind TEXT NOT NULL,
        order_id TEXT,
        booked_at TIMESTAMPTZ NOT NULL,
        recorded_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        xact_id XID8 NOT NULL DEFAULT pg_current_xact_id(),
        details JSONB,
        UNIQUE (tenant_id, idempotency_key)
    )
    """,
    "CREATE INDEX transaction_by_xact ON ledger.transaction (xact_id, transaction_id)",
    "CREATE INDEX transaction_by_order ON ledger.transaction (tenant_id, order_id) WHERE order_id IS NOT NULL",
    "COMMENT ON TABLE ledger.transaction IS 'Postings; append-only. One row per transaction.'",
    """
    CREATE TABLE ledger.entry (
        transaction_id BIGINT NOT NULL,
        entry_no SMALLINT NOT NULL,
        tenant_id TEXT NOT NULL,
        account_id BIGINT NOT NULL,
        unit TEXT NOT NULL,
        amount BIGINT NOT NULL CHECK (amount <> 0),
        leg_id BIGINT,
        PRIMARY KEY (transaction_id, entry_no)
    )
    """,
    "CREATE INDEX entry_by_account ON ledger.entry (account_id, transaction_id)",
    "COMMENT ON TABLE ledger.entry IS 'Entries of transactions; append-only. One row per entry.'",
    # L3: append-only, whoever asks.
    """
    CREATE FUNCTION ledger.refuse_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '%.% is append-only: post a reversing transaction instead', TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = 'MY403';
    END $$
    """,
    *(
        f"""
        CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.{table}
            FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()
        """
        for table in ("transaction", "entry")
    ),
    # L1, L2, L16 at commit: whatever wrote the entries.
    f"""
    CREATE FUNCTION ledger.check_transaction() RETURNS TRIGGER LANGUAGE plpgsql
    {_POINT_PLANS} AS $$
    DECLARE
        bad BOOLEAN;
        legs BIGINT;
        cents BIGINT;
        points BIGINT;
    BEGIN
        SELECT count(*), bool_or(a.account_id IS NULL OR a.tenant_id <> NEW.tenant_id OR e.tenant_id <> NEW.tenant_id
                                 OR a.unit <> e.unit),
               sum(CASE WHEN e.unit = 'CNY' THEN e.amount END), sum(CASE WHEN e.unit <> 'CNY' THEN e.amount END)
            INTO legs, bad, cents, points
            FROM ledger.entry e LEFT JOIN ledger.account a USING (account_id)
            WHERE e.transaction_id = NEW.transaction_id;
        IF legs < 2 OR bad THEN
            RAISE EXCEPTION 'transaction % has % entries or mixes tenants or units', NEW.transaction_id, legs
                USING ERRCODE = 'MY422';
        END IF;
        IF cents <> 0 OR points <> 0 THEN
            RAISE EXCEPTION 'transaction % does not sum to zero', NEW.transaction_id USING ERRCODE = 'MY422';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER transaction_sums_to_zero AFTER INSERT ON ledger.transaction
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger.check_transaction()
    """,
    # A committed transaction takes no further entry, so that the check above stays true.
    """
    CREATE FUNCTION ledger.check_new_entries() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM (SELECT DISTINCT transaction_id FROM added) n
                   LEFT JOIN ledger.transaction t USING (transaction_id)
                   WHERE t.xact_id IS DISTINCT FROM pg_current_xact_id()) THEN
            RAISE EXCEPTION 'entries may only be added while their transaction is being posted'
                USING ERRCODE = 'MY403';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER entries_come_with_their_transaction AFTER INSERT ON ledger.entry
        REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_new_entries()
    """,
    # L13: what lies before this moment is closed; closing and posting exclude each other by an advisory lock.
    """
    CREATE TABLE ledger.closed_until (
        tenant_id TEXT PRIMARY KEY,
        closed_until TIMESTAMPTZ NOT NULL
    )
    """,
    "COMMENT ON TABLE ledger.closed_until IS 'End of the last closed period. One row per tenant that closed one.'",
    """
    CREATE FUNCTION ledger.close_until(p_tenant TEXT, p_until TIMESTAMPTZ) RETURNS VOID
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF p_tenant IS DISTINCT FROM ops.current_tenant() THEN
            RAISE EXCEPTION 'tenant % is not the tenant of this session', p_tenant USING ERRCODE = 'MY403';
        END IF;
        PERFORM pg_advisory_xact_lock(hashtext('ledger.close'), hashtext(p_tenant));
        INSERT INTO ledger.closed_until AS c VALUES (p_tenant, p_until)
            ON CONFLICT (tenant_id) DO UPDATE SET closed_until = greatest(c.closed_until, excluded.closed_until);
    END $$
    """,
    # Balances move only with entries: the application has no privilege to write them.
    """
    CREATE FUNCTION ledger.open_account(p_tenant TEXT, p_kind TEXT, p_party_type TEXT, p_party_id TEXT)
    RETURNS BIGINT LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        found_id BIGINT;
        k ledger.account_kind;
    BEGIN
        IF p_tenant IS DISTINCT FROM ops.current_tenant() THEN
            RAISE EXCEPTION 'tenant % is not the tenant of this session', p_tenant USING ERRCODE = 'MY403';
        END IF;
        SELECT account_id INTO found_id FROM ledger.account
            WHERE tenant_id = p_tenant AND kind = p_kind AND party_type = p_party_type AND party_id = p_party_id;
        IF found_id IS NOT NULL THEN
            RETURN found_id;
        END IF;
        SELECT * INTO k FROM ledger.account_kind WHERE kind = p_kind;
        IF k.kind IS NULL THEN
            RAISE EXCEPTION 'there is no account kind %', p_kind USING ERRCODE = 'MY422';
        END IF;
        INSERT INTO ledger.account (tenant_id, kind, party_type, party_id, unit, has_balance_row)
            VALUES (p_tenant, p_kind, p_party_type, p_party_id, k.unit, k.has_balance_row)
            ON CONFLICT DO NOTHING RETURNING account_id INTO found_id;
        IF found_id IS NULL THEN
            SELECT account_id INTO found_id FROM ledger.account
                WHERE tenant_id = p_tenant AND kind = p_kind AND party_type = p_party_type AND party_id = p_party_id;
        ELSIF k.has_balance_row THEN
            INSERT INTO ledger.balance (account_id, tenant_id, guard) VALUES (found_id, p_tenant, k.guard);
        END IF;
        RETURN found_id;
    END $$
    """,
    f"""
    CREATE FUNCTION ledger.post(
        p_tenant TEXT, p_key TEXT, p_request_hash BYTEA, p_kind TEXT, p_order_id TEXT, p_booked_at TIMESTAMPTZ,
        p_accounts BIGINT[], p_amounts BIGINT[], p_legs BIGINT[] DEFAULT NULL, p_details JSONB DEFAULT NULL,
        OUT transaction_id BIGINT, OUT is_new BOOLEAN
    ) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    {_POINT_PLANS} AS $$
    DECLARE
        known_hash BYTEA;
        new_id BIGINT;
    BEGIN
        IF p_tenant IS DISTINCT FROM ops.current_tenant() THEN
            RAISE EXCEPTION 'tenant % is not the tenant of this session', p_tenant USING ERRCODE = 'MY403';
        END IF;
        IF coalesce(cardinality(p_accounts), 0) < 2 OR cardinality(p_accounts) <> cardinality(p_amounts)
           OR (p_legs IS NOT NULL AND cardinality(p_legs) <> cardinality(p_accounts)) THEN
            RAISE EXCEPTION 'a posting needs two entries or more, each with an account and an amount'
                USING ERRCODE = 'MY422';
        END IF;
        -- Before the number is drawn: whoever closes a period then knows every smaller number.
        PERFORM pg_advisory_xact_lock_shared(hashtext('ledger.close'), hashtext(p_tenant));
        INSERT INTO ledger.transaction AS t
            (tenant_id, idempotency_key, request_hash, kind, order_id, booked_at, details)
            VALUES (p_tenant, p_key, p_request_hash, p_kind, p_order_id, p_booked_at, p_details)
            ON CONFLICT (tenant_id, idempotency_key) DO NOTHING
            RETURNING t.transaction_id INTO new_id;
        IF new_id IS NULL THEN
            SELECT t.transaction_id, t.request_hash INTO new_id, known_hash FROM ledger.transaction t
                WHERE t.tenant_id = p_tenant AND t.idempotency_key = p_key;
            IF known_hash <> p_request_hash THEN
                RAISE EXCEPTION 'idempotency key % was used with another body', p_key USING ERRCODE = 'MY409';
            END IF;
            transaction_id := new_id;
            is_new := false;
            RETURN;
        END IF;
        IF EXISTS (SELECT 1 FROM ledger.closed_until c WHERE c.tenant_id = p_tenant AND c.closed_until > p_booked_at) THEN
            RAISE EXCEPTION 'the period of % is closed: book it with a later time', p_booked_at USING ERRCODE = 'MY423';
        END IF;
        INSERT INTO ledger.entry (transaction_id, entry_no, tenant_id, account_id, unit, amount, leg_id)
            SELECT new_id, n.entry_no, p_tenant, n.account_id, coalesce(a.unit, '?'), n.amount, p_legs[n.entry_no]
            FROM unnest(p_accounts, p_amounts) WITH ORDINALITY AS n (account_id, amount, entry_no)
            LEFT JOIN ledger.account a ON a.account_id = n.account_id;
        PERFORM 1 FROM ledger.balance b WHERE b.account_id = ANY (p_accounts) ORDER BY b.account_id FOR UPDATE;
        UPDATE ledger.balance b SET amount = b.amount + d.delta
            FROM (SELECT n.account_id, sum(n.amount)::BIGINT AS delta
                  FROM unnest(p_accounts, p_amounts) AS n (account_id, amount) GROUP BY n.account_id) d
            WHERE b.account_id = d.account_id;
        transaction_id := new_id;
        is_new := true;
    END $$
    """,
    # Sums of the accounts without a balance row, up to a horizon below which every transaction is settled.
    """
    CREATE TABLE ledger.rolled_balance (
        account_id BIGINT PRIMARY KEY REFERENCES ledger.account (account_id),
        tenant_id TEXT NOT NULL,
        amount BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE ledger.mark (
        job TEXT PRIMARY KEY,
        xact_id XID8 NOT NULL
    )
    """,
    "INSERT INTO ledger.mark (job, xact_id) VALUES ('roll', '0'), ('seal', '0')",
    "COMMENT ON TABLE ledger.mark IS 'Transaction numbers below which a job has seen everything. One row per job.'",
    """
    CREATE FUNCTION ledger.roll_balances() RETURNS BIGINT
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        from_xact XID8;
        to_xact XID8;
        touched BIGINT;
    BEGIN
        SELECT xact_id INTO from_xact FROM ledger.mark WHERE job = 'roll' FOR UPDATE;
        to_xact := pg_snapshot_xmin(pg_current_snapshot());
        IF to_xact < from_xact THEN
            RAISE EXCEPTION 'this database was restored from a dump: run python -m serving.ledger after-restore'
                USING ERRCODE = 'MY500';
        END IF;
        INSERT INTO ledger.rolled_balance AS r (account_id, tenant_id, amount)
            SELECT e.account_id, e.tenant_id, sum(e.amount)::BIGINT
            FROM ledger.transaction t JOIN ledger.entry e USING (transaction_id) JOIN ledger.account a USING (account_id)
            WHERE t.xact_id >= from_xact AND t.xact_id < to_xact AND NOT a.has_balance_row
            GROUP BY e.account_id, e.tenant_id
            ON CONFLICT (account_id) DO UPDATE SET amount = r.amount + excluded.amount;
        GET DIAGNOSTICS touched = ROW_COUNT;
        UPDATE ledger.mark SET xact_id = to_xact WHERE job = 'roll';
        RETURN touched;
    END $$
    """,
    """
    CREATE VIEW ledger.account_balance WITH (security_invoker = true) AS
    SELECT a.account_id, a.tenant_id, a.kind, a.party_type, a.party_id, a.unit, b.amount
    FROM ledger.account a JOIN ledger.balance b USING (account_id)
    UNION ALL
    SELECT a.account_id, a.tenant_id, a.kind, a.party_type, a.party_id, a.unit,
           coalesce(r.amount, 0) + coalesce(n.amount, 0)
    FROM ledger.account a
    LEFT JOIN ledger.rolled_balance r USING (account_id)
    LEFT JOIN (
        SELECT e.account_id, sum(e.amount)::BIGINT AS amount
        FROM ledger.transaction t JOIN ledger.entry e USING (transaction_id)
        WHERE t.xact_id >= (SELECT m.xact_id FROM ledger.mark m WHERE m.job = 'roll')
        GROUP BY e.account_id
    ) n USING (account_id)
    WHERE NOT a.has_balance_row
    """,
    "COMMENT ON VIEW ledger.account_balance IS 'Balance of every account. One row per account.'",
    # L15: blocks of transactions, each hashed over the block before. One chain for the whole database.
    """
    CREATE TABLE ledger.chain_block (
        block_no BIGINT PRIMARY KEY,
        transaction_ids BIGINT[] NOT NULL,
        previous_hash BYTEA NOT NULL,
        hash BYTEA NOT NULL,
        sealed_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
    )
    """,
    """
    CREATE TRIGGER chain_block_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.chain_block
        FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()
    """,
    *(
        f"ALTER TABLE ledger.{table} ENABLE ROW LEVEL SECURITY"
        for table in ("account", "balance", "transaction", "entry", "rolled_balance", "closed_until")
    ),
    *(
        f"CREATE POLICY own_tenant ON ledger.{table} FOR ALL TO muyun_app USING (tenant_id = ops.current_tenant())"
        for table in ("account", "balance", "transaction", "entry", "rolled_balance", "closed_until")
    ),
    "GRANT USAGE ON SCHEMA ledger, ops TO muyun_app",
    "GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO muyun_app",
    "REVOKE SELECT ON ledger.chain_block FROM muyun_app",
    "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION ledger.open_account, ledger.post, ledger.close_until TO muyun_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP SCHEMA ledger CASCADE")
    op.execute("DROP FUNCTION ops.current_tenant()")
    op.execute("ALTER TABLE ops.api_key DROP COLUMN party_id, DROP COLUMN role, DROP COLUMN tenant_id")

"""The posting of the throughput benchmark: the worked example of settlement, spread over many payees.

Here are its legs, its pgbench script and a history of such postings. Nothing is measured here.
"""

from __future__ import annotations

import random

import psycopg

TENANT = "default"
PARTIES = 200
"""Suppliers, agents and merchants each; a posting takes two suppliers, an agent and a merchant."""

_PLATFORM = (
    ("channel_frozen", -23_660),
    ("channel_fee", 142),
    ("support_fund", 387),
    ("platform_fee", 1_163),
)
_PAYEES = (("supplier", 7_000), ("supplier", 8_570), ("agent", 4_571), ("merchant", 1_827))

PGBENCH_SCRIPT = f"""\
\\set s1 random(0, {PARTIES // 2 - 1})
\\set s2 random({PARTIES // 2}, {PARTIES - 1})
\\set a random(0, {PARTIES - 1})
\\set m random(0, {PARTIES - 1})
BEGIN;
SELECT set_config('muyun.tenant', '{TENANT}', true);
SELECT * FROM ledger.post('{TENANT}', 'accrue:' || gen_random_uuid(), '\\x00', 'accrual', 'order',
    '2026-01-05T00:00:00Z', ARRAY[:frozen, :fee, :fund, :platform, :supplier::bigint + :s1,
    :supplier::bigint + :s2, :agent::bigint + :a, :merchant::bigint + :m]::bigint[],
    ARRAY[-23660, 142, 387, 1163, 7000, 8570, 4571, 1827]::bigint[]);
COMMIT;
"""

_HISTORY = (
    """
    insert into ledger.transaction (tenant_id, idempotency_key, request_hash, kind, order_id, booked_at)
    select %(tenant)s, 'history:' || gen_random_uuid(), '\\x00', 'accrual', 'order', '2026-01-04T00:00:00Z'
    from generate_series(1, %(count)s)
    """,
    """
    insert into ledger.entry (transaction_id, entry_no, tenant_id, account_id, unit, amount)
    select t.transaction_id, e.entry_no, %(tenant)s, e.account_id, 'CNY', e.amount
    from ledger.transaction t
    cross join lateral (values
        (1, %(frozen)s::bigint, -23660::bigint), (2, %(fee)s, 142), (3, %(fund)s, 387),
        (4, %(platform)s, 1163), (5, %(supplier)s + t.transaction_id %% 100, 7000),
        (6, %(supplier)s + 100 + t.transaction_id * 7 %% 100, 8570),
        (7, %(agent)s + t.transaction_id * 11 %% 200, 4571),
        (8, %(merchant)s + t.transaction_id * 13 %% 200, 1827)
    ) as e (entry_no, account_id, amount)
    where t.transaction_id > %(after)s
    """,
    """
    update ledger.balance b set amount = b.amount + h.amount
    from (select account_id, sum(amount)::bigint as amount from ledger.entry
          where transaction_id > %(after)s group by account_id) h
    where h.account_id = b.account_id
    """,
)


def legs_for(chosen: random.Random) -> list[tuple[str, str, str, int]]:
    """Account kind, party type, party id and fen of the eight legs, with payees drawn at random."""
    half = PARTIES // 2
    numbers = (
        chosen.randrange(half),
        half + chosen.randrange(half),
        chosen.randrange(PARTIES),
        chosen.randrange(PARTIES),
    )
    payees = [
        (f"{kind}_pending", kind, f"{kind}-{number}", cents)
        for (kind, cents), number in zip(_PAYEES, numbers, strict=True)
    ]
    return [*((kind, "platform", "", cents) for kind, cents in _PLATFORM), *payees]


def open_accounts(url: str) -> dict[str, int]:
    """Open every account; ids of the platform's, and the first id of each kind of payee (others follow)."""
    ids: dict[str, int] = {}
    short = {
        "channel_frozen": "frozen",
        "channel_fee": "fee",
        "support_fund": "fund",
        "platform_fee": "platform",
    }
    with psycopg.connect(url) as conn:
        conn.execute("select set_config('muyun.tenant', %s, true)", (TENANT,))

        def opened(kind: str, party_type: str, party_id: str) -> int:
            row = conn.execute(
                "select ledger.open_account(%s, %s, %s, %s)", (TENANT, kind, party_type, party_id)
            ).fetchone()
            return int(row[0]) if row else 0

        for kind, _ in _PLATFORM:
            ids[short[kind]] = opened(kind, "platform", "")
        for kind in ("supplier", "agent", "merchant"):
            made = [opened(f"{kind}_pending", kind, f"{kind}-{number}") for number in range(PARTIES)]
            if made != list(range(made[0], made[0] + PARTIES)):
                raise SystemExit("error: the accounts were not numbered one after another")
            ids[kind] = made[0]
    return ids


def add_history(url: str, ids: dict[str, int], count: int) -> None:
    """Add that many postings with their entries and balances, without the checks of single postings."""
    with psycopg.connect(url) as conn:
        conn.execute("set local session_replication_role = replica")
        row = conn.execute("select coalesce(max(transaction_id), 0) from ledger.transaction").fetchone()
        values = {**ids, "tenant": TENANT, "count": count, "after": row[0] if row else 0}
        for statement in _HISTORY:
            conn.execute(statement.encode(), values)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("vacuum analyze")
        conn.execute("checkpoint")

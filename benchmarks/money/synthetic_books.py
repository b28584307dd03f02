"""Books of one busy day, made inside the database: payments, refunds, pay-outs and their ledger transactions.

Amounts are arbitrary but agree everywhere. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg

from serving.settlement.channel.bill import CUT_OFF, Bill
from serving.settlement.channel.simulator import ADAPTER

TENANT = "default"
DAY = datetime(2026, 1, 5, tzinfo=UTC)
# Of 100 records: payments, refunds of some of them, pay-outs (every tenth pay-out failed).
_PAYMENTS, _REFUNDS, _PAYOUTS = 85, 12, 3

_RECORDS = """
    create temp table made on commit drop as
    select i, case when i %% 100 < {payments} then 'payment' when i %% 100 < {refundable} then 'refund'
                   else 'payout' end as kind,
           1000 + mod(hashint8extended(i, 7) & 9223372036854775807, 100000) as cents,
           %(from)s::timestamptz + (%(to)s::timestamptz - %(from)s) * (i::float8 / %(records)s) as at
    from generate_series(1::bigint, %(records)s) i
"""
_STATEMENTS = (
    """
    insert into orders.customer_order (tenant_id, order_id, merchant_id, consumer_id, channel, source, status,
        placed_at, paid_at, payable_cents, captured_cents, refunded_cents)
    select %(tenant)s, 'o' || i, 'M1', 'c' || i, 'mini_program', 'api', 'paid', at, at, cents * 2, cents * 2,
           case kind when 'refund' then cents else 0 end
    from made where kind <> 'payout'
    """,
    # Orders that are refunded in the day were paid before it.
    """
    insert into orders.payment (tenant_id, payment_id, order_id, adapter, captured_cents, fee_cents, paid_at)
    select %(tenant)s, 'p' || i, 'o' || i, %(adapter)s, cents * 2, (2 * cents * 2 * 60 + 10000) / 20000,
           case kind when 'refund' then at - interval '3 days' else at end
    from made where kind <> 'payout'
    """,
    """
    insert into settlement.payout_batch (tenant_id, batch_id, prepared_at, adapter)
    values (%(tenant)s, 'b1', %(from)s, %(adapter)s)
    """,
    """
    insert into settlement.payout (tenant_id, payout_id, batch_id, party_type, party_id, amount_cents, state,
        sent_at, resolved_at)
    select %(tenant)s, 'x' || i, 'b1', 'supplier', 'S' || i %% 200, cents,
           case when (i / 100) %% 10 = 0 then 'failed' else 'paid' end, at - interval '1 hour', at
    from made where kind = 'payout'
    """,
    """
    insert into ledger.transaction (tenant_id, idempotency_key, request_hash, kind, order_id, booked_at)
    select %(tenant)s, 'accrue:o' || p_i, '\\x00', 'accrual', 'o' || p_i, p_at from (
        select i as p_i, case kind when 'refund' then at - interval '3 days' else at end as p_at
        from made where kind <> 'payout') p order by p_i
    """,
    """
    insert into ledger.transaction (tenant_id, idempotency_key, request_hash, kind, order_id, booked_at)
    select %(tenant)s, case kind when 'refund' then 'refund:r' || i else 'payout:x' || i || ':confirmed' end,
           '\\x00', kind, case kind when 'refund' then 'o' || i end, at
    from made where kind = 'refund' or (kind = 'payout' and (i / 100) %% 10 <> 0) order by i
    """,
    "analyze ledger.transaction",
    """
    insert into settlement.refund (tenant_id, refund_id, order_id, line_no, supplier_id, refund_cents,
        rounding_cents, refunded_at, transaction_id)
    select %(tenant)s, 'r' || m.i, 'o' || m.i, 1, 'S1', m.cents, 0, m.at, t.transaction_id
    from made m join ledger.transaction t
        on t.tenant_id = %(tenant)s and t.idempotency_key = 'refund:r' || m.i
    where m.kind = 'refund'
    """,
    # Every transaction with its entries: the channel, the fee and the platform as the party in between.
    """
    insert into ledger.entry (transaction_id, entry_no, tenant_id, account_id, unit, amount)
    select t.transaction_id, e.entry_no, %(tenant)s, e.account_id, 'CNY', e.amount
    from ledger.transaction t
    join orders.payment p on p.tenant_id = t.tenant_id and p.order_id = t.order_id
    cross join lateral (values
        (1, %(frozen)s::bigint, -p.captured_cents), (2, %(fee)s, p.fee_cents),
        (3, %(platform)s, p.captured_cents - p.fee_cents)
    ) as e (entry_no, account_id, amount)
    where t.kind = 'accrual'
    """,
    """
    insert into ledger.entry (transaction_id, entry_no, tenant_id, account_id, unit, amount)
    select r.transaction_id, e.entry_no, %(tenant)s, e.account_id, 'CNY', e.amount
    from settlement.refund r
    cross join lateral (values (1, %(frozen)s::bigint, r.refund_cents), (2, %(platform)s, -r.refund_cents))
        as e (entry_no, account_id, amount)
    """,
    """
    insert into ledger.entry (transaction_id, entry_no, tenant_id, account_id, unit, amount)
    select t.transaction_id, e.entry_no, %(tenant)s, e.account_id, 'CNY', e.amount
    from settlement.payout o join ledger.transaction t
        on t.tenant_id = o.tenant_id and t.idempotency_key = 'payout:' || o.payout_id || ':confirmed'
    cross join lateral (values (1, %(available)s::bigint, o.amount_cents), (2, %(transit)s, -o.amount_cents))
        as e (entry_no, account_id, amount)
    """,
)
_ACCOUNTS = {
    "frozen": "channel_frozen",
    "available": "channel_available",
    "fee": "channel_fee",
    "platform": "platform_fee",
    "transit": "payout_in_transit",
}


def make_books(url: str, records: int, *, without_triggers: bool = False) -> Bill:
    """Fill a fresh database.

    Args:
        url: libpq address of the migrated database, as its owner.
        records: Payments, refunds and pay-outs together; a few lie just after the day.
        without_triggers: Skip checks of the generated rows; needs a superuser.

    Returns:
        The head of the bill of the day.
    """
    begin, end = DAY, DAY + timedelta(days=1)
    with psycopg.connect(url) as conn:
        if without_triggers:
            conn.execute("set local session_replication_role = replica")
        conn.execute("select set_config('muyun.tenant', %s, true)", (TENANT,))
        values: dict[str, object] = {
            "tenant": TENANT,
            "adapter": ADAPTER,
            "records": records,
            "from": begin,
            "to": end + CUT_OFF,
        }
        for name, kind in _ACCOUNTS.items():
            row = conn.execute(
                "select ledger.open_account(%s, %s, 'platform', '')", (TENANT, kind)
            ).fetchone()
            values[name] = row[0] if row else None
        made = _RECORDS.format(payments=_PAYMENTS, refundable=_PAYMENTS + _REFUNDS)
        conn.execute(made.encode(), values)
        for statement in _STATEMENTS:
            conn.execute(statement.encode(), values)
    return Bill("bill-2026-01-05", ADAPTER, begin, end)


@contextmanager
def as_application(url: str) -> Iterator[psycopg.Connection]:
    """A transaction as the application of the tenant."""
    with psycopg.connect(url) as conn:
        conn.execute("set local role muyun_app")
        conn.execute("select set_config('muyun.tenant', %s, true)", (TENANT,))
        yield conn

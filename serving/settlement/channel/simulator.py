"""A SIMULATED payment channel: writes the bill that a channel would send for what the books hold.

No money moves and no channel is asked. It serves demonstrations and tests, which can have it make
mistakes of every kind on purpose; the mistakes it made are listed, so that reconciliation can be judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import psycopg

from serving.settlement.channel.bill import CUT_OFF, HEADER, Bill
from serving.settlement.channel.reconciliation import BreakType

ADAPTER = "simulated"


@dataclass(frozen=True, slots=True)
class Faults:
    """Mistakes to make.

    Attributes:
        per_million: Share of the records that get a mistake, by type, in millionths. Types without a
            share do not happen. `timing` is a share of the records near the end of the bill,
            `status_differs` of the pay-outs that failed.
        seed: Chooses which.
    """

    per_million: Mapping[BreakType, int] = field(default_factory=dict)
    seed: int = 0


class InjectedFault(NamedTuple):
    """One mistake of the bill, as the reconciliation should name it."""

    break_type: str
    kind: str
    reference: str


# The order of the shares in one random number per record: no record gets two of these.
_ON_RECORDS = (
    BreakType.MISSING_IN_BILL,
    BreakType.MISSING_IN_LEDGER,
    BreakType.AMOUNT_DIFFERS,
    BreakType.FEE_DIFFERS,
    BreakType.DUPLICATE_IN_BILL,
)

# Written apart from the queries of the reconciliation: both read the same tables, neither trusts the other.
_RECORDS = """
    create temp table channel_record on commit drop as
    select r.*, mod(hashtextextended(r.kind || ':' || r.reference, %(seed)s) & 9223372036854775807,
    1000000) as draw,
           r.happened_at < %(from)s or r.happened_at >= %(to)s as is_outside,
           r.happened_at >= %(to)s::timestamptz - %(cut_off)s as is_near_the_end
    from (
        select 'payment' as kind, payment_id as reference, captured_cents as amount_cents, fee_cents,
               paid_at as happened_at, true as is_done
        from orders.payment
        where tenant_id = %(tenant)s and adapter = %(adapter)s and captured_cents > 0
          and paid_at >= %(from)s and paid_at < %(late)s
        union all
        select 'refund', coalesce(q.reference, f.refund_id), f.refund_cents,
               coalesce((select -sum(v.reversed_cents)::bigint from settlement.leg_reversal v
                         join settlement.leg g using (leg_id)
                         where v.tenant_id = f.tenant_id and v.refund_id = f.refund_id and g.kind =
                         'channel_fee'), 0),
               coalesce(q.resolved_at, f.refunded_at), coalesce(q.state = 'done', true)
        from settlement.refund f left join channels.request q on q.tenant_id = f.tenant_id
            and q.kind = 'refund' and q.subject = f.refund_id
        where f.tenant_id = %(tenant)s and f.refund_cents > 0
          and coalesce(q.resolved_at, f.refunded_at) >= %(from)s
          and coalesce(q.resolved_at, f.refunded_at) < %(late)s
          and exists (select 1 from orders.payment p where p.tenant_id = f.tenant_id and p.order_id =
          f.order_id
                        and p.adapter = %(adapter)s)
        union all
        select case when o.payment_id is null then 'payout' else 'split' end,
               coalesce(q.reference, o.payout_id), o.amount_cents, 0,
               coalesce(o.resolved_at, o.sent_at), o.state = 'paid'
        from settlement.payout o left join channels.request q on q.tenant_id = o.tenant_id
            and q.kind in ('payout', 'split') and q.subject = o.payout_id
        where o.tenant_id = %(tenant)s and o.state <> 'in_transit'
          and o.resolved_at >= %(from)s and o.resolved_at < %(late)s
          and exists (select 1 from settlement.payout_batch b where b.tenant_id = o.tenant_id
                        and b.batch_id = o.batch_id and b.adapter = %(adapter)s)
        union all
        select 'split_return', q.reference, q.amount_cents, 0, q.resolved_at, q.state = 'done'
        from channels.request q join channels.account a using (tenant_id, channel_id)
        where q.tenant_id = %(tenant)s and q.kind = 'split_return' and a.adapter = %(adapter)s
          and q.resolved_at >= %(from)s and q.resolved_at < %(late)s
    ) r
"""
# Money of the last minutes may come with the next bill, money of the minutes after may come with this one.
_CHOSEN = """
    create temp table channel_fault on commit drop as
    select kind, reference,
        case when not is_done then
                 case when not is_outside and draw < %(status)s then 'status_differs' end
             when is_outside or is_near_the_end then
                 case when draw < %(timing)s then 'timing' end
             else {ladder}
        end as fault
    from channel_record
"""
_LINES = """
    create temp table channel_line on commit drop as
    select l.kind, l.reference, l.amount_cents, l.fee_cents, l.happened_at as occurred_at
    from (
        select r.kind, r.reference,
               r.amount_cents + case f.fault when 'amount_differs' then 1 + r.draw % 100 else 0 end as
               amount_cents,
               r.fee_cents + case f.fault when 'fee_differs' then 1 + r.draw % 10 else 0 end as fee_cents,
               r.happened_at
        from channel_record r join channel_fault f using (kind, reference)
        where case when not r.is_done then f.fault is not null
                   when r.is_outside then f.fault is not null
                   else f.fault is distinct from 'missing_in_bill' and f.fault is distinct from 'timing' end
        union all
        select r.kind, r.reference, r.amount_cents, r.fee_cents, r.happened_at
        from channel_record r join channel_fault f using (kind, reference) where f.fault = 'duplicate_in_bill'
        union all
        select r.kind, 'unknown-' || md5(r.reference), r.amount_cents, r.fee_cents, r.happened_at
        from channel_record r join channel_fault f using (kind, reference) where f.fault = 'missing_in_ledger'
    ) l
    order by l.happened_at, l.kind, l.reference
"""
_TABLES = ("channel_record", "channel_fault", "channel_line")


def simulate_bill(
    conn: psycopg.Connection, tenant_id: str, bill: Bill, faults: Faults | None = None
) -> list[InjectedFault]:
    """Make the bill of the simulated channel; `bill_blocks` reads it in the same transaction.

    The channel did what the records say is done: payments, refunds, paid pay-outs. It returns the fee of
    what is refunded. Without faults the reconciliation of the bill finds nothing.

    Args:
        conn: In a transaction of the tenant; temporary tables are made in it.
        tenant_id: The tenant.
        bill: The time and the adapter whose records count.
        faults: Mistakes to make; none by default.

    Returns:
        The mistakes that were made.
    """
    chosen = faults or Faults()
    for table in _TABLES:
        conn.execute(f"drop table if exists pg_temp.{table}".encode())
    shares = chosen.per_million
    values: dict[str, object] = {
        "tenant": tenant_id,
        "adapter": bill.adapter,
        "from": bill.bill_from,
        "to": bill.bill_to,
        "late": bill.bill_to + CUT_OFF,
        "cut_off": CUT_OFF,
        "seed": chosen.seed,
        "status": shares.get(BreakType.STATUS_DIFFERS, 0),
        "timing": shares.get(BreakType.TIMING, 0),
    }
    steps = []
    limit = 0
    for fault in _ON_RECORDS:
        limit += shares.get(fault, 0)
        values[fault.value] = limit
        steps.append(f"when draw < %({fault.value})s then '{fault.value}'")
    conn.execute(_RECORDS, values)
    conn.execute("analyze channel_record")
    conn.execute(_CHOSEN.format(ladder=f"case {' '.join(steps)} end").encode(), values)
    conn.execute("analyze channel_fault")
    conn.execute(_LINES.encode())
    rows = conn.execute(
        "select fault, kind, case fault when 'missing_in_ledger' then 'unknown-' || md5(reference)"
        " else reference end from channel_fault where fault is not null"
    )
    return [InjectedFault(*row) for row in rows]


def bill_blocks(conn: psycopg.Connection) -> Iterator[bytes]:
    """The bill that `simulate_bill` made, as CSV for `bill.load_bill`."""
    with (
        conn.cursor() as cursor,
        cursor.copy(
            f"copy (select {', '.join(HEADER)} from channel_line) to stdout with (format csv,"
            f" header)".encode()
        ) as copy,
    ):
        for block in copy:
            yield bytes(block)

"""Three-way reconciliation: a channel's bill, the ledger, and the records of payments, refunds and pay-outs.

Everything is compared in sets inside the database; each difference becomes one typed row, nothing is
corrected. Loading bills lives in `bill`.

Source: invariant L14 of the settlement rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from serving.settlement.channel.bill import CUT_OFF
from serving.settlement.errors import SettlementError


class BreakType(StrEnum):
    """How the sources differ.

    The first seven compare the bill with the records, the others the records with the ledger.
    """

    MISSING_IN_BILL = "missing_in_bill"
    MISSING_IN_LEDGER = "missing_in_ledger"
    AMOUNT_DIFFERS = "amount_differs"
    FEE_DIFFERS = "fee_differs"
    DUPLICATE_IN_BILL = "duplicate_in_bill"
    STATUS_DIFFERS = "status_differs"
    TIMING = "timing"
    NOT_BOOKED = "not_booked"
    BOOKED_AMOUNT_DIFFERS = "booked_amount_differs"
    BOOKED_FEE_DIFFERS = "booked_fee_differs"
    BOOKED_WITHOUT_RECORD = "booked_without_record"


class UnknownBillError(SettlementError):
    """There is no bill of that id."""


class ReconciliationConflictError(SettlementError):
    """A run of that id compared another bill."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A finished run.

    Attributes:
        run_id: The run.
        bill_id: The bill that was compared.
        as_of: Business time of the run.
        lines: Lines of the bill.
        records: Payments, refunds and pay-outs of the time of the bill.
        breaks: Number of differences by type; empty when everything agrees.
        difference_cents: What the bill says came in (payments less refunds and pay-outs) less what the
            records say, fen.
        is_new: False when the run existed before.
    """

    run_id: str
    bill_id: str
    as_of: datetime
    lines: int
    records: int
    breaks: dict[str, int]
    difference_cents: int
    is_new: bool


class Break(NamedTuple):
    """One difference. `expected_cents` is of the records, `found_cents` of the bill (or of the ledger)."""

    break_type: str
    kind: str
    reference: str
    expected_cents: int | None
    found_cents: int | None
    details: str | None


# Records of one kind: what the shop says happened at the channel. `is_final`: the channel must have done it.
_PAYMENTS = """
    select 'payment' as kind, p.payment_id as reference, p.captured_cents as amount_cents, p.fee_cents,
           p.paid_at as happened_at, true as is_final, 'accrue:' || p.order_id as ledger_key,
           null::bigint as transaction_id, p.adapter, p.channel_id
    from orders.payment p where p.tenant_id = %(tenant)s and p.captured_cents > 0
"""
_REFUNDS = """
    select 'refund', coalesce(q.reference, r.refund_id), r.refund_cents,
           case when q.reference is not null then coalesce((
               select -sum(v.reversed_cents)::bigint from settlement.leg_reversal v join settlement.leg g
               using (leg_id) where v.tenant_id = r.tenant_id and v.refund_id = r.refund_id
               and g.kind = 'channel_fee'), 0) end,
           coalesce(q.resolved_at, r.refunded_at), coalesce(q.state = 'done', true),
           'channel-request:' || q.reference || ':done',
           case when q.reference is null then r.transaction_id end, p.adapter,
           coalesce(q.channel_id, p.channel_id)
    from settlement.refund r join orders.payment p on p.tenant_id = r.tenant_id and p.order_id = r.order_id
    left join channels.request q on q.tenant_id = r.tenant_id and q.kind = 'refund'
        and q.subject = r.refund_id
    where r.tenant_id = %(tenant)s and r.refund_cents > 0
"""
_PAYOUTS = """
    select case when o.payment_id is null then 'payout' else 'split' end,
           coalesce(q.reference, o.payout_id), o.amount_cents, 0::bigint,
           coalesce(o.resolved_at, o.sent_at), o.state =
    'paid',
           'payout:' || o.payout_id || ':confirmed', null::bigint, b.adapter,
           coalesce(q.channel_id, o.channel_id)
    from settlement.payout o join settlement.payout_batch b on b.tenant_id = o.tenant_id and b.batch_id =
    o.batch_id
    left join channels.request q on q.tenant_id = o.tenant_id and q.kind in ('payout', 'split')
        and q.subject = o.payout_id
    where o.tenant_id = %(tenant)s
"""
_RETURNS = """
    select 'split_return', q.reference, q.amount_cents, 0::bigint, coalesce(q.resolved_at, q.requested_at),
           q.state = 'done', 'channel-request:' || q.reference || ':done', null::bigint, a.adapter,
           q.channel_id
    from channels.request q join channels.account a on a.tenant_id = q.tenant_id
        and a.channel_id = q.channel_id
    where q.tenant_id = %(tenant)s and q.kind = 'split_return'
"""
_ARRIVES = "('payment', 'split_return')"

# A bill of one account, or of some kinds, is compared with what is of them.
_OF_THE_BILL = """
    where r.adapter = %(adapter)s and (%(channel)s::text is null or r.channel_id = %(channel)s)
      and (%(kinds)s::text[] is null or r.kind = any(%(kinds)s))
"""

_RECORDS_IN_TIME = f"""
    create temp table reconciled_record on commit drop as
    select r.* from (
        {_PAYMENTS} and p.paid_at >= %(early)s and p.paid_at < %(late)s
        union all {_REFUNDS} and coalesce(q.resolved_at, r.refunded_at) >= %(early)s
                            and coalesce(q.resolved_at, r.refunded_at) < %(late)s
        union all {_PAYOUTS} and coalesce(o.resolved_at, o.sent_at) >= %(early)s
                             and coalesce(o.resolved_at, o.sent_at) < %(late)s
        union all {_RETURNS} and coalesce(q.resolved_at, q.requested_at) >= %(early)s
                             and coalesce(q.resolved_at, q.requested_at) < %(late)s
    ) r {_OF_THE_BILL}
"""
# What the bill names and the time did not bring: looked up one by one, whenever it happened.
_RECORDS_FROM_AFAR = f"""
    insert into reconciled_record
    select r.* from (
        {_PAYMENTS} and p.payment_id in (select u.reference from unmatched u where u.kind = 'payment')
        union all {_REFUNDS} and coalesce(q.reference, r.refund_id) in
            (select u.reference from unmatched u where u.kind = 'refund')
        union all {_PAYOUTS} and coalesce(q.reference, o.payout_id) in
            (select u.reference from unmatched u where u.kind in ('payout', 'split'))
        union all {_RETURNS} and q.reference in
            (select u.reference from unmatched u where u.kind = 'split_return')
    ) r {_OF_THE_BILL}
"""
_BILLED = """
    create temp table billed on commit drop as
    select l.kind, l.reference, count(*) as copies, sum(l.amount_cents)::bigint as total_cents,
           min(l.amount_cents) as amount_cents, min(l.fee_cents) as fee_cents, min(l.occurred_at) as
           occurred_at
    from settlement.channel_bill_line l
    where l.tenant_id = %(tenant)s and l.bill_id = %(bill)s group by l.kind, l.reference
"""
# What waits in suspense, and what was given back out of it, is known: it is no difference of the bill.
_HELD_PART = """
    update billed b set amount_cents = b.amount_cents - m.amount_cents,
           total_cents = b.total_cents - m.amount_cents
    from channels.misfit m where m.tenant_id = %(tenant)s and m.kind = 'larger_payment'
      and b.kind = 'payment' and b.reference = m.reference and b.amount_cents > m.amount_cents
      and (%(channel)s::text is null or m.channel_id = %(channel)s)
"""
_HELD_WHOLE = """
    delete from billed b using (
        select case when m.kind = 'chargeback' then 'chargeback'
                   -- A transfer or a part of a payment.
                   when m.kind = 'payout_after_failure' then (select q.kind from channels.request q
                       where q.tenant_id = m.tenant_id and q.reference = m.reference)
                   when m.kind = 'unknown_payout' and m.leaves then 'payout'
                   when m.kind in ('unknown_payout', 'payout_returned') then 'payout_return'
                   when m.kind = 'unknown_refund' and m.leaves then 'refund'
                   when m.kind in ('unknown_refund', 'refund_returned') then 'refund_return'
                   else 'payment' end as kind, m.reference, m.amount_cents
        from channels.misfit m where m.tenant_id = %(tenant)s
          and m.kind <> 'larger_payment' and not starts_with(m.kind, 'bill_')
          and (%(channel)s::text is null or m.channel_id = %(channel)s)
        union all
        select q.kind, q.reference, q.amount_cents from channels.request q
        where q.tenant_id = %(tenant)s and q.subject like 'misfit:%%' and q.state = 'done'
          and (%(channel)s::text is null or q.channel_id = %(channel)s)
    ) m where b.kind = m.kind and b.reference = m.reference and b.total_cents = m.amount_cents
"""
_UNMATCHED = """
    create temp table unmatched on commit drop as
    select b.kind, b.reference from billed b
    where not exists (select 1 from reconciled_record r where r.kind = b.kind and r.reference = b.reference)
"""
# The ledger's view: what each transaction took in or gave out at the channel, and the fee it booked.
_BOOKED = """
    create temp table booked on commit drop as
    select r.kind, r.reference, t.transaction_id,
           sum(e.amount) filter (where a.kind <> 'channel_fee')::bigint as channel_cents,
           coalesce(sum(e.amount) filter (where a.kind = 'channel_fee'), 0)::bigint as fee_cents
    from (
        select k.kind, k.reference, f.transaction_id from reconciled_record k
        join ledger.transaction f on f.tenant_id = %(tenant)s and f.idempotency_key = k.ledger_key
        where k.ledger_key is not null
        union all
        select k.kind, k.reference, k.transaction_id from reconciled_record k where k.ledger_key is null
    ) r
    join ledger.transaction t on t.transaction_id = r.transaction_id
    join ledger.entry e on e.transaction_id = t.transaction_id
    join ledger.account a on a.account_id = e.account_id
        and a.kind in ('channel_frozen', 'channel_available', 'channel_fee')
    group by r.kind, r.reference, t.transaction_id
"""
# Channel money that moved in the time of the bill in a transaction that no record knows.
_ORPHANS = """
    create temp table orphan on commit drop as
    select t.transaction_id, t.kind, t.idempotency_key, sum(e.amount)::bigint as channel_cents
    from ledger.transaction t
    join ledger.entry e on e.transaction_id = t.transaction_id
    join ledger.account a on a.account_id = e.account_id and a.kind in ('channel_frozen', 'channel_available')
    where t.tenant_id = %(tenant)s and t.booked_at >= %(from)s and t.booked_at < %(to)s
      and t.kind not in ('misfit_held', 'misfit_closed', 'refund_requested', 'refund_done', 'split_returned')
      and not exists (select 1 from booked b where b.transaction_id = t.transaction_id)
      and not exists (select 1 from orders.payment p
                      where p.tenant_id = t.tenant_id and t.idempotency_key = 'accrue:' || p.order_id
                        and p.order_id = t.order_id)
      and not exists (select 1 from settlement.refund f
                      where f.tenant_id = t.tenant_id and f.order_id = t.order_id
                        and f.transaction_id = t.transaction_id)
      and not exists (select 1 from settlement.payout o
                      where o.tenant_id = t.tenant_id and t.kind not in ('accrual', 'refund')
                        and t.idempotency_key = 'payout:' || o.payout_id || ':confirmed')
    group by t.transaction_id having sum(e.amount) <> 0
"""
# Lines of the bills right before and right after: what stands there came at another time. Another bill of
# the same time (a corrected one) is none of them.
_ELSEWHERE = """
    create temp table elsewhere on commit drop as
    select distinct l.kind, l.reference from settlement.channel_bill b
    join settlement.channel_bill_line l on l.tenant_id = b.tenant_id and l.bill_id = b.bill_id
    where b.tenant_id = %(tenant)s and b.adapter = %(adapter)s and b.bill_id <> %(bill)s
      and (b.channel_id is null or %(channel)s::text is null or b.channel_id = %(channel)s)
      and (b.bill_to between %(early)s and %(from)s or b.bill_from between %(to)s and %(late)s)
      and exists (select 1 from reconciled_record r where r.kind = l.kind and r.reference = l.reference)
"""
_BREAKS = f"""
    insert into settlement.reconciliation_break
        (tenant_id, run_id, break_type, kind, reference, expected_cents, found_cents, details)
    with compared as (
        select coalesce(r.kind, b.kind) as kind, coalesce(r.reference, b.reference) as reference,
               r.reference is not null as is_recorded, b.reference is not null as is_billed,
               k.reference is not null as is_booked,
               r.amount_cents, r.fee_cents, r.happened_at, r.is_final,
               r.happened_at >= %(from)s and r.happened_at < %(to)s as is_in_time,
               b.copies, b.total_cents, b.amount_cents as billed_cents, b.fee_cents as billed_fee_cents,
               b.occurred_at as billed_at,
               case when r.kind in {_ARRIVES} then -k.channel_cents else k.channel_cents end as booked_cents,
               k.fee_cents as booked_fee_cents
        from reconciled_record r
        full join billed b on b.kind = r.kind and b.reference = r.reference
        left join booked k on k.kind = r.kind and k.reference = r.reference
        -- What agrees everywhere, which is nearly all, is left out before it is looked at in detail.
        where (b.copies = 1 and r.is_final and r.happened_at >= %(from)s and r.happened_at < %(to)s
               and b.amount_cents = r.amount_cents and b.fee_cents = coalesce(r.fee_cents, k.fee_cents)
               and k.channel_cents = case when r.kind in {_ARRIVES} then -r.amount_cents
                                     else r.amount_cents end
               and (r.kind <> 'payment' or k.fee_cents = r.fee_cents)) is not true
    )
    select %(tenant)s, %(run)s, x.break_type, c.kind, c.reference, x.expected_cents, x.found_cents, x.details
    from compared c
    left join elsewhere w on w.kind = c.kind and w.reference = c.reference
    cross join lateral (values
        ('duplicate_in_bill', c.copies > 1, coalesce(c.amount_cents, c.billed_cents), c.total_cents,
         c.copies || ' lines'),
        ('missing_in_ledger', c.is_billed and not c.is_recorded, null, c.billed_cents,
         'the bill names a ' || c.kind || ' that the books do not know'),
        ('timing', c.is_recorded and c.is_final and (
            (c.is_billed and not c.is_in_time)
            or (not c.is_billed and c.is_in_time and (
                    w.reference is not null
                    or c.happened_at >= %(to)s::timestamptz - %(cut_off)s))),
         c.amount_cents, c.billed_cents,
         'recorded at ' || c.happened_at || case when c.is_billed then ', in the bill of another time'
                                                 else ', not in this bill' end),
        ('missing_in_bill', not c.is_billed and c.is_final and w.reference is null
            and ((c.is_in_time and c.happened_at < %(to)s::timestamptz - %(cut_off)s)
                 or (c.happened_at < %(from)s and %(has_earlier)s)),
         c.amount_cents, null, 'recorded at ' || c.happened_at),
        ('status_differs', c.is_billed and not c.is_final, null, c.billed_cents,
         'the channel did what the books hold for not done'),
        ('amount_differs', c.billed_cents <> c.amount_cents, c.amount_cents, c.billed_cents, null),
        ('fee_differs', c.billed_fee_cents <> coalesce(c.fee_cents, c.booked_fee_cents),
         coalesce(c.fee_cents, c.booked_fee_cents), c.billed_fee_cents, null),
        ('not_booked', c.is_recorded and c.is_final and (c.is_in_time or c.is_billed) and not c.is_booked,
         c.amount_cents, null, 'no transaction of the ledger moved it'),
        ('booked_amount_differs', c.is_final and (c.is_in_time or c.is_billed) and c.booked_cents <>
        c.amount_cents,
         c.amount_cents, c.booked_cents, null),
        ('booked_fee_differs',
         c.kind = 'payment' and (c.is_in_time or c.is_billed) and c.booked_fee_cents <> c.fee_cents,
         c.fee_cents, c.booked_fee_cents, null)
    ) as x (break_type, applies, expected_cents, found_cents, details)
    where x.applies
    union all
    select %(tenant)s, %(run)s, 'booked_without_record', o.kind, o.idempotency_key, null, o.channel_cents,
           'transaction ' || o.transaction_id || ' moved money at the channel'
    from orphan o
"""
_TOTALS = f"""
    select (select count(*) from settlement.channel_bill_line where tenant_id = %(tenant)s and bill_id =
    %(bill)s),
           (select count(*) from reconciled_record r
            where r.is_final and r.happened_at >= %(from)s and r.happened_at < %(to)s),
           coalesce((select sum(case when kind in ('payment', 'payout_return', 'split_return')
                                     then total_cents else -total_cents end) from billed), 0)
           - coalesce((select sum(case when kind in {_ARRIVES} then amount_cents else -amount_cents end)
                       from reconciled_record r
                       where r.is_final and r.happened_at >= %(from)s and r.happened_at < %(to)s), 0)
"""
_SCRATCH = ("reconciled_record", "billed", "unmatched", "booked", "orphan", "elsewhere")


def reconcile(
    conn: psycopg.Connection, tenant_id: str, *, bill_id: str, run_id: str, as_of: datetime
) -> Reconciliation:
    """Compare a loaded bill with the records and the ledger, once per run id.

    A record of the last minutes of the bill (`CUT_OFF`) that the bill lacks is `timing`: the next bill
    decides whether it is missing.

    Args:
        conn: In a transaction of the tenant; temporary tables are made in it.
        tenant_id: The tenant.
        bill_id: A loaded bill.
        run_id: Id of the run.
        as_of: Business time of the run.

    Raises:
        UnknownBillError: No bill has that id.
        ReconciliationConflictError: The run id was used for another bill.
    """
    known = find_reconciliation(conn, tenant_id, run_id)
    if known is not None:
        if known.bill_id != bill_id:
            raise ReconciliationConflictError(
                f"run {run_id} compared bill {known.bill_id}: take another id for bill {bill_id}"
            )
        return known
    bill = conn.execute(
        "select adapter, bill_from, bill_to, channel_id, kinds from settlement.channel_bill"
        " where tenant_id = %s and bill_id = %s",
        (tenant_id, bill_id),
    ).fetchone()
    if bill is None:
        raise UnknownBillError(f"there is no bill {bill_id}: load it first")
    adapter, bill_from, bill_to, channel_id, kinds = bill
    values = {
        "tenant": tenant_id,
        "run": run_id,
        "bill": bill_id,
        "adapter": adapter,
        "channel": channel_id,
        "kinds": kinds,
        "from": bill_from,
        "to": bill_to,
        "early": bill_from - CUT_OFF,
        "late": bill_to + CUT_OFF,
        "cut_off": CUT_OFF,
        "has_earlier": _has_bill_before(conn, tenant_id, adapter, channel_id, bill_from),
    }
    _compare_in_scratch_tables(conn, values)
    totals = conn.execute(_TOTALS, values).fetchone()
    assert totals is not None
    lines, records, difference = (int(value) for value in totals)
    conn.execute(
        "insert into settlement.reconciliation (tenant_id, run_id, bill_id, as_of, counts, difference_cents)"
        " values (%s, %s, %s, %s, '{}', %s)",
        (tenant_id, run_id, bill_id, as_of, difference),
    )
    conn.execute(_BREAKS, values)
    breaks: dict[str, int] = dict(
        conn.execute(
            "select break_type, count(*) from settlement.reconciliation_break"
            " where tenant_id = %s and run_id = %s group by break_type order by break_type",
            (tenant_id, run_id),
        ).fetchall()
    )
    conn.execute(
        "update settlement.reconciliation set counts = %s where tenant_id = %s and run_id = %s",
        (Jsonb({"lines": lines, "records": records, "breaks": breaks}), tenant_id, run_id),
    )
    return Reconciliation(run_id, bill_id, as_of, lines, records, breaks, difference, True)


def find_reconciliation(conn: psycopg.Connection, tenant_id: str, run_id: str) -> Reconciliation | None:
    """A finished run, or None."""
    row = conn.execute(
        "select bill_id, as_of, counts, difference_cents from settlement.reconciliation"
        " where tenant_id = %s and run_id = %s",
        (tenant_id, run_id),
    ).fetchone()
    if row is None:
        return None
    bill_id, as_of, counts, difference = row
    return Reconciliation(
        run_id, bill_id, as_of, counts["lines"], counts["records"], counts["breaks"], difference, False
    )


def breaks_of(
    conn: psycopg.Connection,
    tenant_id: str,
    run_id: str,
    *,
    after: tuple[str, str, str] = ("", "", ""),
    limit: int = 500,
) -> Sequence[Break]:
    """Differences of a run by (type, kind, reference), beginning after the given one."""
    rows = conn.execute(
        "select break_type, kind, reference, expected_cents, found_cents, details"
        " from settlement.reconciliation_break where tenant_id = %s and run_id = %s"
        " and (break_type, kind, reference) > (%s, %s, %s) order by break_type, kind, reference limit %s",
        (tenant_id, run_id, *after, limit),
    )
    return [Break(*row) for row in rows]


def _has_bill_before(
    conn: psycopg.Connection, tenant_id: str, adapter: str, channel_id: str | None, bill_from: datetime
) -> bool:
    """Whether the bill that ends where this one begins was loaded: only then its leftovers are due here."""
    row = conn.execute(
        "select exists (select 1 from settlement.channel_bill"
        " where tenant_id = %(tenant)s and adapter = %(adapter)s and bill_to = %(from)s"
        " and (channel_id is null or %(channel)s::text is null or channel_id = %(channel)s))",
        {"tenant": tenant_id, "adapter": adapter, "channel": channel_id, "from": bill_from},
    ).fetchone()
    return bool(row and row[0])


def _compare_in_scratch_tables(conn: psycopg.Connection, values: dict[str, object]) -> None:
    for table in _SCRATCH:
        conn.execute(f"drop table if exists pg_temp.{table}".encode())
    # A bill of a million lines is joined in memory; the setting ends with the transaction.
    conn.execute("set local work_mem = '128MB'")
    for made, statement in (
        ("reconciled_record", _RECORDS_IN_TIME),
        ("billed", _BILLED),
        ("billed", _HELD_PART),
        ("billed", _HELD_WHOLE),
        ("unmatched", _UNMATCHED),
        ("reconciled_record", _RECORDS_FROM_AFAR),
        ("booked", _BOOKED),
        ("orphan", _ORPHANS),
        ("elsewhere", _ELSEWHERE),
    ):
        conn.execute(statement, values)
        # Without statistics the planner would take nested loops for a million rows.
        conn.execute(f"analyze {made}".encode())

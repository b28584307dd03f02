"""The ledger invariants as questions to the database: whatever a query finds is a violation.

They read what was written, by whatever way, and know none of the code that wrote it. The hash chain (L15)
spans all tenants and is verified by `chain`; that an anchor outside the database matches is verified there,
too.

Source: invariants L1-L16 of the settlement rules; L17: loss budgets, L18: the table of authorities.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple

import psycopg


class Violation(NamedTuple):
    """Something that must not be.

    Attributes:
        invariant: `L1` to `L18`.
        rule: What should hold.
        subject: Where it does not, with the figures.
    """

    invariant: str
    rule: str
    subject: str


_COMMISSIONS = "('direct', 'upline', 'team', 'role', 'region')"
_POOL_CAP_BPS = 3000
# Where a plan says nothing, as `settlement.windows` does.
_WAIT_DAYS = 7

# Invariant, what should hold, and the query that finds where it does not.
CHECKS: tuple[tuple[str, str, str], ...] = (
    (
        "L1",
        "every transaction sums to 0 per unit and has two entries or more",
        """
        select t.transaction_id || ' ' || coalesce(e.unit, 'none') || ' sums to '
            || coalesce(sum(e.amount), 0)
        from ledger.transaction t left join ledger.entry e using (transaction_id)
        where t.tenant_id = %(tenant)s group by t.transaction_id, e.unit
        having coalesce(sum(e.amount), 1) <> 0 or count(*) < 2
        """,
    ),
    (
        "L2",
        "entries are not 0 and match the unit of their account",
        """
        select t.transaction_id || ' entry ' || e.entry_no
        from ledger.transaction t join ledger.entry e using (transaction_id)
        left join ledger.account a on a.account_id = e.account_id
        where t.tenant_id = %(tenant)s and (e.amount = 0 or a.unit is distinct from e.unit)
        """,
    ),
    (
        "L3",
        "what is booked cannot be changed",
        """
        select 'ledger.' || t.name || coalesce(': the application may ' || p.privilege, ': no trigger')
        from unnest(array['transaction', 'entry', 'chain_block']) as t (name)
        left join unnest(array['UPDATE', 'DELETE', 'TRUNCATE', 'INSERT']) as p (privilege)
            on has_table_privilege('muyun_app', 'ledger.' || t.name, p.privilege)
            or p.privilege in ('UPDATE', 'INSERT')
                and has_any_column_privilege('muyun_app', 'ledger.' || t.name, p.privilege)
        where p.privilege is not null or not exists (
            select 1 from pg_trigger g where g.tgrelid = ('ledger.' || t.name)::regclass
                and g.tgname = t.name || '_is_append_only' and g.tgenabled in ('O', 'A'))
        """,
    ),
    (
        "L4",
        "a balance is the sum of its entries",
        """
        select b.kind || ' of ' || b.party_type || ' ' || b.party_id || ': ' || b.amount
            || ' but entries sum to '
            || coalesce(s.amount, 0)
        from ledger.account_balance b
        left join (select e.account_id, sum(e.amount)::bigint as amount
                   from ledger.transaction t join ledger.entry e using (transaction_id)
                   where t.tenant_id = %(tenant)s group by e.account_id) s using (account_id)
        where b.tenant_id = %(tenant)s and b.amount <> coalesce(s.amount, 0)
        """,
    ),
    (
        "L5",
        "guarded accounts never pass zero",
        """
        select a.kind || ' of ' || a.party_type || ' ' || a.party_id || ': ' || b.amount
        from ledger.account a join ledger.balance b using (account_id)
        join ledger.account_kind k on k.kind = a.kind
        where a.tenant_id = %(tenant)s and (b.guard <> k.guard or k.guard * b.amount < 0)
        """,
    ),
    (
        "L6",
        "an idempotency key is used once and keeps a hash of its request",
        """
        select t.idempotency_key from ledger.transaction t where t.tenant_id = %(tenant)s
        group by t.idempotency_key having count(*) > 1 or min(length(t.request_hash)) <> 32
        """,
    ),
    (
        "L7",
        "a hold is standing, or was resolved once by somebody",
        """
        select 'hold ' || h.hold_id || ' is ' || h.state from settlement.hold h
        where h.tenant_id = %(tenant)s
            and ((h.state = 'standing') <> (h.resolved_at is null)
                 or (h.state = 'standing') <> (h.resolved_by is null))
        """,
    ),
    (
        "L8",
        "what refunds took from a leg is what the leg says, and no more than the leg",
        """
        select 'leg ' || l.leg_id || ' of ' || l.amount_cents || ': ' || l.reversed_cents
            || ' reversed, refunds say '
            || coalesce(sum(r.reversed_cents), 0)
        from settlement.leg l left join settlement.leg_reversal r using (tenant_id, leg_id)
        where l.tenant_id = %(tenant)s group by l.leg_id
        having l.reversed_cents <> coalesce(sum(r.reversed_cents), 0)
            or abs(l.reversed_cents) > abs(l.amount_cents) or l.reversed_cents::numeric * l.amount_cents < 0
            or (l.reversed_cents = l.amount_cents) <> (l.state = 'voided') and l.state <> 'released'
        """,
    ),
    (
        "L8",
        "a line that cost nothing goes back by its units: its shares, and the debts for its discounts",
        """
        with free as materialized (
            select n.order_id, n.line_no, n.qty, coalesce(max(r.units_gone), 0) as gone
            from orders.order_line n left join settlement.refund r using (tenant_id, order_id, line_no)
            where n.tenant_id = %(tenant)s and n.net_paid_cents = 0 group by 1, 2, 3
        )
        select 'leg ' || l.leg_id || ' of ' || l.amount_cents || ': ' || l.reversed_cents || ' reversed, '
            || f.gone || ' of ' || f.qty || ' units are gone'
        from settlement.leg l join free f using (order_id, line_no)
        where l.tenant_id = %(tenant)s and not l.is_replaced
            and l.reversed_cents <> div(l.amount_cents::numeric * f.gone, f.qty)
        union all
        select 'order ' || d.order_id || ' line ' || d.line_no || ': ' || d.party_type || ' ' || d.party_id
            || ' owes ' || d.owed_cents - d.reversed_cents || ' of ' || d.owed_cents || ', ' || f.gone
            || ' of ' || f.qty || ' units are gone'
        from settlement.discount_debt d join free f using (order_id, line_no)
        where d.tenant_id = %(tenant)s and d.reversed_cents <> div(d.owed_cents::numeric * f.gone, f.qty)
        """,
    ),
    (
        "L9",
        "the legs of an order are what was captured less what was refunded",
        """
        select 'order ' || o.order_id || ': legs '
            || sum(l.amount_cents - l.reversed_cents - l.rounding_cents)
            || ', captured ' || o.captured_cents || ', refunded ' || o.refunded_cents
        from orders.customer_order o join settlement.leg l using (tenant_id, order_id)
        where o.tenant_id = %(tenant)s group by o.tenant_id, o.order_id
        having sum(l.amount_cents - l.reversed_cents - l.rounding_cents)
            <> o.captured_cents - o.refunded_cents
        """,
    ),
    (
        "L9",
        "refunds of an order are what its lines and refund rows say, and rounding is 0 once all is back",
        """
        select 'order ' || o.order_id || ' line ' || r.line_no || ': refunds ' || r.refunded || ', rounding '
            || r.rounding || ', line says ' || coalesce(n.refunded_cents, s.refunded_freight_cents)
        from orders.customer_order o
        join (select order_id, line_no, supplier_id, sum(refund_cents) as refunded, sum(rounding_cents)
            as rounding, max(units_gone) as gone
              from settlement.refund where tenant_id = %(tenant)s group by order_id, line_no, supplier_id) r
            using (order_id)
        left join orders.order_line n using (tenant_id, order_id, line_no)
        left join orders.sub_order s on r.line_no = 0 and s.tenant_id = o.tenant_id
            and s.order_id = o.order_id
            and s.supplier_id = r.supplier_id
        where o.tenant_id = %(tenant)s
            and (r.refunded <> coalesce(n.refunded_cents, s.refunded_freight_cents)
                 or r.refunded = coalesce(n.net_paid_cents, s.freight_cents) and r.rounding <> 0
                     and (n.net_paid_cents is distinct from 0 or r.gone = n.qty))
        """,
    ),
    (
        "L9",
        "pending and locked accounts hold what the legs that wait are due",
        """
        select coalesce(b.kind, l.kind) || ' of ' || coalesce(b.party_id, l.payee_id) || ': '
            || coalesce(b.amount, 0)
            || ', legs ' || coalesce(l.due, 0)
        from (select kind, party_type, party_id, amount from ledger.account_balance
              where tenant_id = %(tenant)s and (kind like '%%_pending' or kind like '%%_locked')) b
        full join (select kind, payee_type, payee_id, sum(due)::bigint as due from (
                   select payee_type || '_' || state as kind, payee_type, payee_id,
                          amount_cents - reversed_cents - forfeited_cents as due
                   from settlement.leg
                   where tenant_id = %(tenant)s and state in ('pending', 'locked')
                       and payee_type <> 'platform'
                   union all
                   select beneficiary_type || '_pending', beneficiary_type, beneficiary_id,
                          share_cents - div(share_cents::numeric * reversed_cents, amount_cents)::bigint
                   from settlement.service_fee where tenant_id = %(tenant)s and state = 'pending'
                   ) waiting group by 1, 2, 3) l
            on l.kind = b.kind and l.payee_type = b.party_type and l.payee_id = b.party_id
        where coalesce(b.amount, 0) <> coalesce(l.due, 0)
        """,
    ),
    (
        "L9",
        "the money that the channel freezes is that of legs and refunds that have not left it",
        """
        select 'frozen ' || coalesce(b.amount, 0) || ', legs ' || l.frozen || ', refunds ' || q.frozen
            || '; rounding '
            || coalesce(r.amount, 0) || ', legs ' || l.rounding
        from (select coalesce(sum(amount_cents - reversed_cents - rounding_cents)
                                  filter (where not is_unfrozen), 0) as frozen,
                     coalesce(sum(rounding_cents), 0) as rounding
              from settlement.leg where tenant_id = %(tenant)s) l
        cross join (select coalesce(sum(frozen_cents), 0) as frozen from channels.request
              where tenant_id = %(tenant)s and kind = 'refund' and state <> 'done') q
        left join ledger.account_balance b on b.tenant_id = %(tenant)s and b.kind = 'channel_frozen'
        left join ledger.account_balance r on r.tenant_id = %(tenant)s and r.kind = 'platform_rounding'
        where coalesce(b.amount, 0) <> -(l.frozen + q.frozen) or coalesce(r.amount, 0) <> -l.rounding
        """,
    ),
    (
        "L9",
        "a funder lost exactly its discount",
        """
        with agreed as materialized (
            select o.order_id, (l.value ->> 'line_no')::integer as line_no,
                d.value ->> 'funder' as party_type, d.value ->> 'party_id' as party_id,
                sum((d.value ->> 'cents')::bigint)::bigint as cents
            from orders.customer_order o, jsonb_array_elements(o.snapshot -> 'lines') l,
                jsonb_array_elements(l.value -> 'discounts') d
            where o.tenant_id = %(tenant)s and d.value ? 'party_id'
                and (o.coupon_discount_cents > 0
                     or o.source = 'api' and exists (select from orders.order_line n
                         where n.tenant_id = o.tenant_id and n.order_id = o.order_id
                             and n.promo_discount_cents > 0))
            group by 1, 2, 3, 4
        ), borne as materialized (
            -- What the funder's own leg was cut by; a leg that the pool cut first tells no more than a bound.
            select l.order_id, l.line_no, l.payee_type as party_type, l.payee_id as party_id,
                case when l.kind = 'supplier' then l.base_cents else l.wanted_cents end
                    - l.amount_cents - coalesce(r.cents, 0) as cut_cents,
                l.amount_cents + coalesce(r.cents, 0) as left_cents,
                l.cut_reason like 'pool%%' as is_bound
            from settlement.leg l
            left join (select order_id, line_no, sum(amount_cents)::bigint as cents from settlement.leg
                       where tenant_id = %(tenant)s and kind = 'region' and not is_replaced group by 1, 2) r
                on l.kind = 'direct' and r.order_id = l.order_id and r.line_no = l.line_no
            where l.tenant_id = %(tenant)s and not l.is_replaced and l.line_no > 0
                and (l.kind = 'supplier' and l.cut_reason = 'supplier_funded'
                     or l.kind = 'direct' and l.cut_reason like '%%merchant_funded%%')
        ), booked as materialized (
            select t.order_id, a.party_type, a.party_id, -sum(e.amount)::bigint as cents
            from ledger.transaction t join ledger.entry e using (transaction_id)
            join ledger.account a on a.account_id = e.account_id
                and a.party_type <> 'platform'
                and (a.kind = 'clawback_receivable' or a.kind like '%%_available')
            where t.tenant_id = %(tenant)s and t.kind in ('accrual', 'reroute')
            group by 1, 2, 3
        )
        select 'order ' || coalesce(a.order_id, d.order_id) || ' line ' || coalesce(a.line_no, d.line_no)
            || ': ' || coalesce(a.party_type, d.party_type) || ' '
            || coalesce(a.party_id, d.party_id) || ' agreed to '
            || coalesce(a.cents, 0) || ', noted ' || coalesce(d.discount_cents, 0) || ', owes '
            || coalesce(d.owed_cents, 0) || ', its share was cut by ' || coalesce(b.cut_cents, 0)
        from agreed a
        full join (select * from settlement.discount_debt where tenant_id = %(tenant)s) d
            using (order_id, line_no, party_type, party_id)
        left join borne b using (order_id, line_no, party_type, party_id)
        where a.cents is distinct from d.discount_cents
            or case when coalesce(b.is_bound, false)
                then d.discount_cents - d.owed_cents > b.cut_cents or d.owed_cents > 0 and b.left_cents > 0
                else d.discount_cents - d.owed_cents <> coalesce(b.cut_cents, 0) end
        union all
        select 'order ' || coalesce(d.order_id, k.order_id) || ': '
            || coalesce(d.party_type, k.party_type) || ' ' || coalesce(d.party_id, k.party_id) || ' owes '
            || coalesce(d.cents, 0) || ', booked '
            || coalesce(k.cents, 0)
        from (select order_id, party_type, party_id, sum(owed_cents)::bigint as cents
              from settlement.discount_debt where tenant_id = %(tenant)s group by 1, 2, 3) d
        full join booked k using (order_id, party_type, party_id)
        where coalesce(d.cents, 0) <> coalesce(k.cents, 0)
        union all
        select 'order ' || d.order_id || ' line ' || d.line_no || ': all refunded, ' || d.party_type || ' '
            || d.party_id || ' still owes ' || d.owed_cents - d.reversed_cents
        from settlement.discount_debt d join orders.order_line n using (tenant_id, order_id, line_no)
        where d.tenant_id = %(tenant)s and n.net_paid_cents > 0 and n.refunded_cents = n.net_paid_cents
            and d.reversed_cents <> d.owed_cents
        union all
        select 'programme ' || p.programme_id || ': spent ' || p.spent_cents || ' in ' || p.spent_count
            || ', its redemptions took ' || coalesce(r.cents, 0) || ' in ' || coalesce(r.number, 0)
        from coupons.programme p
        left join (select programme_id, sum(discount_cents)::bigint as cents, count(*) as number
                   from coupons.redemption where tenant_id = %(tenant)s and state = 'redeemed' group by 1) r
            using (programme_id)
        where p.tenant_id = %(tenant)s
            and (p.spent_cents, p.spent_count) <> (coalesce(r.cents, 0), coalesce(r.number, 0))
        """,
    ),
    (
        "L10",
        "the payees of a line never share more than its pool, and paid levels never exceed two",
        f"""
        select 'order ' || l.order_id || ' line ' || l.line_no || ': '
            || sum(l.amount_cents) filter (where l.kind in {_COMMISSIONS}) || ' of ' || sum(l.amount_cents)
        from settlement.leg l where l.tenant_id = %(tenant)s and not l.is_replaced and l.line_no > 0
        group by l.order_id, l.line_no
        -- What was paid with points counts as if money had come: the leg that advances it is no part of it.
        having coalesce(sum(l.amount_cents) filter (where l.kind in {_COMMISSIONS}), 0)
                > greatest(sum(l.amount_cents) filter (where l.base is distinct from 'points'), 0)
                    * {_POOL_CAP_BPS} / 10000
            -- What the platform keeps of a line is below 0 only where nobody else shares in it.
            or coalesce(sum(l.amount_cents) filter (where l.kind in {_COMMISSIONS}), 0) > 0
                and sum(l.amount_cents) filter (where l.kind in ('fund', 'platform', 'subsidy')
                    and l.base is distinct from 'points') < 0
            or max(l.level) > 2
        """,
    ),
    (
        "L11",
        "nothing is released before its window",
        f"""
        with plan as materialized (
            select p.plan_id, p.version, make_interval(hours => 24 * coalesce((
                select min((r.value ->> 'wait_days_after_receipt')::integer)
                from json_array_elements(p.document::json -> 'rules') r
                where r.value ->> 'stage' = 'release' and (r.value ->> 'enabled')::boolean
                ), {_WAIT_DAYS})) as wait
            from settlement.plan_version p where p.tenant_id = %(tenant)s)
        select 'leg ' || l.leg_id || ' released ' || l.released_at || ', due '
            || coalesce(s.release_due_at::text, 'never') || ', received '
            || coalesce(s.received_at::text, 'never')
        from settlement.leg l left join orders.sub_order s using (tenant_id, order_id, supplier_id)
        left join plan p on p.plan_id = l.plan_id and p.version = l.plan_version
        where l.tenant_id = %(tenant)s and l.state = 'released'
            and (s.release_due_at is null or s.received_at is null or l.released_at < s.release_due_at
                 or s.release_due_at < s.received_at + coalesce(p.wait, interval '0'))
        """,
    ),
    (
        "L12",
        "every leg names a plan version that was published",
        """
        select distinct 'plan ' || l.plan_id || ' version ' || l.plan_version || ' of legs'
            from settlement.leg l
        where l.tenant_id = %(tenant)s and not exists (select 1 from settlement.plan_version p
            where p.tenant_id = l.tenant_id and p.plan_id = l.plan_id and p.version = l.plan_version)
        """,
    ),
    (
        "L13",
        "a statement opens with what the one before it closed with",
        """
        select n.party_type || ' ' || n.party_id || ' ' || n.period_start || ' opens with ' || n.opening_cents
            || ' after ' || n.before
        from (select *, lag(closing_cents) over w as before, lag(period_end) over w as end_before
              from settlement.statement where tenant_id = %(tenant)s
              window w as (partition by party_type, party_id order by period_start)) n
        where n.before is not null and (n.before <> n.opening_cents or n.end_before <> n.period_start)
        """,
    ),
    (
        "L13",
        "the months of a party's statements add up to the ledger, and none is missing",
        """
        with moved as materialized (
            select a.party_type, a.party_id,
                date_trunc('month', t.booked_at at time zone coalesce((select c.time_zone
                    from ops.tenant_calendar c where c.tenant_id = %(tenant)s), 'UTC'))::date as month_on,
                sum(e.amount)::bigint as cents
            from ledger.account a join ledger.entry e using (account_id)
            join ledger.transaction t using (transaction_id)
            where a.tenant_id = %(tenant)s and a.unit = 'CNY'
                and a.party_type in ('supplier', 'merchant', 'agent')
            group by 1, 2, 3
        ), known as materialized (
            select s.*, row_number() over (partition by party_type, party_id order by period_start) as number
            from settlement.statement s where s.tenant_id = %(tenant)s
        )
        select k.party_type || ' ' || k.party_id || ' ' || k.period_start || ': ' || k.opening_cents || ' to '
            || k.closing_cents || ', the ledger moved ' || coalesce(m.cents, 0)
        from known k left join moved m
            on (m.party_type, m.party_id, m.month_on) = (k.party_type, k.party_id, k.period_start)
        where k.closing_cents <> k.opening_cents + coalesce(m.cents, 0)
        union all
        select k.party_type || ' ' || k.party_id || ' begins with ' || k.opening_cents
            || ', the ledger has ' || coalesce(sum(m.cents), 0)
        from known k left join moved m on (m.party_type, m.party_id) = (k.party_type, k.party_id)
            and m.month_on < k.period_start
        where k.number = 1 group by k.party_type, k.party_id, k.opening_cents
        having k.opening_cents <> coalesce(sum(m.cents), 0)
        union all
        select distinct m.party_type || ' ' || m.party_id || ' has no statement of ' || last.period_start
        from moved m cross join (select max(period_start) as period_start from known) last
        where m.month_on <= last.period_start and not exists (select 1 from known k
            where (k.party_type, k.party_id, k.period_start) = (m.party_type, m.party_id, last.period_start))
        """,
    ),
    (
        "L14",
        "what the channel holds of an order, less what is on its way back, is captured less refunded",
        """
        select 'order ' || o.order_id || ': channel ' || coalesce(c.cents, 0) || ', captured '
            || o.captured_cents || ', refunded ' || o.refunded_cents
        from orders.customer_order o
        left join (
            select t.order_id, -sum(e.amount) as cents
            from ledger.transaction t join ledger.entry e using (transaction_id)
            join ledger.account a on a.account_id = e.account_id
                and a.kind in ('channel_frozen', 'channel_available', 'refund_in_transit')
            where t.tenant_id = %(tenant)s and t.order_id is not null group by t.order_id
        ) c on c.order_id = o.order_id
        where o.tenant_id = %(tenant)s and coalesce(c.cents, 0) <> o.captured_cents - o.refunded_cents
        """,
    ),
    (
        "L14",
        "what is on its way to parties is what the pay-outs say",
        """
        select 'in transit ' || coalesce(b.amount, 0) || ', pay-outs ' || p.sent
        from (select coalesce(sum(amount_cents), 0) as sent from settlement.payout
              where tenant_id = %(tenant)s and state = 'in_transit') p
        left join ledger.account_balance b on b.tenant_id = %(tenant)s and b.kind = 'payout_in_transit'
        where coalesce(b.amount, 0) <> p.sent
        """,
    ),
    (
        "L14",
        "what is on its way to buyers is what channels are asked for",
        """
        select 'in transit ' || coalesce(b.amount, 0) || ', asked ' || r.asked
        from (select coalesce(sum(amount_cents), 0) as asked from channels.request
              where tenant_id = %(tenant)s and kind = 'refund' and state <> 'done') r
        left join ledger.account_balance b on b.tenant_id = %(tenant)s and b.kind = 'refund_in_transit'
        where coalesce(b.amount, 0) <> r.asked
        """,
    ),
    (
        "L14",
        "suspense holds what open misfits say, but for postings by hand",
        """
        select 'suspense ' || s.booked || ', misfits ' || m.held
        from (select coalesce(sum(e.amount), 0) as booked from ledger.transaction t
              join ledger.entry e using (transaction_id) join ledger.account a on a.account_id = e.account_id
              where t.tenant_id = %(tenant)s and a.kind = 'reconciliation_suspense'
                and t.kind in ('misfit_held', 'misfit_closed')) s
        cross join (select coalesce(sum(booked_cents), 0) as held from channels.misfit
              where tenant_id = %(tenant)s and state = 'open') m
        where s.booked <> m.held
        """,
    ),
    (
        "L14",
        "a channel gave out no more than it took in",
        """
        select 'channel ' || f.channel_id || ' by ' || -sum(f.cents)
        from (select f.channel_id, case
                when f.kind = 'payment' or (f.kind, f.progress) = ('split_return', 'done')
                    then f.amount_cents
                when f.kind = 'chargeback' or f.progress = 'done' then -f.amount_cents
                -- Only what had left comes back.
                when f.progress = 'returned' and d.reference is not null then f.amount_cents
                else 0 end as cents
              from channels.fact f left join channels.fact d on d.tenant_id = f.tenant_id
                and d.channel_id = f.channel_id and d.kind = f.kind and d.reference = f.reference
                and d.progress = 'done' and f.progress = 'returned'
              where f.tenant_id = %(tenant)s and f.currency = 'CNY') f
        group by f.channel_id having sum(f.cents) < 0
        """,
    ),
    (
        "L14",
        "no more of a payment is split than its contract lets, and no more of a part comes back",
        """
        select 'payment ' || p.payment_id || ': split ' || sum(o.amount_cents) || ' of '
            || p.captured_cents * p.split_max_bps / 10000
        from orders.payment p join settlement.payout o using (tenant_id, payment_id)
        where p.tenant_id = %(tenant)s and o.state <> 'failed'
        group by p.payment_id, p.captured_cents, p.split_max_bps
        having sum(o.amount_cents) > p.captured_cents * p.split_max_bps / 10000
        union all
        select 'part ' || s.reference || ': ' || sum(q.amount_cents) || ' back of ' || s.amount_cents
        from channels.request s join channels.request q on q.tenant_id = s.tenant_id
            and q.split_reference = s.reference and q.state <> 'failed'
        where s.tenant_id = %(tenant)s and s.kind = 'split' group by s.reference, s.amount_cents
        having sum(q.amount_cents) > s.amount_cents
        """,
    ),
    (
        "L14",
        "nobody has more parts of a payment than it was released of the order",
        """
        select 'order ' || o.order_id || ', ' || o.party_type || ' ' || o.party_id || ': has ' || o.cents
            || ', was released ' || coalesce(l.cents, 0)
        from (select p.order_id, p.party_type, p.party_id,
                  sum(p.amount_cents)::bigint - coalesce((select sum(q.amount_cents) from channels.request q
                      where q.tenant_id = %(tenant)s and q.order_id = p.order_id and q.kind = 'split_return'
                      and (q.party_type, q.party_id) = (p.party_type, p.party_id)
                      and q.state <> 'failed'), 0)::bigint as cents
              from settlement.payout p where p.tenant_id = %(tenant)s and p.order_id is not null
              and p.state <> 'failed' group by 1, 2, 3) o
        left join (select order_id, payee_type, payee_id, sum(amount_cents)::bigint as cents
              from settlement.leg where tenant_id = %(tenant)s and state = 'released' group by 1, 2, 3) l
            on l.order_id = o.order_id and (l.payee_type, l.payee_id) = (o.party_type, o.party_id)
        where o.cents > coalesce(l.cents, 0)
        """,
    ),
    (
        "L14",
        "a part goes to a receiver of its party, and comes back from it",
        """
        select 'request ' || q.reference from channels.request q
        left join channels.receiver r on r.tenant_id = q.tenant_id and r.receiver_id = q.receiver_id
            and (r.channel_id, r.party_type, r.party_id) = (q.channel_id, q.party_type, q.party_id)
        left join channels.request s on s.tenant_id = q.tenant_id and s.reference = q.split_reference
        where q.tenant_id = %(tenant)s and q.kind in ('split', 'split_return') and (r.receiver_id is null
            or q.kind = 'split_return' and s.receiver_id is distinct from q.receiver_id)
        """,
    ),
    (
        "L9",
        "the points that are issued are those that consumers hold",
        """
        select 'liability ' || sum(amount) filter (where kind = 'points_liability') || ', held '
            || sum(amount) filter (where kind = 'consumer_points')
        from ledger.account_balance
        where tenant_id = %(tenant)s and kind in ('points_liability', 'consumer_points')
        having sum(amount) <> 0
        """,
    ),
    (
        "L17",
        "loss budgets hold what their lines reserved, within their limits",
        """
        select 'merchant ' || merchant_id || ' on ' || day || ': lines reserved ' || coalesce(l.cents, 0)
            || ', the budget says ' || coalesce(b.spent_cents, 0) || ' of ' || coalesce(b.limit_cents, 0)
        from (select o.merchant_id, n.loss_day as day, sum(n.loss_cents)::bigint as cents
              from orders.order_line n join orders.customer_order o using (tenant_id, order_id)
              where n.tenant_id = %(tenant)s and n.loss_cents > 0 group by 1, 2) l
        full join (select * from orders.loss_budget where tenant_id = %(tenant)s) b using (merchant_id, day)
        where coalesce(l.cents, 0) <> coalesce(b.spent_cents, 0)
            or coalesce(b.spent_cents, 0) > coalesce(b.limit_cents, 0)
        """,
    ),
    (
        "L17",
        "the platform adds no more to a line than the line reserved of its loss budget",
        """
        -- What the funder of a discount owes the platform only advanced.
        select 'order ' || l.order_id || ' line ' || l.line_no || ': subsidy '
            || -sum(l.amount_cents) - coalesce(d.cents, 0) || ', reserved ' || n.loss_cents
        from settlement.leg l join orders.order_line n using (tenant_id, order_id, line_no)
        join orders.customer_order o using (tenant_id, order_id)
        left join (select order_id, line_no, sum(owed_cents)::bigint as cents from settlement.discount_debt
                   where tenant_id = %(tenant)s group by 1, 2) d using (order_id, line_no)
        where l.tenant_id = %(tenant)s and l.kind = 'subsidy' and not l.is_replaced and o.source = 'api'
        group by l.order_id, l.line_no, n.loss_cents, d.cents
        having -sum(l.amount_cents) - coalesce(d.cents, 0) > n.loss_cents
        """,
    ),
    (
        "L18",
        "what was stated from outside has an authority",
        """
        select 'offer of supplier ' || o.supplier_id || ' for sku ' || o.sku_id || ': never approved'
        from orders.offer o left join orders.supplier_sku m using (tenant_id, supplier_id, sku_id)
        where o.tenant_id = %(tenant)s and m.sku_id is null
        union all
        select 'payment ' || p.payment_id || ' by ' || p.adapter || ': no registered account said so'
        from orders.payment p join orders.customer_order o using (tenant_id, order_id)
        where p.tenant_id = %(tenant)s and p.channel_id is null and p.adapter <> 'simulated'
            and o.source = 'api'
        union all
        select 'transaction ' || t.transaction_id || ' by hand: nobody approved or posted it'
        from ledger.transaction t
        where t.tenant_id = %(tenant)s and starts_with(t.idempotency_key, 'manual:')
            and not exists (select from approvals.request r where r.tenant_id = t.tenant_id
                and r.kind = 'manual_posting' and r.subject_id = substr(t.idempotency_key, 8)
                and r.state = 'in_effect')
            and not exists (select from ops.audit_log a where a.tenant_id = t.tenant_id
                and a.authority = 'manual_posting' and a.object_type = 'transaction'
                and a.object_id = t.transaction_id::text)
        """,
    ),
    (
        "L16",
        "no transaction mixes tenants",
        """
        select 'transaction ' || t.transaction_id
        from ledger.transaction t join ledger.entry e using (transaction_id)
        left join ledger.account a on a.account_id = e.account_id
        where t.tenant_id = %(tenant)s and (e.tenant_id <> t.tenant_id or a.tenant_id is distinct
            from t.tenant_id)
        """,
    ),
)


def check(conn: psycopg.Connection, tenant_id: str) -> list[Violation]:
    """Every violation in the books of a tenant; none in sound books.

    Args:
        conn: Inside a transaction of the tenant; one that sees a single snapshot (`repeatable read`)
            where others write at the same time.
        tenant_id: The tenant.
    """
    found = [
        Violation(invariant, rule, subject)
        for invariant, rule, query in CHECKS
        for (subject,) in conn.execute(query, {"tenant": tenant_id}).fetchall()
    ]
    return [*found, *_altered_plans(conn, tenant_id)]


def _altered_plans(conn: psycopg.Connection, tenant_id: str) -> Iterator[Violation]:
    """L12: a plan's document still hashes to what was published, by a computation of its own."""
    for plan_id, version, document, stored in conn.execute(
        "select plan_id, version, document, content_hash from settlement.plan_version where tenant_id = %s",
        (tenant_id,),
    ).fetchall():
        content = json.loads(document)
        named = content.pop("content_hash", None)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if not named == stored == hashlib.sha256(text.encode()).hexdigest():
            yield Violation(
                "L12", "a plan version is as it was published", f"plan {plan_id} version {version}"
            )

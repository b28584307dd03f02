with legs as (

    select * from {{ ref('fct_settlement_legs') }}

),

entries as (

    select * from {{ ref('int_ledger_entries_dated') }} where party_type = 'agent'

),

agents as (

    select * from {{ ref('dim_agents') }}

),

-- A line belongs to the agent whose direct leg it carries; its legs sum to what was paid for it.
lines as (

    select
        order_id,
        line_no,
        sum(amount_cents) as net_paid_cents,
        sum(channel_cents) as kept_cents
    from legs
    where line_no > 0 and not is_replaced
    group by
        order_id,
        line_no

),

sold_lines as (

    select
        legs.payee_id as agent_id,
        legs.order_id,
        legs.consumer_id,
        legs.origin,
        {{ utc_month('legs.accrued_at') }} as sold_month_on,
        {{ utc_month('legs.released_at') }} as settled_month_on,
        lines.net_paid_cents,
        lines.kept_cents
    from legs
    inner join lines
        on legs.order_id = lines.order_id
        and legs.line_no = lines.line_no
    where legs.payee_type = 'agent' and legs.leg_kind = 'direct' and not legs.is_replaced

),

sold as (

    select
        agent_id,
        sold_month_on as month_start_on,
        count(distinct order_id) as order_count,
        sum(net_paid_cents) as sold_cents
    from sold_lines
    group by
        agent_id,
        sold_month_on

),

settled as (

    select
        agent_id,
        settled_month_on as month_start_on,
        count(distinct order_id) as settled_order_count,
        count(distinct consumer_id) as settled_customer_count,
        sum(kept_cents) as net_sales_cents
    from sold_lines
    where settled_month_on is not null
    group by
        agent_id,
        settled_month_on

),

commissions as (

    select
        party_id as agent_id,
        month_start_on,
        sum(case
            when account_kind in ('agent_pending', 'agent_locked') and transaction_kind in ('accrual', 'reroute')
                then amount_cents
            else 0
        end) as commission_accrued_cents,
        sum(case
            when account_kind in ('agent_available', 'clawback_receivable') and transaction_kind = 'release'
                then amount_cents
            else 0
        end) as commission_released_cents,
        sum(case when transaction_kind = 'refund' then -amount_cents else 0 end) as commission_reversed_cents
    from entries
    group by
        party_id,
        month_start_on

),

keys as (

    select agent_id, month_start_on from sold
    union
    select agent_id, month_start_on from settled
    union
    select agent_id, month_start_on from commissions

),

origins as (

    select
        party_id as agent_id,
        case when min(origin) = max(origin) then min(origin) else 'both' end as origin
    from entries
    group by party_id

),

final as (

    select
        keys.agent_id,
        keys.month_start_on,
        agents.merchant_id,
        coalesce(agents.tier, 'unknown') as tier,
        cast(coalesce(sold.order_count, 0) as bigint) as order_count,
        cast(coalesce(sold.sold_cents, 0) as bigint) as sold_cents,
        cast(coalesce(settled.settled_order_count, 0) as bigint) as settled_order_count,
        cast(coalesce(settled.settled_customer_count, 0) as bigint) as settled_customer_count,
        cast(coalesce(settled.net_sales_cents, 0) as bigint) as net_sales_cents,
        cast(coalesce(commissions.commission_accrued_cents, 0) as bigint) as commission_accrued_cents,
        cast(coalesce(commissions.commission_released_cents, 0) as bigint) as commission_released_cents,
        cast(coalesce(commissions.commission_reversed_cents, 0) as bigint) as commission_reversed_cents,
        coalesce(origins.origin, agents.origin, 'observed') as origin
    from keys
    left join agents on keys.agent_id = agents.agent_id
    left join origins on keys.agent_id = origins.agent_id
    left join sold
        on keys.agent_id = sold.agent_id
        and keys.month_start_on = sold.month_start_on
    left join settled
        on keys.agent_id = settled.agent_id
        and keys.month_start_on = settled.month_start_on
    left join commissions
        on keys.agent_id = commissions.agent_id
        and keys.month_start_on = commissions.month_start_on

)

select * from final

with entries as (

    select * from {{ ref('int_ledger_entries_dated') }} where party_type = 'agent'

),

agents as (

    select * from {{ ref('dim_agents') }}

),

-- A line belongs to the agent whose direct leg it carries.
sold_lines as (

    select
        agent_id,
        order_id,
        consumer_id,
        origin,
        {{ utc_month('agent_accrued_at') }} as sold_month_on,
        {{ utc_month('agent_released_at') }} as settled_month_on,
        net_paid_cents,
        kept_cents
    from {{ ref('int_lines_settled') }}
    where agent_id is not null

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

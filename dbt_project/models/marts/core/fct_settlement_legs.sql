with legs as (

    select * from {{ ref('stg_lake__settlement_legs') }}

),

orders as (

    select * from {{ ref('stg_lake__orders') }}

),

final as (

    select
        legs.leg_id,
        legs.order_id,
        legs.line_no,
        legs.supplier_id,
        orders.consumer_id,
        orders.merchant_id,
        legs.leg_kind,
        legs.scenario,
        legs.rule_id,
        legs.plan_id,
        legs.plan_version,
        legs.payee_type,
        legs.payee_id,
        legs.level,
        legs.base,
        legs.base_cents,
        legs.rate_bps,
        legs.wanted_cents,
        legs.amount_cents,
        legs.reversed_cents,
        legs.rounding_cents,
        legs.forfeited_cents,
        legs.amount_cents - legs.reversed_cents as net_cents,
        legs.amount_cents - legs.reversed_cents - legs.rounding_cents as channel_cents,
        legs.cut_reason,
        legs.explanation,
        legs.leg_state,
        legs.is_unfrozen,
        legs.is_replaced,
        legs.accrued_at,
        {{ local_date('legs.accrued_at') }} as accrued_on,
        legs.released_at,
        {{ local_date('legs.released_at') }} as released_on,
        legs.origin,
        legs.received_at
    from legs
    left join orders on legs.order_id = orders.order_id

)

select * from final

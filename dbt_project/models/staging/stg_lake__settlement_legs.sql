with source as (

    select * from {{ source('lake', 'settlement_legs') }}

),

renamed as (

    select
        cast(leg_id as string) as leg_id,
        cast(order_id as string) as order_id,
        cast(line_no as int) as line_no,
        cast(supplier_id as string) as supplier_id,
        cast(leg_kind as string) as leg_kind,
        cast(scenario as int) as scenario,
        cast(rule_id as string) as rule_id,
        cast(plan_id as string) as plan_id,
        cast(plan_version as int) as plan_version,
        cast(payee_type as string) as payee_type,
        cast(payee_id as string) as payee_id,
        cast(level as int) as level,
        cast(base as string) as base,
        cast(base_cents as bigint) as base_cents,
        cast(rate_bps as int) as rate_bps,
        cast(wanted_cents as bigint) as wanted_cents,
        cast(amount_cents as bigint) as amount_cents,
        cast(reversed_cents as bigint) as reversed_cents,
        cast(rounding_cents as bigint) as rounding_cents,
        cast(forfeited_cents as bigint) as forfeited_cents,
        cast(cut_reason as string) as cut_reason,
        cast(explanation as string) as explanation,
        cast(leg_state as string) as leg_state,
        cast(is_unfrozen as boolean) as is_unfrozen,
        cast(is_replaced as boolean) as is_replaced,
        cast(accrued_at as {{ instant_type() }}) as accrued_at,
        cast(released_at as {{ instant_type() }}) as released_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed

with current_rows as (

    select
        order_id,
        consumer_id,
        merchant_id,
        agent_id,
        channel,
        placed_at,
        state,
        freight_cents,
        received_at,
        cast(null as {{ instant_type() }}) as superseded_at
    from {{ ref('stg_lake__orders') }}

),

-- A deletion ends the version before it and is none itself.
older_rows as (

    select
        cast(order_id as string) as order_id,
        cast(consumer_id as string) as consumer_id,
        cast(merchant_id as string) as merchant_id,
        cast(agent_id as string) as agent_id,
        cast(channel as string) as channel,
        cast(placed_at as {{ instant_type() }}) as placed_at,
        cast(state as string) as state,
        cast(freight_cents as bigint) as freight_cents,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(superseded_at as {{ instant_type() }}) as superseded_at
    from {{ lake_history('orders') }} as history
    where not is_deleted

),

final as (

    select * from current_rows
    union all
    select * from older_rows

)

select * from final

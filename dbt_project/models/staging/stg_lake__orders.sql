with source as (

    select * from {{ source('lake', 'orders') }}

),

renamed as (

    select
        cast(order_id as string) as order_id,
        cast(consumer_id as string) as consumer_id,
        cast(merchant_id as string) as merchant_id,
        cast(agent_id as string) as agent_id,
        cast(channel as string) as channel,
        cast(placed_at as {{ instant_type() }}) as placed_at,
        cast(paid_at as {{ instant_type() }}) as paid_at,
        cast(status as string) as status,
        cast(state as string) as state,
        cast(coupon_discount_cents as bigint) as coupon_discount_cents,
        cast(freight_cents as bigint) as freight_cents,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed

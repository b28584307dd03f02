with source as (

    select * from {{ source('lake', 'coupon_redemptions') }}

),

renamed as (

    select
        cast(coupon_id as string) as coupon_id,
        cast(order_id as string) as order_id,
        cast(redeemed_at as {{ instant_type() }}) as redeemed_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed

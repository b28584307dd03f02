with source as (

    select * from {{ source('lake', 'coupons') }}

),

renamed as (

    select
        cast(coupon_id as string) as coupon_id,
        cast(consumer_id as string) as consumer_id,
        cast(kind as string) as kind,
        cast(threshold_cents as bigint) as threshold_cents,
        cast(value_cents as bigint) as value_cents,
        cast(starts_at as {{ instant_type() }}) as starts_at,
        cast(ends_at as {{ instant_type() }}) as ends_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed

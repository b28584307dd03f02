with coupons as (

    select * from {{ ref('stg_lake__coupons') }}

),

final as (

    select
        coupon_id,
        consumer_id,
        kind,
        threshold_cents,
        value_cents,
        starts_at,
        ends_at,
        origin,
        received_at
    from coupons

)

select * from final

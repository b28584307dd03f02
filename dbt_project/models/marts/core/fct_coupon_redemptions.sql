with redemptions as (

    select * from {{ ref('stg_lake__coupon_redemptions') }}

),

orders as (

    select * from {{ ref('stg_lake__orders') }}

),

coupons as (

    select * from {{ ref('stg_lake__coupons') }}

),

final as (

    select
        redemptions.coupon_id,
        redemptions.order_id,
        coalesce(orders.consumer_id, coupons.consumer_id) as consumer_id,
        orders.merchant_id,
        coupons.kind,
        coupons.threshold_cents,
        coupons.value_cents,
        redemptions.redeemed_at,
        {{ local_date('redemptions.redeemed_at') }} as redeemed_on,
        redemptions.origin,
        redemptions.received_at
    from redemptions
    left join orders on redemptions.order_id = orders.order_id
    left join coupons on redemptions.coupon_id = coupons.coupon_id

)

select * from final

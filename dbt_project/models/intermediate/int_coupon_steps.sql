with granted as (

    select
        coupons.coupon_id,
        coupons.consumer_id,
        'granted' as step,
        coupons.starts_at as happened_at,
        coupons.kind,
        coupons.value_cents,
        {{ local_date('coupons.ends_at') }} as ends_on,
        coupons.received_at
    from {{ in_this_file(ref('dim_coupons')) }} as coupons

),

redeemed as (

    select
        redemptions.coupon_id,
        redemptions.consumer_id,
        'redeemed' as step,
        redemptions.redeemed_at as happened_at,
        redemptions.kind,
        redemptions.value_cents,
        cast(null as date) as ends_on,
        redemptions.received_at
    from {{ in_this_file(ref('fct_coupon_redemptions')) }} as redemptions

),

final as (

    select * from granted
    union all
    select * from redeemed

)

select * from final

with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

final as (

    select
        merchant_id,
        category_l2_id,
        placed_on,
        max(category_l1_id) as category_l1_id,
        max(week_start_on) as week_start_on,
        count(distinct order_id) as orders,
        count(*) as line_count,
        cast(sum(case when is_merchandise then qty else 0 end) as bigint) as units,
        cast(sum(list_price_cents) as bigint) as list_price_cents,
        cast(sum(promo_discount_cents) as bigint) as promo_discount_cents,
        cast(sum(coupon_discount_cents) as bigint) as coupon_discount_cents,
        cast(sum(net_paid_cents) as bigint) as net_paid_cents,
        cast(sum(case when origin = 'overlay' then net_paid_cents else 0 end) as bigint) as overlay_net_paid_cents,
        cast(sum(
            case when supply_cost_cents is not null then net_paid_cents else 0 end
        ) as bigint) as costed_net_paid_cents,
        cast(sum(supply_cost_cents) as bigint) as supply_cost_cents,
        cast(sum(
            case when supply_cost_origin = 'overlay' then supply_cost_cents else 0 end
        ) as bigint) as overlay_supply_cost_cents,
        cast(sum(margin_cents) as bigint) as margin_cents
    from order_lines
    group by
        merchant_id,
        category_l2_id,
        placed_on

)

select
    *,
    {{ ratio('margin_cents', 'costed_net_paid_cents') }} as margin_rate
from final

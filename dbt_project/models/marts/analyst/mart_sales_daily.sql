with order_lines as (

    select * from {{ ref('fct_order_lines') }}
    where is_sale or is_return

),

-- An order counts once, in the category of its first sale line: so orders add up over any rows.
first_lines as (

    select
        order_id,
        min(line_no) as line_no
    from order_lines
    where is_sale
    group by order_id

),

final as (

    select
        order_lines.merchant_id,
        order_lines.category_l2_id,
        order_lines.placed_on,
        max(order_lines.category_l1_id) as category_l1_id,
        max(order_lines.week_start_on) as week_start_on,
        count(first_lines.order_id) as orders,
        cast(sum(case when order_lines.is_sale then 1 else 0 end) as bigint) as line_count,
        cast(sum(case when order_lines.is_return then 1 else 0 end) as bigint) as return_line_count,
        {{ units('sum(case when order_lines.is_merchandise then order_lines.qty_milli else 0 end)') }} as units,
        cast(sum(order_lines.list_price_cents) as bigint) as list_price_cents,
        cast(sum(order_lines.promo_discount_cents) as bigint) as promo_discount_cents,
        cast(sum(order_lines.coupon_discount_cents) as bigint) as coupon_discount_cents,
        cast(sum(case when order_lines.is_sale then order_lines.net_paid_cents else 0 end) as bigint) as sold_cents,
        cast(sum(
            case when order_lines.is_return then -order_lines.net_paid_cents else 0 end
        ) as bigint) as returned_cents,
        cast(sum(order_lines.net_paid_cents) as bigint) as net_paid_cents,
        cast(sum(
            case when order_lines.consumer_id is null then order_lines.net_paid_cents else 0 end
        ) as bigint) as guest_net_paid_cents,
        cast(sum(
            case when order_lines.origin = 'overlay' then order_lines.net_paid_cents else 0 end
        ) as bigint) as overlay_net_paid_cents,
        cast(sum(
            case when order_lines.supply_cost_cents is not null then order_lines.net_paid_cents else 0 end
        ) as bigint) as costed_net_paid_cents,
        cast(sum(order_lines.supply_cost_cents) as bigint) as supply_cost_cents,
        cast(sum(
            case when order_lines.supply_cost_origin = 'overlay' then order_lines.supply_cost_cents else 0 end
        ) as bigint) as overlay_supply_cost_cents,
        cast(sum(order_lines.margin_cents) as bigint) as margin_cents
    from order_lines
    left join first_lines
        on order_lines.order_id = first_lines.order_id
        and order_lines.line_no = first_lines.line_no
    group by
        order_lines.merchant_id,
        order_lines.category_l2_id,
        order_lines.placed_on

)

select
    *,
    {{ ratio('margin_cents', 'costed_net_paid_cents') }} as margin_rate
from final

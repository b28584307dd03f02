with order_lines as (

    select * from {{ ref('int_order_lines_costed') }}
    where is_current

),

placements as (

    select * from {{ ref('int_promotions_matched') }}

),

final as (

    select
        order_lines.order_id,
        order_lines.line_no,
        order_lines.consumer_id,
        order_lines.merchant_id,
        order_lines.sku_id,
        order_lines.supplier_id,
        order_lines.category_l1_id,
        order_lines.category_l2_id,
        order_lines.category_l3_id,
        order_lines.channel,
        order_lines.placed_at,
        order_lines.placed_on,
        order_lines.week_start_on,
        order_lines.qty_milli,
        order_lines.qty,
        order_lines.list_price_cents,
        order_lines.promo_discount_cents,
        order_lines.coupon_discount_cents,
        order_lines.net_paid_cents,
        {{ ratio('order_lines.net_paid_cents', 'order_lines.qty') }} as unit_price_cents,
        order_lines.supply_cost_cents,
        order_lines.net_paid_cents - order_lines.supply_cost_cents as margin_cents,
        order_lines.supply_cost_origin,
        order_lines.line_kind,
        order_lines.is_merchandise,
        order_lines.is_counted,
        order_lines.is_sale,
        order_lines.is_return,
        order_lines.returned_order_id,
        order_lines.returned_line_no,
        coalesce(placements.is_on_display, false) as is_on_display,
        coalesce(placements.is_on_mailer, false) as is_on_mailer,
        order_lines.origin,
        order_lines.received_at
    from order_lines
    left join placements
        on order_lines.sku_id = placements.sku_id
        and order_lines.merchant_id = placements.merchant_id
        and order_lines.week_start_on = placements.week_start_on

)

-- Stored in time order: a date range reads few row groups, and every build stores the same order.
select * from final
order by placed_at, order_id, line_no

with changed as (

    select * from {{ in_this_file(ref('int_order_lines_changed')) }}

),

unchanged as (

    select
        lines.order_id,
        lines.line_no,
        lines.consumer_id,
        lines.merchant_id,
        lines.sku_id,
        lines.supplier_id,
        lines.category_l1_id,
        lines.category_l2_id,
        lines.placed_at,
        lines.qty,
        lines.list_price_cents,
        lines.promo_discount_cents,
        lines.coupon_discount_cents,
        lines.net_paid_cents,
        lines.unit_price_cents,
        lines.supply_cost_cents,
        lines.is_merchandise,
        lines.is_counted,
        lines.is_sale,
        lines.is_return,
        lines.is_on_display,
        lines.is_on_mailer,
        lines.received_at,
        cast(null as {{ instant_type() }}) as superseded_at
    from {{ in_this_file(ref('fct_order_lines')) }} as lines
    where lines.order_id not in (select changed.order_id from changed)

),

final as (

    select * from unchanged
    union all
    select
        order_id,
        line_no,
        consumer_id,
        merchant_id,
        sku_id,
        supplier_id,
        category_l1_id,
        category_l2_id,
        placed_at,
        qty,
        list_price_cents,
        promo_discount_cents,
        coupon_discount_cents,
        net_paid_cents,
        unit_price_cents,
        supply_cost_cents,
        is_merchandise,
        is_counted,
        is_sale,
        is_return,
        is_on_display,
        is_on_mailer,
        received_at,
        superseded_at
    from changed

)

select * from final

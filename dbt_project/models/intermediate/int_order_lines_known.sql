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
    select * from changed

)

select * from final

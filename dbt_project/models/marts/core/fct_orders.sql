with orders as (

    select * from {{ ref('stg_lake__orders') }}

),

line_totals as (

    select
        order_id,
        count(*) as line_count,
        cast(sum(case when is_merchandise then qty else 0 end) as bigint) as units,
        cast(sum(list_price_cents) as bigint) as list_price_cents,
        cast(sum(promo_discount_cents) as bigint) as promo_discount_cents,
        cast(sum(coupon_discount_cents) as bigint) as coupon_discount_cents,
        cast(sum(net_paid_cents) as bigint) as net_paid_cents
    from {{ ref('fct_order_lines') }}
    group by order_id

),

final as (

    select
        orders.order_id,
        orders.consumer_id,
        orders.merchant_id,
        orders.agent_id,
        orders.channel,
        orders.status,
        orders.placed_at,
        {{ local_date('orders.placed_at') }} as placed_on,
        orders.paid_at,
        coalesce(line_totals.line_count, 0) as line_count,
        coalesce(line_totals.units, 0) as units,
        coalesce(line_totals.list_price_cents, 0) as list_price_cents,
        coalesce(line_totals.promo_discount_cents, 0) as promo_discount_cents,
        coalesce(line_totals.coupon_discount_cents, 0) as coupon_discount_cents,
        orders.coupon_discount_cents as header_coupon_discount_cents,
        orders.freight_cents,
        coalesce(line_totals.net_paid_cents, 0) as net_paid_cents,
        coalesce(line_totals.coupon_discount_cents, 0) > 0 as has_coupon,
        row_number() over (
            partition by orders.consumer_id
            order by orders.placed_at, orders.order_id
        ) as consumer_order_no,
        orders.origin,
        orders.received_at
    from orders
    left join line_totals on orders.order_id = line_totals.order_id

)

-- Stored in time order: a date range reads few row groups, and every build stores the same order.
select * from final
order by placed_at, order_id
